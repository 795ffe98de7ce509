//! A ClusterConfiguration: versions, addresses and paths.

use std::net::IpAddr;

use ipnet::IpNet;
use nodeimg_seed::check::endpoint::host_of;
use nodeimg_seed::check::kubeadm::document::{arguments, text};
use nodeimg_seed::check::kubeadm::minor;
use nodeimg_seed::check::names::wrong_with;
use nodeimg_seed::text::field::{Field, shown};
use nodeimg_seed::text::problem::Problems;
use nodeimg_seed::text::suggest;

use super::ground::{Ground, OwnNetwork};
use super::{Set, discovery, networks, plane};

/// Feature gates of kubeadm itself, with the minor releases of Kubernetes 1 that have them:
/// `cmd/kubeadm/app/features`.
const GATES: [(&str, u32, u32); 5] = [
    ("ControlPlaneKubeletLocalMode", 31, 35),
    ("NodeLocalCRISocket", 32, 36),
    ("PublicKeysECDSA", 19, 36),
    ("RootlessControlPlane", 22, 37),
    ("WaitForAllControlPlaneComponents", 30, 34),
];

/// Where the controller manager looks for volume plugins if nothing says it.
const VOLUME_PLUGINS: &str = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec";

pub fn check(root: &Field<'_>, set: &Set<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    check_version(root, ground, problems);
    let advertised = set
        .find("InitConfiguration")
        .and_then(|init| init.at(&["localAPIEndpoint", "advertiseAddress"]));
    let advertised = advertised.and_then(|field| text(&field).parse::<IpAddr>().ok());
    let own = advertised.map(|address| OwnNetwork {
        net: IpNet::from(address),
        from: "`localAPIEndpoint.advertiseAddress`".to_owned(),
    });
    networks::check(root, own.as_slice(), ground, problems);
    check_names(root, problems);
    check_lists(root, problems);
    check_paths(root, ground, problems);
    check_etcd(root, ground, problems);
    check_gates(root, ground, problems);
    plane::check(root, set, ground, problems);
}

/// A version or a label, and what the image's kubeadm sets up.
fn check_version(root: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    let Some(field) = root.get("kubernetesVersion") else {
        return;
    };
    let given = text(&field);
    // Another kind of value has been told.
    if given.is_empty()
        || field
            .node
            .scalar()
            .is_none_or(|scalar| scalar.typed().is_some())
    {
        return;
    }
    let plain = given.strip_prefix('v').unwrap_or(given);
    if !plain.starts_with(|c: char| c.is_ascii_digit()) {
        let labels = [
            "stable", "latest", "ci", "release", "k8s", "https:", "http:",
        ];
        if labels.iter().any(|label| given.starts_with(label)) {
            let reason = format!(
                "`{}` is a label that the node asks the Internet for: it may become newer than \
                 the image's kubelet",
                shown(given)
            );
            let version = ground.settings.kubeadm.as_deref().unwrap_or("1.X.Y");
            problems.warn(&field.place, reason, format!("write `v{version}`"));
        } else {
            let reason = "is neither a version nor a label of one";
            problems.error(&field.place, reason, "write it like `v1.37.1`");
        }
        return;
    }
    let core = plain.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = core.split('.').collect();
    let is_number =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() != 3 || !parts.iter().all(is_number) {
        let reason = "is not a whole version";
        problems.error(&field.place, reason, "write it like `v1.37.1`");
        return;
    }
    let kubeadm = ground.settings.kubeadm.as_deref();
    let (Some(asked), Some(has)) = (minor(Some(plain)), minor(kubeadm)) else {
        return;
    };
    let version = kubeadm.unwrap_or_default();
    if asked + 1 < has {
        let reason = format!(
            "kubeadm {version} sets up clusters of 1.{} and 1.{has} only, not {}",
            has - 1,
            shown(given)
        );
        problems.error(&field.place, reason, format!("write `v{version}`"));
    } else if asked > has {
        let reason = format!("is newer than this image's kubeadm, {version}, knows");
        problems.error(&field.place, reason, format!("write `v{version}`"));
    }
}

/// Names and addresses that clients use.
fn check_names(root: &Field<'_>, problems: &mut Problems) {
    if let Some(domain) = root.at(&["networking", "dnsDomain"])
        && let Some((reason, remedy)) =
            wrong_with(text(&domain)).filter(|_| !text(&domain).is_empty())
    {
        problems.error(&domain.place, reason, remedy);
    }
    if let Some(endpoint) = root
        .get("controlPlaneEndpoint")
        .filter(|field| !text(field).is_empty())
    {
        let given = text(&endpoint);
        if given.contains("://") || given.contains('/') {
            let reason = "is a URL, but kubeadm takes `host` or `host:port`";
            problems.error(
                &endpoint.place,
                reason,
                "remove `https://` and what follows the port",
            );
        } else if let Ok(address) = given.parse::<IpAddr>() {
            networks::check_outside(&endpoint, address, &networks::of(root), problems);
        } else {
            match host_of(&format!("https://{given}")) {
                Err((reason, _)) => {
                    let remedy = "write it like `server.kubernetes.local:6443`";
                    problems.error(&endpoint.place, reason, remedy);
                }
                Ok(host) => {
                    if let Ok(address) = host.parse() {
                        networks::check_outside(&endpoint, address, &networks::of(root), problems);
                    }
                }
            }
        }
    }
}

