//! Secrets on the seed's volume are overwritten when no longer needed: private keys,
//! tokens, passwords, and whatever commands and files of the seed hold.
//!
//! # Rules
//! - A seed without secrets is left alone, and so is one on a read-only volume, from a
//!   server, or named by `--seed`.
//! - Not before the commands of the seed have succeeded and a kubelet with a token has
//!   its certificate: until then the seed can still be corrected.
//! - Only the seed that was used: one that somebody has changed since is left alone.
//! - Whole files, in place: `user-data`, `vendor-data`, `meta-data` that says more than who
//!   the machine is, of a config drive those of all versions and the injected files, and the
//!   password and the values of `meta` in `meta_data.json`.
//! - The user-data comes last. If its mark is complete, everything else is done;
//!   otherwise the next boot continues.
//!
//! Not covered: what a drive keeps of overwritten blocks (flash with wear levelling,
//! snapshots, journals of data), and copies elsewhere.
use std::io;

use nodeimg_seed::contract::overwritten::{self, FILLER};
use nodeimg_seed::contract::paths::KUBELET_BOOTSTRAP;
use nodeimg_seed::contract::report::{Outcome, Report, Scrub};
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::contract::stamp::Stamp;
use nodeimg_seed::read::meta_data;
use nodeimg_seed::read::seed::{Layout, MAX_SEED_FILE, Seed, SeedFile};
use nodeimg_seed::text::problem::{Place, Problems};

use crate::apply::State;
use crate::machine::Machine;
use crate::media::{self, System};
use crate::root::Root;
use crate::root::gate::{Gate, Open};
use crate::run::{outstanding, result};
use crate::search::{self, Seek};
use crate::source::{Guard, Home, Sought};

/// The most injected files and versions of the metadata that are looked at.
const MOST: usize = 256;

/// What remains to be done with a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// As it was used.
    Fresh,
    Begun,
    Done,
    /// Changed since it was used, under the same instance-id.
    Changed,
}

fn stage(seed: &Seed, digest: &str) -> Stage {
    let vendor = seed.vendor_data.as_ref();
    match seed.user_data.as_ref().or(vendor) {
        Some(file) if overwritten::is_whole(&file.bytes) => Stage::Done,
        Some(file) if overwritten::served(&file.bytes).is_some() => Stage::Begun,
        _ if seed.digest() == digest => Stage::Fresh,
        _ => Stage::Changed,
    }
}

/// Overwrites the seed of an instance that is set up, if it is time to.
pub(crate) fn settle(
    root: &Root,
    settings: &ImageSettings,
    stamp: &Stamp,
    sought: &Sought,
    problems: &mut Problems,
) -> Option<Scrub> {
    let taken = stamp.seed.as_ref()?;
    let stage = stage(&sought.seed, &taken.digest);
    if stage == Stage::Changed {
        let reason = "has changed but its instance-id has not: the changes have no effect";
        let remedy = "give it a new instance-id to set this node up again, or run \
                      `nodeimg-firstboot reprovision` and reboot to have them applied";
        problems.warn(&Place::file(&sought.place), reason, remedy);
    }
    if settings.keep_seed
        || !taken.secret
        || stage == Stage::Changed
        || sought.home == Home::Elsewhere
    {
        return None;
    }
    if stage == Stage::Done {
        return Some(Scrub::Overwritten);
    }
    if outstanding::is_pending(root, stamp) || root.exists(KUBELET_BOOTSTRAP) {
        return Some(Scrub::Pending);
    }
    let layout = sought.seed.layout;
    let done = open(root, &sought.home)
        .and_then(|(medium, base)| {
            overwrite(
                medium.as_ref().unwrap_or(root),
                base,
                layout,
                &stamp.instance_id,
                &mut Open,
            )
        })
        .map_err(|error| (error.kind(), error));
    Some(match done {
        Ok(()) => Scrub::Overwritten,
        Err((io::ErrorKind::ReadOnlyFilesystem, _)) => Scrub::ReadOnly,
        Err((_, error)) => {
            let reason = format!("holds secrets that cannot be overwritten: {error}");
            let remedy = "remove the volume and destroy its contents";
            problems.warn(&Place::file(&sought.place), reason, remedy);
            Scrub::Failed
        }
    })
}

