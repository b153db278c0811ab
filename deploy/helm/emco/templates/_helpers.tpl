{{/* The services with their published ports; tests hold it against the program. */}}
{{- define "emco.catalogue" -}}
orchestrator: {http: 9015, grpc: 9016}
clm: {http: 9061}
dcm: {http: 9077, grpc: 9078}
ncm: {http: 9081, grpc: 9082}
rsync: {http: 9023, grpc: 9031, unpublished: [http]}
ingress: {http: 9000}
{{- end }}

{{/* Labels of everything; of one component with (dict "root" $ "component" …). */}}
{{- define "emco.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{ include "emco.selector" . }}
{{- end }}

{{- define "emco.selector" -}}
app.kubernetes.io/part-of: emco
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "emco.image" -}}
{{- $g := .Values.global -}}
{{ $g.repository }}emco{{ if $g.emcoDigest }}@{{ $g.emcoDigest }}{{ else }}:{{ $g.emcoTag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "emco.storeImage" -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}

{{/* What the services may have. No processor limit: it makes a service slow when it is needed most. */}}
{{- define "emco.flavor" -}}
{{- $memory := dict "small" "512Mi" "large" "1Gi" -}}
{{- /* charts are rendered in workers of up to 512 MiB each */}}
{{- if eq .service "orchestrator" }}{{ $memory = dict "small" "1Gi" "large" "3Gi" }}{{ end }}
{{- if eq .service "rsync" }}{{ $memory = dict "small" "512Mi" "large" "2Gi" }}{{ end }}
requests: {cpu: 50m, memory: 160Mi}
{{- with get $memory .flavor }}
limits: {memory: {{ . }}}
{{- end }}
{{- end }}

{{- define "emco.dataKeySecret" -}}{{ .Values.dataKey.existingSecret | default "emco-data-key" }}{{- end }}

{{/* The secrets with the URLs of store and bus. */}}
{{- define "emco.storeSecret" -}}
{{- if .Values.mongo.enabled }}{{ .Values.mongo.existingSecret | default "emco-mongo" }}{{ else }}{{ .Values.mongo.external.existingSecret | default "emco-store" }}{{ end }}
{{- end }}
{{- define "emco.busSecret" -}}
{{- if .Values.etcd.enabled }}emco-bus{{ else }}{{ .Values.etcd.external.existingSecret | default "emco-bus" }}{{ end }}
{{- end }}
{{- define "emco.busTlsSecret" -}}
{{- if .Values.etcd.enabled }}{{ .Values.etcd.existingSecret | default "emco-etcd-tls" }}{{ else }}{{ .Values.etcd.external.tlsSecret }}{{ end }}
{{- end }}

{{/* The secret with the certificate for gRPC; nothing where it is in clear. */}}
{{- define "emco.grpcTlsSecret" -}}
{{- with .Values.grpc.tls }}
{{- if .enabled }}{{ .existingSecret | default (ternary "emco-grpc-issued" "emco-grpc-tls" (ne .certManager.issuerRef.name "")) }}{{ end }}
{{- end }}
{{- end }}

{{/* What services are called by others: by Service, and within a pod. */}}
{{- define "emco.grpcNames" -}}
{{- $ns := .Release.Namespace }}
{{- range $name, $ports := include "emco.catalogue" . | fromYaml }}
{{- if $ports.grpc }}
- {{ $name }}
- {{ $name }}.{{ $ns }}
- {{ $name }}.{{ $ns }}.svc
{{- end }}
{{- end }}
- localhost
{{- end }}

{{/* Nothing of ours asks the API server of its own cluster for anything. */}}
{{- define "emco.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- define "emco.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "emco.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets -}}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* A value of a secret of an earlier installation, in clear; nothing where there is none. */}}
{{- define "emco.kept" -}}
{{- $secret := lookup "v1" "Secret" .root.Release.Namespace .name | default dict -}}
{{- get ($secret.data | default dict) .key | default "" | b64dec -}}
{{- end }}

{{- define "emco.nodePort" -}}
{{- printf "%v%02d" .prefix (mod (int .port) 100) -}}
{{- end }}

{{- define "emco.etcdUrl" -}}
{{- $hosts := list }}
{{- range until (int .Values.etcd.replicas) }}{{ $hosts = append $hosts (printf "emco-etcd-%d.emco-etcd:2379" .) }}{{ end -}}
etcds://{{ join "," $hosts }}
{{- end }}

{{/* A StatefulSet's claim for its volume `data`; volumes stay when the release goes. */}}
{{- define "emco.claim" -}}
{{- if .persistence.enabled -}}
volumeClaimTemplates:
  - metadata:
      name: data
      labels: {{- include "emco.selector" . | nindent 8 }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .persistence.storageClass }}
      storageClassName: {{ . }}
      {{- end }}
      resources: {requests: {storage: {{ .persistence.size }}}}
{{- end }}
{{- end }}

{{/* Peers of a NetworkPolicy: the pods of these components. */}}
{{- define "emco.peers" -}}
{{- $root := .root }}
{{- range .components }}
- podSelector:
    matchLabels: {{- include "emco.selector" (dict "root" $root "component" .) | nindent 6 }}
{{- end }}
{{- end }}

{{/* What a pod must reach for its sidecar; nothing without a mesh. */}}
{{- define "emco.meshEgress" -}}
{{- if .Values.istio.enabled -}}
- to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .Values.istio.gatewayNamespace }}}}}]
{{- else -}}
[]
{{- end }}
{{- end }}