/// Names in certificates, and registries.
fn check_lists(root: &Field<'_>, problems: &mut Problems) {
    let lists: [&[&str]; 3] = [
        &["apiServer", "certSANs"],
        &["etcd", "local", "serverCertSANs"],
        &["etcd", "local", "peerCertSANs"],
    ];
    for name in lists
        .iter()
        .filter_map(|path| root.at(path))
        .flat_map(|list| list.items())
    {
        let given = text(&name).to_ascii_lowercase();
        let host = given.strip_prefix("*.").unwrap_or(&given);
        let is_good =
            host == "localhost" || given.parse::<IpAddr>().is_ok() || wrong_with(host).is_none();
        if !is_good {
            let reason = "is neither an IP address nor a name";
            problems.error(&name.place, reason, "remove scheme and port");
        }
    }
    let places: [&[&str]; 3] = [
        &["imageRepository"],
        &["dns", "imageRepository"],
        &["etcd", "local", "imageRepository"],
    ];
    for repository in places.iter().filter_map(|path| root.at(path)) {
        let given = text(&repository);
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if given.contains("://") || given.ends_with('/') || given.contains(odd) {
            let reason = "is not a registry, or a part of one";
            problems.error(&repository.place, reason, "write it like `registry.k8s.io`");
        }
    }
}

/// What is written must be writable.
fn check_paths(root: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    let places: [&[&str]; 2] = [&["certificatesDir"], &["etcd", "local", "dataDir"]];
    for path in places.iter().filter_map(|path| root.at(path)) {
        let given = text(&path);
        if given.is_empty() {
        } else if !given.starts_with('/') {
            let reason = "is not an absolute path";
            problems.error(&path.place, reason, "start it with `/`");
        } else if ground.is_read_only(given) {
            let reason = format!("{} is read-only in this image", shown(given));
            let remedy =
                "choose a directory below /var or /etc, or add it to the recipe's `writable`";
            problems.error(&path.place, reason, remedy);
        }
    }
    let list = root.at(&["controllerManager", "extraArgs"]);
    let named = list
        .iter()
        .flat_map(arguments)
        .find(|flag| flag.name == "flex-volume-plugin-dir");
    let (place, path) = match &named {
        Some(flag) => (&flag.value.place, text(&flag.value)),
        None => (&root.place, VOLUME_PLUGINS),
    };
    if ground.is_read_only(path) {
        let reason = format!(
            "has {path} as `flex-volume-plugin-dir` of the controller manager, which is read-only \
             in this image: its pod would not start"
        );
        let remedy = "set it to `/var/lib/kubelet/volume-plugins`, or add the directory to the recipe's `writable`";
        match named {
            Some(_) => problems.error(place, reason, remedy),
            None => problems.warn(place, reason, remedy),
        }
    }
}

fn check_etcd(root: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    let some = |name: &str| {
        let found = root.at(&["etcd", name]);
        found.filter(|found| found.node.entries().is_some())
    };
    let Some(external) = some("external") else {
        return;
    };
    if some("local").is_some() {
        let reason = "is beside `local`, and kubeadm takes one of the two";
        problems.error(&external.place, reason, "remove one of them");
        return;
    }
    let given = |name: &str| external.get(name).filter(|field| !text(field).is_empty());
    let (ca, cert, key) = (given("caFile"), given("certFile"), given("keyFile"));
    if cert.is_some() != key.is_some() {
        let reason = "has one of `certFile` and `keyFile`";
        problems.error(&external.place, reason, "give both");
    } else if cert.is_some() && ca.is_none() {
        problems.error(
            &external.place,
            "has a certificate but no `caFile`",
            "add it",
        );
    }
    let is_encrypted = ca.is_some() || cert.is_some() || key.is_some();
    for path in [ca, cert, key].into_iter().flatten() {
        discovery::expect(&path, text(&path), ground, problems);
    }
    let endpoints = external
        .get("endpoints")
        .map(|list| list.items())
        .unwrap_or_default();
    if endpoints.is_empty() {
        let reason = "has no `endpoints`";
        problems.error(&external.place, reason, "add `https://HOST:2379`");
    }
    for url in endpoints {
        let given = text(&url);
        if is_encrypted && !given.starts_with("https://") {
            problems.error(
                &url.place,
                "is not an https URL",
                "write `https://HOST:2379`",
            );
        } else if !given.contains("://") {
            problems.error(
                &url.place,
                "is a URL without a scheme",
                "write `https://HOST:2379`",
            );
        }
    }
}

fn check_gates(root: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    let Some(has) = minor(ground.settings.kubeadm.as_deref()) else {
        return;
    };
    let known = || {
        GATES
            .iter()
            .filter(|(_, first, last)| (*first..=*last).contains(&has))
            .map(|(name, ..)| *name)
    };
    let Some(gates) = root.get("featureGates") else {
        return;
    };
    // Newer releases have gates that are not known here.
    if GATES.iter().all(|(_, _, last)| *last < has) {
        return;
    }
    for gate in gates.members(&mut Problems::new()).unwrap_or_default() {
        if !known().any(|name| name == gate.name) {
            let reason = format!("is not a feature gate of kubeadm 1.{has}");
            let remedy = match suggest::nearest(gate.name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    "gates of other programs are in their `extraArgs`; remove it here".to_owned()
                }
            };
            problems.error(&gate.field.place, reason, remedy);
        }
    }
}
