//! Registries of a seed, over those of its image.
use super::{Checked, Fault, check as check_all};
use crate::check::{Inputs, lines_on};
use crate::contract::registries::Registries;
use crate::text::problem::{Place, Problems};

/// `None` if the seed does not mention registries, so that the image's own files stay, or
/// something is wrong.
pub(in crate::check) fn check(inputs: &Inputs<'_>, problems: &mut Problems) -> Option<Checked> {
    let given = &inputs.user.node.registries;
    if given.is_empty() {
        return None;
    }
    let image = &inputs.settings.registries;
    let mut all: Registries = image
        .hosts
        .iter()
        .map(|(name, public)| (name.clone(), public.clone().into()))
        .collect();
    for (name, registry) in given {
        let own = registry.said.clone();
        let under = image.hosts.get(name);
        let over = under.map_or(own.clone(), |under| own.over(under));
        all.insert(name.clone(), over);
    }
    let faults = match check_all(image.format, &all) {
        Ok(checked) => return Some(checked),
        Err(faults) => faults,
    };
    for fault in faults {
        problems.error(&place(inputs, &fault), &fault.reason, &fault.remedy);
    }
    None
}

/// Where the seed says it.
fn place(inputs: &Inputs<'_>, fault: &Fault) -> Place {
    let Some(given) = inputs.user.node.registries.get(&fault.name) else {
        // The image's own, which its build has checked.
        return inputs.missing("registries");
    };
    let at = fault.key.and_then(|key| given.keys.get(key));
    let place = at.unwrap_or(&given.place);
    match (fault.line, fault.item) {
        (Some(line), _) => lines_on(place, line),
        (None, Some(item)) => given.mirrors.get(item).unwrap_or(place).clone(),
        (None, None) => place.clone(),
    }
}
