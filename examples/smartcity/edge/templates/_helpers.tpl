{{/* Labels of one component of an office; takes a list: root, office, component. */}}
{{- define "edge.selector" -}}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 2 }}
smartcity/office: {{ (index . 1).name }}
{{- end }}

{{- define "edge.labels" -}}
app.kubernetes.io/part-of: smartcity
{{ include "edge.selector" . }}
{{- end }}

{{- define "edge.name" -}}
{{ (index . 0).Release.Name }}-{{ (index . 1).name }}-{{ index . 2 }}
{{- end }}

{{- define "edge.account" -}}
{{ .Release.Name }}-edge
{{- end }}

{{/* What every pod has in common; takes a list: root, the number of the user in its image. */}}
{{- define "edge.pod" -}}
serviceAccountName: {{ include "edge.account" (index . 0) }}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ index . 1 }}
  fsGroup: {{ index . 1 }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "edge.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end }}

{{/* The environment that says where the services of an office are. */}}
{{- define "edge.environment" -}}
{{- $root := index . 0 }}{{ $office := index . 1 -}}
- name: OFFICE
  value: {{ $office.name | quote }}
- name: BROKER
  value: {{ include "edge.name" (list $root $office "mqtt") }}
- name: CAMERAS
  value: {{ include "edge.name" (list $root $office "camera") }}
- name: DATABASE
  value: http://{{ include "edge.name" (list $root $office "database") }}:5984
- name: STORAGE
  value: http://{{ include "edge.name" (list $root $office "storage") }}:8080
- name: DATABASE_USER
  valueFrom:
    secretKeyRef:
      name: {{ include "edge.name" (list $root $office "database") }}
      key: user
- name: DATABASE_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "edge.name" (list $root $office "database") }}
      key: password
{{- end }}
