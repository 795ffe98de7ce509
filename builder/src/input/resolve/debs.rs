//! Packages that the recipe names by their URLs: fetched, and read before anything is
//! resolved, since only they themselves say what they need.

use anyhow::{Context, Result, bail, ensure};
use nodeimg_formats::elf::program;
use nodeimg_values::digest::{Algorithm, Digest, Expected};
use nodeimg_values::parallel::in_parallel;

use super::Publishers;
use crate::input::MAX_DOWNLOAD;
use crate::input::artifact::deb::{self, Identity};
use crate::input::debian::SingleDeb;
use crate::input::fetch::{Request, shown};
use crate::input::lock::{Packages, is_version};
use crate::input::recipe::{Base, Deb};
use crate::store::VerifiedBlob;
use crate::tree::{Kind, Node};

/// As much of a file as tells whose program it is, in bytes.
const HEAD: u64 = 64;

/// What is known of packages before they are fetched.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub old: &'a Packages,
    /// Whether to take what is at a URL now, though the old lock pins what was there.
    pub again: &'a (dyn Fn(&Deb) -> bool + Sync),
}

impl Publishers<'_> {
    /// Every `[[base.deb]]` of `base`, for each of its architectures; with warnings.
    ///
    /// # Errors
    /// One cannot be fetched, or is not the package that the recipe says: all are named.
    pub fn debs(&self, base: &Base, asked: Asked<'_>) -> Result<(Vec<SingleDeb>, Vec<String>)> {
        // A thread each; the fetcher itself limits how many download at a time.
        let read = in_parallel(base.debs.len(), base.debs.len(), |at| {
            self.deb(&base.debs[at], asked)
        });
        let problems: Vec<String> = read
            .iter()
            .filter_map(|read| read.as_ref().err())
            .map(|error| format!("{error:#}"))
            .collect();
        if !problems.is_empty() {
            bail!("{}", problems.join("\n"));
        }
        let (mut debs, mut warnings) = (Vec::new(), Vec::new());
        for read in read {
            let (deb, told) = read?;
            debs.push(deb);
            warnings.extend(told);
        }
        Ok((debs, warnings))
    }

    fn deb(&self, deb: &Deb, asked: Asked<'_>) -> Result<(SingleDeb, Vec<String>)> {
        let mut pins = asked.old.packages.iter();
        let locked = pins.find(|pin| {
            let same = pin.name == deb.name && pin.arch == deb.arch;
            same && pin.own_url() == Some(deb.url.as_str())
        });
        let kept = locked.filter(|_| !(asked.again)(deb));
        let mut want = kept.map(|pin| pin.expected()).unwrap_or_default();
        if let Some(digest) = self.known.get(&deb.url) {
            add(&mut want, digest, deb, "the list of digests")?;
        }
        if let Some(url) = &deb.checksum {
            let digest = self.published(&deb.what(), &deb.url, url, "base.deb")?;
            add(&mut want, &digest, deb, &shown(url))?;
        }
        let (blob, measured) = self.fetcher.download(&Request {
            what: deb.what(),
            url: deb.url.clone(),
            want,
            max_size: MAX_DOWNLOAD,
            accept: None,
        })?;
        let read = self.read(deb, &blob).with_context(|| {
            let (what, url) = (deb.what(), shown(&deb.url));
            format!("{what} is not pinned: what came from {url} is not what the recipe says")
        })?;
        let mut told = read.warnings;
        let same_version = locked.filter(|pin| pin.version == read.version);
        if same_version.is_some_and(|pin| pin.sha256 != measured.sha256) {
            told.push(format!(
                "base.deb: {} has other bytes than the lock pins, though its version {} is the \
                 same: its publisher has replaced {}",
                deb.what(),
                read.version,
                shown(&deb.url)
            ));
        }
        let single = SingleDeb {
            name: deb.name.clone(),
            arch: deb.arch,
            url: deb.url.clone(),
            sha256: measured.sha256,
            size: measured.size,
            control: read.control,
        };
        Ok((single, told))
    }

    /// Takes what a build would take, so that what no build could use is told now.
    fn read(&self, asked: &Deb, blob: &VerifiedBlob) -> Result<Read> {
        let files = deb::control_files(blob)?;
        let text = files.get("control").context("it has no file `control`")?;
        let control = std::str::from_utf8(text)
            .context("its control file is not text")?
            .trim()
            .to_owned();
        ensure!(
            !control.contains("\n\n") && !control.contains('\r'),
            "its control file has more than one paragraph, or line ends of another system"
        );
        let field = |name: &str| deb::field(&control, name).unwrap_or_default();
        let (name, version, arch) = (field("Package"), field("Version"), field("Architecture"));
        ensure!(
            name == asked.name.as_str(),
            "its control file says `Package: {}`, the recipe says `name = \"{}\"`",
            name.escape_debug(),
            asked.name
        );
        ensure!(
            is_version(version),
            "its control file says `Version: {}`, which is not a version of a package",
            version.escape_debug()
        );
        ensure!(
            asked.is_version(version),
            "its control file says `Version: {version}`, the recipe says `version = \"{}\"`",
            asked
                .version
                .as_ref()
                .map_or("", |version| version.as_str())
        );
        ensure!(
            arch == "all" || arch == asked.arch.name(),
            "it is for {}, not for {}: `{{arch}}` in `url` stands for the architecture \
             (`arch_names` for its name there), and a table names the URL of each, as in `url = \
             {{ amd64 = \"https://...\" }}`; one without a URL goes without the package",
            arch.escape_debug(),
            asked.arch
        );
        let identity = Identity {
            name,
            version,
            arch: asked.arch,
        };
        let package = deb::unpack(self.fetcher.store(), blob, identity)?;
        let mut warnings = Vec::new();
        for (path, node) in &package.nodes {
            check_program(asked, node).with_context(|| format!("its file `{path}`"))?;
            if node.stat.mode & 0o6000 != 0 && matches!(node.kind, Kind::File(_)) {
                warnings.push(format!(
                    "base.deb: {} brings `{path}`, which is setuid or setgid",
                    asked.what()
                ));
            }
        }
        Ok(Read {
            version: version.to_owned(),
            warnings,
            control,
        })
    }
}

/// A package that was looked at.
struct Read {
    control: String,
    version: String,
    warnings: Vec<String>,
}

/// Some publishers call everything `all`.
fn check_program(asked: &Deb, node: &Node) -> Result<()> {
    match &node.kind {
        Kind::File(content) if node.stat.mode & 0o111 != 0 => {
            program::check_arch(&content.head(HEAD)?, asked.arch)
        }
        _ => Ok(()),
    }
}

/// What `digest` says as well; `whose` names who says it.
fn add(want: &mut Expected, digest: &Digest, deb: &Deb, whose: &str) -> Result<()> {
    let slot = match digest.algorithm() {
        Algorithm::Sha256 => &mut want.sha256,
        Algorithm::Sha512 => &mut want.sha512,
    };
    match slot {
        Some(there) if there != digest => bail!(
            "{}: {whose} says {digest}, but the lock pins {there}: `nodeimg lock --update {}` \
             takes what is published now",
            deb.what(),
            deb.name
        ),
        _ => *slot = Some(digest.clone()),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
