# shellcheck shell=bash
# The images that kubeadm 1.20.2 starts a control plane from, under the names that
# it asks for (`kubeadm config images list`), for this machine's architecture.
# Sourced by ci/images after images.sh.
#
# The programs are those of ci/cluster and of the node; etcd and what is below it
# and kube-proxy are Debian trixie's packages, unpacked and not configured.
# Left out: coredns, of which no source can be had here. `kubeadm init` needs
# `--ignore-preflight-errors=ImagePull` for that, and `--skip-phases=addon/coredns`
# where its pods would only be in the way.

readonly ETCD_TAG=3.4.13-0
readonly -A IMAGE_PACKAGES=(
    [etcd]='libc6'
    [kube-proxy]='libc6 iptables libxtables12 libip4tc2 libip6tc2 libnftnl11 libmnl0
        libnetfilter-conntrack3 libnfnetlink0 conntrack'
)

kubeadm_image_name() {
    case $1 in
        etcd) echo "k8s.gcr.io/etcd:$ETCD_TAG" ;;
        *) echo "k8s.gcr.io/$1:$K8S_VERSION" ;;
    esac
}

# What the image is made for, of the programs in hand.
image_program() {
    case $2 in
        etcd) echo "$(etcd_dir "$1")/etcd" ;;
        kube-proxy) node_program "$1" kube-proxy ;;
        *) echo "$(control_plane_dir "$1")/$2" ;;
    esac
}

# rootfs ARCH NAME DIR
rootfs() {
    local arch=$1 name=$2 dir=$3 package link
    mkdir -p "$dir"/{etc,root,tmp,run,usr/{bin,sbin,lib,lib64,local/bin}}
    chmod 1777 "$dir/tmp"
    for link in bin sbin lib lib64; do ln -s "usr/$link" "$dir/$link"; done
    for package in ${IMAGE_PACKAGES[$name]:-}; do
        debian_file "$package" "$arch"
        # The packages of a merged /usr unpack through the links.
        dpkg-deb --fsys-tarfile "$FILE" | tar -x -C "$dir" --keep-directory-symlink --no-same-owner
    done
    rm -rf "$dir"/usr/share/{doc,doc-base,man,info,locale,lintian,bug} "$dir"/usr/lib/*/gconv
    # What the package's alternatives would do.
    if [[ -e $dir/usr/sbin/xtables-nft-multi ]]; then
        for link in {ip,ip6}tables{,-save,-restore}; do ln -sf xtables-nft-multi "$dir/usr/sbin/$link"; done
    fi
    install -m 0755 "$(image_program "$arch" "$name")" "$dir/usr/local/bin/$name"
}

kubeadm_image_key() {
    local arch=$1 name=$2 package
    {
        echo "$arch $name $(image_program "$arch" "$name") $(kubeadm_image_name "$name")"
        for package in ${IMAGE_PACKAGES[$name]:-}; do
            pin "$package" "$arch"
            echo "$PIN_SHA256"
        done
        declare -f image rootfs
        cat "$TOP/ci/mirror.d/oci.py"
    } | sha256_of_stdin
}

# kubeadm_image ARCH NAME: unless it is there, made of the same.
kubeadm_image() {
    local arch=$1 name=$2 key stamp
    key=$(kubeadm_image_key "$arch" "$name")
    stamp=$CACHE/images/.made-$name
    [[ ! -f $stamp || ! -d $CACHE/images/$name || $(<"$stamp") != "$key" ]] || return 0
    say "making the image $(kubeadm_image_name "$name") for $arch"
    rm -f "$stamp"
    rootfs "$arch" "$name" "$WORK/rootfs-$name"
    image "$name" --name "$(kubeadm_image_name "$name")" --rootfs "$arch=$WORK/rootfs-$name"
    rm -rf "$WORK/rootfs-$name"
    echo "$key" >"$stamp"
}
