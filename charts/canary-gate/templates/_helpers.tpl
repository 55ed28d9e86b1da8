{{/* A file of the release, for the lanes of these values instead of the example's. */}}
{{- define "canary-gate.policy" -}}
{{- $root := index . 0 }}
{{- $text := $root.Files.Get (printf "files/kubewarden/%s.yaml" (index . 1)) }}
{{- $settings := $root.Values.settings }}
{{- $targets := list }}
{{- $least := list }}
{{- range $settings.lanes }}
{{- range .targets }}{{ $targets = append $targets .name }}{{ end }}
{{- $least = append $least (dig "stable" 1 (default dict .minReplicas)) }}
{{- end }}
{{- $lists := dict
  "['builds']" (include "canary-gate.list" (include "canary-gate.namespaces" $root | fromYamlArray))
  "['openclaw-worker']" (include "canary-gate.list" ($targets | uniq))
  "[1]" (printf "[%s]" (join ", " ($least | uniq))) }}
{{- with $settings.replicaSetWriters }}
{{- $_ := set $lists "['system:serviceaccount:kube-system:deployment-controller', 'system:kube-controller-manager']" (include "canary-gate.list" .) }}
{{- end }}
{{- /* First marks, then names: a name may be one of the example's. */}}
{{- range $example, $_ := $lists }}{{ $text = $text | replace $example (printf "@%s@" (sha256sum $example)) }}{{ end }}
{{- range $example, $list := $lists }}{{ $text = $text | replace (printf "@%s@" (sha256sum $example)) $list }}{{ end }}
{{- $policy := $text | fromYaml }}
{{- if $policy.Error }}{{ fail $policy.Error }}{{ end }}
{{- $image := $root.Values.image }}
{{- $tag := default (printf "v%s" $root.Chart.AppVersion) $image.tag }}
{{- $at := ternary (printf "@%s" $image.digest) (printf ":%s" $tag) (not (empty $image.digest)) }}
{{- $_ := set $policy.spec "module" (printf "registry://%s%s" $image.repository $at) }}
{{- $_ := set $policy.spec "policyServer" $root.Values.policyServer.name }}
{{- $_ := set $policy.spec "settings" $settings }}
{{- /* Only a policy that may change objects can clamp; replicas that are written are never
changed. It is another policy then: where `mutating` of one changes, Kubewarden keeps the
webhook of the other kind, also after the policy is gone. */}}
{{- if and (eq (index . 1) "guard") (eq (default "reject" $settings.mode) "clamp") }}
{{- $_ := set $policy.spec "mutating" true }}
{{- $_ := set $policy.metadata "name" "canary-gate-clamp" }}
{{- end }}
{{- $_ := set $policy.metadata "labels" (include "canary-gate.labels" $root | fromYaml) }}
{{- $policy | toYaml }}
{{- end }}

{{- define "canary-gate.namespaces" -}}
{{- $namespaces := list }}
{{- range .Values.settings.lanes }}{{ $namespaces = append $namespaces .namespace }}{{ end }}
{{- $namespaces | uniq | toYaml }}
{{- end }}

{{- define "canary-gate.list" -}}
['{{ join "', '" . }}']
{{- end }}

{{- define "canary-gate.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}
