//! `[update]`: how nodes with this image come to the next one.

use std::path::{Path, PathBuf};

use nodeimg_signing::certificate::PublicKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::RecipeFile;
use super::output::OutputKind;
use super::problems::Problems;
use super::source::Step;
use super::value::Word;
use super::{ExtraContent, ExtraFile};
use crate::tree::ImagePath;

/// What stands for a key that a seed brings.
const SEED: &str = "seed";
/// What looks for updates, and when.
const UNIT: &str = "nodeimg-update.service";
const TIMER: &str = "nodeimg-update.timer";
/// The timer's default.
const DAILY: &str = "daily";
/// No timer.
const NEVER: &str = "never";
const CONFIG: &str = "/usr/lib/nodeimg/update.toml";
const KEY: &str = "/usr/lib/nodeimg/update.pub";
const UNITS: &str = "/usr/lib/systemd/system";
/// What no preset names, a node's first boot enables.
const PRESET: &str = "/usr/lib/systemd/system-preset/20-nodeimg-update.preset";
/// What is of updates in the name of a unit, a preset, a link or a program.
const NAME: &str = "nodeimg-update";
const SERVICE: &str = include_str!("update/nodeimg-update.service");

/// How nodes with a disk of this image come to the next version. Without this table the program
/// is there, and nothing starts it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdatePart {
    /// Whether disks have the program that updates them; by default they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
    /// Where nodes look for updates: `https://HOST/DIRECTORY/`, `oci://HOST/REPOSITORY[:TAG]`
    /// or a directory; a seed may say another. By default they are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// A file with the public key in PEM that has signed what nodes take, relative to this file;
    /// or `seed`: the key is the seed's. By default updates need no signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When nodes look, as systemd.time(7) says it, or `never`; `daily` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
}

impl UpdatePart {
    pub fn over(self, base: UpdatePart) -> UpdatePart {
        UpdatePart {
            enable: self.enable.or(base.enable),
            source: self.source.or(base.source),
            key: self.key.or(base.key),
            schedule: self.schedule.or(base.schedule),
        }
    }

    /// The path in `key`, if it is one.
    pub fn key_file(&mut self) -> Option<&mut String> {
        self.key.as_mut().filter(|key| *key != SEED)
    }
}

/// What `[update]` adds to an image beside files.
#[derive(Default)]
pub struct Updates {
    pub has_program: bool,
    /// The unit to enable.
    pub timer: Option<Word>,
}

/// Checks `[update]`, and adds its files before the recipe's own, which count: to disks, unless
/// the recipe does not want them. Only a recipe with that table has nodes look by themselves.
pub fn check(
    file: &RecipeFile,
    outputs: &[&OutputKind],
    files: &mut Vec<ExtraFile>,
    problems: &mut Problems<'_>,
) -> Updates {
    let default = UpdatePart::default();
    let part = file.update.as_ref().unwrap_or(&default);
    source(part, problems);
    schedule(part, problems);
    let key = key(part, problems);
    let of_disk = outputs.iter().any(|output| output.is_of_disk());
    if !of_disk || part.enable == Some(false) {
        return Updates::default();
    }
    let is_timed = file.update.is_some() && part.schedule.as_deref() != Some(NEVER);
    let text = ExtraContent::Text;
    let preset = || (PRESET.to_owned(), text(format!("disable {TIMER}\n")));
    let added = [
        Some((CONFIG.to_owned(), text(config(part)))),
        Some((format!("{UNITS}/{UNIT}"), text(SERVICE.to_owned()))),
        Some((format!("{UNITS}/{TIMER}"), text(timer(part)))),
        (!is_timed).then(preset),
        key.map(|key| (KEY.to_owned(), ExtraContent::Source(key))),
    ];
    let added = added.into_iter().flatten().filter_map(|(path, content)| {
        Some(ExtraFile {
            path: path.parse().ok()?,
            mode: 0o644,
            content,
        })
    });
    files.splice(0..0, added.collect::<Vec<_>>());
    Updates {
        has_program: true,
        timer: TIMER.parse().ok().filter(|_| is_timed),
    }
}

/// Whether a file is there for updates only, which no other output than a disk can have.
pub fn is_of_updates(path: &ImagePath) -> bool {
    let path = path.as_str();
    let name = path.rsplit('/').next().unwrap_or_default();
    name.contains(NAME) || [CONFIG, KEY].contains(&path)
}

fn source(part: &UpdatePart, problems: &mut Problems<'_>) {
    let Some(source) = &part.source else { return };
    let known = ["https://", "http://", "oci://", "/"];
    let is_known = known.iter().any(|start| source.starts_with(start));
    if !is_known || source.contains(|c: char| c.is_control() || c == ' ') {
        problems.add(
            &[Step::Key("update"), Step::Key("source")],
            "not a source of updates: use `https://HOST/DIRECTORY/`, \
             `oci://HOST/REPOSITORY[:TAG]` or an absolute path",
        );
    } else if source.contains('@') && !source.starts_with("oci://") {
        problems.add(
            &[Step::Key("update"), Step::Key("source")],
            "holds a login, which everybody could read in the image: let a seed say the source",
        );
    }
}

/// systemd itself reads it; what could end the line must not be in it.
fn schedule(part: &UpdatePart, problems: &mut Problems<'_>) {
    let Some(schedule) = &part.schedule else {
        return;
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || " :*-,./~+_".contains(c);
    if schedule.trim().is_empty() || !schedule.chars().all(fits) {
        problems.add(
            &[Step::Key("update"), Step::Key("schedule")],
            "not a time: `daily`, `Sun 03:00`, `*-*-* 02..05:00`, or `never`",
        );
    }
}

fn key(part: &UpdatePart, problems: &mut Problems<'_>) -> Option<PathBuf> {
    let path = Path::new(part.key.as_deref().filter(|key| *key != SEED)?);
    // A file that is not there is missed by a build alone, as those of `file` are.
    if path.exists()
        && let Err(error) = PublicKey::from_file(path)
    {
        problems.add(
            &[Step::Key("update"), Step::Key("key")],
            &format!("{error:#}"),
        );
    }
    Some(path.to_owned())
}

fn config(part: &UpdatePart) -> String {
    let mut text =
        String::from("# Of the recipe's [update]; /etc/nodeimg/update.toml counts before it.\n");
    if let Some(source) = &part.source {
        text += &format!("source = {}\n", toml::Value::from(source.as_str()));
    }
    match part.key.as_deref() {
        None => {}
        Some(SEED) => text += "key_from_seed = true\n",
        Some(_) => text += &format!("keys = [\"{KEY}\"]\n"),
    }
    text
}

fn timer(part: &UpdatePart) -> String {
    let schedule = match part.schedule.as_deref() {
        None | Some(NEVER) => DAILY,
        Some(schedule) => schedule,
    };
    format!(
        "[Unit]\nDescription=Looks for updates of this node's image\n\n\
         [Timer]\nOnCalendar={schedule}\n\
         # Not all nodes at once.\nRandomizedDelaySec=1h\nPersistent=yes\n\n\
         [Install]\nWantedBy=timers.target\n"
    )
}

#[cfg(test)]
mod tests;