/// For what runs after the report: finds the seed again, if that is due, and adds to
/// the report.
pub(crate) fn settle_later(root: &Root, report: &mut Report) {
    if report.scrub != Some(Scrub::Pending) || report.outcome == Outcome::Failed {
        return;
    }
    let mut problems = Problems::new();
    if let Some(settings) = result::read_settings(root, &mut problems) {
        let state = State::read(root);
        let system = Machine::of(root).map(|_| System::default());
        let guard = Guard::of(
            root,
            system.as_ref(),
            settings.reprovision,
            state.known(root).as_ref(),
        );
        let seek = Seek {
            root,
            seed: None,
            finished: true,
            wait: std::time::Duration::ZERO,
            system: system.as_ref(),
            // A seed from a server cannot be overwritten.
            metadata: &[],
            guard: &guard,
            early: true,
        };
        let mut unused = Report::new(Outcome::Failed);
        if let Some(stamp) = state.finished()
            && let Some(sought) = search::seek(&seek, &mut unused, &mut problems)
        {
            report.scrub = settle(root, &settings, stamp, &sought, &mut problems);
        }
    }
    report.add(problems);
}

/// The same for a program that does not have the report at hand.
pub(crate) fn settle_report(root: &Root) {
    let Some(mut report) = result::read(root) else {
        return;
    };
    let before = report.clone();
    settle_later(root, &mut report);
    if report != before {
        result::write(root, &report);
    }
}

/// The volume, if it is not the root itself, and the directory of the seed on it.
fn open<'a>(root: &Root, home: &'a Home) -> io::Result<(Option<Root>, &'a str)> {
    match home {
        Home::Volume { device, kind, base } => {
            Ok((Some(media::open_writable(device, *kind)?), base))
        }
        Home::Directory(base) if root.exists(base) => Ok((None, base)),
        Home::Directory(_) | Home::Elsewhere => Err(io::ErrorKind::NotFound.into()),
    }
}

fn overwrite(
    medium: &Root,
    base: &str,
    layout: Layout,
    instance_id: &str,
    gate: &mut dyn Gate,
) -> io::Result<()> {
    let base = base.trim_end_matches('/');
    let at = |name: &str| format!("{base}/{name}");
    let mark = overwritten::mark(instance_id);
    let names = layout.names();
    let mut files = Vec::new();
    match layout {
        Layout::NoCloud => {
            files.push(at(names.vendor_data));
            let meta_data = at(names.meta_data);
            let bytes = medium.read(&meta_data, MAX_SEED_FILE)?.unwrap_or_default();
            let begun = overwritten::served(&bytes).is_some() && !overwritten::is_whole(&bytes);
            if begun || meta_data::may_be_secret(&bytes) {
                files.push(meta_data);
            }
        }
        Layout::ConfigDrive => files.extend(all_versions(medium, base, gate)?),
    }
    // The file that records the progress.
    let last = at(names.user_data);
    files.retain(|path| *path != last);
    files.push(last);
    for path in files.iter().filter(|path| medium.exists(path)) {
        medium.overwrite(path, &mark, FILLER, gate)?;
    }
    Ok(())
}

/// A config drive holds the same data in several versions, and again for EC2.
fn all_versions(medium: &Root, base: &str, gate: &mut dyn Gate) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    for (tree, names) in [
        (
            "openstack",
            ["user_data", "vendor_data.json", "vendor_data2.json"].as_slice(),
        ),
        ("ec2", ["user-data"].as_slice()),
    ] {
        let tree = format!("{base}/{tree}");
        for (version, is_directory) in medium.list(&tree)?.into_iter().take(MOST) {
            let directory = format!("{tree}/{version}");
            if !is_directory {
                continue;
            }
            if version == "content" {
                let listed = medium.list(&directory)?.into_iter().take(MOST);
                files.extend(listed.map(|(name, _)| format!("{directory}/{name}")));
                continue;
            }
            files.extend(names.iter().map(|name| format!("{directory}/{name}")));
            for name in ["meta_data.json", "meta-data.json"] {
                mask(medium, &format!("{directory}/{name}"), gate)?;
            }
        }
    }
    Ok(files)
}

fn mask(medium: &Root, path: &str, gate: &mut dyn Gate) -> io::Result<()> {
    let Some(bytes) = medium.read(path, MAX_SEED_FILE)? else {
        return Ok(());
    };
    for range in overwritten::secrets(&bytes) {
        let offset = u64::try_from(range.start).map_err(io::Error::other)?;
        medium.patch(path, offset, &overwritten::masked(&range), gate)?;
    }
    Ok(())
}

/// Whether the meta-data of a seed contains a password.
pub(crate) fn tells_password(meta_data: &SeedFile) -> bool {
    overwritten::has_password(&meta_data.bytes)
}

#[cfg(test)]
mod tests;
