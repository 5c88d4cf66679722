{{- define "millrace.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* Forty characters at most: names of pods and of services are made from it. */ -}}
{{- define "millrace.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "millrace.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "millrace.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "millrace.selector" -}}
app.kubernetes.io/name: {{ include "millrace.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: node
{{- end -}}

{{- define "millrace.labels" -}}
{{ include "millrace.selector" . }}
{{ include "millrace.release" . }}
{{- end -}}

{{- define "millrace.release" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "millrace.natsSelector" -}}
app.kubernetes.io/name: {{ include "millrace.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: nats
{{- end -}}

{{- define "millrace.headless" -}}
{{ include "millrace.fullname" . }}-nodes
{{- end -}}

{{- define "millrace.adminSecret" -}}
{{- default (printf "%s-admin" (include "millrace.fullname" .)) .Values.admin.existingSecret -}}
{{- end -}}

{{- define "millrace.clusterSecret" -}}
{{- default (printf "%s-cluster" (include "millrace.fullname" .)) .Values.cluster.existingSecret -}}
{{- end -}}

{{- /* Whether the pods are members of a cluster: "true" or nothing. */ -}}
{{- define "millrace.clustered" -}}
{{- if or (gt (int .Values.replicaCount) 1) .Values.cluster.peers .Values.nats.url .Values.nats.enabled -}}
true
{{- end -}}
{{- end -}}

{{- define "millrace.natsUrl" -}}
{{- if .Values.nats.url -}}
{{- .Values.nats.url -}}
{{- else if .Values.nats.enabled -}}
nats://{{ include "millrace.fullname" . }}-nats:4222
{{- end -}}
{{- end -}}

{{- /*
Every pod by the name that the headless service gives it, whether it is there yet or not: whoever
comes later finds the others by these names, and the others learn of it from them. A node passes
over its own name.
*/ -}}
{{- define "millrace.peers" -}}
{{- $name := include "millrace.fullname" . -}}
{{- $headless := include "millrace.headless" . -}}
{{- $scheme := include "millrace.clusterScheme" . -}}
{{- $peers := list -}}
{{- range $index := until (int .Values.replicaCount) -}}
{{- $peers = append $peers (printf "%s://%s-%d.%s:9933" $scheme $name $index $headless) -}}
{{- end -}}
{{- concat $peers .Values.cluster.peers | join "," -}}
{{- end -}}

{{- /* A key of a ConfigMap cannot hold a slash; the volume gives each file its path back. */ -}}
{{- define "millrace.fileKey" -}}
{{- . | replace "/" "__" -}}
{{- end -}}

{{- define "millrace.clusterScheme" -}}
{{- if .Values.cluster.tlsSecret }}wss{{ else }}ws{{ end -}}
{{- end -}}

{{- define "millrace.scheme" -}}
{{- if .Values.tls.existingSecret }}HTTPS{{ else }}HTTP{{ end -}}
{{- end -}}
