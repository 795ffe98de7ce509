//! The layers of a seed's cloud-config: user-data above the cloud provider's
//! vendor-data.
//!
//! Spec: <https://cloudinit.readthedocs.io/en/latest/explanation/vendordata.html>. A
//! key of user-data takes precedence over that of vendor-data; if both are mappings,
//! the keys that user-data leaves out are filled in. `vendor_data: {enabled: false}` in
//! user-data leaves vendor-data out. Its scripts run before those of user-data.
//!
//! Different from cloud-init: vendor-data that cannot be read is an error, which says
//! how to ignore it; `disabled_handlers` and `prefix` are not read.
use super::merge::{self, Keyed};
use super::{Script, UserData, entries, read_key, secrecy};
use crate::contract::profile::Profile;
use crate::read::budget::Budget;
use crate::read::seed::{Layout, Seed, SeedFile};
use crate::read::user_data::{self, Content, Part};
use crate::text::field::{Field, shown};
use crate::text::jinja::Value;
use crate::text::problem::{Place, Problems};
use crate::text::secret::Secret;

/// The merged parts of one file.
#[derive(Default)]
pub(super) struct Layer {
    merged: Vec<Keyed>,
    scripts: Vec<Script>,
}

impl Layer {
    /// `None` if a part cannot be read, so that missing keys are not reported as well.
    pub(super) fn of(
        parts: Vec<Part>,
        budget: &mut Budget,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut layer = Self::default();
        let mut good = true;
        for part in parts {
            match part.content {
                Content::Script { name, text } => {
                    let place = Place::file(&part.label).line(1);
                    layer.scripts.push(Script { name, text, place });
                }
                Content::CloudConfig { text, merge } => {
                    match entries(&part.label, text.expose(), budget, problems) {
                        Some(entries) => {
                            let outside = merge.as_deref();
                            merge::add(&mut layer.merged, &part.label, outside, entries, problems);
                        }
                        None => good = false,
                    }
                }
            }
        }
        good.then_some(layer)
    }

    fn put_below(&mut self, mut lower: Self, problems: &mut Problems) {
        merge::fill(&mut self.merged, lower.merged, problems);
        lower.scripts.append(&mut self.scripts);
        self.scripts = lower.scripts;
    }

    pub(super) fn read(
        self,
        profile: &Profile,
        budget: Budget,
        problems: &mut Problems,
    ) -> UserData {
        let mut data = UserData {
            budget,
            secret: !self.scripts.is_empty(),
            scripts: self.scripts,
            ..UserData::default()
        };
        for keyed in &self.merged {
            data.secret |= secrecy::may_be_secret(&keyed.entry);
            read_key(&mut data, &keyed.file, &keyed.entry, profile, problems);
        }
        data
    }
}

/// Reads user-data and vendor-data of a seed. `data` holds the values for templates.
pub fn read_seed(
    seed: &Seed,
    data: &Value,
    profile: &Profile,
    problems: &mut Problems,
) -> Option<UserData> {
    let mut budget = Budget::default();
    let mut all = match &seed.user_data {
        Some(file) => file_layer(file, data, &mut budget, problems)?,
        None => Layer::default(),
    };
    let mut good = true;
    for (key, file) in [
        ("vendor_data2", &seed.vendor_data2),
        ("vendor_data", &seed.vendor_data),
    ] {
        let is_wanted = enabled(&all.merged, key, problems);
        let file = file.as_ref().filter(|file| !file.says_nothing());
        let Some(file) = file.filter(|_| is_wanted) else {
            continue;
        };
        match vendor(file, seed.layout, data, &mut budget, problems) {
            Some(layer) => all.put_below(layer, problems),
            None => {
                let reason = "comes from the cloud provider and cannot be read";
                let remedy = format!("to ignore it, add `{key}: {{enabled: false}}` to user-data");
                problems.warn(&Place::file(&file.name), reason, remedy);
                good = false;
            }
        }
    }
    let data = all.read(profile, budget, problems);
    good.then_some(data)
}

/// Whether user-data accepts vendor-data, which is the default.
fn enabled(merged: &[Keyed], key: &str, problems: &mut Problems) -> bool {
    let Some(keyed) = merged.iter().find(|keyed| keyed.entry.key.expose() == key) else {
        return true;
    };
    let name = shown(keyed.entry.key.expose());
    let field = Field::top(&keyed.file, name, keyed.entry.line, &keyed.entry.value);
    let mut enabled = true;
    for member in field.members(problems).unwrap_or_default() {
        if member.name == "enabled" {
            enabled = member.field.boolean(problems).unwrap_or(false);
        } else {
            let reason = "is not read by this version and has no effect";
            problems.warn(&member.field.place, reason, "");
        }
    }
    enabled
}

fn file_layer(
    file: &SeedFile,
    data: &Value,
    budget: &mut Budget,
    problems: &mut Problems,
) -> Option<Layer> {
    let parts = user_data::parts_within(&file.name, &file.bytes, data, budget, problems)?;
    Layer::of(parts, budget, problems)
}

/// NoCloud's is like user-data; OpenStack's is JSON, with such text in it.
fn vendor(
    file: &SeedFile,
    layout: Layout,
    data: &Value,
    budget: &mut Budget,
    problems: &mut Problems,
) -> Option<Layer> {
    if layout == Layout::NoCloud {
        return file_layer(file, data, budget, problems);
    }
    let place = Place::file(&file.name);
    let Ok(root) = serde_json::from_slice::<serde_json::Value>(&file.bytes) else {
        problems.error(&place, "is not valid JSON", "correct the metadata");
        return None;
    };
    let mut parts = Vec::new();
    for (index, text) in texts(&root, &place, problems)?.iter().enumerate() {
        let label = match index {
            0 => file.name.clone(),
            more => format!("{} item {}", file.name, more + 1),
        };
        let bytes = text.expose().as_bytes();
        let found = user_data::parts_within(&label, bytes, data, budget, problems)?;
        parts.extend(found);
    }
    Layer::of(parts, budget, problems)
}

/// Text, a list of it, or either below `cloud-init`; a mapping without that key is
/// meant for others.
fn texts(root: &serde_json::Value, place: &Place, problems: &mut Problems) -> Option<Vec<Secret>> {
    use serde_json::Value::{Array, Null, Object, String};
    for key in root.as_object().into_iter().flat_map(|root| root.keys()) {
        if key != "cloud-init" {
            let reason = "has no effect: only `cloud-init` is read";
            problems.warn(&place.clone().key(shown(key)), reason, "");
        }
    }
    let value = match root {
        Object(members) => members.get("cloud-init").unwrap_or(&Null),
        other => other,
    };
    let text = |value: &serde_json::Value| match value {
        String(text) => Some(Secret::new(text.clone())),
        _ => None,
    };
    let found = match value {
        Null => Some(Vec::new()),
        Array(items) => items.iter().map(text).collect(),
        other => text(other).map(|text| vec![text]),
    };
    if found.is_none() {
        let reason = "is neither text nor a list of texts";
        let remedy = "correct the metadata";
        problems.error(&place.clone().key("cloud-init"), reason, remedy);
    }
    found
}

#[cfg(test)]
mod tests;
