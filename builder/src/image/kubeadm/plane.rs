//! The programs of a control plane, as a ClusterConfiguration has kubeadm start them: their
//! flags, and which files of the node each sees in its pod.

use nodeimg_seed::check::kubeadm::document::{Argument, arguments, text};
use nodeimg_seed::check::names::wrong_with;
use nodeimg_seed::text::field::Field;
use nodeimg_seed::text::problem::Problems;

use super::ground::{Ground, Presence, shown_path};
use super::{Set, flags};

/// A program that runs in a pod of its own.
struct Plane {
    /// Its key of a ClusterConfiguration.
    part: &'static str,
    program: &'static str,
    /// What kubeadm shows it of the node besides the certificates, by
    /// `cmd/kubeadm/app/phases/controlplane/volumes.go`.
    sees: &'static [&'static str],
}

/// Certificates of authorities, in the places of several distributions.
const AUTHORITIES: [&str; 6] = [
    "/etc/ssl/certs",
    "/etc/ca-certificates",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
];

const PLANES: [Plane; 3] = [
    Plane {
        part: "apiServer",
        program: "kube-apiserver",
        sees: &[],
    },
    Plane {
        part: "controllerManager",
        program: "kube-controller-manager",
        sees: &["/etc/kubernetes/controller-manager.conf"],
    },
    Plane {
        part: "scheduler",
        program: "kube-scheduler",
        sees: &["/etc/kubernetes/scheduler.conf"],
    },
];

/// Flags with a file that the program reads when it starts, and stops without.
const READ: [&str; 27] = [
    "admission-control-config-file",
    "audit-policy-file",
    "audit-webhook-config-file",
    "authentication-config",
    "authentication-kubeconfig",
    "authentication-token-webhook-config-file",
    "authorization-config",
    "authorization-kubeconfig",
    "authorization-policy-file",
    "authorization-webhook-config-file",
    "client-ca-file",
    "cloud-config",
    "cluster-signing-cert-file",
    "cluster-signing-key-file",
    "config",
    "egress-selector-config-file",
    "encryption-provider-config",
    "kubeconfig",
    "leader-migration-config",
    "oidc-ca-file",
    "requestheader-client-ca-file",
    "root-ca-file",
    "service-account-key-file",
    "service-account-private-key-file",
    "service-account-signing-key-file",
    "token-auth-file",
    "tracing-config-file",
];

/// A directory or file of the node in a pod.
struct Volume {
    host: String,
    at: String,
}

pub fn check(root: &Field<'_>, set: &Set<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    // Patches may add volumes of their own.
    let is_patched = set
        .find("InitConfiguration")
        .is_some_and(|init| init.at(&["patches", "directory"]).is_some());
    for plane in &PLANES {
        let volumes = volumes(root, plane, ground, problems);
        let Some(list) = root.at(&[plane.part, "extraArgs"]) else {
            continue;
        };
        flags::check(&list, plane.program, ground, problems);
        for argument in arguments(&list) {
            if !is_patched && READ.contains(&argument.name) {
                check_seen(&argument, plane, root, &volumes, ground, problems);
            }
        }
    }
    check_etcd(root, ground, problems);
}

/// Flags of the etcd of kubeadm's own choice; one of another minor version may have others.
fn check_etcd(root: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    let Some(list) = root.at(&["etcd", "local", "extraArgs"]) else {
        return;
    };
    let minor = |version: &str| -> Vec<String> {
        let version = version.trim_start_matches('v');
        version.split('.').take(2).map(str::to_owned).collect()
    };
    let tag = root.at(&["etcd", "local", "imageTag"]);
    let asked = tag.as_ref().map_or("", |tag| text(tag));
    let is_known = ground
        .release
        .is_some_and(|release| asked.is_empty() || minor(asked) == minor(release.etcd()));
    if is_known {
        flags::check(&list, "etcd", ground, problems);
    }
}

/// The volumes of a program, each judged.
fn volumes(
    root: &Field<'_>,
    plane: &Plane,
    ground: &Ground<'_>,
    problems: &mut Problems,
) -> Vec<Volume> {
    let mut found: Vec<Volume> = Vec::new();
    let list = root.at(&[plane.part, "extraVolumes"]);
    for volume in list.iter().flat_map(Field::items) {
        check_volume(&volume, ground, problems);
        let part = |name: &str| {
            let field = volume.get(name);
            let path = field.as_ref().map_or("", |field| text(field));
            path.trim_end_matches('/').to_owned()
        };
        let (host, at) = (part("hostPath"), part("mountPath"));
        if at.is_empty() {
            continue;
        }
        if found.iter().any(|other| other.at == at) {
            let reason = format!(
                "{} is the `mountPath` of two volumes: the kubelet refuses such a pod",
                shown_path(&at)
            );
            problems.error(&volume.place, reason, "remove one of them");
        }
        found.push(Volume { host, at });
    }
    found
}

