# shellcheck shell=bash
# Laying out the mirror, part by part (an architecture, or "images"): the same paths, member names and checksum-file shapes
# as upstream publishes, under one folder per host. Sourced by ci/mirror after
# kubernetes.sh; writes below $MIRROR only, each file whole or not at all.
# shellcheck disable=SC2153 # the PIN_*, FILE and paths are set by those

readonly CRICTL_VERSION=v1.20.0
# The time of every archive member: that of the Kubernetes commit.
readonly ARCHIVE_EPOCH=1610543941

# put SOURCE PATH: under $MIRROR, by hard link where that is possible, and
# noted (path and digest) for the comparison with SHA256SUMS. A source in $WORK
# is gone afterwards: writing it again would write through the link.
put() {
    local source=$1 to=$MIRROR/$2
    mkdir -p "${to%/*}"
    if [[ ! $source -ef $to ]]; then
        ln -f "$source" "$to.new" 2>/dev/null || cp "$source" "$to.new"
        mv "$to.new" "$to"
    fi
    case $source in "$WORK"/*) rm -f "$source" ;; esac
    PUT_SHA256=$(sha256_of "$to")
    printf '%s  %s\n' "$PUT_SHA256" "$2" >>"$WORK/sums"
}

# beside PATH TEXT: a checksum file; printf's escapes are in TEXT.
beside() {
    printf '%b' "$2" >"$MIRROR/$1.new"
    mv "$MIRROR/$1.new" "$MIRROR/$1"
}

sha512_of() { sha512sum <"$1" | cut -d' ' -f1; }

# pack DIR MEMBER FILE: one deterministic gzipped tar.
pack() {
    tar -C "$1" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$ARCHIVE_EPOCH" \
        --format=gnu -cf - "$2" | gzip -n >"$3"
}

# programs DIR FILE...: an otherwise empty folder of executables.
programs() {
    local dir=$1
    shift
    rm -rf "$dir"
    mkdir -p "$dir"
    install -m 0755 "$@" "$dir/"
}

publish_kubernetes() {
    local arch=$1 name path stage=$WORK/node programs=()
    for name in ${K8S_COMMANDS[$arch]}; do
        programs+=("$(node_program "$arch" "$name")")
        path=dl.k8s.io/$K8S_VERSION/bin/linux/$arch/$name
        put "${programs[-1]}" "$path"
        beside "$path.sha256" "$PUT_SHA256"
        beside "$path.sha512" "$(sha512_of "$MIRROR/$path")"
    done
    rm -rf "$stage"
    programs "$stage/kubernetes/node/bin" "${programs[@]}"
    pack "$stage" kubernetes "$WORK/node.tar.gz"
    path=dl.k8s.io/$K8S_VERSION/kubernetes-node-linux-$arch.tar.gz
    put "$WORK/node.tar.gz" "$path"
    beside "$path.sha256" "$PUT_SHA256"
    beside "$path.sha512" "$(sha512_of "$MIRROR/$path")"
    mkdir -p "$MIRROR/dl.k8s.io/release"
    ln -sfn "../$K8S_VERSION" "$MIRROR/dl.k8s.io/release/$K8S_VERSION"
}

# from_deb PACKAGE ARCH DIR: unpacks it there; VERSION is upstream's part.
from_deb() {
    debian_file "$1" "$2"
    VERSION=$(upstream_version "$PIN_VERSION")
    dpkg -x "$FILE" "$3"
}

publish_containerd() {
    local arch=$1 name path deb=$WORK/containerd-$1 stage=$WORK/containerd-stage
    from_deb containerd "$arch" "$deb"
    programs "$stage/bin" "$deb"/usr/bin/{containerd,containerd-shim,containerd-shim-runc-v1,containerd-shim-runc-v2,ctr}
    name=containerd-$VERSION-linux-$arch.tar.gz
    pack "$stage" bin "$WORK/$name"
    path=github.com/containerd/containerd/releases/download/v$VERSION/$name
    put "$WORK/$name" "$path"
    beside "$path.sha256sum" "$PUT_SHA256  $name\n"
}

publish_runc() {
    local arch=$1 path deb=$WORK/runc-$1 dir file lines=
    from_deb runc "$arch" "$deb"
    dir=github.com/opencontainers/runc/releases/download/v$VERSION
    path=$dir/runc.$arch
    chmod 0755 "$deb/usr/sbin/runc"
    put "$deb/usr/sbin/runc" "$path"
    # Upstream clear-signs this list; nobody here has the key, so it is plain.
    for file in "$MIRROR/$dir"/runc.{amd64,arm64}; do
        [[ ! -f $file ]] || lines+="$(sha256_of "$file")  ${file##*/}\n"
    done
    beside "$dir/runc.sha256sum" "$lines"
}

