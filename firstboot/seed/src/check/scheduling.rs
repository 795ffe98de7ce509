//! Labels and taints: what the kubelet accepts about itself.
//!
//! Specs: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>, and for
//! the names a kubelet may not set on itself
//! <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction>.
use crate::check::names;
use crate::read::node_config::{Pair, Taint};
use crate::text::field::shown;
use crate::text::problem::{Located, Problems};

/// Labels below `kubernetes.io` and `k8s.io` that a kubelet may set; it refuses to start with others.
const OWN_LABELS: &[&str] = &[
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

const OWN_DOMAINS: &[&str] = &["kubelet.kubernetes.io", "node.kubernetes.io"];

const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// `key=value` for each label, sorted by key.
pub(super) fn check_labels(labels: &[Pair], problems: &mut Problems) -> Vec<String> {
    let mut texts = Vec::new();
    for label in labels {
        match wrong_label(&label.name, &label.value.value) {
            Some((reason, remedy)) => problems.error(&label.value.place, reason, remedy),
            None => texts.push(format!("{}={}", label.name, label.value.value)),
        }
    }
    texts.sort();
    texts
}

/// Why a kubelet does not start with this label of itself, and what to do about it.
pub fn wrong_label(name: &str, value: &str) -> Option<(String, &'static str)> {
    if let Some(reason) = wrong_key(name) {
        return Some((reason, "write `name` or `domain/name`"));
    }
    if let Some(reason) = wrong_value(value) {
        return Some((reason, "use up to 63 letters, digits, `-`, `_` and `.`"));
    }
    (!kubelet_may_set(name)).then(|| {
        let reason = "is a label that a kubelet may not set on itself: it would not start";
        let remedy = "set it from the control plane: kubectl label node";
        (reason.to_owned(), remedy)
    })
}

/// `key=value:Effect` for each taint, in the order given.
pub(super) fn check_taints(taints: &[Taint], problems: &mut Problems) -> Vec<String> {
    let mut texts = Vec::new();
    for taint in taints {
        match wrong_taint(&taint.value) {
            Some((reason, remedy)) => problems.error(&taint.place, reason, remedy),
            None => texts.push(taint.value.clone()),
        }
    }
    texts
}

/// `scheme://path`, as cloud providers name machines; empty if there is none.
pub(super) fn check_provider(given: Option<&Located<String>>, problems: &mut Problems) -> String {
    let Some(given) = given else {
        return String::new();
    };
    let scheme = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let path = |c: char| c.is_ascii_alphanumeric() || "/-_.:".contains(c);
    let good = given
        .value
        .split_once("://")
        .is_some_and(|(before, after)| {
            !before.is_empty()
                && before.chars().all(scheme)
                && !after.is_empty()
                && after.chars().all(path)
        });
    if !good || given.value.len() > 253 {
        let remedy = "write it as your cloud provider does: `scheme://path`";
        problems.error(&given.place, "is not a provider id", remedy);
    }
    given.value.clone()
}

/// What is wrong with `key=value:Effect`, and what to do about it.
pub fn wrong_taint(text: &str) -> Option<(String, String)> {
    let form = || "write `key=value:Effect` or `key:Effect`".to_owned();
    let Some((body, effect)) = text.rsplit_once(':') else {
        return Some(("is a taint without an effect".to_owned(), form()));
    };
    if !EFFECTS.contains(&effect) {
        let near = crate::text::suggest::nearest(effect, EFFECTS.iter().copied());
        let remedy = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "the effects are {}",
                crate::text::suggest::list(EFFECTS.iter().copied())
            ),
        };
        return Some((format!("`{}` is not a taint effect", shown(effect)), remedy));
    }
    let (key, value) = body.split_once('=').unwrap_or((body, ""));
    let reason = wrong_key(key).or_else(|| wrong_value(value))?;
    Some((reason, form()))
}

fn wrong_key(key: &str) -> Option<String> {
    let (domain, name) = key
        .split_once('/')
        .map_or((None, key), |(domain, name)| (Some(domain), name));
    if domain.is_some_and(|domain| names::wrong_with(domain).is_some()) {
        return Some(format!(
            "`{}` has no valid domain before the `/`",
            shown(key)
        ));
    }
    if name.is_empty() || wrong_value(name).is_some() {
        return Some(format!("`{}` is not a valid key", shown(key)));
    }
    None
}

fn wrong_value(value: &str) -> Option<String> {
    let edge = |c: char| c.is_ascii_alphanumeric();
    let inside = |c: char| edge(c) || matches!(c, '-' | '_' | '.');
    let good = value.is_empty()
        || (value.len() <= 63
            && value.starts_with(edge)
            && value.ends_with(edge)
            && value.chars().all(inside));
    (!good).then(|| "has a value that is too long or has invalid characters".to_owned())
}

/// Whether a kubelet may give its own node a label of that valid name: of those below
/// `kubernetes.io` and `k8s.io` only a few, or it does not start.
pub fn kubelet_may_set(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else {
        return true;
    };
    let below = |parent: &str| {
        domain == parent
            || domain
                .strip_suffix(parent)
                .is_some_and(|rest| rest.ends_with('.'))
    };
    if !below("kubernetes.io") && !below("k8s.io") {
        return true;
    }
    OWN_LABELS.contains(&key) || OWN_DOMAINS.iter().any(|parent| below(parent))
}