/// Whether the program finds its file.
fn check_seen(
    argument: &Argument<'_>,
    plane: &Plane,
    root: &Field<'_>,
    volumes: &[Volume],
    ground: &Ground<'_>,
    problems: &mut Problems,
) {
    let (name, path) = (argument.name, text(&argument.value));
    let own = root.get("certificatesDir");
    let certificates = own.as_ref().map_or("", |field| text(field));
    let certificates = match certificates.trim_end_matches('/') {
        "" => "/etc/kubernetes/pki",
        given => given,
    };
    let is_in = |top: &str| rest_below(path, top).is_some();
    let mut own = plane.sees.iter().chain(&AUTHORITIES);
    if !path.starts_with('/') || is_in(certificates) || own.any(|top| is_in(top)) {
        return;
    }
    let below = |volume: &Volume| {
        let rest = rest_below(path, &volume.at)?;
        Some(format!("{}{rest}", volume.host))
    };
    let Some(host) = volumes.iter().find_map(below) else {
        let reason = format!(
            "`{name}` is {}, which the pod of {} does not see: it would not start",
            shown_path(path),
            plane.program
        );
        let remedy = format!("add it to `{}.extraVolumes`", plane.part);
        problems.error(&argument.value.place, reason, remedy);
        return;
    };
    if host.starts_with('/') && ground.has(&host) == Presence::Absent {
        let reason = format!(
            "`{name}` is {} on the node, a file that neither the image nor the seed has: {} would \
             not start",
            shown_path(&host),
            plane.program
        );
        problems.error(
            &argument.value.place,
            reason,
            "write the file by `write_files`",
        );
    }
}

/// What follows `top` in a path that is `top` or below it.
fn rest_below<'p>(path: &'p str, top: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(top)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// A directory or file of the node in a pod of the control plane.
fn check_volume(volume: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    for name in ["name", "hostPath", "mountPath"] {
        if volume.node.entries().is_some()
            && volume.get(name).is_none_or(|field| text(&field).is_empty())
        {
            let reason = format!("has no `{name}`");
            problems.error(&volume.place, reason, "add it");
        }
    }
    if let Some(name) = volume.get("name").filter(|name| !text(name).is_empty())
        && (text(&name).contains('.') || wrong_with(text(&name)).is_some())
    {
        let reason = "is not the name of a volume, and the kubelet refuses the pod";
        let remedy = "write at most 63 lowercase letters, digits and `-`";
        problems.error(&name.place, reason, remedy);
    }
    if let Some(path) = volume
        .get("mountPath")
        .filter(|path| text(path).contains(':'))
    {
        let reason = "has a `:`, and the kubelet refuses the pod";
        problems.error(&path.place, reason, "choose another path");
    }
    let Some(path) = volume.get("hostPath").filter(|path| !text(path).is_empty()) else {
        return;
    };
    let given = text(&path);
    if !given.starts_with('/') {
        let reason = "is not an absolute path";
        problems.error(&path.place, reason, "start it with `/`");
    } else if given.split('/').any(|part| part == "..") {
        let reason = "has a `..`, and the kubelet refuses the pod";
        problems.error(&path.place, reason, "write the path without it");
    } else if ground.is_read_only(given) {
        check_sealed(volume, &path, ground, problems);
    }
}

/// A path of the node that nothing can be written to.
fn check_sealed(
    volume: &Field<'_>,
    path: &Field<'_>,
    ground: &Ground<'_>,
    problems: &mut Problems,
) {
    let given = text(path);
    let kind = volume.get("pathType");
    let kind = kind.as_ref().map_or("", |field| text(field));
    let is_read = volume
        .get("readOnly")
        .and_then(|field| field.node.scalar()?.boolean());
    let remedy = "choose a path below /var or /etc, or add it to the recipe's `writable`";
    match (ground.has(given), kind.ends_with("OrCreate")) {
        (Presence::Absent, _) => {
            let reason = format!(
                "{} is not in this image and cannot be made there: it is read-only",
                shown_path(given)
            );
            problems.error(&path.place, reason, remedy);
        }
        (Presence::Unknown, true) => {
            let reason = format!(
                "{} is read-only in this image: if it is not there, it cannot be made",
                shown_path(given)
            );
            problems.warn(&path.place, reason, remedy);
        }
        _ if is_read != Some(true) => {
            let reason = format!("{} is read-only in this image", shown_path(given));
            problems.warn(
                &path.place,
                reason,
                "add `readOnly: true`, or choose a path below /var",
            );
        }
        _ => {}
    }
}
