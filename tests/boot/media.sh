# shellcheck shell=sh
# What media.rs asks of a guest, behind guest.sh: attach a volume,
# run first boot once more, show its report.

slot=/dev/disk/by-id/virtio-slot
library=/dev/disk/by-id/virtio-library
esp=/run/nodeimg-esp
held=/run/nodeimg-held

# insert NUMBER: that volume of the library is attached now, at $slot.
insert() {
    dd if="$library" of="$slot" bs=8M skip="$1" count=1 conv=fsync 2>/dev/null
    blockdev --rereadpt "$slot"
    udevadm settle
}

# try NAME: first boot runs again, and may take a seed from anywhere: every volume here is
# another one.
try() {
    nodeimg-firstboot reprovision --yes >/dev/null
    again "$1"
}

# again NAME: first boot runs again, as its report tells people to do.
again() {
    fact "restart-$1" systemctl restart nodeimg-firstboot.service
    fact "exit-$1" sh -c "nodeimg-firstboot status >/dev/null 2>&1; echo \$?"
    fact "verdict-$1" cat /run/nodeimg/result.json
    fact "kubelet-$1" systemctl is-active kubelet.service
}

# keys_in FILE: how many lines of it begin or end a private key, read past every cache.
keys_in() {
    dd if="$1" bs=1M iflag=direct 2>/dev/null | grep -ac 'PRIVATE KEY'
}

# hold NUMBER: the files of that volume, which is ext4, at $held.
hold() {
    mkdir -p "$held"
    mount -o loop,ro,offset=$(($1 * 8388608)) "$library" "$held"
}

# copy_seed TO INSTANCE: the held seed, for another instance.
copy_seed() {
    mkdir -p "$1"
    cp "$held/user-data" "$1/"
    echo "instance-id: $2" >"$1/meta-data"
}

mount_esp() {
    mkdir -p "$esp"
    mount /dev/disk/by-partlabel/esp "$esp"
}

# ask SERVICE: an image whose recipe names that metadata service.
ask() {
    settings=/usr/lib/nodeimg/firstboot.json
    if [ ! -e /run/firstboot.json ]; then
        cp "$settings" /run/firstboot.original
        cp "$settings" /run/firstboot.json
        mount --bind /run/firstboot.json "$settings"
    fi
    sed "s/\"seed_wait\"/\"metadata\": [\"$1\"], &/" /run/firstboot.original >/run/firstboot.json
}
