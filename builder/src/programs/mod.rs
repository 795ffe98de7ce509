//! The programs that nodeimg puts into images: where each is found, and whether it fits.
//!
//! `programs.txt` lists them, and there is a constant for each here. Looked for in this order;
//! the first that is there is taken, and an unfit one is an error, never ignored:
//!
//! 1. an option, as `--firstboot ARCH=FILE`, then a variable, as `NODEIMG_FIRSTBOOT_<ARCH>`
//! 2. inside nodeimg itself, where a released build has all of them
//!
//! A nodeimg with none inside looks on:
//!
//! 3. `<program>-<arch>` beside nodeimg
//! 4. `../lib/nodeimg/<arch>/<program>` from there (a distribution's package)
//! 5. `../firstboot/<arch>/<program>` from there: `target/` of a checkout, where
//!    `ci/firstboot` puts it
//! 6. `$XDG_DATA_HOME/nodeimg/<arch>/bin/<program>` (`cargo install --root`)

mod inside;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nodeimg_formats::elf::{HEADER_LEN, program};
use nodeimg_formats::readable::Readable;
use nodeimg_formats::update::PROGRAM_MARKER;
use nodeimg_seed::contract::CONTRACT_MARKER;
use nodeimg_values::arch::Arch;
use nodeimg_values::stdin;

use inside::Inside;

/// One of the programs.
#[derive(Debug)]
pub struct Program {
    /// As in `programs.txt`: the file's name in an image.
    pub name: &'static str,
    /// The option that gives another, without its dashes, which also names the variable.
    option: &'static str,
    /// What messages call it.
    called: &'static str,
    /// Bytes that are in every one that belongs to this very nodeimg.
    marker: &'static str,
    /// Its package in a checkout.
    package: &'static str,
}

/// What sets a node up at its first boot.
pub const FIRSTBOOT: Program = Program {
    name: "nodeimg-firstboot",
    option: "firstboot",
    called: "first-boot binary",
    marker: CONTRACT_MARKER,
    package: "firstboot/program",
};

/// What updates a node.
pub const UPDATE: Program = Program {
    name: "nodeimg-update",
    option: "update",
    called: "updater",
    marker: PROGRAM_MARKER,
    package: "firstboot/update",
};

/// All of them, as in `programs.txt`.
#[cfg(test)]
const PROGRAMS: [&Program; 2] = [&FIRSTBOOT, &UPDATE];

/// `ARCH=FILE` of the command line.
#[derive(Clone, Debug)]
pub struct Given {
    arch: Arch,
    path: PathBuf,
}

impl FromStr for Given {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Given> {
        let parts = text
            .split_once('=')
            .and_then(|(arch, path)| Some((Arch::from_str(arch, false).ok()?, path)));
        match parts {
            Some((arch, path)) if !path.is_empty() => Ok(Given {
                arch,
                path: stdin::path(path)?,
            }),
            _ => bail!("`{text}` is not ARCH=FILE (arm64=./nodeimg-firstboot)"),
        }
    }
}

impl Program {
    /// The program for `arch`, read and checked.
    pub fn find(&self, arch: Arch, given: &[Given]) -> Result<Vec<u8>> {
        let asked = given
            .iter()
            .find(|given| given.arch == arch)
            .map(|given| given.path.clone());
        let variable = format!("NODEIMG_{}_{}", self.option, arch.name()).to_uppercase();
        let asked = asked.or_else(|| std::env::var_os(&variable).map(PathBuf::from));
        let path = match (asked, Inside::of(self.name, arch)) {
            (Some(path), _) => path,
            (None, Some(inside)) => {
                let bytes = inside.unpack()?;
                self.check(arch, &bytes)
                    .with_context(|| format!("the {} inside nodeimg", self.called))?;
                return Ok(bytes);
            }
            (None, None) => self.look(arch)?,
        };
        let shown = path.display();
        let bytes = fs::read(&path)
            .with_context(|| format!("reading the {} for {arch} from {shown}", self.called))?;
        self.check(arch, &bytes)
            .with_context(|| format!("the {} {shown}", self.called))?;
        Ok(bytes)
    }

