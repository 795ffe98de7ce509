//! Package lists: what an index names, and their text.

use std::io::Read;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nodeimg_formats::packing::Packing;
use nodeimg_values::arch::Arch;

use super::{Suite, repository};
use crate::input::debian::catalog::Packages;
use crate::input::debian::release::{IndexFile, Release};
use crate::input::recipe::Component;
use crate::store::VerifiedBlob;
use crate::tree::Content;

/// Of a Packages file unpacked, if its Release file does not say it, in bytes.
const MAX_LIST: u64 = 512 << 20;

/// The Packages file of one architecture.
pub struct PackagesFile {
    pub arch: Arch,
    pub component: Component,
    /// Its name below the suite's directory, packed as it is.
    pub name: String,
    pub packed: IndexFile,
    /// Its size unpacked, if the Release file says it.
    pub size: Option<u64>,
    /// Of a flat repository, whose one file lists every architecture.
    pub of_all: bool,
}

/// The packages that a suite has for one architecture, by name of both.
#[derive(Clone, Copy)]
pub struct PackageList<'s> {
    pub suite: &'s Suite,
    pub file: &'s PackagesFile,
}

/// The Packages file of a component, as a Release file lists it.
pub fn packages_file(
    release: &Release<'_>,
    component: Component,
    arch: Arch,
) -> Result<PackagesFile> {
    let plain = format!("{component}/binary-{arch}/Packages");
    let name = format!("{plain}.xz");
    Ok(PackagesFile {
        arch,
        component,
        packed: release.file(&name)?,
        name,
        size: Some(release.file(&plain)?.size),
        of_all: false,
    })
}

impl Suite {
    pub fn lists(&self, arch: Arch, component: Component) -> impl Iterator<Item = PackageList<'_>> {
        let wanted = move |file: &&PackagesFile| file.arch == arch && file.component == component;
        let files = self.files.iter().filter(wanted);
        files.map(|file| PackageList { suite: self, file })
    }
}

impl PackageList<'_> {
    pub fn what(&self) -> String {
        let component = match self.file.component {
            Component::Main => String::new(),
            other => format!("/{other}"),
        };
        format!(
            "the package list of {}{component} ({})",
            self.suite.index.suite, self.file.arch
        )
    }

    pub fn read(&self, blob: &Arc<VerifiedBlob>) -> Result<Packages> {
        let mut text = unpack(Arc::clone(blob), self.file.size)
            .with_context(|| format!("reading {}", self.what()))?;
        if self.file.of_all {
            text = repository::of_arch(&text, self.file.arch);
        }
        Ok(Packages {
            suite: self.suite.index.suite.clone(),
            component: self.file.component,
            whose: self.suite.whose,
            text,
        })
    }
}

/// The text of a Packages file, as long as its Release file says.
fn unpack(blob: Arc<VerifiedBlob>, size: Option<u64>) -> Result<String> {
    let content = Content::whole(blob);
    let head = content.head(16).context("reading it from the store")?;
    let most = size.unwrap_or(MAX_LIST);
    let mut text = String::with_capacity(usize::try_from(size.unwrap_or_default())?);
    let unpacked: Box<dyn Read + '_> = match Packing::of(&head) {
        Some(packing) => packing.decoder(content.reader())?,
        None => Box::new(content.reader()),
    };
    unpacked
        .take(most.saturating_add(1))
        .read_to_string(&mut text)
        .context("unpacking it")?;
    match (text.len() as u64, size) {
        (len, Some(size)) if len != size => {
            bail!("it does not unpack to the {size} bytes that its Release file declares")
        }
        (len, _) if len > most => bail!("it unpacks to more than {most} bytes"),
        _ => {}
    }
    Ok(text)
}
