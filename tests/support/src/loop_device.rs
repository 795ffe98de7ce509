//! Loop devices, for what needs a whole block device and root.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::judge;
use super::run::{Ran, host_program};

/// A loop device, gone with this.
pub struct LoopDevice(PathBuf);

impl LoopDevice {
    /// Over a new, empty file of `size` bytes; `None`, with a printed skip, without root.
    pub fn new(file: &Path, size: u64) -> Option<LoopDevice> {
        if !judge::is_root() || !Path::new("/dev/loop-control").exists() {
            judge::say("SKIPPED: loop devices need root");
            return None;
        }
        File::create(file).unwrap().set_len(size).unwrap();
        let mut losetup = host_program("losetup");
        let ran = Ran::of(losetup.args(["--find", "--show"]).arg(file)).good();
        Some(LoopDevice(PathBuf::from(ran.out.trim())))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let mut losetup = host_program("losetup");
        let _ = losetup.arg("--detach").arg(&self.0).status();
    }
}
