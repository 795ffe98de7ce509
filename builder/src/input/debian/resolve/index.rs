//! The index of a suite: its signed Release file, judged by keys, age and what the lock knows.

use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow, bail};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;

use super::list::packages_file;
use super::{Resolver, Suite};
use crate::input::debian::catalog::Whose;
use crate::input::debian::release::{Release, canonical};
use crate::input::debian::sources::archive_of;
use crate::input::fetch::{Gone, Mirrors};
use crate::input::lock::Index;
use crate::input::recipe::Component;
use crate::input::recipe::value::Name;

impl Resolver<'_> {
    pub(super) fn suite(&self, name: &Name, whose: Whose) -> Result<Suite> {
        let archive = archive_of(name);
        let what = format!("the index of Debian's suite {name}");
        let url = Mirrors::snapshot(archive, self.now, &format!("dists/{name}/InRelease"));
        let accept = |text: String| self.accept(&text, name, whose, archive);
        let found = self.fetcher.first_text(&url, &what, accept);
        let others = match whose {
            Whose::Beside => self.repositories_named(),
            _ => String::new(),
        };
        found.map_err(|error| match error.is::<Gone>() {
            true => anyhow!(
                "no mirror of the archive `{archive}` has the suite {name}: is it right? Name a \
                 mirror that has it with --debian-mirror URL, NODEIMG_DEBIAN_MIRROR or \
                 `base.mirrors`{others}; {error:#}"
            ),
            false => anyhow!("{error:#}{others}"),
        })
    }

    pub(super) fn accept(
        &self,
        text: &str,
        name: &Name,
        whose: Whose,
        archive: &str,
    ) -> Result<Suite> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(self.now.0);
        let text = self.keyring.verify(text.as_bytes(), now)?;
        let release = Release::parse(&text)?;
        let allowed = self.base.allow_expired.contains(name);
        release.check(name.as_str(), self.now, allowed)?;
        let index = Index {
            suite: name.clone(),
            archive: archive.parse()?,
            url: None,
            date: release.date,
            sha256: Digest::sha256(canonical(&text).as_bytes()),
        };
        self.check_age(&index)?;
        let mut files = Vec::new();
        for arch in Arch::ALL {
            for component in Component::ALL {
                match packages_file(&release, component, arch) {
                    Ok(file) => files.push(file),
                    Err(error) if component.is_main() => return Err(error),
                    // Not every suite has every component.
                    Err(_) => {}
                }
            }
        }
        Ok(Suite {
            index,
            whose,
            directory: format!("dists/{name}"),
            files,
        })
    }

    pub(super) fn check_age(&self, new: &Index) -> Result<()> {
        let of_same = |old: &&Index| {
            old.suite == new.suite && old.archive == new.archive && old.url == new.url
        };
        match self.known.iter().find(of_same) {
            Some(old) if new.date < old.date => bail!(
                "it is dated {}, but the lock already has the one of {}: the mirror is out of \
                 date, or hands out an old state; to go back, run `nodeimg lock --update base \
                 --allow-older`",
                new.date,
                old.date
            ),
            _ => Ok(()),
        }
    }
}
