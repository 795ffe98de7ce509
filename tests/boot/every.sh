# shellcheck shell=sh
# What every.rs asks of a guest, behind guest.sh: the state of $UNITS, and every package's
# program once, on what a node has.
# shellcheck disable=SC2317 # by eval

disk() { truncate -s "$2" "/var/tmp/$1" && losetup --find --show "/var/tmp/$1"; }
volumes() {
    disk=$(disk lvm 64M) && vgcreate of-the-test "$disk" && lvcreate -l 4 -n one of-the-test &&
        mkfs.ext4 -q /dev/of-the-test/one && vgremove -y of-the-test
}
file_system() { disk=$(disk "$1" "$2") && "mkfs.$1" -q "$disk" && mount "$disk" /mnt && umount /mnt; }
encrypted() {
    echo secret >/run/secret
    disk=$(disk luks 32M) &&
        cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$disk" /run/secret &&
        cryptsetup open "$disk" of-the-test --key-file /run/secret && cryptsetup close of-the-test
}
# Ends at once outside of VMware, but is loaded.
vmware() { vmtoolsd -v; [ $? -lt 126 ]; }
iscsi() { systemctl start iscsid && iscsiadm -m iface; }

# shellcheck disable=SC2153 # set before
for unit in $UNITS; do
    fact "is-$unit" systemctl show -P ActiveState "$unit"
    fact "has-$unit" systemctl show -P LoadState "$unit"
done
failed=''
for program in volumes 'file_system xfs 400M' 'file_system btrfs 128M' encrypted iscsi \
    'auditctl -s' 'crun --version' 'jq -n 1' 'mdadm --version' 'mount.cifs -V' 'mount.nfs -V' \
    'multipath -ll' 'nvme list' 'rpcinfo -p' 'strace true' 'sudo -n true' 'tcpdump --version' \
    'tpm2_getcap --version' vmware; do
    said=$(eval "$program" 2>&1) || failed="$failed [$program: $said]"
done
fact programs echo "$failed"
fact initiator cat /etc/iscsi/initiatorname.iscsi
fact host-nqn cat /etc/nvme/hostnqn
