//! KubeletConfiguration and KubeProxyConfiguration beside kubeadm's documents.

use std::net::IpAddr;

use nodeimg_seed::check::kubeadm::document::text;
use nodeimg_seed::check::subnets::strict;
use nodeimg_seed::contract::profile::Join;
use nodeimg_seed::text::field::{Field, shown};
use nodeimg_seed::text::problem::Problems;
use nodeimg_seed::text::suggest;
use serde_json::Value;

use super::ground::{Ground, Presence, shown_path};
use super::{One, Set, flags, networks, types};
use crate::input::published::{Part, of_yaml};
use crate::input::recipe::component::refused as refused_of;

/// Where kubeadm writes the pods of the control plane.
const STATIC_PODS: &str = "/etc/kubernetes/manifests";

/// The minor release whose kube-proxy warns of its mode ipvs.
const IPVS_DEPRECATED: u32 = 35;

pub fn check(one: &One<'_>, set: &Set<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    let Some(root) = &one.root else { return };
    match (one.api.split('/').next(), one.kind) {
        (Some("kubelet.config.k8s.io"), "KubeletConfiguration") => {
            kubelet(root, set, ground, problems);
        }
        (Some("kubeproxy.config.k8s.io"), "KubeProxyConfiguration") => {
            kube_proxy(root, set, ground, problems);
        }
        _ => return,
    }
    if let Some(gates) = root.get("featureGates") {
        flags::check_gates(&gates, ground, problems);
    }
    // What kubeadm gets from the cluster lies below a file of the kubelet's own.
    let is_alone = ["ClusterConfiguration", "InitConfiguration"]
        .iter()
        .all(|kind| set.find(kind).is_none());
    let is_part = is_alone && ground.settings.profile.joins == Join::Kubeadm;
    refused(one, root, is_part, ground, problems);
}

/// What the program's own validation refuses, of the document and what lies below it.
fn refused(
    one: &One<'_>,
    root: &Field<'_>,
    is_part: bool,
    ground: &Ground<'_>,
    problems: &mut Problems,
) {
    let Some(release) = ground.release else {
        return;
    };
    let own = of_yaml(root.node);
    let types = release.check(one.api, one.kind, &own);
    let mut whole = match one.kind {
        "KubeletConfiguration" => ground.beneath.clone(),
        _ => Value::Null,
    };
    lay_over(&mut whole, own.clone());
    for wrong in refused_of(release, one.kind, &whole, is_part) {
        let is_told = types.iter().any(|other| other.way == wrong.way);
        let mut way = wrong.way.iter();
        let here = way.try_fold(&own, |at, part| match part {
            Part::Key(key) => at.get(key),
            Part::Index(index) => at.get(index),
        });
        if !is_told && (here.is_some() || ground.beneath.is_null()) {
            problems.error(&types::place_of(root, &wrong.way), wrong.message, "");
        }
    }
}

/// As the kubelet merges its files: mappings key by key.
fn lay_over(whole: &mut Value, over: Value) {
    match (whole, over) {
        (Value::Object(whole), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(whole.entry(key).or_insert(Value::Null), value);
            }
        }
        (whole, over) => *whole = over,
    }
}

