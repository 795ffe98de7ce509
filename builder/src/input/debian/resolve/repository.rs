//! The index of another publisher's repository.
//!
//! Such an index rarely says until when it is valid, so that an older state of it could be
//! served for ever. What protects against that is the lock: it keeps the index's date and
//! digest, and no later lock accepts an older one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;

use super::{PackagesFile, Resolver, Suite};
use crate::input::debian::catalog::Whose;
use crate::input::debian::keyring::Keyring;
use crate::input::debian::release::{Release, canonical};
use crate::input::debian::stanza::stanzas;
use crate::input::fetch::{Gone, shown};
use crate::input::lock::Index;
use crate::input::recipe::{Component, Repository};

/// Packed ones first.
const PACKINGS: [&str; 3] = [".xz", ".gz", ""];

impl Resolver<'_> {
    pub(super) fn repository(&self, asked: &Repository) -> Result<Suite> {
        let directory = asked.directory();
        let place = match directory.is_empty() {
            true => asked.url.clone(),
            false => format!("{}/{directory}", asked.url),
        };
        let what = format!("the index of the repository {}", asked.name);
        let url = format!("{place}/InRelease");
        let accept = |text: String| self.accepted(&text, asked);
        let error = match self.fetcher.first_text(&url, &what, accept) {
            Err(error) if error.is::<Gone>() => error,
            found => return found,
        };
        // As apt does: the signature may lie beside the index.
        let signature = format!("{place}/Release.gpg");
        if let Some(signature) = self.fetcher.text(&signature, &what)? {
            let accept = |text: String| self.accepted_beside(&text, &signature, asked);
            let url = format!("{place}/Release");
            return self.fetcher.first_text(&url, &what, accept);
        }
        bail!(
            "there is no {}, and no Release.gpg beside it: are `url` and `suite` right{}? {error:#}",
            shown(&url),
            match asked.is_flat() {
                true => "",
                false => " (of a flat repository, `suite` ends in a slash)",
            }
        )
    }

    /// Of an index that is signed in itself.
    fn accepted(&self, text: &str, asked: &Repository) -> Result<Suite> {
        let keyring = Keyring::of(&asked.key_file).context("its `signed_by`")?;
        let text = keyring.verify(text.as_bytes(), self.time())?;
        self.read(&text, asked)
    }

    fn accepted_beside(&self, text: &str, signature: &str, asked: &Repository) -> Result<Suite> {
        let keyring = Keyring::of(&asked.key_file).context("its `signed_by`")?;
        keyring.verify_detached(text, signature.as_bytes(), self.time())?;
        self.read(text, asked)
    }

    fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.now.0)
    }

    /// `text` is what was signed.
    fn read(&self, text: &str, asked: &Repository) -> Result<Suite> {
        let release = Release::parse(text)?;
        let allowed = self.base.allow_expired.contains(&asked.name);
        release.check_time(asked.name.as_str(), self.now, allowed)?;
        let index = Index {
            suite: asked.name.clone(),
            archive: asked.name.clone(),
            url: Some(asked.url.clone()),
            date: release.date,
            sha256: Digest::sha256(canonical(text).as_bytes()),
        };
        self.check_age(&index)?;
        let mut files = Vec::new();
        let (mut found, mut lacking) = (BTreeSet::new(), BTreeMap::new());
        for arch in Arch::ALL {
            for (component, list) in lists(asked, arch) {
                match file(&release, &list, arch, asked.is_flat()) {
                    Ok(file) => {
                        files.push(file);
                        found.insert(component);
                    }
                    Err(error) => {
                        lacking.insert(component, error);
                    }
                }
            }
        }
        // Not every publisher has every architecture.
        lacking.retain(|component, _| !found.contains(component));
        if let Some((_, error)) = lacking.pop_first() {
            return Err(error);
        }
        Ok(Suite {
            index,
            whose: Whose::Repository,
            directory: asked.directory(),
            files,
        })
    }
}

/// The components of a repository, and the Packages file of each for `arch`, as it is called
/// unpacked.
fn lists(asked: &Repository, arch: Arch) -> Vec<(&str, String)> {
    if asked.is_flat() {
        return vec![("", "Packages".to_owned())];
    }
    let components = asked.components.iter();
    components
        .map(|component| {
            let list = format!("{component}/binary-{arch}/Packages");
            (component.as_str(), list)
        })
        .collect()
}

fn file(release: &Release<'_>, plain: &str, arch: Arch, of_all: bool) -> Result<PackagesFile> {
    // Some say `./Packages`.
    let find = |name: &str| {
        let dotted = || release.file(&format!("./{name}"));
        release
            .file(name)
            .or_else(|error| dotted().map_err(|_| error))
    };
    // Not every publisher lists what it does not offer.
    let size = find(plain).ok().map(|file| file.size);
    let mut packed = PACKINGS.iter().filter_map(|packing| {
        let name = format!("{plain}{packing}");
        Some((find(&name).ok()?, name))
    });
    let (packed, name) = packed.next().with_context(|| match of_all {
        true => format!("it lists no `{plain}`"),
        false => format!("it lists no `{plain}`: are `components` right?"),
    })?;
    Ok(PackagesFile {
        arch,
        component: Component::Main,
        name,
        packed,
        size,
        of_all,
    })
}

/// The entries of a list that are for `arch`.
pub(super) fn of_arch(text: &str, arch: Arch) -> String {
    let mut own = String::new();
    for stanza in stanzas(text) {
        let of = stanza.field("Architecture").unwrap_or_default();
        if of == "all" || of == arch.name() {
            own.push_str(stanza.text());
            own.push_str("\n\n");
        }
    }
    own
}
