//! Flags of programs that kubeadm starts, by what the image's version of each takes.

use nodeimg_seed::check::kubeadm::document::{Argument, arguments, text};
use nodeimg_seed::text::field::{Field, shown};
use nodeimg_seed::text::problem::Problems;
use nodeimg_seed::text::suggest;

use super::ground::Ground;
use crate::input::published::{self, Gate, Release, is_bool};

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
        // etcd has gates of its own.
        if *name == "feature-gates" && program != "etcd" {
            check_gates_text(value, ground, problems);
        }
    }
}

fn known(argument: &Argument<'_>, program: &str, ground: &Ground<'_>, problems: &mut Problems) {
    let Some(release) = ground.release else {
        return;
    };
    let Argument { name, place, value } = argument;
    if let Some((reason, remedy)) = unknown(release, program, name) {
        problems.error(place, reason, remedy);
        return;
    }
    if let Some((reason, remedy)) = misfit(release, program, name, text(value)) {
        problems.error(&value.place, reason, remedy);
    }
    if program == "kubelet" {
        of_kubelet(argument, ground, problems);
    }
}

/// Why a program of this release does not take a flag, and what to do, if its flags are
/// known.
pub fn unknown(release: &Release, program: &str, name: &str) -> Option<(String, String)> {
    let mut names = release.flag_names(program).peekable();
    names.peek()?;
    // Programs of Kubernetes take `_` for `-` (pull request 61053).
    let dashed = name.replace('_', "-");
    if release.flag(program, name).is_some()
        || program != "etcd" && release.flag(program, &dashed).is_some()
    {
        return None;
    }
    let whose = match program {
        "etcd" => format!("etcd {}", release.etcd()),
        _ => format!("the {program} of Kubernetes {}", release.minor()),
    };
    let reason = format!(
        "`{}` is not a flag of {whose}, which would not start",
        shown(name)
    );
    let others: Vec<&str> = published::others(release)
        .filter(|other| other.flag(program, name).is_some())
        .map(Release::minor)
        .collect();
    let remedy = match suggest::nearest(name, names) {
        _ if !others.is_empty() => {
            format!(
                "remove it: it is one of Kubernetes {}",
                suggest::list(others)
            )
        }
        Some(near) => format!("did you mean `{near}`?"),
        None => "remove it".to_owned(),
    };
    Some((reason, remedy))
}

/// Why a program of this release does not take the value of a flag, and what to do.
pub fn misfit(
    release: &Release,
    program: &str,
    name: &str,
    value: &str,
) -> Option<(String, String)> {
    let name = name.replace('_', "-");
    let flag = release.flag(program, &name)?;
    if let Some(wanted) = flag.misfit(&name, value) {
        let reason = format!("`{name}` takes {wanted}");
        return Some((reason, "correct the value".to_owned()));
    }
    let words = || release.words(program, &name).iter().map(String::as_str);
    words().next()?;
    let given = value.split(',').map(|word| word.trim_start_matches('-'));
    let is_unknown = |word: &&str| !word.is_empty() && *word != "*" && !words().any(|w| w == *word);
    let word = given.into_iter().find(is_unknown)?;
    let reason = format!(
        "`{name}` names `{}`, which {program} of Kubernetes {} does not know: it would not start",
        shown(word),
        release.minor()
    );
    let remedy = match suggest::nearest(word, words()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "remove it".to_owned(),
    };
    Some((reason, remedy))
}

/// Where packages of the kubelet look for more flags.
pub const DEFAULTS: [&str; 2] = ["/etc/default/kubelet", "/etc/sysconfig/kubelet"];

/// The words of `KUBELET_EXTRA_ARGS` in such a file, each line with its number from 0.
pub fn of_defaults(text: &str) -> Vec<(usize, Vec<String>)> {
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(index, line)| {
            let value = line.trim().strip_prefix("KUBELET_EXTRA_ARGS=")?;
            let words = value.trim_matches(['"', '\'']).split_whitespace();
            Some((index, words.map(str::to_owned).collect()))
        })
        .collect()
}

/// What is wrong with the words of a command line after its program: the flag, the reason
/// and the remedy. A value that follows its flag as a word of its own is not judged.
pub fn of_words(
    release: &Release,
    program: &str,
    words: &[String],
) -> Vec<(String, String, String)> {
    let flags = words.iter().filter_map(|word| word.strip_prefix("--"));
    let one = |flag: &str| {
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        if name.is_empty() || flag.contains(['$', '%']) {
            return None;
        }
        let wrong = unknown(release, program, name).or_else(|| {
            let value = value?;
            misfit(release, program, name, value).or_else(|| {
                let gate = |part: &str| gate_of_text(release, part);
                let mut parts = value.split(',').filter(|part| !part.trim().is_empty());
                (name == "feature-gates").then(|| parts.find_map(gate))?
            })
        });
        wrong.map(|(reason, remedy)| (name.to_owned(), reason, remedy))
    };
    flags.filter_map(one).collect()
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
    let parts = text(value).split(',');
    for part in parts.filter(|part| !part.trim().is_empty()) {
        let wrong = match ground.release {
            Some(release) => gate_of_text(release, part),
            None => read_gate(part).err(),
        };
        if let Some((reason, remedy)) = wrong {
            problems.error(&value.place, reason, remedy);
        }
    }
}

/// What is wrong with one of them.
fn gate_of_text(release: &Release, part: &str) -> Option<(String, String)> {
    match read_gate(part) {
        Ok((name, asked)) => wrong_gate(release, name, Some(asked)),
        Err(wrong) => Some(wrong),
    }
}

fn read_gate(part: &str) -> Result<(&str, bool), (String, String)> {
    let (name, state) = part.split_once('=').unwrap_or((part, ""));
    // A component may stand before it: `kube:NAME=true`.
    let name = name.rsplit(':').next().unwrap_or(name).trim();
    match state.trim() {
        state if !is_bool(state) => {
            let reason = format!(
                "the feature gate `{}` is neither `true` nor `false`",
                shown(name)
            );
            Err((reason, "write `NAME=true`".to_owned()))
        }
        state => Ok((name, state.starts_with(['1', 't', 'T']))),
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
    let wrong = ground
        .release
        .and_then(|release| wrong_gate(release, name, asked));
    if let Some((reason, remedy)) = wrong {
        problems.error(&at.place, reason, remedy);
    }
}

fn wrong_gate(release: &Release, name: &str, asked: Option<bool>) -> Option<(String, String)> {
    // Switches for many gates at once.
    if matches!(name, "AllAlpha" | "AllBeta") {
        return None;
    }
    match release.gate(name) {
        None => {
            let reason = format!(
                "`{}` is not a feature gate of Kubernetes {}: what reads it does not start",
                shown(name),
                release.minor()
            );
            let others: Vec<&str> = published::others(release)
                .filter(|other| other.gate(name).is_some())
                .map(Release::minor)
                .collect();
            let remedy = match suggest::nearest(name, release.gate_names()) {
                _ if !others.is_empty() => {
                    format!("remove it: Kubernetes {} has it", suggest::list(others))
                }
                Some(near) => format!("did you mean `{near}`?"),
                None => "remove it".to_owned(),
            };
            Some((reason, remedy))
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
            Some((reason, "remove it".to_owned()))
        }
        Some(_) => None,
    }
}
