//! How a node that joins finds and trusts its cluster.

use nodeimg_seed::check::endpoint::host_of;
use nodeimg_seed::check::kubeadm::document::text;
use nodeimg_seed::text::field::Field;
use nodeimg_seed::text::problem::Problems;

use super::ground::{Ground, Presence};
use super::node;

pub fn check(root: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    if let Some(plane) = root.get("controlPlane") {
        if let Some(endpoint) = plane.get("localAPIEndpoint") {
            node::check_endpoint(&endpoint, ground, problems);
        }
        if let Some(key) = plane.get("certificateKey") {
            node::check_key(&key, problems);
        }
    }
    let some = |name: &str| {
        let found = root.at(&["discovery", name]);
        found.filter(|found| found.node.entries().is_some())
    };
    let place = root.get("discovery").unwrap_or_else(|| root.clone()).place;
    match (some("bootstrapToken"), some("file")) {
        (None, None) => {
            let reason = "names neither `bootstrapToken` nor `file`: the node does not know its \
                cluster";
            problems.error(&place, reason, "add `discovery.bootstrapToken`");
        }
        (Some(_), Some(file)) => {
            let reason = "is beside `bootstrapToken`, and kubeadm takes one of the two";
            problems.error(&file.place, reason, "remove one of them");
        }
        (Some(token), None) => check_token(&token, problems),
        (None, Some(file)) => check_file(&file, ground, problems),
    }
}

fn check_token(found: &Field<'_>, problems: &mut Problems) {
    let missing = |name: &str| found.get(name).is_none_or(|field| text(&field).is_empty());
    if missing("token") {
        let remedy = "add one (kubeadm token create)";
        problems.error(&found.place, "has no `token`", remedy);
    }
    match found
        .get("apiServerEndpoint")
        .filter(|field| !text(field).is_empty())
    {
        None => {
            let remedy = "add `apiServerEndpoint: HOST:6443`";
            problems.error(&found.place, "has no `apiServerEndpoint`", remedy);
        }
        Some(endpoint) => check_endpoint(&endpoint, problems),
    }
    let hashes = found.get("caCertHashes");
    let has_hashes = hashes.is_some_and(|hashes| !hashes.items().is_empty());
    let unsafe_skip = found.get("unsafeSkipCAVerification");
    let skips = unsafe_skip
        .as_ref()
        .and_then(|skip| skip.node.scalar()?.boolean());
    match (has_hashes, skips == Some(true)) {
        (false, false) => {
            let reason = "has no `caCertHashes`: the node could not tell its cluster from another";
            problems.error(&found.place, reason, "add `sha256:...` of the cluster's CA");
        }
        (_, true) => {
            let place = unsafe_skip.map_or_else(|| found.place.clone(), |skip| skip.place);
            let reason = "is true: whoever answers at the address is taken for the cluster";
            problems.warn(&place, reason, "give `caCertHashes`, and remove it");
        }
        (true, false) => {}
    }
}

/// `host:port`, without a scheme.
fn check_endpoint(endpoint: &Field<'_>, problems: &mut Problems) {
    let given = text(endpoint);
    let remedy = "write it like `server.kubernetes.local:6443`";
    if given.contains("://") || given.contains('/') {
        let reason = "is a URL, but kubeadm takes `host:port`";
        problems.error(&endpoint.place, reason, remedy);
        return;
    }
    let after = given.rsplit_once(']').map_or(given, |(_, after)| after);
    if !after.contains(':') || after.ends_with(':') {
        problems.error(&endpoint.place, "has no port", remedy);
    } else if let Err((reason, _)) = host_of(&format!("https://{given}")) {
        problems.error(&endpoint.place, reason, remedy);
    }
}

/// A kubeconfig, by its path or by HTTPS.
fn check_file(file: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    let Some(path) = file
        .get("kubeConfigPath")
        .filter(|path| !text(path).is_empty())
    else {
        let reason = "has no `kubeConfigPath`";
        problems.error(&file.place, reason, "add the path of a kubeconfig");
        return;
    };
    let given = text(&path);
    if let Some((scheme, _)) = given.split_once("://") {
        if scheme != "https" {
            let reason = "is a URL that is not of `https`, which kubeadm refuses";
            problems.error(&path.place, reason, "write `https://`, or a path");
        }
        return;
    }
    expect(&path, given, ground, problems);
}

/// A file that must be there when kubeadm runs.
pub fn expect(field: &Field<'_>, path: &str, ground: &Ground<'_>, problems: &mut Problems) {
    if !path.starts_with('/') {
        let reason = "is not an absolute path";
        problems.error(&field.place, reason, "start it with `/`");
        return;
    }
    let remedy = "write the file by `write_files`";
    match ground.has(path) {
        Presence::There => {}
        Presence::Absent => {
            let reason = "is a file that neither the image nor the seed has";
            problems.error(&field.place, reason, remedy);
        }
        Presence::Unknown => {
            let reason = "is a file that may not be there: the seed does not write it";
            problems.warn(&field.place, reason, remedy);
        }
    }
}
