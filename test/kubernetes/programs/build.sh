#!/usr/bin/env bash
# Builds the programs of a Kubernetes node and its control plane from the Go module proxy, for the suite `kubernetes`.
# They stay in the cache folder; what is there already is not built again. Takes about half an hour on two processors.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${LEAT_KUBERNETES:-${XDG_CACHE_HOME:-$HOME/.cache}/leat/kubernetes}

# The suite finds the programs by the same file.
source "$here/versions"
CONTAINERD=${LEAT_KUBERNETES_CONTAINERD:-$CONTAINERD}

export CGO_ENABLED=0 GOFLAGS=-mod=mod GOTOOLCHAIN=auto
bin=$cache/bin
mkdir -p "$bin/kubernetes-$KUBERNETES" "$bin/containerd-$CONTAINERD"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# compile TARGET LDFLAGS PACKAGE, in the folder of a module that requires the package. Keeps what is there.
compile() {
  [ ! -x "$1" ] || return 0
  echo "building $(basename "$1")"
  nice -n 10 go build -trimpath -tags 'no_btrfs no_devmapper no_zfs no_aufs' -ldflags="-s -w $2" -o "$1.new" "$3"
  mv "$1.new" "$1"
}

missing() {
  for path in "$@"; do [ -x "$path" ] || return 0; done
  return 1
}

# k8s.io/kubernetes replaces its own libraries by folders that only its repository has; the module below names the
# published versions of these libraries instead.
kubernetes_module() {
  local original libraries=v0.${KUBERNETES#v1.}
  original=$(cd "$work" && GOFLAGS='' go mod download -json "k8s.io/kubernetes@$KUBERNETES" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  {
    printf 'module programs\n\ngo %s\n\n' "$(sed -n 's/^go //p' "$original")"
    sed -n '/^godebug/,/^)/p' "$original"
    printf 'require k8s.io/kubernetes %s\n\nreplace (\n' "$KUBERNETES"
    sed -nE 's#^\s*(k8s\.io/[a-z0-9-]+) => \./staging.*#\1#p' "$original" | sort -u |
      while read -r module; do printf '\t%s => %s %s\n' "$module" "$module" "$libraries"; done
    printf ')\n'
  } > go.mod
  {
    printf '//go:build tools\n\npackage programs\n\nimport (\n'
    for name in "$@"; do printf '\t_ "k8s.io/kubernetes/cmd/%s"\n' "$name"; done
    printf ')\n'
  } > programs.go
  go mod tidy -e
}

programs=(kube-apiserver kubectl kube-controller-manager kube-scheduler kubelet)
target=$bin/kubernetes-$KUBERNETES
if missing "${programs[@]/#/$target/}"; then
  mkdir "$work/kubernetes"
  cd "$work/kubernetes"
  kubernetes_module "${programs[@]}" > tidy.log 2>&1 || { tail -5 tidy.log; exit 1; }
  version="-X k8s.io/component-base/version.gitVersion=$KUBERNETES -X k8s.io/client-go/pkg/version.gitVersion=$KUBERNETES"
  version="$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<< "$KUBERNETES")"
  for name in "${programs[@]}"; do
    compile "$target/$name" "$version" "k8s.io/kubernetes/cmd/$name"
  done
fi

programs=(containerd containerd-shim-runc-v2)
target=$bin/containerd-$CONTAINERD
if missing "${programs[@]/#/$target/}"; then
  # containerd 2.1 excludes versions of libraries, so `go install` refuses it: its requirements are copied instead.
  mkdir "$work/containerd"
  cd "$work/containerd"
  original=$(GOFLAGS='' go mod download -json "github.com/containerd/containerd/v2@$CONTAINERD" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  sed 's#^module .*#module programs#' "$original" | grep -v '=> \./' > go.mod
  go mod edit -require="github.com/containerd/containerd/v2@$CONTAINERD"
  for name in "${programs[@]}"; do
    compile "$target/$name" "-X github.com/containerd/containerd/v2/version.Version=$CONTAINERD" \
      "github.com/containerd/containerd/v2/cmd/$name"
  done
fi

if missing "$bin/cluster-dns-$COREDNS"; then
  cp -r "$here/dns" "$work/dns"
  cd "$work/dns"
  go mod init programs 2> init.log
  go get "github.com/coredns/coredns@$COREDNS" > get.log 2>&1 || { tail -5 get.log; exit 1; }
  go mod tidy > tidy.log 2>&1 || { tail -5 tidy.log; exit 1; }
  compile "$bin/cluster-dns-$COREDNS" '' .
fi

if missing "$bin/pause"; then
  cp -r "$here/pause" "$work/pause"
  cd "$work/pause"
  go mod init programs 2> init.log
  compile "$bin/pause" '' .
fi

if missing "$bin/helm-$HELM"; then
  echo 'building helm'
  (cd "$work" && GOFLAGS='' GOBIN="$work" nice -n 10 go install -trimpath -ldflags='-s -w' "helm.sh/helm/v3/cmd/helm@$HELM")
  mv "$work/helm" "$bin/helm-$HELM"
fi

echo "The programs are in $bin."
