# shellcheck shell=bash
# The programs of a control plane, for ci/cluster and for kubeadm's images: a set
# of its own beside the nodes', made only where someone asks for it (ci/mirror
# --control-plane, for this machine's architecture), so that the nodes' programs
# keep their keys. Sourced after kubernetes.sh.

readonly CONTROL_PLANE_COMMANDS='kube-apiserver kube-controller-manager kube-scheduler'

# The one file that the source lacks: kube-apiserver's OpenAPI definitions. It is
# made as upstream's build/root/Makefile.generated_files does, by the generator in
# vendor/, of every package that has the tag. The generator also reports what
# breaks the API rules: that this is upstream's known list to the letter proves
# that it read the packages that upstream's build reads.
openapi_build() {
    local repo=k8s.io/kubernetes tree=$WORK/gopath/src/k8s.io/kubernetes tools=$WORK/tools packages
    go_build "$(host_arch)" "$tools" '' '' "$repo/vendor/k8s.io/kube-openapi/cmd/openapi-gen"
    (
        cd "$tree" || exit 1
        packages=$(grep -rlE '^// *\+k8s:' --include='*.go' cmd pkg plugin staging/src/k8s.io |
            xargs grep -l '+k8s:openapi-gen=' | xargs -n1 dirname |
            sed -e 's,^staging/src/,vendor/,' -e "s,^,$repo/," |
            grep -vE '/vendor/k8s.io/(code-generator|sample-apiserver)(/|$)' | sort -u)
        env -i PATH="$WORK/go/bin:/usr/bin:/bin" HOME="$WORK" TMPDIR="$WORK" LC_ALL=C \
            GOROOT="$WORK/go" GOPATH="$WORK/gopath" GO111MODULE=off GOPROXY=off CGO_ENABLED=0 \
            nice -n 5 "$tools/openapi-gen" --logtostderr --input-dirs "${packages//$'\n'/,}" \
            --output-package "$repo/pkg/generated/openapi" --output-file-base zz_generated.openapi \
            --output-base "$WORK/gopath/src" --report-filename "$WORK/openapi.report" \
            --go-header-file vendor/k8s.io/code-generator/hack/boilerplate.go.txt
        cmp -s "$WORK/openapi.report" api/api-rules/violation_exceptions.list ||
            die "openapi-gen reports other API rule violations than upstream's api/api-rules/violation_exceptions.list: it did not read the same packages"
    )
}

# control_plane_build ARCH OUT: see k8s_build.
control_plane_build() {
    openapi_build
    k8s_build "$1" "$2" "$CONTROL_PLANE_COMMANDS"
}

control_plane_key() {
    {
        build_inputs
        echo "$1 $CONTROL_PLANE_COMMANDS $K8S_TAGS $K8S_VERSION $K8S_COMMIT $K8S_DATE"
        declare -f k8s_build openapi_build control_plane_build
    } | sha256_of_stdin
}
control_plane_dir() { echo "$CACHE/k8s/$(control_plane_key "$1")"; }

# Debian's etcd, unpacked; it needs glibc >= 2.34.
etcd_dir() {
    pin etcd-server "$1"
    echo "$CACHE/etcd/$PIN_SHA256"
}
etcd_unpack() {
    debian_file etcd-server "$1"
    dpkg -x "$FILE" "$WORK/etcd-$1"
    install -m 0755 "$WORK/etcd-$1/usr/bin/etcd" "$2/"
}

# The kube-apiserver and its companions of one architecture.
ensure_control_plane() {
    [[ ! -d $(control_plane_dir "$1") ]] || return 0
    prepare_build_tree
    say "building the control plane of Kubernetes $K8S_VERSION for $1: $CONTROL_PLANE_COMMANDS (about 3 minutes on two cores, more where the nodes' programs were built before)"
    keep "$(control_plane_dir "$1")" control_plane_build "$1"
}

ensure_etcd() {
    [[ -d $(etcd_dir "$1") ]] || keep "$(etcd_dir "$1")" etcd_unpack "$1"
}
