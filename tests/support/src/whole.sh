# shellcheck shell=sh
# Behind guest.sh, for tests that look at the whole of a node: Guest::look_at_all.

# is_writable PATH: whether root can make a file there.
is_writable() {
    if touch "$1/.nodeimg-test" 2>/dev/null; then
        rm "$1/.nodeimg-test"
        echo yes
    else
        echo no
    fi
}

fact boot-seconds sh -c 'systemd-analyze time | head -n 1'
fact verity-target systemctl is-active veritysetup.target
fact verity dmsetup status root
fact table dmsetup table root
fact var findmnt -no FSTYPE,OPTIONS /var
fact etc findmnt -no FSTYPE /etc
fact tmp findmnt -no FSTYPE /tmp
fact hostname hostname
fact static-name hostnamectl --static
fact host-key-files sh -c 'cd /etc/ssh && echo ssh_host_*'
fact host-key-kinds sh -c 'cut -d " " -f 1 /etc/ssh/ssh_host_*.pub'
fact machine uname -m
fact partitions lsblk -nro PARTLABEL /dev/vda
fact kernel-mounts systemctl is-active tmp.mount run-lock.mount dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount
fact tmp-options findmnt -no OPTIONS /tmp
# What systemd has started a program for, of what is done in the build or in the initrd.
fact spared sh -c "journalctl -b -o cat -t systemd | grep -Eo '^(Mounting|Starting) (tmp|run-lock|dev-hugepages|dev-mqueue|sys-kernel-debug|sys-kernel-tracing|kmod-static-nodes|systemd-tmpfiles-setup-dev)[.](mount|service)'"
# What kmod itself would have made, less what there is.
fact static-nodes sh -c 'kmod static-nodes --format=tmpfiles | grep -vxFf /usr/lib/tmpfiles.d/nodeimg-static-nodes.conf'
fact tun ls /dev/net/tun /dev/loop-control
for unit in ssh systemd-networkd systemd-resolved systemd-journald dbus; do
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
fact own-plugin sh -c 'ls /opt/cni/bin/of-the-test; : >/opt/cni/bin/of-the-test'
