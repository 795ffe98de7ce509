//! A built disk in [QEMU](https://www.qemu.org/docs/master/system/index.html): what `nodeimg run` does.
//!
//! ```text
//!  image.rs      which disk, of which architecture      -> Image
//!  host.rs       QEMU, and what it can use here         -> Host
//!  firmware.rs   UEFI for that architecture             -> Firmware
//!  state.rs      the run's own files                    -> State
//!  seed.rs       a directory as a medium
//!  command.rs    all of that as QEMU's arguments
//!  exec.rs       a script to be run in the guest
//!  run.rs        the child, its monitor (qmp.rs), how it ends; sink.rs: what it says
//! ```
//!
//! The machine has one disk, one network interface behind QEMU's user network, a
//! source of randomness and a serial console; a seed is a second disk.
//!
//! # Invariants
//! - The built disk is opened for reading alone: what the guest writes goes
//!   into an overlay of the run's own.
//! - The guest's ports can be reached from this machine, not from others.
//! - No process is ended but the QEMU that was started here.
//!
//! Left out: Secure Boot (a disk is not signed), screens, several networks;
//! arguments of one's own reach QEMU after `--`.

use nodeimg_values::arch::Arch;

pub mod command;
mod console;
pub mod exec;
pub mod firmware;
pub mod host;
pub mod image;
pub mod medium;
mod qmp;
pub mod run;
pub mod seed;
pub mod sink;
pub mod state;

/// What QEMU and distributions call the machine of an architecture.
pub struct MachineFacts {
    pub program: &'static str,
    /// As in firmware descriptors.
    pub cpu: &'static str,
    pub machine: &'static str,
    /// How names of this machine begin that have a version.
    pub versioned: &'static str,
    /// What has QEMU and the firmware, by distribution.
    pub packages: &'static str,
}

pub fn facts(arch: Arch) -> &'static MachineFacts {
    match arch {
        Arch::Amd64 => &MachineFacts {
            program: "qemu-system-x86_64",
            cpu: "x86_64",
            machine: "q35",
            versioned: "pc-q35-",
            packages: "Debian and Ubuntu: apt-get install qemu-system-x86 ovmf; \
                       Fedora: dnf install qemu-system-x86 edk2-ovmf; \
                       Arch: pacman -S qemu-system-x86 edk2-ovmf; \
                       Homebrew: brew install qemu",
        },
        Arch::Arm64 => &MachineFacts {
            program: "qemu-system-aarch64",
            cpu: "aarch64",
            machine: "virt",
            versioned: "virt-",
            packages: "Debian and Ubuntu: apt-get install qemu-system-arm qemu-efi-aarch64; \
                       Fedora: dnf install qemu-system-aarch64 edk2-aarch64; \
                       Arch: pacman -S qemu-system-aarch64 edk2-aarch64; \
                       Homebrew: brew install qemu",
        },
    }
}

/// How the bytes of a disk or a flash chip lie in their file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Raw,
    Qcow2,
}

impl Format {
    /// QEMU's word.
    pub fn name(self) -> &'static str {
        match self {
            Format::Raw => "raw",
            Format::Qcow2 => "qcow2",
        }
    }

    pub fn from_name(name: &str) -> Option<Format> {
        [Format::Raw, Format::Qcow2]
            .into_iter()
            .find(|format| format.name() == name)
    }
}
