//! Feature gates: a program stops at one that it does not know, and at a locked one.

use nodeimg_seed::text::suggest::{list, nearest};
use serde_json::Value;

use super::rules::Rules;
use super::wrong;
use crate::input::published::{self, Release, is_bool};

/// What is wrong with setting one gate.
fn one(release: &Release, program: &str, name: &str, is_on: bool) -> Option<String> {
    let minor = release.minor();
    let Some(gate) = release.gate(name) else {
        let others: Vec<&str> = (published::OLDEST..=published::NEWEST)
            .filter_map(published::of)
            .filter(|other| other.gate(name).is_some())
            .map(Release::minor)
            .collect();
        let hint = if !others.is_empty() {
            format!("; Kubernetes {} has it", list(others))
        } else if let Some(near) = nearest(name, release.gate_names()) {
            format!("; did you mean `{near}`?")
        } else {
            String::new()
        };
        return Some(format!(
            "{program} {minor} would not start: it has no feature gate `{name}`{hint}"
        ));
    };
    (gate.is_locked && gate.is_on != is_on).then(|| {
        format!(
            "{program} {minor} would not start: the feature gate `{name}` is locked to \
             `{}`; remove it",
            gate.is_on
        )
    })
}

/// The field `featureGates`.
pub fn of_config(rules: &mut Rules<'_>) {
    let (release, program) = (rules.release, rules.program);
    let Some(Value::Object(gates)) = rules.value(&["featureGates"]) else {
        return;
    };
    let mut found = Vec::new();
    let is_told = |name: &str| {
        let is_on = gates.get(name).and_then(Value::as_bool);
        is_on.is_some_and(|is_on| one(release, program, name, is_on).is_some())
    };
    for (name, is_on) in gates {
        let Some(is_on) = is_on.as_bool() else {
            continue;
        };
        let mut needs = release.needs(name).iter();
        let missing = needs.find(|other| !rules.gate(other) && !is_told(other));
        let message = match (one(release, program, name, is_on), missing) {
            (Some(message), _) => message,
            (None, Some(other)) if is_on => format!(
                "{program} {} would not start: `{name}` cannot be on without `{other}`",
                release.minor()
            ),
            (None, _) if !is_on => {
                let mut others = release.gate_names();
                // Those that are on by default.
                let dependent = others.find(|other| {
                    rules.gate(other)
                        && !gates.contains_key(*other)
                        && release.needs(other).contains(name)
                });
                let Some(other) = dependent else { continue };
                format!(
                    "{program} {} would not start: `{other}`, which is on, needs this; turn that \
                     off as well",
                    release.minor()
                )
            }
            _ => continue,
        };
        found.push(wrong(&["featureGates", name], message));
    }
    rules.found.extend(found);
}

/// The value of the flag `--feature-gates`.
pub fn of_flag(release: &Release, program: &str, value: &str) -> Option<String> {
    let mut pairs = value.split(',').filter(|pair| !pair.is_empty());
    pairs.find_map(|pair| match pair.split_once('=') {
        Some((name, value)) if is_bool(value) => {
            one(release, program, name, value.starts_with(['1', 't', 'T']))
        }
        _ => Some(format!(
            "{program} would not start: `{pair}` is not a feature gate, `name=true`"
        )),
    })
}
