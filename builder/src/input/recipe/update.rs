//! `[update]`: how nodes with this image come to the next one.

use std::path::{Path, PathBuf};

use nodeimg_formats::update::{Requires, Wave, is_version, when};
use nodeimg_seed::contract::profile::Join;
use nodeimg_signing::certificate::PublicKey;
use nodeimg_values::date::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::RecipeFile;
use super::output::OutputKind;
use super::problems::Problems;
use super::source::Step;
use super::value::Word;
use super::{ExtraContent, ExtraFile, runtime, sysupdate};
use crate::tree::ImagePath;

mod units;

/// What stands for a key that a seed brings.
const SEED: &str = "seed";
/// No timer.
const NEVER: &str = "never";
const CONFIG: &str = "/usr/lib/nodeimg/update.toml";
const KEY: &str = "/usr/lib/nodeimg/update.pub";
/// What is of updates in the name of a unit, a preset, a link or a program.
const NAME: &str = "nodeimg-update";
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
    /// When nodes may reboot into an update by themselves; by default never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reboot: Option<RebootPart>,
    /// The image has transfer files for systemd-sysupdate, which look at `source`; no by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sysupdate: Option<bool>,
    /// From which versions a node may step to this one; from any by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requires: Option<RequiresPart>,
    /// No node takes this version by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<bool>,
    /// Which share of all nodes may take this version from when on; all at once by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waves: Option<Vec<WavePart>>,
}

/// A window in which nodes may reboot by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RebootPart {
    /// When it opens, as systemd.time(7) says it, or `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// How long it is open: `2h`, `90min`; `1h` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// The time zone of the window: `Europe/Berlin`; the node's own by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// A barrier: versions that nodes must step over first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequiresPart {
    /// The oldest version that may step to this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<String>,
    /// The only versions that may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<String>>,
}

/// From a time on, this share of all nodes may take the version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WavePart {
    /// In UTC: `2026-12-01T03:00:00Z`.
    pub start: String,
    /// Of 100 nodes, those of earlier waves included.
    pub percent: u8,
}

/// What the manifest of an update says of who may take it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    pub requires: Option<Requires>,
    pub hold: bool,
    pub waves: Vec<Wave>,
}

impl UpdatePart {
    pub fn over(self, base: UpdatePart) -> UpdatePart {
        UpdatePart {
            enable: self.enable.or(base.enable),
            source: self.source.or(base.source),
            key: self.key.or(base.key),
            schedule: self.schedule.or(base.schedule),
            reboot: self.reboot.or(base.reboot),
            sysupdate: self.sysupdate.or(base.sysupdate),
            requires: self.requires.or(base.requires),
            hold: self.hold.or(base.hold),
            waves: self.waves.or(base.waves),
        }
    }

