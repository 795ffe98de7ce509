//! Pod subnets: valid networks, inside the cluster's, overlapping no others.
use ipnet::IpNet;

use super::{Addresses, Inputs};
use crate::contract::settings::{MAX_PODS, SETTINGS_PATH};
use crate::text::problem::{Located, Place, Problems};

/// The bridge of the CNI configuration holds the pod subnet itself once pods ran.
const POD_BRIDGE: &str = "cni0";

#[derive(Default)]
pub(super) struct Nets {
    pub(super) pod_subnets: Vec<IpNet>,
    pub(super) cluster_cidrs: Vec<IpNet>,
}

pub(super) fn check(inputs: &Inputs<'_>, problems: &mut Problems) -> Nets {
    let node = &inputs.user.node;
    let pods = networks(&node.pod_subnet, problems);
    let cluster = cluster_cidrs(inputs, problems);
    if pods.is_empty() {
        if !inputs.gives("pod_subnet") {
            let reason = "is missing: without it no pod gets an address";
            problems.error(
                &inputs.missing("pod_subnet"),
                reason,
                "add the pod network of this node",
            );
        }
        return Nets {
            pod_subnets: Vec::new(),
            cluster_cidrs: values(&cluster),
        };
    }
    check_families(&pods, problems);
    let services = image_nets(inputs.settings.service_cidr.as_deref(), problems);
    for pod in &pods {
        if check_length(pod, problems) {
            check_room(pod, inputs.settings.max_pods.unwrap_or(MAX_PODS), problems);
        }
        check_use(pod, problems);
        check_inside(pod, &cluster, problems);
        for service in &services {
            if overlap(&pod.value, &service.value) {
                let reason = format!(
                    "{} overlaps the service network {}",
                    pod.value, service.value
                );
                problems.error(
                    &pod.place,
                    reason,
                    "choose a network that does not overlap it",
                );
            }
        }
        if let Addresses::Known(addresses) = inputs.addresses {
            check_apart_from_node(pod, addresses, problems);
        }
    }
    Nets {
        pod_subnets: values(&pods),
        cluster_cidrs: values(&cluster),
    }
}

fn values(nets: &[Located<IpNet>]) -> Vec<IpNet> {
    nets.iter().map(|net| net.value).collect()
}

/// The cluster's pod network: the image's, which the seed may only confirm, or the seed's.
fn cluster_cidrs(inputs: &Inputs<'_>, problems: &mut Problems) -> Vec<Located<IpNet>> {
    let baked = image_nets(inputs.settings.cluster_cidr.as_deref(), problems);
    let given = networks(&inputs.user.node.cluster_cidr, problems);
    check_families(&given, problems);
    if baked.is_empty() {
        return given;
    }
    for net in &given {
        if !baked.iter().any(|known| known.value == net.value) {
            let list: Vec<String> = baked.iter().map(|net| net.value.to_string()).collect();
            let reason = format!(
                "{} is not what the image was built for, {}",
                net.value,
                list.join(",")
            );
            problems.error(
                &net.place,
                reason,
                "remove the key, or build the image for this network",
            );
        }
    }
    baked
}

fn image_nets(text: Option<&str>, problems: &mut Problems) -> Vec<Located<IpNet>> {
    let Some(text) = text else { return Vec::new() };
    let value = Located {
        value: text.to_owned(),
        place: Place::file(SETTINGS_PATH),
    };
    networks(&[value], problems)
}

/// Reads networks, each a list item or a part between commas.
pub(super) fn networks(texts: &[Located<String>], problems: &mut Problems) -> Vec<Located<IpNet>> {
    let mut nets = Vec::new();
    for text in texts {
        for part in text.value.split(',').map(str::trim) {
            match network(part) {
                Ok(value) => nets.push(Located {
                    value,
                    place: text.place.clone(),
                }),
                Err((reason, remedy)) => problems.error(&text.place, reason, remedy),
            }
        }
    }
    nets
}

/// `address/length`, as the standard library reads addresses: `010.0.0.0` could
/// be octal and is refused.
pub fn strict(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    if !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    IpNet::new(address.parse().ok()?, length.parse().ok()?).ok()
}

