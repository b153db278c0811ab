{{/* Labels of one component; takes a list: root, component. */}}
{{- define "cloud.selector" -}}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: cloud-{{ index . 1 }}
{{- end }}

{{- define "cloud.labels" -}}
app.kubernetes.io/part-of: smartcity
{{ include "cloud.selector" . }}
{{- end }}

{{- define "cloud.name" -}}
{{ (index . 0).Release.Name }}-cloud-{{ index . 1 }}
{{- end }}

{{/* What every pod has in common; takes a list: root, the number of the user in its image. */}}
{{- define "cloud.pod" -}}
serviceAccountName: {{ (index . 0).Release.Name }}-cloud
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ index . 1 }}
  fsGroup: {{ index . 1 }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "cloud.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end }}
