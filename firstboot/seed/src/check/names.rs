//! Host names: which of the given names wins, and whether it can name a node.
//!
//! The order is cloud-init's: user-data before meta-data, `hostname` before the
//! short form of `fqdn`, `prefer_fqdn_over_hostname` on top.
use super::Inputs;
use crate::text::problem::{Located, Place, Problems, Severity};

pub(super) struct Names {
    pub(super) host_name: String,
    pub(super) fqdn: String,
}

pub(super) fn check(inputs: &Inputs<'_>, problems: &mut Problems) -> Option<Names> {
    let Some((mut short, mut fqdn)) = choose(inputs) else {
        if is_refused(problems) {
            return None;
        }
        let place = Place::file(inputs.user_file).key("hostname");
        let reason = "no host name is given: neither `hostname` nor `fqdn` in user-data, nor \
            `local-hostname` in meta-data";
        problems.error(&place, reason, "add `hostname: NAME`");
        return None;
    };
    let is_told = lower(&mut short, false, problems) && short.place == fqdn.place;
    lower(&mut fqdn, is_told, problems);
    let host_name = if inputs.user.prefer_fqdn {
        &fqdn
    } else {
        &short
    };
    for name in [host_name, &fqdn] {
        if let Some((reason, remedy)) = wrong_with(&name.value) {
            problems.error(&name.place, reason, remedy);
            return None;
        }
    }
    // Linux allows 64 bytes; a longer name would be cut into another node's.
    if host_name.value.len() > 64 {
        let reason = format!(
            "the host name has {} characters; Linux allows 64",
            host_name.value.len()
        );
        problems.error(
            &host_name.place,
            reason,
            "use a shorter one, or remove `prefer_fqdn_over_hostname`",
        );
        return None;
    }
    if inputs.user.prefer_fqdn && shortened(&fqdn).value != short.value {
        let reason = "has no effect, since `prefer_fqdn_over_hostname` is true";
        problems.warn(&short.place, reason, "");
    }
    warn_of_other(inputs, &fqdn.value, problems);
    Some(Names {
        host_name: host_name.value.clone(),
        fqdn: fqdn.value,
    })
}

/// Whether a name is given and cannot be read, which has been told.
fn is_refused(problems: &Problems) -> bool {
    let names = ["hostname", "fqdn", "local-hostname"];
    let named = |key: &String| names.contains(&key.as_str());
    problems.iter().any(|problem| {
        problem.severity == Severity::Error && problem.key.as_ref().is_some_and(named)
    })
}

/// The host name and the fully qualified one.
fn choose(inputs: &Inputs<'_>) -> Option<(Located<String>, Located<String>)> {
    let user = inputs.user;
    if let Some(fqdn) = &user.fqdn {
        let short = user.hostname.clone().unwrap_or_else(|| shortened(fqdn));
        return Some((short, fqdn.clone()));
    }
    let Some(hostname) = &user.hostname else {
        let given = inputs.meta.hostname.as_ref()?;
        return Some((shortened(given), given.clone()));
    };
    if hostname.value.contains('.') {
        return Some((shortened(hostname), hostname.clone()));
    }
    // Unlike cloud-init, a domain from meta-data is only taken for the same name:
    // a node must not answer to another one's fully qualified name.
    let fqdn = inputs
        .meta
        .hostname
        .as_ref()
        .filter(|given| shortened(given).value.eq_ignore_ascii_case(&hostname.value));
    Some((hostname.clone(), fqdn.unwrap_or(hostname).clone()))
}

/// Whether there was anything to lower, which is then told unless it has been.
/// DNS does not tell letters by their case, and Kubernetes takes lowercase ones alone.
fn lower(name: &mut Located<String>, is_told: bool, problems: &mut Problems) -> bool {
    let lower = name.value.to_ascii_lowercase();
    if lower == name.value {
        return false;
    }
    if !is_told && wrong_with(&lower).is_none() {
        let reason = format!(
            "has uppercase letters, and Kubernetes allows only lowercase ones: this node is `{lower}`"
        );
        problems.warn(&name.place, reason, format!("write `{lower}`"));
    }
    name.value = lower;
    true
}

/// The name of meta-data, if user-data gives this node another one.
fn warn_of_other(inputs: &Inputs<'_>, fqdn: &str, problems: &mut Problems) {
    let user = inputs.user;
    let Some(given) = &inputs.meta.hostname else {
        return;
    };
    let lower = given.value.to_ascii_lowercase();
    let is_of_it = |name: &str| name == lower || name.split('.').next() == Some(&lower);
    if (user.hostname.is_some() || user.fqdn.is_some()) && !is_of_it(fqdn) {
        let reason = "has no effect: user-data gives this node its name";
        problems.warn(&given.place, reason, "");
    }
}

fn shortened(name: &Located<String>) -> Located<String> {
    let short = name.value.split('.').next().unwrap_or_default();
    Located {
        value: short.to_owned(),
        place: name.place.clone(),
    }
}

/// Why a name is not a DNS-1123 subdomain that can name a node.
pub fn wrong_with(name: &str) -> Option<(String, String)> {
    let fail = |reason: String, remedy: &str| Some((reason, remedy.to_owned()));
    let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    if name.is_empty() || name.len() > 253 {
        return fail(
            format!(
                "a name of {} characters is not a valid DNS name",
                name.len()
            ),
            "use 1 to 253 characters",
        );
    }
    if name.chars().any(|c| c.is_ascii_uppercase()) {
        let lower = name.to_ascii_lowercase();
        let remedy = match wrong_with(&lower) {
            None => format!("write `{lower}`"),
            Some(_) => "use lowercase letters, digits and `-`".to_owned(),
        };
        let reason = format!(
            "`{shown}` has uppercase letters, and Kubernetes allows only \
            lowercase ones"
        );
        return Some((reason, remedy));
    }
    if name == "localhost" || name.starts_with("localhost.") {
        return fail(
            format!("`{shown}` stands for every machine, not for this node"),
            "give this node its own name",
        );
    }
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            let reason = format!(
                "`{shown}` has a part of {} characters between dots",
                label.len()
            );
            return fail(reason, "make each part 1 to 63 characters long");
        }
        if let Some(bad) = label.chars().find(|c| !letter(*c) && *c != '-') {
            let reason = format!("`{shown}` holds `{}`", bad.escape_default());
            return fail(reason, "use lowercase letters, digits and `-`");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return fail(
                format!("`{shown}` has a part that begins or ends with `-`"),
                "use `-` only inside a part",
            );
        }
    }
    None
}
