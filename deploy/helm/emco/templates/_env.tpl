{{/* The environment of one service. What is given by `env` goes before. */}}
{{- define "emco.env" -}}
{{- $v := .root.Values }}
{{- $set := dict "EMCO_HOST" "0.0.0.0" "EMCO_LOG_LEVEL" $v.global.loglevel "HOME" "/tmp" }}
{{- if or $v.tracing.endpoint $v.global.zipkinIp }}
{{- $_ := set $set "APP_NAME" .name }}
{{- $_ := set $set "POD_NAMESPACE" .root.Release.Namespace }}
{{- $_ := set $set "EMCO_TRACE_SAMPLE" (toString $v.tracing.sample) }}
{{- if $v.tracing.endpoint }}{{ $_ := set $set "EMCO_TRACE_ENDPOINT" $v.tracing.endpoint }}
{{- else }}
{{- $_ := set $set "EMCO_ZIPKIN_IP" $v.global.zipkinIp }}
{{- $_ := set $set "EMCO_ZIPKIN_PORT" (toString $v.global.zipkinPort) }}
{{- end }}
{{- end }}
{{- if eq .name "ingress" }}
{{- with $v.oidc.issuers }}{{ $_ := set $set "EMCO_INGRESS_OIDC_ISSUER" (join "," .) }}
{{- with $v.oidc }}
{{- $_ := set $set "EMCO_INGRESS_OIDC_AUDIENCE" .audience }}
{{- $_ := set $set "EMCO_INGRESS_OIDC_CLAIM" .claim }}
{{- $_ := set $set "EMCO_INGRESS_OIDC_CLIENT" .client }}
{{- $_ := set $set "EMCO_INGRESS_OIDC_ALGORITHMS" (join "," .algorithms) }}
{{- $_ := set $set "EMCO_INGRESS_OIDC_LEEWAY" (toString .leeway) }}
{{- if .caSecret }}{{ $_ := set $set "EMCO_INGRESS_OIDC_CA_FILE" "/etc/emco/oidc/ca.crt" }}{{ end }}
{{- end }}
{{- end }}
{{- else }}
{{- if include "emco.busTlsSecret" .root }}
{{- $_ := set $set "EMCO_BUS_CA_FILE" "/etc/emco/bus/ca.crt" }}
{{- if or $v.etcd.enabled $v.etcd.external.clientCertificate }}
{{- $_ := set $set "EMCO_BUS_CERT_FILE" "/etc/emco/bus/tls.crt" }}
{{- $_ := set $set "EMCO_BUS_KEY_FILE" "/etc/emco/bus/tls.key" }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (ne .name "ingress") $v.grpc.tls.enabled }}
{{- $_ := set $set "EMCO_GRPC_TLS" (ternary "mtls" "tls" $v.grpc.tls.mutual) }}
{{- range $what, $file := dict "CA" "ca.crt" "CERT" "tls.crt" "KEY" "tls.key" }}
{{- $_ := set $set (printf "EMCO_GRPC_%s_FILE" $what) (printf "/etc/emco/grpc/%s" $file) }}
{{- end }}
{{- /* it calls other replicas, by addresses that are in no certificate */}}
{{- if eq .name "rsync" }}{{ $_ := set $set "EMCO_RSYNC_GRPC_SERVER_NAME" "rsync" }}{{ end }}
{{- end }}
{{- if and (eq .name "dcm") (ne $v.logicalClouds.level0 "allowed") }}
{{- $_ := set $set "EMCO_DCM_LEVEL0" $v.logicalClouds.level0 }}
{{- end }}
{{- if eq .name "rsync" }}
{{- $_ := set $set "EMCO_RSYNC_ADVERTISE" "$(POD_IP):9031" }}
{{- if $v.agents.enabled }}
{{- $_ := set $set "EMCO_RSYNC_AGENTS_PORT" "9034" }}
{{- if $v.agents.plaintext }}{{ $_ := set $set "EMCO_RSYNC_AGENTS_PLAINTEXT" "true" }}
{{- else }}
{{- $_ := required "agents.enabled needs agents.tlsSecret: agents are not received without TLS" $v.agents.tlsSecret }}
{{- $_ := set $set "EMCO_RSYNC_AGENTS_CERT_FILE" "/etc/emco/agents/tls.crt" }}
{{- $_ := set $set "EMCO_RSYNC_AGENTS_KEY_FILE" "/etc/emco/agents/tls.key" }}
{{- if $v.agents.clientCa }}{{ $_ := set $set "EMCO_RSYNC_AGENTS_CLIENT_CA_FILE" "/etc/emco/agents/ca.crt" }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- $given := .env | default dict }}
{{- if eq .name "rsync" }}
- name: POD_IP  # first: what comes after it refers to it
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
{{- end }}
{{- range $name, $value := merge (deepCopy $given) $set }}
- {name: {{ $name }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- with $v.tracing.headersSecret }}
- name: EMCO_TRACE_HEADERS
  valueFrom: {secretKeyRef: {name: {{ . }}, key: headers}}
{{- end }}
{{- if ne .name "ingress" }}
- name: EMCO_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ include "emco.storeSecret" .root }}, key: url}}
- name: EMCO_BUS_URL
  valueFrom: {secretKeyRef: {name: {{ include "emco.busSecret" .root }}, key: url}}
- name: EMCO_DATA_KEY
  valueFrom: {secretKeyRef: {name: {{ include "emco.dataKeySecret" .root }}, key: key}}
- name: EMCO_RETIRED_DATA_KEYS
  valueFrom: {secretKeyRef: {name: {{ include "emco.dataKeySecret" .root }}, key: retired, optional: true}}
{{- end }}
{{- end }}
