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
{{- /* How each sidecar calls its Lease: made from the driver's name, and not by the same rule in all. */ -}}
{{- define "eck-csi.leases" -}}
eck-csi-k8s-io, external-attacher-leader-eck-csi-k8s-io, external-resizer-eck-csi-k8s-io
{{- if .Values.snapshots }}, external-snapshotter-leader-eck-csi-k8s-io{{ end }}
{{- end }}
{{- /* What no container of the controller needs. */ -}}
{{- define "eck-csi.locked" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
capabilities: {drop: [ALL]}
{{- end }}
{{- /* One a line: what extraArgs may not say again. */ -}}
{{- define "eck-csi.nodeArgs" -}}
--csi-endpoint=unix:///csi/csi.sock
--node-name=$(NODE_NAME)
--kubelet-registration-path={{ .Values.node.kubeletDir }}/plugins/eck.csi.k8s.io/csi.sock
--kubelet-registration-dir=/registration
--reserved-disks={{ .Values.node.reservedDisks }}
--device-timeout-seconds={{ .Values.node.deviceTimeoutSeconds }}
{{- with .Values.node.instanceIdUrls }}
--instance-id-url={{ join "," . }}
{{- end }}
--admin-address=0.0.0.0:9810
--log-level={{ .Values.log.level }}
--log-format={{ .Values.log.format }}
{{- with .Values.traces.endpoint }}
--traces-endpoint={{ . }}
{{- end }}
{{- end }}