/// A network with no host bits.
pub(super) fn network(text: &str) -> Result<IpNet, (String, String)> {
    let shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    let Some(net) = strict(text) else {
        let remedy = if text.parse::<std::net::IpAddr>().is_ok() {
            format!("add the length, such as `{shown}/24`")
        } else {
            "write it like `10.200.0.0/24` or `fd00:10:200::/64`".to_owned()
        };
        return Err((format!("`{shown}` is not a network"), remedy));
    };
    if net.addr() != net.network() {
        let reason = format!("`{shown}` is an address in a network, not a network");
        return Err((reason, format!("write `{}`", net.trunc())));
    }
    Ok(net)
}

fn check_families(nets: &[Located<IpNet>], problems: &mut Problems) {
    for (index, net) in nets.iter().enumerate() {
        let family = |other: &&Located<IpNet>| is_v4(&other.value) == is_v4(&net.value);
        if nets[..index].iter().any(|other| family(&other)) {
            let kind = if is_v4(&net.value) { "IPv4" } else { "IPv6" };
            let reason = format!("{} is a second {kind} network", net.value);
            problems.error(
                &net.place,
                reason,
                "give one, or one of each family for dual-stack",
            );
        }
    }
}

/// A node's share is neither a handful of addresses nor half the Internet.
fn check_length(pod: &Located<IpNet>, problems: &mut Problems) -> bool {
    let (least, most) = if is_v4(&pod.value) {
        (12, 29)
    } else {
        (44, 124)
    };
    let length = pod.value.prefix_len();
    let is_good = (least..=most).contains(&length);
    if !is_good {
        let reason = format!(
            "{} has length /{length}, but a node's pod network must have /{least} to /{most}",
            pod.value
        );
        let usual = if is_v4(&pod.value) { "/24" } else { "/64" };
        problems.error(&pod.place, reason, format!("{usual} is usual"));
    }
    is_good
}

fn check_use(pod: &Located<IpNet>, problems: &mut Problems) {
    let address = pod.value.addr();
    if address.is_loopback()
        || address.is_multicast()
        || address.is_unspecified()
        || link_local(address)
    {
        let reason = format!("{} is reserved for other uses", pod.value);
        problems.error(&pod.place, reason, "choose a private network");
    }
}

/// The kubelet takes pods until `maxPods`; those without an address never start.
fn check_room(pod: &Located<IpNet>, max_pods: u32, problems: &mut Problems) {
    // The network itself, the bridge and the broadcast address are not for pods.
    let bits = u32::from(pod.value.max_prefix_len() - pod.value.prefix_len());
    let room = 2u128
        .checked_pow(bits)
        .unwrap_or(u128::MAX)
        .saturating_sub(3);
    if room < u128::from(max_pods) {
        let reason = format!(
            "{} has addresses for {room} pods, but this image's kubelet takes up to {max_pods}",
            pod.value
        );
        problems.warn(
            &pod.place,
            reason,
            format!("choose a larger network, or build the image with `kubelet.max_pods = {room}`"),
        );
    }
}

fn check_inside(pod: &Located<IpNet>, cluster: &[Located<IpNet>], problems: &mut Problems) {
    if cluster.is_empty() || cluster.iter().any(|net| net.value.contains(&pod.value)) {
        return;
    }
    let list: Vec<String> = cluster.iter().map(|net| net.value.to_string()).collect();
    let reason = format!(
        "{} is not inside the cluster's pod network {}",
        pod.value,
        list.join(",")
    );
    problems.error(
        &pod.place,
        reason,
        "choose a part of it that no other node uses",
    );
}

fn check_apart_from_node(
    pod: &Located<IpNet>,
    addresses: &[super::InterfaceAddress],
    problems: &mut Problems,
) {
    for address in addresses
        .iter()
        .filter(|address| address.interface != POD_BRIDGE)
    {
        if overlap(&pod.value, &address.net.trunc()) {
            let reason = format!(
                "{} overlaps this node's own network {} ({})",
                pod.value,
                address.net.trunc(),
                address.interface
            );
            problems.error(
                &pod.place,
                reason,
                "choose a network that does not overlap it",
            );
        }
    }
}

fn overlap(left: &IpNet, right: &IpNet) -> bool {
    left.contains(right) || right.contains(left)
}

pub(super) fn is_v4(net: &IpNet) -> bool {
    matches!(net, IpNet::V4(_))
}

pub(super) fn link_local(address: std::net::IpAddr) -> bool {
    match address {
        std::net::IpAddr::V4(v4) => v4.is_link_local(),
        std::net::IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}
