//! The first-boot binary for an image: where it is found, and whether it fits.
//!
//! Looked for in this order; the first that is there is taken, and an unfit
//! one is an error, never ignored:
//!
//! 1. `--firstboot ARCH=FILE`, then the variable `NODEIMG_FIRSTBOOT_<ARCH>`
//! 2. `nodeimg-firstboot-<arch>` beside nodeimg (a released build)
//! 3. `../lib/nodeimg/<arch>/nodeimg-firstboot` from there (a distribution's package)
//! 4. `../firstboot/<arch>/nodeimg-firstboot` from there: `target/` of a
//!    checkout, where `ci/firstboot` puts it
//! 5. `$XDG_DATA_HOME/nodeimg/<arch>/bin/nodeimg-firstboot` (`cargo install --root`)

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nodeimg_formats::elf::{HEADER_LEN, program};
use nodeimg_seed::contract::CONTRACT_MARKER;
use nodeimg_values::arch::Arch;

use crate::tree::Content;

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
                path: path.into(),
            }),
            _ => bail!("`{text}` is not ARCH=FILE (arm64=./nodeimg-firstboot)"),
        }
    }
}

/// The binary for `arch`, read and checked.
pub fn find(arch: Arch, given: &[Given]) -> Result<Content> {
    let asked = given
        .iter()
        .find(|given| given.arch == arch)
        .map(|given| given.path.clone());
    let variable = format!("NODEIMG_FIRSTBOOT_{}", arch.name().to_uppercase());
    let asked = asked.or_else(|| std::env::var_os(&variable).map(PathBuf::from));
    let path = match asked {
        Some(path) => path,
        None => look(arch)?,
    };
    let bytes = fs::read(&path).with_context(|| {
        format!(
            "reading the first-boot binary for {arch} from {}",
            path.display()
        )
    })?;
    check(arch, bytes).with_context(|| format!("the first-boot binary {}", path.display()))
}

fn look(arch: Arch) -> Result<PathBuf> {
    let places = places(arch);
    if let Some(found) = places.iter().find(|path| path.is_file()) {
        return Ok(found.clone());
    }
    let tried: Vec<_> = places
        .iter()
        .map(|path| format!("\n  {}", path.display()))
        .collect();
    let target = format!("{}-unknown-linux-musl", arch.rust_cpu());
    bail!(
        "no first-boot binary for {arch}. In a checkout, `ci/firstboot {arch}` builds it; \
         elsewhere `rustup target add {target} && cargo install --path firstboot/program \
         --profile firstboot --target {target} --root {}`; or give one with --firstboot \
         {arch}=FILE. Looked for:{}",
        data_home().join("nodeimg").join(arch.name()).display(),
        tried.concat()
    )
}

fn places(arch: Arch) -> Vec<PathBuf> {
    let mut places = Vec::new();
    // The link that a package manager may have made is followed first.
    let exe = std::env::current_exe().and_then(fs::canonicalize).ok();
    if let Some(directory) = exe.as_deref().and_then(Path::parent) {
        places.push(directory.join(format!("nodeimg-firstboot-{arch}")));
        if let Some(above) = directory.parent() {
            places.push(
                above
                    .join("lib/nodeimg")
                    .join(arch.name())
                    .join("nodeimg-firstboot"),
            );
            places.push(
                above
                    .join("firstboot")
                    .join(arch.name())
                    .join("nodeimg-firstboot"),
            );
        }
    }
    places.push(
        data_home()
            .join("nodeimg")
            .join(arch.name())
            .join("bin/nodeimg-firstboot"),
    );
    places
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

fn check(arch: Arch, bytes: Vec<u8>) -> Result<Content> {
    let marked = bytes
        .windows(CONTRACT_MARKER.len())
        .any(|window| window == CONTRACT_MARKER.as_bytes());
    let content = Content::inline(bytes);
    let head = content.head(HEADER_LEN as u64)?;
    if !program::is_elf(&head) {
        bail!("is not an ELF program");
    }
    program::check_arch(&head, arch)?;
    if !program::is_static(&content)? {
        bail!(
            "is dynamically linked: it cannot rely on an image's libraries, so it must be static \
             (`ci/firstboot {arch}` builds one)"
        );
    }
    if !marked {
        bail!(
            "belongs to another nodeimg (it lacks `{CONTRACT_MARKER}`): rebuild it with \
             `ci/firstboot {arch}`"
        );
    }
    Ok(content)
}
