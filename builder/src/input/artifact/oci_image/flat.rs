//! The files of a container image: all its layers applied, one over the other.
//!
//! As a runtime sees them that mounts each layer over the one below it
//! ([OCI layers](https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#applying-changesets)):
//! `.wh.NAME` removes NAME and `.wh..wh..opq` all that is in its directory, from the
//! layers below alone. A path that goes through a link of the same layer lies behind the
//! link; a link of a lower layer gives way to a directory.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::layer::{Member, MemberKind};
use crate::tree::{Kind, Stat};

const WHITEOUT: &str = ".wh.";
/// What begins so is no file's name.
const MARK: &str = ".wh..wh.";
const OPAQUE: &str = ".wh..wh..opq";
/// More links than this on one way are a loop.
const MAX_LINKS: usize = 40;

/// The files of an image by their paths below its root, which has the empty path.
#[derive(Debug)]
pub struct Files(BTreeMap<String, File>);

/// A file, directory or link.
#[derive(Clone, Debug)]
pub struct File {
    pub stat: Stat,
    pub kind: Kind,
    /// The layer that it came with, counted from the lowest.
    layer: usize,
}

impl Files {
    /// What `layers` amount to, the lowest first.
    pub fn of<'a>(layers: impl IntoIterator<Item = &'a [Member]>) -> Result<Files> {
        let root = File {
            stat: Stat::root(0o755),
            kind: Kind::Directory,
            layer: 0,
        };
        let mut files = Files(BTreeMap::from([(String::new(), root)]));
        for (number, members) in layers.into_iter().enumerate() {
            files.apply(number, members)?;
        }
        Ok(files)
    }

    /// In path order, every directory before what is in it.
    pub fn into_files(self) -> impl Iterator<Item = (String, File)> {
        self.0.into_iter()
    }

    /// The bytes of all files.
    pub fn size(&self) -> u64 {
        let sizes = self.0.values().map(|file| match &file.kind {
            Kind::File(content) => content.len(),
            Kind::Directory | Kind::Symlink(_) => 0,
        });
        sizes.sum()
    }

    /// Removals first: they never hide what their own layer brings.
    fn apply(&mut self, layer: usize, members: &[Member]) -> Result<()> {
        let (marks, members): (Vec<_>, Vec<_>) = members
            .iter()
            .partition(|member| split(&member.path).1.starts_with(WHITEOUT));
        for mark in marks {
            let (directory, name) = split(&mark.path);
            if name == OPAQUE {
                self.remove_below(directory);
            } else if !name.starts_with(MARK) {
                self.remove(&join(directory, &name[WHITEOUT.len()..]));
            }
        }
        for member in members {
            self.put(layer, member.clone())
                .with_context(|| format!("applying its member `{}`", member.path))?;
        }
        Ok(())
    }

    fn put(&mut self, layer: usize, member: Member) -> Result<()> {
        let path = self.place(layer, &member.path)?;
        let file = match member.kind {
            MemberKind::Hardlink(target) => {
                let target = self.place(layer, &target)?;
                let there = self.0.get(&target);
                let there = there.filter(|there| !matches!(there.kind, Kind::Directory));
                let there = there.with_context(|| {
                    format!("it is a hard link to `{target}`, which is not a file of the image")
                })?;
                File {
                    layer,
                    ..there.clone()
                }
            }
            MemberKind::Directory => File::new(layer, member.stat, Kind::Directory),
            MemberKind::File(content) => File::new(layer, member.stat, Kind::File(content)),
            MemberKind::Symlink(target) => {
                let stat = Stat {
                    mode: 0o777,
                    ..member.stat
                };
                File::new(layer, stat, Kind::Symlink(target))
            }
        };
        let is_directory = matches!(file.kind, Kind::Directory);
        ensure!(
            !path.is_empty() || is_directory,
            "it is the image's root, but not a directory"
        );
        self.directories_of(layer, &path)?;
        if !is_directory {
            self.remove_below(&path);
        }
        self.0.insert(path, file);
        Ok(())
    }

    /// Where `path` really lies: links that its own layer brought are followed on the
    /// way, never above the root.
    fn place(&self, layer: usize, path: &str) -> Result<String> {
        let mut left: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut way: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    way.pop();
                    continue;
                }
                _ => way.push(part),
            }
            let link = self.link_of(layer, &way.join("/"));
            let Some(target) = link.filter(|_| !left.is_empty()) else {
                continue;
            };
            links += 1;
            ensure!(links <= MAX_LINKS, "its links lead in a circle");
            match target.starts_with('/') {
                true => way.clear(),
                false => drop(way.pop()),
            }
            left.extend(target.rsplit('/').map(str::to_owned));
        }
        Ok(way.join("/"))
    }

    /// What the link at `path` says, if this layer brought one there.
    fn link_of(&self, layer: usize, path: &str) -> Option<&str> {
        match self.0.get(path)? {
            File {
                kind: Kind::Symlink(target),
                layer: brought,
                ..
            } if *brought == layer => Some(target),
            _ => None,
        }
    }

    /// Makes the directories that `path` is in, where they are missing.
    fn directories_of(&mut self, layer: usize, path: &str) -> Result<()> {
        for (at, _) in path.match_indices('/') {
            let parent = &path[..at];
            match self.0.get(parent) {
                Some(file) if matches!(file.kind, Kind::Directory) => continue,
                Some(file) if file.layer == layer => {
                    bail!("it lies below `{parent}`, which is not a directory")
                }
                _ => {}
            }
            let implied = File::new(layer, Stat::root(0o755), Kind::Directory);
            self.0.insert(parent.to_owned(), implied);
        }
        Ok(())
    }

    fn remove(&mut self, path: &str) {
        self.remove_below(path);
        self.0.remove(path);
    }

    fn remove_below(&mut self, directory: &str) {
        let inside: Vec<String> = match directory {
            "" => self.0.keys().skip(1).cloned().collect(),
            // `0` follows `/` in ASCII.
            _ => self
                .0
                .range(format!("{directory}/")..format!("{directory}0"))
                .map(|(path, _)| path.clone())
                .collect(),
        };
        for path in inside {
            self.0.remove(&path);
        }
    }
}

impl File {
    fn new(layer: usize, stat: Stat, kind: Kind) -> File {
        File { stat, kind, layer }
    }
}

/// The directory and the name.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        _ => format!("{directory}/{name}"),
    }
}