fn kubelet(root: &Field<'_>, set: &Set<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    let given = |name: &str| root.get(name).filter(|field| !text(field).is_empty());
    if let Some(driver) = given("cgroupDriver")
        && text(&driver) != "systemd"
    {
        let reason = format!(
            "is `{}`, but {} in this image keeps its groups by systemd",
            shown(text(&driver)),
            ground.settings.runtime.name
        );
        problems.error(&driver.place, reason, "write `systemd`, or remove it");
    }
    if let Some(path) = given("staticPodPath")
        && text(&path).trim_end_matches('/') != STATIC_PODS
        && set.find("ClusterConfiguration").is_some()
    {
        let reason = "is not where kubeadm puts the control plane, which would never start";
        problems.error(
            &path.place,
            reason,
            format!("write `{STATIC_PODS}`, or remove it"),
        );
    }
    for name in ["podLogsDir", "staticPodPath"] {
        if let Some(path) = given(name)
            && ground.is_read_only(text(&path))
            // An image may bring its pods along.
            && (name != "staticPodPath" || ground.has(text(&path)) == Presence::Absent)
        {
            let reason = format!("{} is read-only in this image", shown(text(&path)));
            problems.error(&path.place, reason, "choose a directory below /var");
        }
    }
    if let Some(path) = given("volumePluginDir")
        && ground.is_read_only(text(&path))
    {
        let reason = format!("{} is read-only in this image", shown_path(text(&path)));
        let remedy = "write `/var/lib/kubelet/volume-plugins`";
        problems.error(&path.place, reason, remedy);
    } else if let Some(path) = given("volumePluginDir")
        && text(&path) != "/var/lib/kubelet/volume-plugins"
        && ground.settings.profile.joins == Join::Kubeadm
    {
        let reason = "has no effect: the image sets `/var/lib/kubelet/volume-plugins`";
        problems.warn(&path.place, reason, "remove it");
    }
    if let Some(endpoint) = given("containerRuntimeEndpoint")
        && !ground.settings.runtime.is_at(text(&endpoint))
    {
        let runtime = ground.settings.runtime;
        let reason = format!(
            "is not the socket of {}, the container runtime of this image",
            runtime.name
        );
        let remedy = format!("write `{}`, or remove it", runtime.kubeadm_socket);
        problems.warn(&endpoint.place, reason, remedy);
    }
    check_dns(root, set, problems);
}

/// The address of the cluster's DNS, in the network of its services.
fn check_dns(root: &Field<'_>, set: &Set<'_>, problems: &mut Problems) {
    let Some(cluster) = set.find("ClusterConfiguration") else {
        return;
    };
    let services = networks::of(cluster).services;
    for server in root.get("clusterDNS").iter().flat_map(Field::items) {
        match text(&server).parse::<IpAddr>() {
            Err(_) => problems.error(&server.place, "is not an IP address", "correct it"),
            Ok(address) if !services.iter().any(|net| net.contains(&address)) => {
                let reason = format!("{address} is not in the service network of this cluster");
                // A cache on the node itself has an address of its own.
                let remedy = "remove it: kubeadm sets the address of the cluster's DNS";
                problems.warn(&server.place, reason, remedy);
            }
            Ok(_) => {}
        }
    }
}

fn kube_proxy(root: &Field<'_>, set: &Set<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    const MODES: [&str; 3] = ["iptables", "ipvs", "nftables"];
    if let Some(mode) = root.get("mode").filter(|mode| !text(mode).is_empty()) {
        let given = text(&mode);
        if !MODES.contains(&given) {
            let reason = format!("`{}` is not a mode of kube-proxy", shown(given));
            let remedy = match suggest::nearest(given, MODES) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the modes are {}", suggest::list(MODES)),
            };
            problems.error(&mode.place, reason, remedy);
        } else if given == "ipvs"
            && nodeimg_seed::check::kubeadm::minor(ground.settings.kubeadm.as_deref())
                .is_some_and(|minor| minor >= IPVS_DEPRECATED)
        {
            let reason = format!("is ipvs, which Kubernetes deprecated in 1.{IPVS_DEPRECATED}");
            problems.warn(&mode.place, reason, "write `nftables`");
        }
    }
    let Some(cluster) = set.find("ClusterConfiguration") else {
        return;
    };
    let pods = networks::of(cluster).pods;
    if let Some(range) = root
        .get("clusterCIDR")
        .filter(|range| !text(range).is_empty())
    {
        for part in text(&range).split(',') {
            match strict(part) {
                None => problems.error(&range.place, "is not a network", "correct it"),
                Some(net) if !pods.is_empty() && !pods.contains(&net) => {
                    let reason = format!("{net} is not the `podSubnet` of this cluster");
                    problems.error(&range.place, reason, "remove it: kubeadm sets it");
                }
                Some(_) => {}
            }
        }
    }
}
