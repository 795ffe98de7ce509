//! Why this node does not take that update.

use std::cmp::Ordering;

use nodeimg_formats::update::{MAX_LABEL, Manifest, SCHEMA, Wave, compare, is_version};
use nodeimg_formats::verity::{BLOCK, size_for};
use nodeimg_seed::contract::update::UpdateState;
use sha2::{Digest, Sha256};

use crate::esp::Name;
use crate::node::Running;
use crate::slots::Slots;

/// One sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub why: String,
    /// Whether `--force` takes it all the same.
    pub can_be_forced: bool,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)?;
        match self.can_be_forced {
            true => f.write_str(" (--force takes it all the same)"),
            false => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

fn never(why: String) -> Result<(), Refusal> {
    Err(Refusal {
        why,
        can_be_forced: false,
    })
}

fn unless(forced: bool, why: impl FnOnce() -> String) -> Result<(), Refusal> {
    match forced {
        true => Ok(()),
        false => Err(Refusal {
            why: why(),
            can_be_forced: true,
        }),
    }
}

/// What decides beside the manifest.
pub struct Here<'a> {
    pub running: &'a Running,
    pub slots: &'a Slots,
    pub state: &'a UpdateState,
    /// Versions that an operator holds back.
    pub held: &'a [String],
    /// The format of what the running image keeps in /var.
    pub state_version: u32,
    /// Seconds since 1970.
    pub now: u64,
    pub forced: bool,
}

/// Whether the update fits this node, and may be taken now.
///
/// # Errors
/// It does not, or may not.
pub fn check(manifest: &Manifest, here: &Here<'_>) -> Result<(), Refusal> {
    identity(manifest, here)?;
    form(manifest)?;
    room(manifest, here.slots)?;
    order(manifest, here)?;
    permission(manifest, here)
}

fn identity(manifest: &Manifest, here: &Here<'_>) -> Result<(), Refusal> {
    if manifest.schema > SCHEMA {
        return never(format!(
            "version {} needs a newer nodeimg-update: its manifest has schema {}, and this \
             program reads up to {SCHEMA}; update to a version before it first",
            manifest.version, manifest.schema
        ));
    }
    if manifest.id != here.running.id {
        return never(format!(
            "the update is of the image `{}`, but this node runs `{}`",
            manifest.id, here.running.id
        ));
    }
    if manifest.architecture != here.slots.architecture {
        return never(format!(
            "the update is for {}, but this machine is {}",
            manifest.architecture, here.slots.architecture
        ));
    }
    Ok(())
}

/// What no builder writes.
fn form(manifest: &Manifest) -> Result<(), Refusal> {
    let root = &manifest.root;
    let size = root.content.size;
    let files = [
        &root.content.file,
        &manifest.verity.file,
        &manifest.uki.content.file,
    ];
    let packed = manifest.uki.compressed.iter().map(|packed| &packed.file);
    let is_name = |file: &String| {
        let odd = |c: char| c == '/' || c.is_control() || c == '?' || c == '#';
        !file.is_empty() && !file.starts_with('.') && !file.contains(odd)
    };
    let odd = if !is_version(&manifest.version) {
        "its version is not one"
    } else if Name::parse(&format!("{}.efi", manifest.entry())).is_none_or(|it| it.left.is_some()) {
        "its version ends as a boot counter does"
    } else if manifest.label().encode_utf16().count() > MAX_LABEL {
        "its version is longer than the label of a partition can be"
    } else if u64::from(root.data_block) != BLOCK {
        "its blocks are not of 4096 bytes"
    } else if size == 0 || !size.is_multiple_of(BLOCK) || size > 1 << 40 {
        "its root is not whole blocks"
    } else if manifest.verity.size != size_for(size) {
        "its hash tree is not of the root's size"
    } else if !files.into_iter().chain(packed).all(is_name) {
        "the name of a file leads elsewhere"
    } else {
        return Ok(());
    };
    never(format!("the manifest is damaged: {odd}"))
}

