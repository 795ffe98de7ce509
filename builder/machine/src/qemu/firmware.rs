//! UEFI firmware of this machine's QEMU: the code, and a template of the store
//! of its variables.
//!
//! First by the descriptors that packages install
//! ([firmware.json](https://www.qemu.org/docs/master/interop/firmware.html)):
//! a file stands in for those of its name in the directories before it, an
//! empty one for none; the first in order of names that fits is taken. Then by
//! the places of distributions without descriptors.
//!
//! Left out: firmware that wants signed disks or system management mode, and
//! such without a store of variables.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, bail};
use nodeimg_values::arch::Arch;
use serde::Deserialize;

use super::host::Host;
use super::{Format, MachineFacts, facts};

/// Both halves of what a board has in its flash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Firmware {
    pub code: Flash,
    /// A template: the machine gets a copy.
    pub vars: Flash,
}

/// The content of one flash chip.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flash {
    pub path: PathBuf,
    pub format: Format,
}

impl Flash {
    fn raw(path: PathBuf) -> Flash {
        Flash {
            path,
            format: Format::Raw,
        }
    }
}

impl FromStr for Firmware {
    type Err = anyhow::Error;

    /// `CODE:VARS`, both raw.
    fn from_str(text: &str) -> Result<Firmware> {
        match text.split_once(':') {
            Some((code, vars)) if !code.is_empty() && !vars.is_empty() => Ok(Firmware {
                code: Flash::raw(code.into()),
                vars: Flash::raw(vars.into()),
            }),
            _ => bail!("`{text}` is not CODE:VARS (/a/OVMF_CODE.fd:/a/OVMF_VARS.fd)"),
        }
    }
}

impl Firmware {
    /// What the user named, or else what this machine has.
    pub fn choose(own: Option<&Firmware>, arch: Arch, host: &Host) -> Result<Firmware> {
        match own {
            Some(own) => own.check().map(|()| own.clone()),
            None => find(arch, &Places::of_host(&host.program)),
        }
    }

    /// What the user named, if it is there.
    fn check(&self) -> Result<()> {
        for flash in [&self.code, &self.vars] {
            if !flash.path.is_file() {
                bail!("--firmware: {} is not a file", flash.path.display());
            }
        }
        Ok(())
    }

    fn is_there(&self) -> bool {
        self.code.path.is_file() && self.vars.path.is_file()
    }
}

/// Where firmware is looked for.
#[derive(Debug)]
struct Places {
    /// Directories of descriptors, those before less important.
    descriptors: Vec<PathBuf>,
    /// What the places of distributions are below.
    root: PathBuf,
    /// Where QEMU's own data is.
    data: Vec<PathBuf>,
}

impl Places {
    /// Those of this machine; `program` is its QEMU.
    fn of_host(program: &Path) -> Places {
        // Homebrew, Nix and /usr/local have the data beside the program, which
        // may be a link into a package's own directory.
        let programs = [Some(program.to_owned()), fs::canonicalize(program).ok()];
        let mut data: Vec<PathBuf> = programs
            .iter()
            .flatten()
            .filter_map(|program| Some(program.parent()?.parent()?.join("share/qemu")))
            .collect();
        data.dedup();
        let mut descriptors: Vec<_> = data.iter().map(|data| data.join("firmware")).collect();
        descriptors.push("/usr/share/qemu/firmware".into());
        descriptors.push("/etc/qemu/firmware".into());
        let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
        let config = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        descriptors.extend(config.or_else(home).map(|dir| dir.join("qemu/firmware")));
        Places {
            descriptors,
            root: "/".into(),
            data,
        }
    }
}

/// The firmware for `arch`.
fn find(arch: Arch, places: &Places) -> Result<Firmware> {
    let facts = facts(arch);
    let described = by_descriptor(facts, &places.descriptors);
    match described.or_else(|| by_place(arch, places)) {
        Some(found) => Ok(found),
        None => bail!(
            "there is no UEFI firmware for {arch} on this machine; install it ({}), or name it \
             with --firmware CODE:VARS",
            facts.packages
        ),
    }
}

/// The fields of a descriptor that are read.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Descriptor {
    interface_types: Vec<String>,
    mapping: Mapping,
    targets: Vec<Target>,
    features: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mapping {
    device: String,
    mode: Option<String>,
    executable: Option<File>,
    nvram_template: Option<File>,
}

