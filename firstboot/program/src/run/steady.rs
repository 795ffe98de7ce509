//! A node that is set up stays set up: what it lacks is repaired or told, and what is not
//! followed leaves nothing behind.
use nodeimg_seed::contract::paths::HOSTNAME;
use nodeimg_seed::contract::stamp::Stamp;
use nodeimg_seed::read::meta_data::{MetaData, is_derived};
use nodeimg_seed::read::network::DIRECTORY;
use nodeimg_seed::read::seed::Seed;
use nodeimg_seed::text::problem::{Place, Problems};

use crate::apply::{self, State, UNKNOWN, access, aside, missing, tell_files};
use crate::machine::Machine;
use crate::machine::interfaces;
use crate::root::gate::Open;
use crate::root::{Access, Root};

/// Whether files that the instance needs are gone, and the seed can bring them back.
pub(crate) fn wants_repair(root: &Root, stamp: &Stamp, seed: &Seed) -> bool {
    !seed.has_served()
        && missing(root, stamp)
            .iter()
            .any(|path| !access::grants(path))
}

/// Tells which files of the instance a run has brought back.
pub(crate) fn tell_repaired(root: &Root, lost: &[&str], problems: &mut Problems) {
    let back: Vec<&str> = lost
        .iter()
        .copied()
        .filter(|path| root.exists(path))
        .collect();
    let what = "was missing, and was written again from the seed";
    tell_files(root, &back, what, "", problems);
}

/// Tells which files that grant access a repair has left out.
pub(crate) fn tell_withheld(root: &Root, stamp: &Stamp, problems: &mut Problems) {
    let files = stamp.all_files().map(String::as_str);
    let mut lost: Vec<&str> = files
        .filter(|path| access::grants(path) && !root.exists(path))
        .collect();
    lost.retain(|path| !restore_table(root, path, problems));
    tell_revoked(root, &lost, problems);
}

fn tell_revoked(root: &Root, paths: &[&str], problems: &mut Problems) {
    let what = "is missing, and gives nobody access until it is back; first boot does not write it \
                again by itself, since somebody may have revoked that access";
    let remedy = "if nobody meant to, run `nodeimg-firstboot reprovision` and reboot with the \
                  instance's seed attached";
    tell_files(root, paths, what, remedy, problems);
}

/// Puts the image's table of accounts in the place of one that is lost.
fn restore_table(root: &Root, path: &str, problems: &mut Problems) -> bool {
    if !access::TABLES.contains(&path) {
        return false;
    }
    match apply::restore(root, path, &mut Open) {
        Ok(false) => false,
        Ok(true) => {
            let what = "was missing, and is the image's again, without the accounts of the seed";
            let remedy = "to have them back, run `nodeimg-firstboot reprovision` and reboot with the \
                          instance's seed attached";
            tell_files(root, &[path], what, remedy, problems);
            true
        }
        Err(failure) => {
            failure.tell_left(problems);
            true
        }
    }
}

/// The stamp, its copy and the host name can be written without a seed; other files that
/// are missing are told of.
pub(crate) fn mend(root: &Root, state: &State, stamp: &Stamp, problems: &mut Problems) {
    if stamp.instance_id != UNKNOWN
        && (state.wants_repair() || state.finished().is_none())
        && let Err(failure) = apply::write_stamp(root, stamp, &mut Open)
    {
        failure.tell_left(problems);
    }
    let mut lost = missing(root, stamp);
    if lost.contains(&HOSTNAME) && !stamp.host_name.is_empty() {
        let text = format!("{}\n", stamp.host_name);
        let written = root.replace(HOSTNAME, text.as_bytes(), Access::PUBLIC, &mut Open);
        if written.is_ok() {
            lost.retain(|path| *path != HOSTNAME);
            let what = "was missing, and was written again";
            tell_files(root, &[HOSTNAME], what, "", problems);
        }
    }
    lost.retain(|path| !restore_table(root, path, problems));
    let (granting, other): (Vec<&str>, Vec<&str>) =
        lost.into_iter().partition(|path| access::grants(path));
    tell_revoked(root, &granting, problems);
    let what = "is missing, and there is no seed to write it again from";
    let remedy = "put it back, or set this node up again with a new instance-id";
    tell_files(root, &other, what, remedy, problems);
}

/// Brings the network of the finished instance back, if another one's was tried, and
/// forgets that of the instance before.
pub(crate) fn settle_network(
    root: &Root,
    machine: Option<Machine>,
    stamp: Option<&Stamp>,
    problems: &mut Problems,
) {
    if let Some(stamp) = stamp
        && aside::settle(root, Some(stamp), DIRECTORY, problems, &mut Open)
    {
        put_in_force(root, machine, true, problems);
    }
}

/// Takes back the network of a seed that is not followed.
pub(crate) fn withdraw_network(
    root: &Root,
    machine: Option<Machine>,
    stamp: &Stamp,
    problems: &mut Problems,
) {
    let back = aside::settle(root, Some(stamp), DIRECTORY, problems, &mut Open);
    put_in_force(root, machine, back, problems);
}

/// Only what is in `/etc`, without the files of a seed that was tried in this boot.
fn put_in_force(root: &Root, machine: Option<Machine>, is_changed: bool, problems: &mut Problems) {
    if machine.is_none() {
        return;
    }
    let done = interfaces::stage(root, None).and_then(|unstaged| match unstaged || is_changed {
        true => interfaces::reload(),
        false => Ok(()),
    });
    if let Err(error) = done {
        let reason = format!("the network of this node cannot be put in force again: {error}");
        let remedy = "reboot, or run: systemctl restart systemd-networkd";
        problems.warn(&Place::file(DIRECTORY), reason, remedy);
    }
}

/// A seed that has lost its instance-id is not a new instance: the node was set up from one
/// that had it.
pub(crate) fn names_itself(
    stamp: Option<&Stamp>,
    meta: &MetaData,
    seed: &Seed,
    problems: &mut Problems,
) -> bool {
    let named = |stamp: &Stamp| !is_derived(&stamp.instance_id);
    let good = !stamp.is_some_and(named) || !is_derived(&meta.instance_id);
    if !good {
        let place = Place::file(&seed.meta_data.name).key("instance-id");
        let reason = "is missing, and this node was set up from a seed that had one";
        problems.error(&place, reason, "write the instance-id of the new instance");
    }
    good
}

/// Why this boot does not follow what it found, as warnings.
pub(crate) fn tell_refused(
    place: Option<&str>,
    stamp: &Stamp,
    found: Problems,
    problems: &mut Problems,
) {
    let reason = format!(
        "is not followed, since it is not a complete and valid seed of a new instance: this node \
         stays `{}`, as an earlier boot set it up",
        stamp.instance_id
    );
    let remedy = "correct it or take it away; the next boot looks again";
    problems.warn(&Place::file(place.unwrap_or("seed")), reason, remedy);
    problems.append(found.into_warnings());
}
