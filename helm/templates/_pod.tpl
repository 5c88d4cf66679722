{{- define "millrace.probe" -}}
httpGet:
  path: /health/{{ .path }}
  port: admin
  scheme: {{ include "millrace.scheme" .root }}
{{- end -}}

{{- /* The node's own settings; each has a flag and a key of millrace.yaml of the same meaning. */ -}}
{{- define "millrace.env" -}}
- { name: MILLRACE_HOST, value: "0.0.0.0" }
# The pod's address, for probes, Prometheus and operators; the NetworkPolicy says who they are.
- { name: MILLRACE_ADMIN_HOST, value: "0.0.0.0" }
- { name: MILLRACE_DATA, value: /data }
- { name: MILLRACE_THREADS, value: {{ .Values.threads | quote }} }
- { name: MILLRACE_LOG_LEVEL, value: {{ .Values.logLevel | quote }} }
- name: MILLRACE_NODE_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: MILLRACE_ADMIN_USERNAME
  valueFrom: { secretKeyRef: { name: {{ include "millrace.adminSecret" . }}, key: username } }
- name: MILLRACE_ADMIN_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ include "millrace.adminSecret" . }}, key: password } }
{{- if include "millrace.clustered" . }}
- name: MILLRACE_CLUSTER_TOKEN
  valueFrom: { secretKeyRef: { name: {{ include "millrace.clusterSecret" . }}, key: token } }
# Where the others reach this pod; its own name among the peers is passed over.
- { name: MILLRACE_CLUSTER_URL, value: "{{ include "millrace.clusterScheme" . }}://$(MILLRACE_NODE_NAME).{{ include "millrace.headless" . }}:9933" }
- { name: MILLRACE_PEER, value: {{ include "millrace.peers" . | quote }} }
{{- if .Values.cluster.tlsSecret }}
- { name: MILLRACE_CLUSTER_CA, value: /cluster-tls/ca.crt }
- { name: MILLRACE_CLUSTER_CERT, value: "/cluster-tls/$(MILLRACE_NODE_NAME).crt" }
- { name: MILLRACE_CLUSTER_KEY, value: "/cluster-tls/$(MILLRACE_NODE_NAME).key" }
{{- end }}
{{- with include "millrace.natsUrl" . }}
- { name: MILLRACE_NATS, value: {{ . | quote }} }
{{- if and $.Values.nats.enabled (ge (int $.Values.nats.replicas) 3) }}
- { name: MILLRACE_NATS_STREAM_REPLICAS, value: "3" }
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.tls.existingSecret }}
- { name: MILLRACE_TLS_CERT, value: /tls/tls.crt }
- { name: MILLRACE_TLS_KEY, value: /tls/tls.key }
- { name: MILLRACE_ADMIN_TLS, value: "true" }
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}
