# shellcheck shell=bash
# Container images made here: pause and busybox for both architectures, which
# every mirror has, and what kubeadm 1.20.2 starts a control plane from, for
# ci/images. Sourced by both after publish.sh.
#
# An image is an OCI layout in $CACHE/images/NAME (oci.py); those of the mirror
# are also laid out below MIRROR/HOST/v2/ as a registry of that host would answer,
# so that a prefix rule from https:// to the mirror's address serves pulls too.
#
# pause is a stand-in (ci/pause) compiled by the pinned Go, busybox is Debian's:
# their digests are the same on every machine.

PAUSE_SOURCE=$TOP/ci/pause/main.go
# The tag that recipes/debian.toml names, and the one of kubeadm 1.20.2.
readonly PAUSE_NAMES=(registry.k8s.io/pause:3.8 k8s.gcr.io/pause:3.2)
readonly BUSYBOX_NAMES=(docker.io/library/busybox:1.37 docker.io/library/busybox:latest)

oci() {
    need python3 python3
    python3 "$TOP/ci/mirror.d/oci.py" "$@"
}

pause_build() {
    local tree=$WORK/gopath/src/k8s.io/kubernetes/cmd/pause
    mkdir -p "$tree"
    cp "$PAUSE_SOURCE" "$tree/main.go"
    go_build "$1" "$2" "" "" k8s.io/kubernetes/cmd/pause
}
pause_key() {
    {
        build_inputs
        echo "$1"
        declare -f pause_build
        cat "$PAUSE_SOURCE"
    } | sha256_of_stdin
}
# With the small programs, which is what $CACHE/crictl holds.
pause_dir() { echo "$CACHE/crictl/$(pause_key "$1")"; }

ensure_pause() {
    local arch
    for arch in amd64 arm64; do
        [[ ! -d $(pause_dir "$arch") ]] || continue
        prepare_build_tree
        say "building pause for $arch"
        keep "$(pause_dir "$arch")" pause_build "$arch"
    done
}

# image NAME OPTIONS...: the layout appears whole.
image() {
    local name=$1
    shift
    oci layout "$WORK/layout" --epoch "$ARCHIVE_EPOCH" "$@"
    mkdir -p "$CACHE/images"
    rm -rf "$CACHE/images/$name"
    mv "$WORK/layout" "$CACHE/images/$name"
}

pause_image() {
    local arch options=()
    for arch in amd64 arm64; do
        programs "$WORK/pause-$arch" "$(pause_dir "$arch")/pause"
        options+=(--rootfs "$arch=$WORK/pause-$arch")
    done
    image pause "${PAUSE_NAMES[@]/#/--name=}" "${options[@]}" --entrypoint /pause --user 65535:65535
}

# A link for every applet. What this machine's build knows, the other knows.
busybox_image() {
    local arch root applet options=()
    for arch in amd64 arm64; do
        debian_file busybox-static "$arch"
        dpkg -x "$FILE" "$WORK/busybox-deb-$arch"
    done
    for arch in amd64 arm64; do
        root=$WORK/busybox-$arch
        mkdir -p "$root"/{bin,etc,root,tmp}
        chmod 1777 "$root/tmp"
        install -m 0755 "$WORK/busybox-deb-$arch/usr/bin/busybox" "$root/bin/"
        while read -r applet; do
            [[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"
        done < <("$WORK/busybox-deb-$(host_arch)/usr/bin/busybox" --list)
        echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
        echo 'root:x:0:' >"$root/etc/group"
        options+=(--rootfs "$arch=$root")
    done
    image busybox "${BUSYBOX_NAMES[@]/#/--name=}" "${options[@]}" --entrypoint /bin/sh
}

publish_images() {
    local name path
    pause_image
    busybox_image
    for name in pause busybox; do
        while read -r path; do
            printf '%s  %s\n' "$(sha256_of "$MIRROR/$path")" "$path" >>"$WORK/sums"
        done < <(oci tree "$CACHE/images/$name" "$MIRROR")
    done
}

images_key() {
    local arch
    {
        for arch in amd64 arm64; do
            pause_key "$arch"
            pin busybox-static "$arch"
            echo "$PIN_PATH $PIN_SHA256"
        done
        echo "${PAUSE_NAMES[*]} ${BUSYBOX_NAMES[*]} $ARCHIVE_EPOCH"
        declare -f image pause_image busybox_image publish_images
        cat "$TOP/ci/mirror.d/oci.py"
    } | sha256_of_stdin
}
