//! Networks of pods and services: as kubeadm takes them, and apart from each other and
//! from this node's.

use std::net::IpAddr;

use ipnet::IpNet;
use nodeimg_seed::check::kubeadm::document::{arguments, text};
use nodeimg_seed::check::subnets::strict;
use nodeimg_seed::text::field::{Field, shown};
use nodeimg_seed::text::problem::Problems;

use super::ground::{Ground, OwnNetwork};

/// kubeadm's own, if the configuration names none.
pub const SERVICES: &str = "10.96.0.0/12";

/// What kubeadm demands of networks: `cmd/kubeadm/app/constants`.
const LEAST_SERVICES: u32 = 10;
const LEAST_PODS: u32 = 14;
const MOST_SERVICE_BITS: u8 = 20;
const MOST_NODE_BITS: u8 = 16;

/// The networks of a cluster.
#[derive(Default)]
pub struct Networks {
    pub pods: Vec<IpNet>,
    pub services: Vec<IpNet>,
}

/// The networks that a ClusterConfiguration names, well-formed or not.
pub fn of(root: &Field<'_>) -> Networks {
    let all = |name: &str| {
        let field = root.at(&["networking", name]);
        let given = field.as_ref().map_or("", |field| text(field));
        given
            .split(',')
            .filter_map(|part| strict(part.trim()))
            .collect::<Vec<_>>()
    };
    let mut services = all("serviceSubnet");
    if services.is_empty() {
        services.extend(strict(SERVICES));
    }
    Networks {
        pods: all("podSubnet"),
        services,
    }
}

/// Checks the networks of a cluster; `own` are addresses of this node besides the seed's.
pub fn check(root: &Field<'_>, own: &[OwnNetwork], ground: &Ground<'_>, problems: &mut Problems) {
    let networks = of(root);
    let own: Vec<&OwnNetwork> = ground.networks.iter().chain(own).collect();
    check_services(root, &networks, &own, problems);
    let Some(field) = given(root, "podSubnet") else {
        return;
    };
    if !check_list(&field, LEAST_PODS, problems) {
        return;
    }
    check_apart(&field, &networks.pods, &own, problems);
    for pods in &networks.pods {
        check_room(&field, pods, root, problems);
        for services in &networks.services {
            if overlap(pods, services) {
                let reason = format!("{pods} overlaps the service network {services}");
                problems.error(
                    &field.place,
                    reason,
                    "choose a network that does not overlap it",
                );
            }
        }
    }
    let families = |nets: &[IpNet]| nets.iter().map(is_v4).collect::<Vec<_>>();
    let (pods, services) = (families(&networks.pods), families(&networks.services));
    if !services.iter().all(|family| pods.contains(family)) {
        let reason = "has no network of a family that services have: they could not reach pods";
        problems.error(&field.place, reason, "give both of the same families");
    }
}

/// A value of `networking` that is not empty.
fn given<'a>(root: &Field<'a>, name: &str) -> Option<Field<'a>> {
    let field = root.at(&["networking", name]);
    field.filter(|field| !text(field).is_empty())
}

fn check_services(
    root: &Field<'_>,
    networks: &Networks,
    own: &[&OwnNetwork],
    problems: &mut Problems,
) {
    if let Some(field) = given(root, "serviceSubnet") {
        if !check_list(&field, LEAST_SERVICES, problems) {
            return;
        }
        for net in &networks.services {
            let bits = net.max_prefix_len() - net.prefix_len();
            if bits > MOST_SERVICE_BITS {
                let least = net.max_prefix_len() - MOST_SERVICE_BITS;
                let reason = format!("{net} is too large for services");
                problems.error(
                    &field.place,
                    reason,
                    format!("its length is at least /{least}"),
                );
            }
        }
        check_apart(&field, &networks.services, own, problems);
    } else if let Some((net, own)) = first_overlap(&networks.services, own) {
        let reason = format!(
            "has the service network {net} by default, which overlaps this node's own network {} \
             ({})",
            own.net.trunc(),
            own.from
        );
        problems.warn(
            &root.place,
            reason,
            "choose another as `networking.serviceSubnet`",
        );
    }
}

