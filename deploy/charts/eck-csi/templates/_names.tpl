{{- define "eck-csi.labels" -}}
app.kubernetes.io/name: eck-csi
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{- define "eck-csi.secret" -}}
{{ .Values.credentials.existingSecret | default "eck-csi-credentials" }}
{{- end }}
{{- define "eck-csi.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- /* What no container of the controller needs. */ -}}
{{- define "eck-csi.locked" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
capabilities: {drop: [ALL]}
{{- end }}
