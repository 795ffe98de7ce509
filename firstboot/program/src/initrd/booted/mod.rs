//! Which disk this machine booted from, of those that carry the root.
//!
//! Every copy of an image carries the same root with the same GUIDs, and a state of its
//! own, whose files run as root: so the root and the state come from the disk that was
//! booted. What says so, best first:
//!
//! | | |
//! |---|---|
//! | `nodeimg.disk=` on the kernel's command line | a person's word |
//! | `LoaderDevicePartUUID`, of version 4 | the disk's ESP had a GUID of its own (fresh.rs) |
//! | the device path that `BootCurrent` names | if it means just one of the disks |
//! | `LoaderDevicePartUUID`, of version 8 | the image's GUID: if just one of the disks has it |
//!
//! A disk that is alone is taken if nothing contradicts. The last three rows count only
//! once no more hardware appears, unless firmware and loader agree on a disk.
use std::fs;

use super::hardware::RootPartitions;
use crate::media::{Device, DevicePath, Fit, System, boot_path, loader_partition};

/// A disk with root and hash tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) partitions: RootPartitions,
    /// GUIDs of its EFI System Partitions.
    esps: Vec<String>,
    fit: Option<Fit>,
    identity: Identity,
}

/// What one disk at two paths has in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Identity {
    /// World-wide, or the maker's serial number.
    names: Vec<String>,
    size: u64,
    is_usb: bool,
}

/// What firmware and loader say.
#[derive(Debug, Default)]
pub(crate) struct Firmware {
    loader: Option<String>,
    path: Option<DevicePath>,
    /// `nodeimg.disk=`: a kernel's name, a serial number or a WWN.
    named: Option<String>,
}

/// What is known so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Taken(RootPartitions),
    /// More hardware may decide; what to say if none does.
    Open(String),
    /// No more hardware can decide.
    Refused(String),
}

impl Firmware {
    pub(crate) fn read(system: &System, named: Option<&str>) -> Self {
        Self {
            loader: loader_partition(system),
            path: boot_path(system),
            named: named.map(|name| name.trim_start_matches("/dev/").to_owned()),
        }
    }

    /// The disks that carry the partitions `guids`: root and hash tree.
    pub(crate) fn candidates(&self, system: &System, guids: &[String; 2]) -> Vec<Candidate> {
        let devices = system.devices();
        let entries = devices.iter().filter_map(|device| {
            let entry = system.partition_entry(device).ok()??;
            Some((device, entry))
        });
        let entries: Vec<_> = entries.collect();
        let of = |disk: &Device, guid: &String| {
            let mut own = entries
                .iter()
                .filter(|(it, _)| it.disk.as_ref() == Some(&disk.name));
            own.find(|(_, entry)| entry.guid == *guid)
                .map(|(device, _)| device.path.clone())
        };
        let disks = devices.iter().filter(|device| device.partition.is_none());
        let found = disks.filter_map(|disk| {
            let (data, hashes) = (of(disk, &guids[0])?, of(disk, &guids[1])?);
            let esps = entries
                .iter()
                .filter(|(it, entry)| entry.is_esp && it.disk.as_ref() == Some(&disk.name));
            Some(Candidate {
                esps: esps.map(|(_, entry)| entry.guid.clone()).collect(),
                fit: self
                    .path
                    .as_ref()
                    .map(|path| path.fit(&system.sys, &disk.name)),
                identity: Identity::of(system, disk),
                partitions: RootPartitions {
                    data,
                    hashes,
                    disk: disk.name.clone(),
                },
            })
        });
        merged(found.collect())
    }

    /// `is_settled`: no more hardware appears. `elsewhere`: whether the loader's
    /// partition is on a disk without the root.
    pub(crate) fn choose(
        &self,
        candidates: &[Candidate],
        is_settled: bool,
        elsewhere: impl FnOnce(&str) -> bool,
    ) -> Choice {
        if let Some(name) = &self.named {
            return match only(candidates, |it| it.is_named(name)) {
                Some(named) => named.taken(),
                None => Choice::Open(format!(
                    "`nodeimg.disk={name}` on the kernel's command line does not name exactly one \
                     of the disks that carry the root: {}",
                    list(candidates)
                )),
            };
        }
        let path = only(candidates, |it| it.fit == Some(Fit::Same));
        if let Some(path) = path.filter(|it| self.loader.is_none() || self.is_holder(it)) {
            return path.taken();
        }
        let holder = only(candidates, |it| self.is_holder(it));
        let is_own = self.loader.as_deref().is_some_and(is_random);
        match holder {
            Some(holder) if is_own && (is_settled || !holder.is_other()) => holder.taken(),
            _ if !is_settled => {
                Choice::Open("no disk is known to be the one that was booted".into())
            }
            holder => match candidates {
                [one] => self.alone(one, elsewhere),
                _ => self.among(candidates, holder),
            },
        }
    }

