{{- define "ideal-gpu.labels" -}}
app.kubernetes.io/name: ideal-gpu
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{- define "ideal-gpu.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- define "ideal-gpu.locked" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
capabilities: {drop: [ALL]}
{{- end }}
{{- /* How the API server asks each webhook; a list of the root and the path. */ -}}
{{- define "ideal-gpu.asked" -}}
{{- $root := index . 0 -}}
admissionReviewVersions: [v1]
sideEffects: None
timeoutSeconds: 5
failurePolicy: Fail
clientConfig:
  service:
    name: ideal-gpu-scheduler
    namespace: {{ $root.Release.Namespace }}
    path: {{ index . 1 }}
  {{- with $root.Values.scheduler.tlsAuthority }}
  caBundle: {{ . | b64enc }}
  {{- end }}
{{- end }}
{{- /* The same in both directions: whoever writes decisions is who the webhook trusts. */ -}}
{{- define "ideal-gpu.trusted" -}}
system:serviceaccount:{{ .Release.Namespace }}:ideal-gpu-scheduler,system:serviceaccount:{{ .Release.Namespace }}:ideal-gpu-plugin
{{- end }}
