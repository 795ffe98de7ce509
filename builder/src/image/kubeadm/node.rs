//! `nodeRegistration`, and what an InitConfiguration says of its node.

use std::net::IpAddr;

use nodeimg_seed::check::kubeadm::document::text;
use nodeimg_seed::check::kubeadm::is_token;
use nodeimg_seed::check::names::wrong_with;
use nodeimg_seed::check::scheduling::wrong_taint;
use nodeimg_seed::contract::runtime::other_at;
use nodeimg_seed::text::field::{Field, shown};
use nodeimg_seed::text::problem::Problems;
use nodeimg_seed::text::suggest;

use super::flags;
use super::ground::{Ground, Presence};

/// Sockets of runtimes that are in no image of nodeimg.
const FOREIGN: [&str; 4] = ["dockershim", "docker.sock", "cri-dockerd", "frakti"];

/// Checks what a document of either kind says of its node.
pub fn check(root: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    if let Some(node) = root.get("nodeRegistration") {
        check_registration(&node, ground, problems);
    }
    if let Some(directory) = root.at(&["patches", "directory"]) {
        check_patches(&directory, ground, problems);
    }
    if let Some(errors) = root.at(&["nodeRegistration", "ignorePreflightErrors"]) {
        let items = errors.items();
        let has_all = items
            .iter()
            .any(|item| text(item).eq_ignore_ascii_case("all"));
        if has_all && items.len() > 1 {
            let reason = "has `all` beside others, which kubeadm refuses";
            problems.error(&errors.place, reason, "keep `all` alone, or remove it");
        }
    }
}

fn check_registration(node: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    if let Some(name) = node.get("name").filter(is_given) {
        let lower = text(&name).trim().to_ascii_lowercase();
        if let Some((reason, remedy)) = wrong_with(&lower) {
            problems.error(&name.place, reason, remedy);
        }
    }
    if let Some(socket) = node.get("criSocket").filter(is_given) {
        check_socket(&socket, ground, problems);
    }
    for taint in node.get("taints").iter().flat_map(Field::items) {
        let part = |key: &str| taint.get(key).map_or("", |field| text(&field));
        let value = match part("value") {
            "" => String::new(),
            value => format!("={value}"),
        };
        let whole = format!("{}{value}:{}", part("key"), part("effect"));
        if taint.node.entries().is_some()
            && let Some((reason, remedy)) = wrong_taint(&whole)
        {
            problems.error(&taint.place, reason, remedy);
        }
    }
    if let Some(arguments) = node.get("kubeletExtraArgs") {
        flags::check(&arguments, "kubelet", ground, problems);
    }
}

/// Whether it is text that is not empty.
fn is_given(field: &Field<'_>) -> bool {
    !text(field).is_empty()
}

fn check_socket(socket: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    let runtime = ground.settings.runtime;
    let given = text(socket);
    let remedy = format!("write `{}`, or remove the line", runtime.kubeadm_socket);
    if given.contains("://") && !given.starts_with("unix://") {
        let reason = "is not a socket of `unix://`, which kubeadm needs";
        problems.error(&socket.place, reason, remedy);
    // The node itself tells the runtimes that it knows.
    } else if runtime.is_at(given) || other_at(given, runtime).is_some() {
    } else if FOREIGN.iter().any(|name| given.contains(name)) {
        let reason = format!(
            "names the socket of another container runtime; this image has {}",
            runtime.name
        );
        problems.error(&socket.place, reason, remedy);
    } else {
        let reason = format!(
            "is not the socket of {}, the container runtime of this image",
            runtime.name
        );
        problems.warn(&socket.place, reason, remedy);
    }
}

fn check_patches(directory: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    let path = text(directory);
    if path.is_empty() {
        return;
    }
    let reason = match ground.has(path) {
        Presence::There => return,
        Presence::Absent => "is a directory that neither the image nor the seed has",
        Presence::Unknown => {
            "is a directory that may not be there: the seed writes nothing into it"
        }
    };
    let remedy = "write the patches by `write_files`";
    match ground.has(path) {
        Presence::Absent => problems.error(&directory.place, reason, remedy),
        _ => problems.warn(&directory.place, reason, remedy),
    }
}

