#!/bin/sh
# Puts the gateway's token for the API server where Envoy takes it from:
#
#   kubectl -n canary-gate create token gw-a1 --duration 48h |
#       kube-token.sh /etc/canary-gate/kube-token.json
#
# Run it as the user that Envoy runs as: the file is that user's alone. The token
# comes by stdin, so that no list of processes shows it. The file is
# moved into its place whole: Envoy watches for that, and goes on without restart.
set -eu

file=${1:?usage: kube-token.sh FILE < token}
token=$(tr -d '[:space:]')
case $token in
    *[!A-Za-z0-9._-]* | '')
        echo "kube-token: no token on stdin" >&2
        exit 1
        ;;
esac

umask 077
cat >"$file.new" <<JSON
{
  "resources": [
    {
      "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
      "name": "kube-apiserver",
      "generic_secret": { "secret": { "inline_string": "Bearer $token" } }
    }
  ]
}
JSON
mv "$file.new" "$file"