/// One network, or one of each family; whether all can be read.
fn check_list(field: &Field<'_>, least: u32, problems: &mut Problems) -> bool {
    let mut nets: Vec<IpNet> = Vec::new();
    for part in text(field).split(',') {
        let Some(net) = strict(part) else {
            let reason = format!("`{}` is not a network", shown_part(part));
            let remedy = "write it like `10.200.0.0/16`, two with a `,` and no blank between";
            problems.error(&field.place, reason, remedy);
            return false;
        };
        let bits = u32::from(net.max_prefix_len() - net.prefix_len());
        if bits < 32 && (1_u64 << bits) < u64::from(least) {
            let reason = format!("{net} is too small: it needs {least} addresses");
            problems.error(&field.place, reason, "choose a larger network");
        }
        nets.push(net);
    }
    let doubled = nets.len() == 2 && is_v4(&nets[0]) == is_v4(&nets[1]);
    if nets.len() > 2 || doubled {
        let reason = "is more than one network of a family";
        problems.error(
            &field.place,
            reason,
            "give one, or one of each family for dual-stack",
        );
    }
    true
}

fn shown_part(part: &str) -> &str {
    let plain = |c: char| c.is_ascii_hexdigit() || ".:/ ".contains(c);
    if part.len() < 60 && part.chars().all(plain) {
        part
    } else {
        shown(part)
    }
}

fn check_apart(field: &Field<'_>, nets: &[IpNet], own: &[&OwnNetwork], problems: &mut Problems) {
    if let Some((net, own)) = first_overlap(nets, own) {
        let reason = format!(
            "{net} overlaps this node's own network {} ({})",
            own.net.trunc(),
            own.from
        );
        problems.error(
            &field.place,
            reason,
            "choose a network that does not overlap it",
        );
    }
}

fn first_overlap<'o>(nets: &[IpNet], own: &[&'o OwnNetwork]) -> Option<(IpNet, &'o OwnNetwork)> {
    let all = nets
        .iter()
        .flat_map(|net| own.iter().map(move |own| (*net, *own)));
    all.into_iter()
        .find(|(net, own)| overlap(net, &own.net.trunc()))
}

/// A node's part of the pod network, as the controller manager cuts it.
fn check_room(field: &Field<'_>, pods: &IpNet, root: &Field<'_>, problems: &mut Problems) {
    let list = root.at(&["controllerManager", "extraArgs"]);
    let flags = list.iter().flat_map(arguments).collect::<Vec<_>>();
    let said = |name: &str| {
        let flag = flags.iter().rfind(|flag| flag.name == name)?;
        Some(text(&flag.value))
    };
    if said("allocate-node-cidrs") == Some("false") {
        return;
    }
    let (name, default) = match is_v4(pods) {
        true => ("node-cidr-mask-size-ipv4", 24),
        false => ("node-cidr-mask-size-ipv6", 64),
    };
    let mask = match said(name).map(str::parse::<u8>) {
        None => default,
        Some(Ok(mask)) => mask,
        Some(Err(_)) => {
            let reason = format!("`{name}` is not a number");
            problems.error(
                &list.as_ref().unwrap_or(field).place,
                reason,
                "write the length of a prefix",
            );
            return;
        }
    };
    let length = pods.prefix_len();
    if length > mask {
        let reason = format!("{pods} is smaller than the /{mask} that each node gets of it");
        let remedy = format!("choose a larger network, or set `{name}` of the controller manager");
        problems.error(&field.place, reason, remedy);
    } else if mask - length > MOST_NODE_BITS {
        let reason = format!(
            "{pods} has more than 2^{MOST_NODE_BITS} parts of the /{mask} that each node gets"
        );
        let remedy = format!("choose a smaller network, or set `{name}` of the controller manager");
        problems.error(&field.place, reason, remedy);
    }
}

/// An address of the cluster's API server that is in one of its networks.
pub fn check_outside(field: &Field<'_>, address: IpAddr, nets: &Networks, problems: &mut Problems) {
    for (net, what) in nets
        .pods
        .iter()
        .map(|net| (net, "pod"))
        .chain(nets.services.iter().map(|net| (net, "service")))
    {
        if net.contains(&address) {
            let reason = format!("{address} is inside the {what} network {net}");
            problems.error(&field.place, reason, "correct one of the two");
        }
    }
}

fn overlap(left: &IpNet, right: &IpNet) -> bool {
    left.contains(right) || right.contains(left)
}

fn is_v4(net: &IpNet) -> bool {
    matches!(net, IpNet::V4(_))
}