/// The rest of an InitConfiguration.
pub fn check_init(root: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    if let Some(endpoint) = root.get("localAPIEndpoint") {
        check_endpoint(&endpoint, ground, problems);
    }
    if let Some(key) = root.get("certificateKey") {
        check_key(&key, problems);
    }
    for item in root.get("bootstrapTokens").iter().flat_map(Field::items) {
        check_token(&item, problems);
    }
}

fn check_token(item: &Field<'_>, problems: &mut Problems) {
    let some = |field: &Field<'_>| field.node.scalar().is_some_and(|scalar| !scalar.is_null());
    if let Some(token) = item.get("token").filter(some)
        && !is_token(text(&token))
    {
        let remedy = "it consists of 6 and 16 lowercase letters or digits with a dot in between";
        problems.error(&token.place, "is not a bootstrap token", remedy);
    }
    const USAGES: [&str; 2] = ["authentication", "signing"];
    let usages = item.get("usages");
    for usage in usages.iter().flat_map(Field::items) {
        if !USAGES.contains(&text(&usage)) {
            let reason = format!("`{}` is not a use of a token", shown(text(&usage)));
            let remedy = format!("the uses are {}", suggest::list(USAGES));
            problems.error(&usage.place, reason, remedy);
        }
    }
    let may_authenticate = usages
        .as_ref()
        .is_none_or(|usages| usages.items().iter().any(|usage| text(usage) == USAGES[0]));
    for group in item.get("groups").iter().flat_map(Field::items) {
        if !is_group(text(&group)) {
            let reason = "is not a group of bootstrap tokens";
            let remedy = "write `system:bootstrappers:` and a name of lowercase letters, digits, `-` and `:`";
            problems.error(&group.place, reason, remedy);
        } else if !may_authenticate {
            let reason = "has no use without `authentication` among the `usages`";
            problems.error(&group.place, reason, "add it, or remove the groups");
        }
    }
    if item.get("ttl").is_some_and(|ttl| is_given(&ttl))
        && let Some(expires) = item.get("expires").filter(is_given)
    {
        let reason = "is beside `ttl`, and kubeadm takes one of the two";
        problems.error(&expires.place, reason, "remove one of them");
    }
}

/// `BootstrapGroupPattern` of k8s.io/cluster-bootstrap.
fn is_group(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inside = |c: char| edge(c) || matches!(c, ':' | '-');
    text.strip_prefix("system:bootstrappers:")
        .is_some_and(|name| {
            name.len() <= 256
                && name.chars().all(inside)
                && name.starts_with(edge)
                && name.ends_with(edge)
        })
}

/// `advertiseAddress` and `bindPort` of this node's API server.
pub fn check_endpoint(endpoint: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    if let Some(address) = endpoint.get("advertiseAddress").filter(is_given) {
        match text(&address).parse::<IpAddr>() {
            Err(_) => {
                let reason = "is not an IP address";
                problems.error(&address.place, reason, "write the address of this node");
            }
            Ok(found) if found.is_unspecified() || found.is_multicast() => {
                let reason = "is not the address of one machine";
                problems.error(&address.place, reason, "write the address of this node");
            }
            Ok(found) => {
                let own = &ground.networks;
                let is_own = own.iter().any(|own| own.net.contains(&found));
                if !own.is_empty() && !is_own && !found.is_loopback() {
                    let reason = format!("{found} is in no network that the seed gives this node");
                    problems.warn(&address.place, reason, "write the address of this node");
                }
            }
        }
    }
    if let Some(port) = endpoint.get("bindPort").filter(is_given)
        && let Ok(number) = text(&port).parse::<i64>()
        && !(1..=65535).contains(&number)
        // kubeadm's default.
        && number != 0
    {
        problems.error(&port.place, "is not a port", "write one from 1 to 65535");
    }
}

/// What the certificates of a control plane in its cluster are encrypted with.
pub fn check_key(key: &Field<'_>, problems: &mut Problems) {
    let given = text(key);
    let is_key = given.len() == 64 && given.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_given(key) && !is_key {
        let remedy = "it consists of 64 hexadecimal digits (kubeadm certs certificate-key)";
        problems.error(&key.place, "is not a certificate key", remedy);
    }
}
