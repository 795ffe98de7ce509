# shellcheck shell=bash
# The cluster's network: one namespace with one bridge. Sourced by ci/cluster.
#
#   netns $CLUSTER:  lo   lan 10.240.0.1/24 -+- tap NAME (QEMU)
#                                         +- tap NAME (QEMU)
#
# It forwards and has no default route, so that packets to elsewhere are answered
# "unreachable" at once and nobody waits.

namespace_is_there() { [[ -e /run/netns/$CLUSTER ]]; }

# inside CMD...: in the network namespace, and everything else of this process.
inside() {
    (($#)) || usage_error "exec needs a command"
    need nsenter util-linux
    nsenter --net="/run/netns/$CLUSTER" -- "$@"
}

make_namespace() {
    if ! namespace_is_there; then
        ip netns add "$CLUSTER" || die "cannot make a network namespace: is this a container without CAP_SYS_ADMIN?"
    fi
    inside ip link set lo up
    inside sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
    inside ip link show lan >/dev/null 2>&1 ||
        inside ip link add lan type bridge forward_delay 0
    inside ip address replace "$LAN_ADDRESS/$LAN_PREFIX" dev lan
    inside ip link set lan up
    [[ $FAMILIES == ipv4 ]] || {
        inside sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
        inside ip -6 address replace "$LAN6_ADDRESS/$LAN6_PREFIX" dev lan nodad
    }
}

# route SUBNET ADDRESS: how the API server reaches pods of a node, which it must for
# webhooks, aggregated API servers and the proxies of pods and Services.
route() {
    (($# == 2)) || usage_error "route needs a subnet and the address of its node"
    inside ip route replace "$1" via "$2" dev lan ||
        usage_error "'$1' by '$2' is not a route: give a subnet such as 10.200.0.0/24, and an address of ${LAN_ADDRESS%.*}.0/$LAN_PREFIX; or both of IPv6"
}

# Whatever still runs inside (a QEMU) keeps the namespace alive, unnamed.
remove_namespace() {
    namespace_is_there || return 0
    ip netns delete "$CLUSTER"
}

tap() {
    (($# == 1)) || usage_error "tap needs the name of a device"
    [[ $1 =~ ^[a-z0-9][a-z0-9.-]{0,14}$ ]] || usage_error "'$1' is not a device name: use at most 15 of a-z, 0-9, '.' and '-'"
    inside ip link show "$1" >/dev/null 2>&1 || inside ip tuntap add dev "$1" mode tap
    inside ip link set "$1" master lan up
}
