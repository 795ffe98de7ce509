//! Loads drivers for this machine's hardware, until the root's partitions appear.
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::booted::{Choice, Firmware};
use super::cmdline::RootHash;
use super::failure::{Failure, While};
use super::kmsg;
use super::modules::Modules;
use super::uevent::Events;
use crate::media::System;

/// Between two looks if no message comes: one may have been lost.
const LOOK: Duration = Duration::from_millis(500);
/// Without news for so long no more disks appear: a USB disk is silent for a second.
const QUIET: Duration = Duration::from_secs(2);
/// Nor is it waited longer for silence.
const SETTLED: Duration = Duration::from_secs(10);
/// Deeper than any bus is.
const DEPTH: usize = 24;

pub(crate) struct Hardware<'a> {
    system: &'a System,
    /// `None` if udev loads them.
    modules: Option<Modules>,
    events: Events,
}

/// The partitions that the root hash names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RootPartitions {
    pub(crate) data: PathBuf,
    pub(crate) hashes: PathBuf,
    /// The name of the disk that the root is on.
    pub(crate) disk: String,
}

impl<'a> Hardware<'a> {
    pub(crate) fn new(system: &'a System, modules: Option<Modules>) -> Result<Self, Failure> {
        // Before anything is loaded, so that no event is missed.
        let events = Events::listen().during(|| "listening to the kernel's events".into())?;
        Ok(Self {
            system,
            modules,
            events,
        })
    }

    /// Modules to load whatever the hardware.
    pub(crate) fn load(&mut self, names: &[String]) {
        for name in names {
            if let Some(modules) = &mut self.modules {
                modules.load(name);
            }
        }
    }

    /// The root on the disk that was booted. Without a time-out it waits for ever.
    pub(crate) fn wait_for_root(
        &mut self,
        hash: &RootHash,
        firmware: &Firmware,
        timeout: Option<Duration>,
        began: Instant,
    ) -> Result<RootPartitions, Failure> {
        let guids = hash.partitions();
        self.load_for_all();
        let (mut first, mut news_at) = (None, Instant::now());
        loop {
            let candidates = firmware.candidates(self.system, &guids);
            let mut open = None;
            if !candidates.is_empty() {
                let first: &mut Instant = first.get_or_insert_with(Instant::now);
                let is_settled = news_at.elapsed() >= QUIET
                    || (first.elapsed() >= SETTLED && !self.is_udev_busy());
                let elsewhere = |guid: &str| self.has(guid);
                match firmware.choose(&candidates, is_settled, elsewhere) {
                    Choice::Taken(found) => {
                        kmsg::tell(&format!("the root is {}", found.data.display()));
                        return Ok(found);
                    }
                    Choice::Refused(reason) => return Err(Failure::new(reason)),
                    Choice::Open(reason) => open = Some(reason),
                }
            }
            if timeout.is_some_and(|timeout| began.elapsed() >= timeout) {
                return Err(open.map_or_else(|| self.missing(&guids), Failure::new));
            }
            let news = self.events.wait(LOOK);
            if !news.is_silent || self.is_udev_busy() {
                news_at = Instant::now();
            }
            for alias in &news.aliases {
                self.load_for(alias);
            }
            if news.is_partial {
                self.load_for_all();
            }
        }
    }

    fn missing(&self, guids: &[String; 2]) -> Failure {
        let devices = self.system.devices();
        let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
        let there = if names.is_empty() {
            "no disk at all: the initrd may lack its driver".to_owned()
        } else {
            format!("only {}", names.join(", "))
        };
        let Some(guid) = guids.iter().find(|guid| !self.has(guid)) else {
            return Failure::new(
                "the two partitions that the root hash of this kernel's command line names are \
                 on different disks",
            );
        };
        Failure::new(format!(
            "no partition has the GUID {guid}, which the root hash of this kernel's command line \
             names; there is {there}"
        ))
    }

    /// Whether a partition has this GUID.
    fn has(&self, guid: &str) -> bool {
        let mut devices = self.system.devices().into_iter();
        devices.any(|device| {
            let entry = self.system.partition_entry(&device);
            matches!(entry, Ok(Some(entry)) if entry.guid == guid)
        })
    }

    /// Whether udev has events left, for which it may load drivers.
    fn is_udev_busy(&self) -> bool {
        self.system.udev_queue().exists()
    }

    fn load_for(&mut self, alias: &str) {
        if let Some(modules) = &mut self.modules {
            modules.load_for(alias);
        }
    }

    /// Loads drivers for all present hardware.
    fn load_for_all(&mut self) {
        if self.modules.is_none() {
            return;
        }
        let mut aliases = HashSet::new();
        collect(&self.system.sys.join("devices"), DEPTH, &mut aliases);
        // In the same order at every boot.
        let mut aliases: Vec<String> = aliases.into_iter().collect();
        aliases.sort();
        for alias in aliases {
            self.load_for(&alias);
        }
    }
}

fn collect(directory: &Path, depth: usize, found: &mut HashSet<String>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() && depth > 0 {
            collect(&entry.path(), depth - 1, found);
        } else if kind.is_file() && entry.file_name() == "modalias" {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let alias = text.trim_end();
            if !alias.is_empty() {
                found.insert(alias.to_owned());
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;
    use std::fs;

    use super::collect;

    #[test]
    fn aliases_at_every_depth() {
        let sys = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("a/modalias", "pci:v1\n"),
            ("a/b/c/modalias", "virtio:d2\n"),
            ("a/b/modalias", ""),
            ("a/b/other", "x"),
        ] {
            let path = sys.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        std::os::unix::fs::symlink(sys.path(), sys.path().join("a/loop")).unwrap();
        let mut found = HashSet::new();
        collect(sys.path(), 8, &mut found);
        assert_eq!(
            found,
            HashSet::from(["pci:v1".to_owned(), "virtio:d2".to_owned()])
        );
    }
}
