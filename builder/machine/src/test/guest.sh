# shellcheck shell=sh
# Runs in the node, behind multi-user.target: says facts, one `name=value` a
# line. Not part of any image: `nodeimg test` gives it to the node. Reads a line
# when the host has seen all that it waits for of this node. It waits for
# `$wait` seconds at most, in all. `$token` is the bootstrap token that a node may
# have been given, `$runtime` the unit of its container runtime. `$pictures` is `yes` if it shall
# say how it came up, which takes an emulated one seconds.
: "${wait:?}" "${token:?}" "${runtime:?}" "${pictures:?}"
fact() { printf '%s=%s\n' "$1" "$(shift && "$@" 2>&1 | tr '\n' ' ' | sed 's/ *$//')"; }
until=$(($(cut -d. -f1 /proc/uptime) + wait))
patiently() {
    left=$((until - $(cut -d. -f1 /proc/uptime)))
    timeout $((left > 1 ? left : 1)) "$@"
}
report=/run/nodeimg/result.json

fact state patiently systemctl is-system-running --wait
fact failed systemctl --failed --no-legend --plain
fact root findmnt -no SOURCE,FSTYPE,OPTIONS /
fact verity sh -c 'cat /sys/block/dm-*/dm/uuid'
fact host-name cat /proc/sys/kernel/hostname
fact machine-id cat /etc/machine-id
# A node whose units do not wait for the network may be up before it has its address.
timeout 120 sh -c 'until ip -4 -br addr show scope global | grep -q .; do sleep 1; done'
fact address ip -4 -br addr show scope global
fact cni sh -c 'cat /etc/cni/net.d/*.conf*'
fact networks sh -c 'ls -d /etc/cni/net.d/*.conf* 2>/dev/null'
fact heard patiently head -n 1
# kubeadm ends a little later than its node is seen.
fact commands patiently sh -c "while grep -Eq '\"commands\": *\"pending\"' $report; do sleep 1; done"
fact first-boot cat "$report"
fact runtime systemctl is-active "$runtime"
for unit in kubelet kube-proxy; do
    fact "$unit" systemctl is-active "$unit"
done
fact kubelet-conf ls /etc/kubernetes/kubelet.conf
fact token-in grep -rlsF -e "$token" /etc /var
fact journal sh -c 'journalctl -b -o cat -n 20 -u kubelet -u kube-proxy'
fact commands-journal journalctl -b -o cat -n 20 -u nodeimg-commands
# Of many lines: as base64, and nothing if there is none.
if [ "$pictures" = yes ]; then
    fact startup systemd-analyze time
    fact critical-chain sh -c 'systemd-analyze critical-chain --no-pager 2>/dev/null | base64'
    fact plot sh -c 'systemd-analyze plot 2>/dev/null | base64'
fi
fact end true
