//! Flags of programs that kubeadm starts, by what the image's version of each takes.

use nodeimg_seed::check::kubeadm::document::{Argument, arguments, text};
use nodeimg_seed::text::field::{Field, shown};
use nodeimg_seed::text::problem::Problems;
use nodeimg_seed::text::suggest;

use super::ground::Ground;
use crate::input::published::Gate;

/// Flags of the kubelet that its unit or kubeadm itself sets, and what sets them.
const OWNED: [(&str, &str); 7] = [
    ("bootstrap-kubeconfig", "the image's unit of the kubelet"),
    ("config", "the image's unit of the kubelet"),
    ("config-dir", "the image's unit of the kubelet"),
    ("container-runtime-endpoint", "`criSocket`"),
    ("hostname-override", "`nodeRegistration.name`"),
    ("kubeconfig", "the image's unit of the kubelet"),
    ("register-with-taints", "`nodeRegistration.taints`"),
];

/// Flags that a key of `nodeimg:` gives too, which wins.
const OF_SEED: [(&str, &str); 2] = [("node-ip", "node_ip"), ("provider-id", "provider_id")];

/// Where the kubelet writes.
const WRITTEN: [&str; 3] = ["cert-dir", "root-dir", "volume-plugin-dir"];

/// Checks the arguments at a key; `program` is whose they are.
pub fn check(field: &Field<'_>, program: &str, ground: &Ground<'_>, problems: &mut Problems) {
    for argument in arguments(field) {
        let Argument { name, place, value } = &argument;
        if name.is_empty() {
            problems.error(place, "is an argument without a name", "add its name");
        } else if let Some(bare) = name.strip_prefix('-') {
            let bare = bare.trim_start_matches('-');
            let reason = "is a name with dashes before it, which kubeadm adds";
            problems.error(place, reason, format!("write `{}`", shown(bare)));
        } else if let Some((plain, _)) = name.split_once('=') {
            let reason = format!("`{}` is a name with a value in it", shown(plain));
            problems.error(place, reason, "put what follows `=` into the value");
        } else {
            known(&argument, program, ground, problems);
        }
        if *name == "feature-gates" {
            check_gates_text(value, ground, problems);
        }
    }
}

fn known(argument: &Argument<'_>, program: &str, ground: &Ground<'_>, problems: &mut Problems) {
    let Some(release) = ground.release else {
        return;
    };
    let Argument { name, place, value } = argument;
    let mut names = release.flag_names(program).peekable();
    if names.peek().is_none() {
        return;
    }
    let Some(flag) = release.flag(program, name) else {
        let reason = format!(
            "`{}` is not a flag of the {program} of Kubernetes {}, which would not start",
            shown(name),
            release.minor()
        );
        let remedy = match suggest::nearest(name, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "remove it".to_owned(),
        };
        problems.error(place, reason, remedy);
        return;
    };
    if let Some(wanted) = misfit(&flag.kind, text(value)) {
        let reason = format!("`{name}` takes {wanted}");
        problems.error(&value.place, reason, "correct the value");
    }
    if program == "kubelet" {
        of_kubelet(argument, ground, problems);
    }
}

/// What a flag takes, if the value is not that.
fn misfit(kind: &str, value: &str) -> Option<&'static str> {
    let is_bool = || {
        [
            "1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False",
        ]
        .contains(&value)
    };
    match kind {
        "bool" if !is_bool() => Some("`true` or `false`"),
        _ if kind.starts_with("int") && value.parse::<i64>().is_err() => Some("a whole number"),
        _ if kind.starts_with("uint") && value.parse::<u64>().is_err() => Some("a whole number"),
        "duration" if crate::input::published::seconds(value).is_none() => {
            Some("a duration such as `1m30s`")
        }
        _ => None,
    }
}

fn of_kubelet(argument: &Argument<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    let Argument { name, place, value } = argument;
    let given = text(value);
    if let Some((_, owner)) = OWNED.iter().find(|(owned, _)| owned == name) {
        let reason = format!("`{name}` is what {owner} sets");
        problems.error(place, reason, "remove it here");
    }
    if let Some((_, key)) = OF_SEED
        .iter()
        .find(|(flag, key)| flag == name && ground.given.contains(key))
    {
        let reason = format!("`{name}` has no effect, since `nodeimg.{key}` says it too");
        problems.warn(place, reason, "remove one of them");
    }
    if WRITTEN.contains(name) && ground.is_read_only(given) {
        let reason = format!("`{name}` is {given}, which is read-only in this image");
        problems.error(place, reason, "choose a directory below /var");
    }
    if *name == "cloud-provider" && !matches!(given, "" | "external") {
        let reason = format!(
            "`cloud-provider` is `{}`, and the kubelet has no cloud providers of its own",
            shown(given)
        );
        problems.error(place, reason, "write `external`");
    }
}

/// `Name=true,Other=false`.
fn check_gates_text(value: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    for part in text(value)
        .split(',')
        .filter(|part| !part.trim().is_empty())
    {
        let (name, state) = part.split_once('=').unwrap_or((part, ""));
        let asked = match state.trim() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                let reason = format!(
                    "the feature gate `{}` is neither `true` nor `false`",
                    shown(name)
                );
                problems.error(&value.place, reason, "write `NAME=true`");
                None
            }
        };
        check_gate(name.trim(), asked, value, ground, problems);
    }
}

/// A mapping of names to booleans.
pub fn check_gates(field: &Field<'_>, ground: &Ground<'_>, problems: &mut Problems) {
    for member in field.members(&mut Problems::new()).unwrap_or_default() {
        let asked = member
            .field
            .node
            .scalar()
            .and_then(|scalar| scalar.boolean());
        check_gate(member.name, asked, &member.field, ground, problems);
    }
}

fn check_gate(
    name: &str,
    asked: Option<bool>,
    at: &Field<'_>,
    ground: &Ground<'_>,
    problems: &mut Problems,
) {
    let Some(release) = ground.release else {
        return;
    };
    // Switches for many gates at once.
    if matches!(name, "AllAlpha" | "AllBeta") {
        return;
    }
    match release.gate(name) {
        None => {
            let reason = format!(
                "`{}` is not a feature gate of Kubernetes {}: what reads it does not start",
                shown(name),
                release.minor()
            );
            let remedy = match suggest::nearest(name, release.gate_names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "remove it".to_owned(),
            };
            problems.error(&at.place, reason, remedy);
        }
        Some(Gate {
            is_on,
            is_locked: true,
            ..
        }) if asked.is_some_and(|asked| asked != is_on) => {
            let reason = format!(
                "`{name}` cannot be changed in Kubernetes {}: it is always {is_on}",
                release.minor()
            );
            problems.error(&at.place, reason, "remove it");
        }
        Some(_) => {}
    }
}
