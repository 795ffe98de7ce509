//! Documents by the types that Kubernetes publishes for the image's version.

use nodeimg_seed::check::kubeadm::document::ARGUMENTS;
use nodeimg_seed::text::field::{Field, shown};
use nodeimg_seed::text::problem::{Place, Problems};
use nodeimg_seed::text::suggest;
use nodeimg_seed::text::yaml::Kind;

use super::One;
use super::ground::Ground;
use crate::input::published::{Age, Part, Release, Wrong, of_yaml};

pub fn check(one: &One<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    let (Some(release), Some(root)) = (ground.release, &one.root) else {
        return;
    };
    if !one.is_ours() || one.kind.is_empty() || !is_read(one, release, root, problems) {
        return;
    }
    for wrong in release.check(one.api, one.kind, &of_yaml(root.node)) {
        if is_form(&wrong, root) {
            continue;
        }
        let place = place_of(root, &wrong.way);
        let is_secret = wrong.way.iter().any(|part| match part {
            Part::Key(key) => SECRETS.contains(&key.as_str()),
            Part::Index(_) => false,
        });
        let message = match is_secret {
            true => "must be text, and is something else in YAML".to_owned(),
            false => wrong.message,
        };
        problems.error(&place, message, "");
    }
}

/// Keys whose values are not shown.
const SECRETS: [&str; 4] = [
    "bootstrapTokens",
    "certificateKey",
    "tlsBootstrapToken",
    "token",
];

/// Whether this Kubernetes has such a document; if not, that has been said.
fn is_read(one: &One<'_>, release: &Release, root: &Field<'_>, problems: &mut Problems) -> bool {
    let minor = release.minor();
    // Versions of it that the kubelet still reads, and whose types are not known here.
    if one.kind == "CredentialProviderConfig" && one.api != "kubelet.config.k8s.io/v1" {
        return false;
    }
    match release.age(one.api) {
        Age::Current => {}
        Age::Deprecated => {
            let reason = format!("uses `{}`, which is deprecated in {minor}", one.api);
            let remedy = "move to the newest version: kubeadm config migrate";
            problems.warn(&root.place, reason, remedy);
        }
        Age::Experimental => {
            let reason = format!(
                "uses `{}`, which kubeadm {minor} takes only with `--allow-experimental-api`",
                one.api
            );
            let remedy = "use one that is not experimental";
            problems.error(&root.place, reason, remedy);
        }
        // The node says this itself.
        Age::Retired(_) => return false,
        Age::Unknown => {
            let group = one.api.split('/').next().unwrap_or_default();
            let known = release.versions(group);
            let reason = format!(
                "uses `{}`, which Kubernetes {minor} does not know",
                shown_api(one.api)
            );
            let remedy = format!("it knows {}", suggest::list(known.iter().copied()));
            problems.error(&root.place, reason, remedy);
            return false;
        }
    }
    let kinds = || release.kinds(one.api).iter().map(String::as_str);
    if kinds().any(|kind| kind == one.kind) {
        return true;
    }
    let place = root
        .get("kind")
        .map_or_else(|| root.place.clone(), |kind| kind.place);
    let reason = format!("is not a kind of `{}` in Kubernetes {minor}", one.api);
    let remedy = match suggest::nearest(one.kind, kinds()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the kinds are {}", suggest::list(kinds())),
    };
    problems.error(&place, reason, remedy);
    false
}

fn shown_api(api: &str) -> &str {
    if api.len() < 64 {
        api
    } else {
        "another apiVersion"
    }
}

/// Whether it is the form of arguments, which the node says itself.
fn is_form(wrong: &Wrong, root: &Field<'_>) -> bool {
    let names: Option<Vec<&str>> = wrong
        .way
        .iter()
        .map(|part| match part {
            Part::Key(key) => Some(key.as_str()),
            Part::Index(_) => None,
        })
        .collect();
    names.is_some_and(|names| {
        let field = root.at(&names);
        let is_other = field.is_some_and(|field| !matches!(field.node.kind, Kind::Scalar(_)));
        is_other && ARGUMENTS.contains(&names.as_slice())
    })
}

/// The place of a value, or of the last one on the way to it.
pub fn place_of(root: &Field<'_>, way: &[Part]) -> Place {
    let mut field = root.clone();
    for part in way {
        let next = match part {
            Part::Key(key) => field.get(key),
            Part::Index(index) => field.items().into_iter().nth(*index),
        };
        let Some(next) = next else {
            let key = field.place.key.clone().unwrap_or_default();
            return match part {
                Part::Key(name) => field.place.key(format!("{key}.{}", shown(name))),
                Part::Index(_) => field.place,
            };
        };
        field = next;
    }
    field.place
}
