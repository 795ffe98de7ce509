#!/bin/sh
# shellcheck shell=dash
# Runs in the guest, behind multi-user.target: says facts to the host, one
# `name=value` a line. Not part of any image: tests/support/src/guest.rs gives it to
# `nodeimg run --exec`. Each command takes an emulated processor a tenth of a second and more, so
# that what few tests ask is in whole.sh.

# fact NAME COMMAND...: what the command says, in one line. By the shell alone: to start another
# program costs as much as most of these commands.
fact() {
    local name=$1 told end='
'
    shift
    told=$("$@" 2>&1)
    # A shell takes long for many lines.
    [ ${#told} -lt 4000 ] || told=$(printf %s "$told" | tr '\n' ' ')
    while [ "$told" != "${told#*"$end"}" ]; do
        told="${told%%"$end"*} ${told#*"$end"}"
    done
    while [ "$told" != "${told% }" ]; do told=${told% }; done
    printf '%s=%s\n' "$name" "$told"
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
fact initrd-time systemctl show -P InitRDTimestampMonotonic
fact root findmnt -no SOURCE,FSTYPE,OPTIONS /
fact cmdline cat /proc/cmdline
fact host-name cat /proc/sys/kernel/hostname
fact machine-id cat /etc/machine-id
fact host-key sha256sum /etc/ssh/ssh_host_ed25519_key.pub
# shellcheck disable=SC2016 # for the inner shell
fact os-release sh -c '. /etc/os-release && echo "$ID $IMAGE_ID $IMAGE_VERSION"'
# By DHCP it may come later than the login.
for _ in $(seq 20); do ip -4 -br addr show scope global | grep -q . && break; sleep 1; done
fact address ip -4 -br addr show scope global
fact first-boot cat /run/nodeimg/result.json
fact first-boot-unit systemctl is-active nodeimg-firstboot.service
for unit in containerd kubelet kube-proxy; do
    fact "unit-$unit" systemctl is-active "$unit"
done
fact counter sh -c 'echo boot >>/var/lib/nodeimg-test && wc -l </var/lib/nodeimg-test'
