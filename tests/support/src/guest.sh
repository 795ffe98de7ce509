#!/bin/sh
# Runs in the guest, behind multi-user.target: says facts to the host, one
# `name=value` a line. Not part of any image: tests/support/src/guest.rs gives it to
# `nodeimg run --exec`.
fact() { printf '%s=%s\n' "$1" "$(shift && "$@" 2>&1 | tr '\n' ' ' | sed 's/ *$//')"; }

# is_writable PATH: whether root can make a file there.
is_writable() {
    if touch "$1/.nodeimg-test" 2>/dev/null; then
        rm "$1/.nodeimg-test"
        echo yes
    else
        echo no
    fi
}

# wait_for_commands: until those of the seed have ended.
wait_for_commands() {
    for _ in $(seq 300); do
        [ "$(systemctl is-active nodeimg-commands.service)" = activating ] || break
        sleep 1
    done
}

fact state systemctl is-system-running --wait
fact failed systemctl --failed --no-legend --plain
fact multi-user systemctl show -P ActiveState multi-user.target
fact boot-seconds sh -c 'systemd-analyze time | head -n 1'
fact initrd-time systemctl show -P InitRDTimestampMonotonic
fact verity-target systemctl is-active veritysetup.target
fact root findmnt -no SOURCE,FSTYPE,OPTIONS /
fact verity dmsetup status root
fact table dmsetup table root
fact cmdline cat /proc/cmdline
fact var findmnt -no FSTYPE,OPTIONS /var
fact etc findmnt -no FSTYPE /etc
fact tmp findmnt -no FSTYPE /tmp
fact host-name cat /proc/sys/kernel/hostname
fact hostname hostname
fact static-name hostnamectl --static
fact machine-id cat /etc/machine-id
fact host-key sha256sum /etc/ssh/ssh_host_ed25519_key.pub
fact host-key-files sh -c 'cd /etc/ssh && echo ssh_host_*'
fact host-key-kinds sh -c 'cut -d " " -f 1 /etc/ssh/ssh_host_*.pub'
# shellcheck disable=SC2016 # for the inner shell
fact os-release sh -c '. /etc/os-release && echo "$ID $IMAGE_ID $IMAGE_VERSION"'
fact machine uname -m
fact partitions lsblk -nro PARTLABEL /dev/vda
fact address ip -4 -br addr show scope global
fact first-boot cat /run/nodeimg/result.json
fact first-boot-unit systemctl is-active nodeimg-firstboot.service
for unit in containerd kubelet kube-proxy ssh systemd-networkd systemd-resolved systemd-journald dbus; do
    fact "unit-$unit" systemctl is-active "$unit"
done
fact plugins ctr plugins ls
fact containerd ctr version
fact iptables sh -c 'iptables -t nat -N NODEIMG && iptables -t nat -S NODEIMG'
fact forwarding sysctl -n net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables
fact loopback-plugin env CNI_COMMAND=VERSION /opt/cni/bin/loopback
for path in / /usr /usr/local /etc /etc/cni/net.d /etc/nodeimg /opt/cni/bin /var/lib/containerd /root /home /tmp /run; do
    fact "writable-$path" is_writable "$path"
done
fact counter sh -c 'echo boot >>/var/lib/nodeimg-test && wc -l </var/lib/nodeimg-test'
fact own-plugin sh -c 'ls /opt/cni/bin/of-the-test; : >/opt/cni/bin/of-the-test'
