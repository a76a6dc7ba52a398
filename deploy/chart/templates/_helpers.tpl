{{- define "leat.name" -}}
{{ .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* (list . "agent") */}}
{{- define "leat.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Values.nameOverride | default "leat" }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "leat.labels" -}}
{{ include "leat.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
{{- end }}

{{- define "leat.image" -}}
{{- $version := printf ":%s" (.Values.image.tag | default .Chart.AppVersion) -}}
image: {{ .Values.image.digest | empty | ternary $version (printf "@%s" .Values.image.digest) | printf "%s%s" .Values.image.repository | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "leat.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The image's user; a container that needs another one says so itself. */}}
{{- define "leat.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
{{- /* fsGroup lets this user, and no other user, read the swarm's secret. It does not change folders of the node. */}}
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- with .Values.seLinuxType }}
seLinuxOptions:
  type: {{ . }}
{{- end }}
{{- end }}

{{- define "leat.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Root, because root owns the runtime's settings; without capabilities. */}}
{{- define "leat.rootSecurity" -}}
runAsUser: 0
runAsGroup: 0
runAsNonRoot: false
{{ include "leat.containerSecurity" . }}
{{- end }}

{{- define "leat.secretName" -}}
{{ .Values.peers.existingSecret | default (printf "%s-swarm" (include "leat.name" .)) }}
{{- end }}

{{- define "leat.priorityClass" -}}
{{- if .Values.priorityClass.create -}}
{{ include "leat.name" . }}-node
{{- else -}}
{{ .Values.priorityClass.name }}
{{- end -}}
{{- end }}

{{/* Fully qualified names, because ndots is 1: see below. */}}
{{- define "leat.bootstrap" -}}
{{- $flags := list }}
{{- if .Values.dht.enabled }}
{{- $name := include "leat.name" . }}
{{- range $index := until (int .Values.dht.replicas) }}
{{- $flags = append $flags (printf "--bootstrap=%s-dht-%d.%s-dht.%s.svc.%s:%v" $name $index $name $.Release.Namespace $.Values.clusterDomain $.Values.dht.port) }}
{{- end }}
{{- end }}
{{- range .Values.peers.bootstrap }}
{{- $flags = append $flags (printf "--bootstrap=%s" .) }}
{{- end }}
{{- toYaml $flags }}
{{- end }}

{{/*
On the node's network a pod uses the node's resolver unless it asks for the cluster's, which knows the names of the DHT
nodes. ndots 1 and short timeouts: while the cluster has no DNS yet, the lookup of an outside name must fail soon, so
that the runtime falls back to the registry.
*/}}
{{- define "leat.dns" -}}
{{- if and .Values.peers.enabled .Values.dht.enabled -}}
dnsPolicy: ClusterFirstWithHostNet
dnsConfig:
  options:
    - { name: ndots, value: "1" }
    - { name: timeout, value: "2" }
    - { name: attempts, value: "2" }
{{- else -}}
dnsPolicy: Default
{{- end }}
{{- end }}

{{/* The folders of the node that the runtime's settings need: the settings, and the record of the previous ones. */}}
{{- define "leat.runtimeMounts" -}}
- name: runtime-settings
  mountPath: /host{{ .Values.runtime.folder }}
- name: runtime-record
  mountPath: /host/var/lib/leat/runtime
{{- end }}

{{- define "leat.runtimeVolumes" -}}
- name: runtime-settings
  hostPath:
    path: {{ .Values.runtime.folder }}
    type: Directory
- name: runtime-record
  hostPath:
    path: /var/lib/leat/runtime
    type: DirectoryOrCreate
{{- end }}

{{- define "leat.runtimeArgs" -}}
- --root=/host
- --runtime={{ .Values.runtime.name }}
{{- if eq .Values.runtime.name "containerd" }}
- --containerd-config={{ .Values.runtime.config }}
{{- end }}
{{- end }}

{{/* The configuration file, with what the chart sets in it; empty if there is nothing to set. */}}
{{- define "leat.config" -}}
{{- $config := deepCopy .Values.config }}
{{- if .Values.admin.tokenSecret }}
{{- $_ := set $config "adminAuth" (dict "tokenFile" "/etc/leat/admin-token/token" "readTokenFile" "/etc/leat/admin-token/read-token") }}
{{- end }}
{{- if .Values.admin.tlsSecret }}
{{- $_ := set $config "adminTls" (dict "cert" "/etc/leat/admin-tls/tls.crt" "key" "/etc/leat/admin-tls/tls.key") }}
{{- end }}
{{- if $config }}
{{- toYaml $config }}
{{- end }}
{{- end }}

{{- define "leat.admin" -}}
{{ eq .Values.admin.listen "node" | ternary "$(HOST_IP)" "127.0.0.1" }}:{{ .Values.admin.port }}
{{- end }}

{{/* (list . tolerations): adds the toleration of the startup taint, so that a pod of the chart runs before others. */}}
{{- define "leat.tolerations" -}}
{{- $all := index . 1 }}
{{- with (index . 0).Values.startupTaint }}
{{- if .enabled }}
{{- $all = append $all (dict "key" .key "operator" "Exists") }}
{{- end }}
{{- end }}
{{- if $all }}
{{- toYaml $all }}
{{- end }}
{{- end }}

{{/* (list first second …), each a pair of name and port: two of them must not be equal. */}}
{{- define "leat.differentPorts" -}}
{{- $seen := dict }}
{{- range . }}
{{- $name := index . 0 }}
{{- $port := index . 1 | toString }}
{{- with get $seen $port }}
{{- fail (printf "%s and %s are both %s: give each a port of its own, because they are all ports of the node" . $name $port) }}
{{- end }}
{{- $_ := set $seen $port $name }}
{{- end }}
{{- end }}

{{/*
Tolerations of a pod that any node can run, but none that is gone: one that tolerates every taint could be put on such a node,
and never start. Kubernetes adds tolerations of 300 s for nodes that are gone unless a pod names these taints; their real value is
empty, so "never" tolerates none of them.
*/}}
{{- define "leat.presentNodes" -}}
{{- $all := list }}
{{- range .Values.tolerations }}
{{- $isAny := and (not .key) (eq (.effect | default "NoExecute") "NoExecute") }}
{{- $all = append $all ($isAny | ternary (dict "operator" "Exists" "effect" "NoSchedule") .) }}
{{- end }}
{{- range list "not-ready" "unreachable" }}
{{- $all = append $all (dict "key" (printf "node.kubernetes.io/%s" .) "operator" "Equal" "value" "never" "effect" "NoExecute") }}
{{- end }}
{{- toYaml $all }}
{{- end }}

{{- define "leat.check" -}}
{{- if not .Values.image.repository }}
{{- fail "image.repository is empty: set it to the repository that has the image of this chart, such as registry.example.com/leat" }}
{{- end }}
{{- $tcp := list (list "registry.port" .Values.registry.port) (list "admin.port" .Values.admin.port) }}
{{- if .Values.peers.enabled }}
{{- $tcp = append $tcp (list "peers.port" .Values.peers.port) }}
{{- end }}
{{- include "leat.differentPorts" $tcp }}
{{- if and .Values.peers.enabled .Values.dht.enabled }}
{{- include "leat.differentPorts" (list (list "peers.dhtPort" .Values.peers.dhtPort) (list "dht.port" .Values.dht.port)) }}
{{- end }}
{{- if and .Values.startupTaint.enabled (semverCompare "<1.30.0-0" .Capabilities.KubeVersion.Version) }}
{{- fail "startupTaint.enabled needs Kubernetes 1.30: before that, an agent cannot be kept from changing other nodes than its own" }}
{{- end }}
{{- if and .Values.runtime.caFile (not .Values.config.tlsCert) }}
{{- fail "runtime.caFile is for an agent that speaks TLS: set config.tlsCert and config.tlsKey too" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (ne .Values.admin.listen "node") }}
{{- fail "serviceMonitor.enabled needs admin.listen: node, because Prometheus cannot reach the loopback of a node" }}
{{- end }}
{{- if and .Values.peers.secret .Values.peers.existingSecret }}
{{- fail "peers.secret and peers.existingSecret exclude each other" }}
{{- end }}
{{- if and .Values.peers.enabled (not .Values.dht.enabled) (not .Values.peers.bootstrap) }}
{{- fail "peers find each other through DHT nodes: set dht.enabled, or name some in peers.bootstrap" }}
{{- end }}
{{- if and .Values.runtime.install (eq .Values.runtime.name "crio") (ne .Values.runtime.folder "/etc/containers") }}
{{- fail "runtime.name crio needs runtime.folder: /etc/containers" }}
{{- end }}
{{- if and .Values.runtime.install (eq .Values.runtime.name "containerd") (not (hasPrefix (printf "%s/" .Values.runtime.folder) .Values.runtime.config)) }}
{{- fail "runtime.config is not within runtime.folder, which is all that is mounted of the node" }}
{{- end }}
{{- end }}
