# shellcheck shell=sh
# Runs in the node, behind multi-user.target: says facts, one `name=value` a
# line. Not part of any image: `nodeimg test` gives it to the node. Reads a line
# when the host has seen all that it waits for of this node, for `$wait` seconds
# at most.
: "${wait:?}"
fact() { printf '%s=%s\n' "$1" "$(shift && "$@" 2>&1 | tr '\n' ' ' | sed 's/ *$//')"; }

fact state timeout "$wait" systemctl is-system-running --wait
fact failed systemctl --failed --no-legend --plain
fact root findmnt -no SOURCE,FSTYPE,OPTIONS /
fact verity sh -c 'cat /sys/block/dm-*/dm/uuid'
fact host-name cat /proc/sys/kernel/hostname
fact machine-id cat /etc/machine-id
fact address ip -4 -br addr show scope global
fact first-boot cat /run/nodeimg/result.json
fact cni sh -c 'cat /etc/cni/net.d/*.conf'
fact heard timeout "$wait" head -n 1
for unit in containerd kubelet kube-proxy; do
    fact "$unit" systemctl is-active "$unit"
done
fact journal sh -c 'journalctl -b -o cat -n 20 -u kubelet -u kube-proxy'
fact end true
