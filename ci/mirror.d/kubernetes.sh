# shellcheck shell=bash
# Kubernetes and the crictl stand-in from Debian's source package. Sourced by
# ci/mirror after fetch.sh.
#
# Facts that are not obvious:
# - Debian's source has upstream's whole vendor/ tree but its go.mod does not
#   agree with it, so it builds in GOPATH mode only, as upstream's hack/lib does.
# - In that mode the version variables live under k8s.io/kubernetes/vendor/.
# - The tags are upstream's: no cloud providers and no dockershim in the tree,
#   a third of the work and half of the size.
# - The vendored reflect2 (1.0.1) is older than Go 1.18, whose reflect.mapiterinit
#   takes the iterator as an argument: a program that writes YAML with a map in it
#   dies of "unexpected fault address". Only kubeadm does so, in `init`; it is built
#   from a tree with that one call mended, as reflect2 1.0.2 has it.
# - The build is bit-reproducible (CGO off, -trimpath, no build id), so a result
#   is kept under the digest of what went into it and never made twice.

readonly K8S_VERSION=v1.20.2
readonly K8S_COMMIT=faecb196815e248d3ecfb03c680a4507229c2a56
readonly K8S_DATE=2021-01-13T13:19:01Z
readonly K8S_TAGS=providerless,dockerless
readonly GO_PACKAGE=golang-1.19

# What is built per architecture: one word more is one program more.
readonly -A K8S_COMMANDS=(
    [amd64]='kubelet kube-proxy kubeadm kubectl'
    [arm64]='kubelet kube-proxy kubeadm kubectl'
)

# go_build ARCH OUT TAGS LDFLAGS PACKAGE...: in the unpacked tree. The text of
# this function is part of the cache keys.
go_build() {
    local arch=$1 out=$2 tags=$3 ldflags=$4
    shift 4
    (
        cd "$WORK/gopath/src/k8s.io/kubernetes" || exit 1
        env -i PATH="$WORK/go/bin:/usr/bin:/bin" HOME="$WORK" TMPDIR="$WORK" LC_ALL=C \
            GOROOT="$WORK/go" GOPATH="$WORK/gopath" GOCACHE="$CACHE/go-build" \
            GO111MODULE=off GOFLAGS=-p=2 GOPROXY=off GOTOOLCHAIN=local \
            CGO_ENABLED=0 GOOS=linux GOARCH="$arch" GOAMD64=v1 \
            nice -n 5 go build -trimpath -tags "$tags" -ldflags "-s -w -buildid= $ldflags" -o "$out/" "$@"
    )
}

k8s_build() {
    local arch=$1 out=$2 commands=$3 package key ldflags=
    for package in component-base/version client-go/pkg/version; do
        for key in gitVersion=$K8S_VERSION gitCommit=$K8S_COMMIT gitTreeState=archive \
            gitMajor=1 gitMinor=20 buildDate=$K8S_DATE; do
            ldflags+=" -X k8s.io/kubernetes/vendor/k8s.io/$package.$key"
        done
    done
    local packages=()
    for package in $commands; do packages+=("k8s.io/kubernetes/cmd/$package"); done
    go_build "$arch" "$out" "$K8S_TAGS" "$ldflags" "${packages[@]}"
}

crictl_build() {
    local tree=$WORK/gopath/src/k8s.io/kubernetes/cmd/crictl-lite
    mkdir -p "$tree"
    cp "$CRICTL_SOURCE" "$tree/main.go"
    go_build "$1" "$2" "" "" k8s.io/kubernetes/cmd/crictl-lite
}

# The digests of everything that both builds start from. The compiler's own
# architecture is left out: it does not change what it makes.
build_inputs() {
    pin kubernetes source
    echo "source $PIN_SHA256"
    pin "$GO_PACKAGE-src" all
    echo "go $PIN_VERSION $PIN_SHA256"
    declare -f go_build
}

k8s_key() {
    {
        build_inputs
        echo "$1 ${K8S_COMMANDS[$1]} $K8S_TAGS $K8S_VERSION $K8S_COMMIT $K8S_DATE"
        declare -f k8s_build
    } | sha256_of_stdin
}
crictl_key() {
    {
        build_inputs
        echo "$1"
        declare -f crictl_build
        cat "$CRICTL_SOURCE"
    } | sha256_of_stdin
}

