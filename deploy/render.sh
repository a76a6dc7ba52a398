#!/bin/sh
# Writes deploy/manifests from the chart; needs helm. A test in test/deploy fails if they differ.
set -eu
cd "$(dirname "$0")"
render() { "${HELM:-helm}" template leat chart --namespace leat --kube-version 1.31.0 --values manifests.values.yaml "$@"; }
render --no-hooks >manifests/10-leat.yaml
render --show-only templates/restore.yaml >manifests/uninstall/restore.yaml