publish_cni() {
    local arch=$1 name path deb=$WORK/cni-$1 stage=$WORK/cni-stage
    from_deb containernetworking-plugins "$arch" "$deb"
    programs "$stage" "$deb"/usr/lib/cni/*
    name=cni-plugins-linux-$arch-v$VERSION.tgz
    pack "$stage" . "$WORK/$name"
    path=github.com/containernetworking/plugins/releases/download/v$VERSION/$name
    put "$WORK/$name" "$path"
    beside "$path.sha256" "$PUT_SHA256  $name\n"
    beside "$path.sha512" "$(sha512_of "$MIRROR/$path")  $name\n"
}

publish_crictl() {
    local arch=$1 name path stage=$WORK/crictl-stage
    programs "$stage" "$(crictl_dir "$arch")/crictl-lite"
    mv "$stage/crictl-lite" "$stage/crictl"
    name=crictl-$CRICTL_VERSION-linux-$arch.tar.gz
    pack "$stage" crictl "$WORK/$name"
    path=github.com/kubernetes-sigs/cri-tools/releases/download/$CRICTL_VERSION/$name
    put "$WORK/$name" "$path"
    beside "$path.sha256" "$PUT_SHA256\n"
    beside "$path.sha512" "$(sha512_of "$MIRROR/$path")\n"
}

# What one part of the mirror (an architecture, or "images") is made of, as one
# digest.
mirror_key() {
    [[ $1 != images ]] || {
        images_key
        return
    }
    {
        k8s_key "$1"
        kubeadm_key "$1"
        crictl_key "$1"
        local package
        for package in containerd runc containernetworking-plugins; do
            pin "$package" "$1"
            echo "$PIN_PATH $PIN_SHA256"
        done
        echo "$CRICTL_VERSION $ARCHIVE_EPOCH"
        declare -f put beside pack programs publish_kubernetes publish_containerd publish_runc publish_cni publish_crictl
    } | sha256_of_stdin
}

# is_published PART: the stamp is of these inputs and every file that it lists
# has the size that it had.
is_published() {
    local stamp=$MIRROR/.made-$1 size path
    [[ -f $stamp && $(head -n1 "$stamp") == "$(mirror_key "$1")" ]] || return 1
    while read -r size path; do
        [[ $(stat -L -c %s "$MIRROR/$path" 2>/dev/null) == "$size" ]] || return 1
    done < <(tail -n +2 "$stamp")
}

publish() {
    local part=$1
    rm -f "$MIRROR/.made-$part"
    : >"$WORK/sums"
    if [[ $part == images ]]; then
        publish_images
    else
        publish_kubernetes "$part"
        publish_containerd "$part"
        publish_runc "$part"
        publish_cni "$part"
        publish_crictl "$part"
    fi
    {
        mirror_key "$part"
        cut -c67- "$WORK/sums" | (cd "$MIRROR" && xargs stat -L -c '%s %n')
    } >"$MIRROR/.made-$part.new"
    compare_sums
    mv "$MIRROR/.made-$part.new" "$MIRROR/.made-$part"
}

# compare_sums: every file just put against the committed list, or, with
# --record, into it. What is named by its digest needs no line there.
compare_sums() {
    local hex path want differs=
    sed -i '\,/sha256:[0-9a-f]*$,d' "$WORK/sums"
    if [[ -n $RECORD ]]; then
        { cat "$WORK/sums"; awk 'NR == FNR { put[$2] = 1; next } !($2 in put)' "$WORK/sums" "$SUMS"; } |
            sort -k2 >"$WORK/sums.new"
        cat "$WORK/sums.new" >"$SUMS"
        return 0
    fi
    while read -r hex path; do
        want=$(awk -v p="$path" '$2 == p { print $1 }' "$SUMS")
        [[ $want != "$hex" ]] || continue
        say "WARNING: $path has sha256 $hex, expected ${want:-no such file}"
        differs=1
    done <"$WORK/sums"
    [[ -z $differs ]] ||
        say "WARNING: the files above differ from ${SUMS#"$TOP"/}: a committed lock will refuse them; run 'nodeimg lock' for the recipe again."
}