    /// Whether a seed may bring the key.
    pub fn is_key_of_seed(&self) -> bool {
        self.key.as_deref() == Some(SEED)
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
    /// The units to enable.
    pub units: Vec<Word>,
    pub rollout: Rollout,
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
    reboot(part, problems);
    let rollout = rollout(part, problems);
    let key = key(part, problems);
    let transfers = match (part.sysupdate, &file.name) {
        (Some(true), Some(name)) => {
            sysupdate::files(name.as_str(), part.source.as_deref(), files, problems)
        }
        _ => Vec::new(),
    };
    let of_disk = outputs.iter().any(|output| output.is_of_disk());
    if !of_disk || part.enable == Some(false) {
        return Updates::default();
    }
    let is_kubeadm = file
        .profile
        .is_some_and(|profile| profile.joins == Join::Kubeadm);
    let units = units::all(part, file.update.is_some(), is_kubeadm);
    let runtime = is_kubeadm.then(|| runtime::of(file));
    let transfers = transfers
        .into_iter()
        .map(|(path, text)| (path, 0o644, text));
    let texts = units::files(part, runtime, &units).chain(transfers);
    let texts = texts.map(|(path, mode, text)| (path, mode, ExtraContent::Text(text)));
    let key = key.map(|key| (KEY.to_owned(), 0o644, ExtraContent::Source(key)));
    let added = texts.chain(key).filter_map(|(path, mode, content)| {
        Some(ExtraFile {
            path: path.parse().ok()?,
            mode,
            content,
        })
    });
    files.splice(0..0, added.collect::<Vec<_>>());
    let units = units.iter().filter(|(_, is_on)| *is_on);
    Updates {
        has_program: true,
        units: units.filter_map(|(unit, _)| unit.parse().ok()).collect(),
        rollout,
    }
}

const TABLE: Step<'static> = Step::Key("update");

/// Whether a file is there for updates only, which no other output than a disk can have.
pub fn is_of_updates(path: &ImagePath) -> bool {
    let path = path.as_str();
    let name = path.rsplit('/').next().unwrap_or_default();
    name.contains(NAME) || [CONFIG, KEY].contains(&path) || path.starts_with(sysupdate::DIRECTORY)
}

fn source(part: &UpdatePart, problems: &mut Problems<'_>) {
    let Some(source) = &part.source else { return };
    let way = [TABLE, Step::Key("source")];
    if let Err(why) = when::source(source) {
        problems.add(&way, &why);
    } else if source.contains('@') && !source.starts_with("oci://") {
        problems.add(
            &way,
            "holds a login, which everybody could read in the image: let a seed say the source",
        );
    }
}

fn schedule(part: &UpdatePart, problems: &mut Problems<'_>) {
    let schedule = part.schedule.as_deref().filter(|it| *it != NEVER);
    if let Some(Err(why)) = schedule.map(when::calendar) {
        problems.add(&[TABLE, Step::Key("schedule")], &why);
    }
}

fn reboot(part: &UpdatePart, problems: &mut Problems<'_>) {
    let Some(reboot) = &part.reboot else { return };
    let way = |key| [TABLE, Step::Key("reboot"), Step::Key(key)];
    let Some(window) = &reboot.window else {
        problems.add(
            &[TABLE, Step::Key("reboot")],
            "lacks `window`: when nodes may reboot, such as `Sun 03:00`",
        );
        return;
    };
    let (duration, zone) = (reboot.duration.as_deref(), reboot.zone.as_deref());
    if let Err((key, why)) = when::window(window, duration, zone) {
        problems.add(&way(key), &why);
    }
}

fn rollout(part: &UpdatePart, problems: &mut Problems<'_>) -> Rollout {
    let mut waves = Vec::new();
    for (index, wave) in part.waves.iter().flatten().enumerate() {
        let way = |key| {
            [
                TABLE,
                Step::Key("waves"),
                Step::Index(index),
                Step::Key(key),
            ]
        };
        if !(1..=100).contains(&wave.percent) {
            problems.add(&way("percent"), "not a share of 100 nodes: use 1 to 100");
        }
        // Without its separators it is the short form.
        let is_whole = wave.start.len() == "2026-12-01T03:00:00Z".len();
        let short = wave.start.replace(['-', ':'], "");
        match Date::try_from(short).ok().filter(|_| is_whole).ok_or(()) {
            Ok(start) => waves.push(Wave {
                start: start.0,
                percent: wave.percent,
            }),
            Err(_) => problems.add(
                &way("start"),
                "not a time in UTC: write it as `2026-12-01T03:00:00Z`",
            ),
        }
    }
    // The last wave should include every node; otherwise some never take the version.
    if !waves.is_empty() && waves.iter().all(|wave| wave.percent < 100) {
        problems.warn(
            &[TABLE, Step::Key("waves")],
            "no wave is of 100 percent: some nodes never take this version",
        );
    }
    let requires = part.requires.as_ref().map(|it| Requires {
        minimum: it.minimum.clone(),
        from: it.from.clone().unwrap_or_default(),
    });
    for (key, version) in requires.iter().flat_map(|it| {
        let minimum = it.minimum.iter().map(|version| ("minimum", version));
        minimum.chain(it.from.iter().map(|version| ("from", version)))
    }) {
        if !is_version(version) {
            let way = [TABLE, Step::Key("requires"), Step::Key(key)];
            problems.add(
                &way,
                &format!("`{}` is not a version", version.escape_debug()),
            );
        }
    }
    Rollout {
        requires,
        hold: part.hold.unwrap_or_default(),
        waves,
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

#[cfg(test)]
mod tests;