    /// Another disk may still come, whatever the time: then this one is not taken.
    fn alone(&self, one: &Candidate, elsewhere: impl FnOnce(&str) -> bool) -> Choice {
        let loader = self.loader.as_deref().filter(|_| !self.is_holder(one));
        match loader {
            Some(guid) if elsewhere(guid) => one.taken(),
            Some(guid) => Choice::Open(format!(
                "{} carries this root, but was not booted: the loader came from the partition \
                 {guid}, which no disk has. Detach it, or, if it is the right disk, put \
                 `nodeimg.disk={}` on the kernel's command line",
                one.shown(),
                one.partitions.disk
            )),
            None if one.is_other() => Choice::Open(format!(
                "{} carries this root, but the firmware booted from another disk, which does not \
                 appear. Detach it, or, if it is the right disk, put `nodeimg.disk={}` on the \
                 kernel's command line",
                one.shown(),
                one.partitions.disk
            )),
            None => one.taken(),
        }
    }

    fn among(&self, candidates: &[Candidate], holder: Option<&Candidate>) -> Choice {
        if let Some(holder) = holder.filter(|it| !it.is_other()) {
            return holder.taken();
        }
        let near = only(candidates, |it| {
            it.fit == Some(Fit::Near) && (self.loader.is_none() || self.is_holder(it))
        });
        let is_known = candidates.iter().all(|it| it.fit != Some(Fit::Unknown));
        if let Some(near) = near.filter(|_| is_known) {
            return near.taken();
        }
        Choice::Refused(format!(
            "{} carry the same root, and the firmware does not say which of them it booted, whose \
             state this node has. Detach all but one, or name the right one on the kernel's \
             command line: `nodeimg.disk=` with its name, serial number or WWN",
            list(candidates)
        ))
    }

    fn is_holder(&self, candidate: &Candidate) -> bool {
        let loader = self.loader.as_ref();
        loader.is_some_and(|guid| candidate.esps.contains(guid))
    }
}

impl Candidate {
    fn taken(&self) -> Choice {
        Choice::Taken(self.partitions.clone())
    }

    fn is_other(&self) -> bool {
        self.fit == Some(Fit::Other)
    }

    fn is_named(&self, name: &str) -> bool {
        self.partitions.disk == name || self.identity.names.iter().any(|it| it == name)
    }

    /// "/dev/sda (naa.5000c500a1b2c3d4)"
    fn shown(&self) -> String {
        let disk = &self.partitions.disk;
        match self.identity.names.first() {
            Some(name) => format!("/dev/{disk} ({name})"),
            None => format!("/dev/{disk}"),
        }
    }
}

fn list(candidates: &[Candidate]) -> String {
    let names: Vec<String> = candidates.iter().map(Candidate::shown).collect();
    names.join(" and ")
}

fn only(candidates: &[Candidate], is: impl Fn(&Candidate) -> bool) -> Option<&Candidate> {
    let mut found = candidates.iter().filter(|it| is(it));
    found.next().filter(|_| found.next().is_none())
}

/// Of version 4.
fn is_random(guid: &str) -> bool {
    guid.as_bytes().get(14) == Some(&b'4')
}

/// Two paths to one disk are one candidate: the first, with what fits best.
fn merged(all: Vec<Candidate>) -> Vec<Candidate> {
    let mut merged: Vec<Candidate> = Vec::new();
    for candidate in all {
        match merged
            .iter_mut()
            .find(|it| it.identity.is_of_one_disk(&candidate.identity))
        {
            Some(first) => {
                first.fit = first
                    .fit
                    .into_iter()
                    .chain(candidate.fit)
                    .min_by_key(|it| *it as u8);
            }
            None => merged.push(candidate),
        }
    }
    merged
}

impl Identity {
    fn of(system: &System, disk: &Device) -> Self {
        let directory = system.sys.join("class/block").join(&disk.name);
        // Not the serial number of an NVMe controller, which all its namespaces share.
        let files = ["wwid", "device/wwid", "serial"].map(|file| directory.join(file));
        let names = files
            .iter()
            .filter_map(|file| fs::read_to_string(file).ok());
        let names = names.map(|name| name.trim().to_owned());
        let real = fs::canonicalize(&directory).unwrap_or_default();
        Self {
            names: names.filter(|name| !name.is_empty()).collect(),
            size: disk.size,
            is_usb: real.to_string_lossy().contains("/usb"),
        }
    }

    /// Sticks of one maker may all have one serial number, and USB has no second path.
    fn is_of_one_disk(&self, other: &Self) -> bool {
        let is_shared = self.names.iter().any(|name| other.names.contains(name));
        is_shared && self.size == other.size && !self.is_usb && !other.is_usb
    }
}

#[cfg(test)]
mod tests;
