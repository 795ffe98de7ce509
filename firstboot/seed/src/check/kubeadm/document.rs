//! What a kubeadm would refuse of one of its documents, as far as it takes no list of types to
//! know: the version of its API, the form of arguments, labels of the node, and how it finds
//! the cluster.
use super::{API, is_hash, is_token, not_read, too_old};
use crate::check::scheduling::wrong_label;
use crate::contract::settings::ImageSettings;
use crate::text::field::Field;
use crate::text::problem::{Place, Problems};
use crate::text::yaml::{Kind, Node, Scalar};

/// Where flags of programs are.
pub const ARGUMENTS: [&[&str]; 5] = [
    &["nodeRegistration", "kubeletExtraArgs"],
    &["apiServer", "extraArgs"],
    &["controllerManager", "extraArgs"],
    &["scheduler", "extraArgs"],
    &["etcd", "local", "extraArgs"],
];

/// The last version in which they are a mapping.
const LAST_OF_MAPPINGS: &str = "v1beta3";

/// A flag of a document.
pub struct Argument<'a> {
    pub name: &'a str,
    /// The name's.
    pub place: Place,
    pub value: Field<'a>,
}

/// Checks a document of this version of `kubeadm.k8s.io`.
pub fn check(root: &Field<'_>, version: &str, settings: &ImageSettings, problems: &mut Problems) {
    if let Some(reason) = not_read(version, settings.kubeadm.as_deref()) {
        let remedy = format!("write it for `kubeadm.k8s.io/{API}`");
        problems.error(&root.place, reason, remedy);
    }
    if let Some(cluster) = root.get("kubernetesVersion")
        && let Some(kubelet) = &settings.kubelet
        && let Some((reason, remedy)) = too_old(text(&cluster), kubelet)
    {
        problems.error(&cluster.place, reason, remedy);
    }
    for path in ARGUMENTS {
        if let Some(field) = root.at(path) {
            check_form(&field, version, problems);
        }
    }
    if let Some(field) = root.at(ARGUMENTS[0]) {
        for argument in arguments(&field) {
            if argument.name == "node-labels" {
                check_labels(&argument.value, problems);
            }
        }
    }
    check_discovery(root, problems);
}

/// The text of a scalar; empty for anything else, and for nothing.
pub fn text<'a>(field: &Field<'a>) -> &'a str {
    text_of(field.node)
}

fn text_of(node: &Node) -> &str {
    let scalar = node.scalar().filter(|scalar| !scalar.is_null());
    scalar.map_or("", Scalar::text)
}

/// The flags at one of [`ARGUMENTS`], in the form of any version.
pub fn arguments<'a>(field: &Field<'a>) -> Vec<Argument<'a>> {
    match &field.node.kind {
        Kind::Mapping(entries) => entries
            .iter()
            .filter_map(|entry| {
                let name = entry.key.expose();
                let value = field.get(name)?;
                let place = value.place.clone();
                Some(Argument { name, place, value })
            })
            .collect(),
        Kind::Sequence(_) => {
            let argument = |item: &Field<'a>| {
                let part = |key: &str| item.get(key).unwrap_or_else(|| item.clone());
                let name = part("name");
                Argument {
                    name: text(&name),
                    place: name.place,
                    value: part("value"),
                }
            };
            field.items().iter().map(argument).collect()
        }
        Kind::Scalar(_) => Vec::new(),
    }
}

/// A mapping once, a list since `v1beta4`; kubeadm stops at the other one.
fn check_form(field: &Field<'_>, version: &str, problems: &mut Problems) {
    let was = version <= LAST_OF_MAPPINGS && version.starts_with("v1beta");
    let (form, remedy) = match (&field.node.kind, was) {
        (Kind::Mapping(_), false) => ("a list", "write `- name: NAME` and `value: VALUE` for each"),
        (Kind::Sequence(_), true) => ("a mapping", "write `NAME: VALUE` for each"),
        _ => return,
    };
    let reason = format!(
        "is {}, but in `kubeadm.k8s.io/{version}` it is {form} of names and values",
        field.node.what()
    );
    problems.error(&field.place, reason, remedy);
}

fn check_labels(field: &Field<'_>, problems: &mut Problems) {
    for label in text(field).split(',').filter(|label| !label.is_empty()) {
        let (name, value) = label.split_once('=').unwrap_or((label, ""));
        if let Some((reason, remedy)) = wrong_label(name.trim(), value.trim()) {
            let shown = crate::text::field::shown(name.trim());
            problems.error(&field.place, format!("`{shown}` {reason}"), remedy);
        }
    }
}

fn check_discovery(root: &Field<'_>, problems: &mut Problems) {
    let tokens = [
        &["discovery", "bootstrapToken", "token"][..],
        &["discovery", "tlsBootstrapToken"][..],
    ];
    for token in tokens.iter().filter_map(|path| root.at(path)) {
        let is_given = token.node.scalar().is_some_and(|token| !token.is_null());
        if is_given && !is_token(text(&token)) {
            let remedy =
                "it consists of 6 and 16 lowercase letters or digits with a dot in between";
            problems.error(&token.place, "is not a bootstrap token", remedy);
        }
    }
    let hashes = root.at(&["discovery", "bootstrapToken", "caCertHashes"]);
    for hash in hashes.iter().flat_map(Field::items) {
        if !is_hash(&text(&hash).to_ascii_lowercase()) {
            let remedy = "it consists of `sha256:` and 64 hexadecimal digits";
            problems.error(&hash.place, "is not the hash of a CA", remedy);
        }
    }
}