# mend_reflect2 DIR: Go's own iterator has 12 words and the callee fills it.
mend_reflect2() {
    sed -i 's/^func mapiterinit(rtype unsafe.Pointer, m unsafe.Pointer) \*hiter$/func mapiterinit(rtype unsafe.Pointer, m unsafe.Pointer, it *hiter)/
        s,^\t// rest fields are ignored$,\trest [14]unsafe.Pointer,' "$1/unsafe_link.go"
    sed -i '/^func (type2 \*UnsafeMapType) UnsafeIterate(/,/^}/ {
        s/^\treturn &UnsafeMapIterator{/\tit := \&hiter{}\n\tmapiterinit(type2.rtype, *(*unsafe.Pointer)(obj), it)\n&/
        s/hiter:  *mapiterinit(.*),/hiter: it,/
    }' "$1/unsafe_map.go"
}

# The tree is as it was afterwards.
kubeadm_build() {
    local reflect2=$WORK/gopath/src/k8s.io/kubernetes/vendor/github.com/modern-go/reflect2
    cp -a "$reflect2" "$WORK/reflect2"
    mend_reflect2 "$reflect2"
    k8s_build "$1" "$2" kubeadm
    rm -rf "$reflect2"
    mv "$WORK/reflect2" "$reflect2"
}
kubeadm_key() {
    {
        build_inputs
        echo "$1 $K8S_TAGS $K8S_VERSION $K8S_COMMIT $K8S_DATE"
        declare -f k8s_build mend_reflect2 kubeadm_build
    } | sha256_of_stdin
}
kubeadm_dir() { echo "$CACHE/k8s/$(kubeadm_key "$1")"; }

# node_program ARCH NAME: the file.
node_program() {
    case $2 in
        kubeadm) echo "$(kubeadm_dir "$1")/kubeadm" ;;
        *) echo "$(k8s_dir "$1")/$2" ;;
    esac
}

k8s_dir() { echo "$CACHE/k8s/$(k8s_key "$1")"; }
crictl_dir() { echo "$CACHE/crictl/$(crictl_key "$1")"; }

# Source and compiler, unpacked into $WORK once per run; nothing is installed.
prepare_build_tree() {
    [[ ! -d $WORK/gopath ]] || return 0
    local host tree=$WORK/gopath/src/k8s.io/kubernetes
    host=$(host_arch)
    need dpkg dpkg
    say "unpacking the Kubernetes source and Go (nothing is installed)"
    debian_file "$GO_PACKAGE-go" "$host"
    dpkg -x "$FILE" "$WORK/deb"
    debian_file "$GO_PACKAGE-src" all
    dpkg -x "$FILE" "$WORK/deb"
    ln -s "deb/usr/lib/${GO_PACKAGE/lang/}" "$WORK/go"
    debian_file kubernetes source
    mkdir -p "$tree"
    tar -xzf "$FILE" -C "$tree" --strip-components=1
}

# keep DIR BUILD ARGS...: runs BUILD OUT-DIR and renames its result to DIR.
keep() {
    local dir=$1 out
    shift
    out=$(mktemp -d "$CACHE/new.XXXXXX")
    "$1" "$2" "$out" "${@:3}"
    chmod 0755 "$out" "$out"/*
    mkdir -p "${dir%/*}"
    rm -rf "$dir"
    mv -T "$out" "$dir"
}

# ensure_programs ARCH...: builds what the cache lacks. The compiler's cache
# (1 GB, $CACHE/go-build) is for ci/mirror to remove when everything is there,
# so that a cut run resumes.
ensure_programs() {
    local arch
    for arch in "$@"; do
        [[ ! -d $(k8s_dir "$arch") ]] || continue
        prepare_build_tree
        say "building Kubernetes $K8S_VERSION for $arch: ${K8S_COMMANDS[$arch]} (about 5 minutes on two cores)"
        keep "$(k8s_dir "$arch")" k8s_build "$arch" "${K8S_COMMANDS[$arch]}"
    done
    for arch in "$@"; do
        [[ ! -d $(kubeadm_dir "$arch") ]] || continue
        prepare_build_tree
        say "building kubeadm for $arch"
        keep "$(kubeadm_dir "$arch")" kubeadm_build "$arch"
    done
    for arch in "$@"; do
        [[ ! -d $(crictl_dir "$arch") ]] || continue
        prepare_build_tree
        say "building crictl-lite for $arch"
        keep "$(crictl_dir "$arch")" crictl_build "$arch"
    done
}
