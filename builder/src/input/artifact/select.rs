//! Which members the recipe's rules pick, and whether they may go in.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::members::{Body, Member, MemberKind};
use super::rule::{Destination, InstallRule, Selector};
use super::{Candidate, Spec};
use crate::tree::ImagePath;

/// A member that goes into the image.
#[derive(Debug)]
pub struct Picked {
    pub path: ImagePath,
    pub mode: u32,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    File(Body),
    /// The link's text.
    Symlink(String),
}

/// What `spec`'s rules pick of `members`; every rule must pick something.
pub fn select(members: &[Member], spec: &Spec<'_>) -> Result<Vec<Picked>> {
    if spec.rules.is_empty() {
        bail!("its `files` are empty: nothing would be installed");
    }
    let index = Index::new(members);
    let mut picked = Vec::new();
    for rule in spec.rules {
        let Some(from) = &rule.from else {
            bail!(
                "the `files` entry for `{}` lacks `from`: the member of the archive",
                rule.to
            );
        };
        for name in index.names(from)? {
            let item =
                pick(&index, name, rule, spec).with_context(|| format!("member `{name}`"))?;
            picked.push(item);
        }
        if matches!((from, &rule.to), (Selector::AllIn(_), Destination::As(_))) {
            bail!(
                "`from = \"{from}\"` needs a directory: write `to = \"{}/\"`",
                rule.to
            );
        }
    }
    Ok(picked)
}

fn pick(index: &Index<'_>, name: &str, rule: &InstallRule, spec: &Spec<'_>) -> Result<Picked> {
    let member = index.one(name)?;
    let (kind, mode) = index.resolve(member)?;
    if member.has_capability && !spec.allow_setuid {
        bail!(
            "has a file capability, and would be installed without it: give its service the \
             capability (`AmbientCapabilities=` in the unit), and say so with `allow_setuid = \
             true` in the recipe"
        );
    }
    let last = name.rsplit_once('/').map_or(name, |(_, last)| last);
    let path = rule.to.place(last)?;
    let what = match kind {
        MemberKind::File(body) => {
            let candidate = Candidate {
                mode,
                size: body.size,
                head: &body.head,
            };
            spec.check_file(rule, &candidate)?;
            What::File(body.clone())
        }
        MemberKind::Symlink(target) => {
            if path.link_leaves_root(target) {
                bail!(
                    "is a symbolic link to `{target}`, which leaves the image's root from `{path}`"
                );
            }
            What::Symlink(target.clone())
        }
        MemberKind::Directory => bail!("is a directory: write `from = \"{name}/*\"`"),
        MemberKind::Hardlink(target) => bail!("is a hard link to itself through `{target}`"),
    };
    Ok(Picked {
        path,
        mode: rule.mode.bits(),
        what,
    })
}

/// The members by name.
struct Index<'a> {
    by_name: BTreeMap<&'a str, Vec<&'a Member>>,
}

impl<'a> Index<'a> {
    fn new(members: &'a [Member]) -> Index<'a> {
        let mut by_name: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
        for member in members {
            by_name.entry(&member.name).or_default().push(member);
        }
        Index { by_name }
    }

    /// The names that `from` stands for, in order.
    fn names<'b>(&'b self, from: &'b Selector) -> Result<Vec<&'b str>> {
        let names: Vec<&str> = match from {
            Selector::One(name) if self.by_name.contains_key(name.as_str()) => vec![name],
            Selector::One(name) => bail!("it has no member `{name}`: {}", self.near(name)),
            Selector::AllIn(directory) => self
                .files()
                .filter(|name| name.rsplit_once('/').map_or("", |(dir, _)| dir) == directory)
                .collect(),
        };
        if names.is_empty() {
            bail!(
                "it has no file for `{from}`: {}",
                self.near(&from.to_string())
            );
        }
        Ok(names)
    }

    /// Names of everything but directories.
    fn files(&self) -> impl Iterator<Item = &'a str> {
        self.by_name
            .iter()
            .filter(|(_, members)| members.iter().any(|m| !is_directory(m)))
            .map(|(name, _)| *name)
    }

    /// The only member called `name`. A name that is there twice means two
    /// things to two readers, so it is not installed.
    fn one(&self, name: &str) -> Result<&'a Member> {
        match self.by_name.get(name).map(Vec::as_slice) {
            Some([member]) => Ok(member),
            Some(many) => bail!("is in the archive {} times", many.len()),
            None => bail!("is not in the archive"),
        }
    }

    /// What `member` is after hard links, and every mode bit seen on the way.
    fn resolve(&self, member: &'a Member) -> Result<(&'a MemberKind, u32)> {
        let (mut at, mut mode) = (member, member.mode);
        for _ in 0..16 {
            let MemberKind::Hardlink(target) = &at.kind else {
                break;
            };
            at = self
                .one(target)
                .with_context(|| format!("is a hard link to `{target}`, which"))?;
            mode |= at.mode;
            if is_directory(at) {
                bail!("is a hard link to the directory `{target}`");
            }
        }
        Ok((&at.kind, mode))
    }

    /// What the author of a rule may have meant.
    fn near(&self, name: &str) -> String {
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        let mut near: Vec<(bool, f64, &str)> = self
            .files()
            .map(|file| {
                let same_file = last(file) == last(name);
                (same_file, strsim::jaro_winkler(file, name), file)
            })
            .filter(|(same_file, score, _)| *same_file || *score > 0.8)
            .collect();
        near.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
        let quoted = |names: &mut dyn Iterator<Item = &str>| {
            let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
            names.join(", ")
        };
        if near.is_empty() {
            let count = self.files().count();
            if count == 0 {
                return "it holds no file at all".to_owned();
            }
            let first = quoted(&mut self.files().take(8));
            return format!(
                "its files are {first}{}",
                if count > 8 { ", ..." } else { "" }
            );
        }
        let names = quoted(&mut near.iter().take(3).map(|(_, _, file)| *file));
        format!("similar names are {names}")
    }
}

fn is_directory(member: &Member) -> bool {
    matches!(member.kind, MemberKind::Directory)
}