    /// Where it is by itself; `None` if nowhere.
    fn look(&self, arch: Arch) -> Result<PathBuf> {
        let places = self.places(arch);
        if let Some(found) = places.iter().find(|path| path.is_file()) {
            return Ok(found.clone());
        }
        let tried: Vec<_> = places
            .iter()
            .map(|path| format!("\n  {}", path.display()))
            .collect();
        let target = format!("{}-unknown-linux-musl", arch.rust_cpu());
        bail!(
            "no {} for {arch}: this nodeimg has no programs inside. In a checkout, `ci/static` \
             builds a nodeimg that has them, and `{}` this one alone; elsewhere `rustup target \
             add {target} && cargo install --path {} --profile firstboot --target {target} \
             --root {}`; or give one with --{} {arch}=FILE. Looked for:{}",
            self.called,
            self.command(arch),
            self.package,
            data_home().join("nodeimg").join(arch.name()).display(),
            self.option,
            tried.concat()
        )
    }

    /// What builds it in a checkout.
    fn command(&self, arch: Arch) -> String {
        match self.name == FIRSTBOOT.name {
            true => format!("ci/firstboot {arch}"),
            false => format!("ci/firstboot --program {} {arch}", self.name),
        }
    }

    fn places(&self, arch: Arch) -> Vec<PathBuf> {
        let mut places = Vec::new();
        // The link that a package manager may have made is followed first.
        let exe = std::env::current_exe().and_then(fs::canonicalize).ok();
        if let Some(directory) = exe.as_deref().and_then(Path::parent) {
            places.push(directory.join(format!("{}-{arch}", self.name)));
            if let Some(above) = directory.parent() {
                for folder in ["lib/nodeimg", "firstboot"] {
                    places.push(above.join(folder).join(arch.name()).join(self.name));
                }
            }
        }
        let home = data_home().join("nodeimg").join(arch.name());
        places.push(home.join("bin").join(self.name));
        places
    }

    fn check(&self, arch: Arch, bytes: &Vec<u8>) -> Result<()> {
        let head = bytes.head(HEADER_LEN as u64)?;
        if !program::is_elf(&head) {
            bail!("is not an ELF program");
        }
        program::check_arch(&head, arch)?;
        if !program::is_static(bytes)? {
            bail!(
                "is dynamically linked: it cannot rely on an image's libraries, so it must be \
                 static (`{}` builds one)",
                self.command(arch)
            );
        }
        if memchr::memmem::find(bytes, self.marker.as_bytes()).is_none() {
            bail!(
                "belongs to another nodeimg (it lacks `{}`): rebuild it with `{}`",
                self.marker,
                self.command(arch)
            );
        }
        Ok(())
    }
}

/// <https://specifications.freedesktop.org/basedir-spec/latest/>
fn data_home() -> PathBuf {
    let absolute = |value: OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    std::env::var_os("XDG_DATA_HOME")
        .and_then(absolute)
        .or_else(home)
        .unwrap_or_default()
}

/// What `nodeimg --version` says: the version, and which programs are inside, a line each.
pub fn version() -> String {
    let mut text = env!("CARGO_PKG_VERSION").to_owned();
    for inside in inside::INSIDE {
        text += &format!(
            "\n{} for {}: {} bytes, sha256 {}",
            inside.program, inside.arch, inside.size, inside.sha256
        );
    }
    if inside::INSIDE.is_empty() {
        text += "\nno programs for images inside: in a checkout, `ci/static` builds a nodeimg \
                 that has them";
    }
    text
}

/// The names in `programs.txt`.
#[cfg(test)]
fn listed() -> impl Iterator<Item = &'static str> {
    include_str!("../../programs.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_of_the_list_is_known() {
        assert!(listed().eq(PROGRAMS.map(|program| program.name)));
    }
}