#[derive(Deserialize)]
struct File {
    filename: PathBuf,
    format: String,
}

#[derive(Deserialize)]
struct Target {
    architecture: String,
    machines: Vec<String>,
}

fn by_descriptor(facts: &MachineFacts, directories: &[PathBuf]) -> Option<Firmware> {
    let mut files = BTreeMap::new();
    for directory in directories {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                files.insert(entry.file_name(), path);
            }
        }
    }
    files.values().find_map(|path| {
        // One that cannot be read is as good as one that does not fit.
        let text = fs::read(path).ok()?;
        let descriptor: Descriptor = serde_json::from_slice(&text).ok()?;
        descriptor.firmware(facts).filter(Firmware::is_there)
    })
}

impl Descriptor {
    /// If it is a plain UEFI in two flash chips for this machine.
    fn firmware(self, facts: &MachineFacts) -> Option<Firmware> {
        let wants_more = ["requires-smm", "enrolled-keys", "secure-boot"];
        let fits = self.interface_types.iter().any(|kind| kind == "uefi")
            && self.mapping.device == "flash"
            && self.mapping.mode.is_none_or(|mode| mode == "split")
            && self.targets.iter().any(|target| target.fits(facts))
            && !self
                .features
                .iter()
                .any(|feature| wants_more.contains(&feature.as_str()));
        let flash = |file: File| {
            Some(Flash {
                format: Format::from_name(&file.format)?,
                path: file.filename,
            })
        };
        fits.then_some(Firmware {
            code: flash(self.mapping.executable?)?,
            vars: flash(self.mapping.nvram_template?)?,
        })
    }
}

impl Target {
    fn fits(&self, facts: &MachineFacts) -> bool {
        self.architecture == facts.cpu
            && self.machines.iter().any(|pattern| {
                pattern == "*" || pattern == facts.machine || pattern.starts_with(facts.versioned)
            })
    }
}

fn by_place(arch: Arch, places: &Places) -> Option<Firmware> {
    // Debian and Ubuntu, Fedora, Arch, Gentoo, openSUSE.
    let (known, own): (&[(&str, &str)], (&str, &str)) = match arch {
        Arch::Amd64 => (
            &[
                ("OVMF/OVMF_CODE_4M.fd", "OVMF/OVMF_VARS_4M.fd"),
                ("OVMF/OVMF_CODE.fd", "OVMF/OVMF_VARS.fd"),
                ("edk2/ovmf/OVMF_CODE.fd", "edk2/ovmf/OVMF_VARS.fd"),
                ("edk2/x64/OVMF_CODE.4m.fd", "edk2/x64/OVMF_VARS.4m.fd"),
                ("edk2-ovmf/x64/OVMF_CODE.fd", "edk2-ovmf/x64/OVMF_VARS.fd"),
                ("edk2-ovmf/OVMF_CODE.fd", "edk2-ovmf/OVMF_VARS.fd"),
                ("qemu/ovmf-x86_64-code.bin", "qemu/ovmf-x86_64-vars.bin"),
            ],
            ("edk2-x86_64-code.fd", "edk2-i386-vars.fd"),
        ),
        Arch::Arm64 => (
            &[
                ("AAVMF/AAVMF_CODE.fd", "AAVMF/AAVMF_VARS.fd"),
                (
                    "edk2/aarch64/QEMU_EFI-pflash.raw",
                    "edk2/aarch64/vars-template-pflash.raw",
                ),
                ("edk2/aarch64/QEMU_CODE.fd", "edk2/aarch64/QEMU_VARS.fd"),
                ("qemu/aavmf-aarch64-code.bin", "qemu/aavmf-aarch64-vars.bin"),
            ],
            ("edk2-aarch64-code.fd", "edk2-arm-vars.fd"),
        ),
    };
    let share = places.root.join("usr/share");
    let known = known.iter().map(|pair| (&share, pair));
    let own = places.data.iter().map(|data| (data, &own));
    known
        .chain(own)
        .map(|(below, (code, vars))| Firmware {
            code: Flash::raw(below.join(code)),
            vars: Flash::raw(below.join(vars)),
        })
        .find(Firmware::is_there)
}

#[cfg(test)]
mod tests;