fn room(manifest: &Manifest, slots: &Slots) -> Result<(), Refusal> {
    let parts = [
        ("root", manifest.root.content.size, &slots.target.root),
        ("hash tree", manifest.verity.size, &slots.target.verity),
    ];
    for (what, size, entry) in parts {
        if size > entry.place.size {
            return never(format!(
                "the {what} of version {} has {size} bytes, but its slot on this disk has {}: \
                 slots keep the size that they got when the disk booted first, so that this \
                 version has to be installed afresh",
                manifest.version, entry.place.size
            ));
        }
    }
    Ok(())
}

fn order(manifest: &Manifest, here: &Here<'_>) -> Result<(), Refusal> {
    let (new, old) = (&manifest.version, &here.running.version);
    if compare(new, old) == Ordering::Less {
        unless(here.forced, || {
            format!("version {new} is older than {old}, which runs")
        })?;
    }
    if let Some(requires) = &manifest.requires {
        if let Some(minimum) = &requires.minimum
            && compare(old, minimum) == Ordering::Less
        {
            return never(format!(
                "version {new} needs {minimum} or later to step from, but {old} runs: update to \
                 {minimum} first"
            ));
        }
        if !requires.from.is_empty() && !requires.from.contains(old) {
            return never(format!(
                "version {new} can be stepped to from {} only, but {old} runs: update to one of \
                 them first",
                requires.from.join(", ")
            ));
        }
    }
    if manifest.state.reads_from > here.state_version {
        return never(format!(
            "version {new} reads what versions with state format {} and later keep in /var, but \
             this one has {}: update to a version between them first",
            manifest.state.reads_from, here.state_version
        ));
    }
    Ok(())
}

fn permission(manifest: &Manifest, here: &Here<'_>) -> Result<(), Refusal> {
    let version = &manifest.version;
    if let Some(failed) = here.state.failure(version) {
        let why = match failed.why.trim_end_matches('.') {
            "" => "it did not become healthy",
            why => why,
        };
        unless(here.forced, || {
            format!("version {version} failed on this node before: {why}")
        })?;
    }
    if here.held.iter().any(|held| held == "*" || held == version) {
        unless(here.forced, || {
            format!(
                "version {version} is held back on this node (`nodeimg-update unhold` ends that)"
            )
        })?;
    }
    if manifest.hold {
        unless(here.forced, || {
            format!("version {version} is held back by its publisher")
        })?;
    }
    match turn(&manifest.waves, &here.running.machine_id, &manifest.id) {
        Turn::At(start) if here.now < start => unless(here.forced, || {
            format!(
                "version {version} is rolled out in waves, and this node's turn is in {}",
                duration(start - here.now)
            )
        }),
        Turn::Never => unless(here.forced, || {
            format!("version {version} is rolled out in waves, none of which has this node yet")
        }),
        _ => Ok(()),
    }
}

enum Turn {
    /// In seconds since 1970.
    At(u64),
    Never,
    Now,
}

/// When it is a machine's turn: the first wave whose share it is in.
fn turn(waves: &[Wave], machine: &str, image: &str) -> Turn {
    if waves.is_empty() {
        return Turn::Now;
    }
    let share = share(machine, image);
    let mine = waves
        .iter()
        .filter(|wave| share < u32::from(wave.percent) * 100);
    match mine.map(|wave| wave.start).min() {
        Some(start) => Turn::At(start),
        None => Turn::Never,
    }
}

/// Of 10,000, always the same for a machine; one that has no id yet comes last.
pub fn share(machine: &str, image: &str) -> u32 {
    if machine.is_empty() {
        return 9999;
    }
    let digest = Sha256::digest(format!("nodeimg wave\0{image}\0{machine}"));
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % 10_000
}

/// The largest two units are enough.
fn duration(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, minutes) => format!("{} min", minutes + 1),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests;
