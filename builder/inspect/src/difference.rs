//! What differs between two images: what they say, then what their files hold.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use anyhow::{Context, Result};
use nodeimg_formats::pe;
use serde::Serialize;

use crate::boot::Esp;
use crate::configuration;
use crate::image::Image;
use crate::report::{Report, SMALL};
use crate::root::{Kind, Node, Root};
use crate::text::{self, line, visible};
use nodeimg_values::size::size;

/// Version of the format, raised when a reader of the old one would go wrong.
pub const VERSION: u32 = 1;
/// How much of two contents is compared at a time, in bytes.
const PIECE: usize = 1 << 16;
/// A value in a line for people is cut after as many characters.
const SHOWN: usize = 60;

/// Entries by name, each as text.
type Entries = BTreeMap<String, String>;

/// What `nodeimg diff --json` prints. A part without a difference is empty.
#[derive(Serialize)]
pub struct Difference {
    pub format: u32,
    pub image: Changes,
    pub artifacts: Changes,
    pub packages: Changes,
    pub units: Changes,
    pub users: Changes,
    pub writable: Changes,
    /// The kernel, the words of its command line, sections of the UKI, partitions.
    pub boot: Changes,
    /// Paths of files whose type, owner, mode or content differ.
    pub files: Changes,
    /// By path: the settings that differ, by key.
    pub configuration: BTreeMap<String, Changes>,
    /// Compressed sizes in bytes of what takes more or less.
    pub sizes: Changes,
}

/// How entries of one kind differ.
#[derive(Default, PartialEq, Eq, Debug, Serialize)]
pub struct Changes {
    pub added: Entries,
    pub removed: Entries,
    /// Before and after.
    pub changed: BTreeMap<String, [String; 2]>,
}

impl Changes {
    fn between(before: Entries, after: &Entries) -> Changes {
        let mut changes = Changes::default();
        for (name, value) in after {
            match before.get(name) {
                None => {
                    changes.added.insert(name.clone(), value.clone());
                }
                Some(old) if old != value => {
                    let both = [old.clone(), value.clone()];
                    changes.changed.insert(name.clone(), both);
                }
                Some(_) => (),
            }
        }
        changes.removed = before;
        changes.removed.retain(|name, _| !after.contains_key(name));
        changes
    }

    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl Difference {
    pub fn is_empty(&self) -> bool {
        self.parts().iter().all(|(_, changes)| changes.is_empty()) && self.configuration.is_empty()
    }

    /// By what they are called, in the order that people read them.
    pub(crate) fn parts(&self) -> [(&'static str, &Changes); 9] {
        [
            ("image", &self.image),
            ("boot", &self.boot),
            ("artifacts", &self.artifacts),
            ("packages", &self.packages),
            ("enabled units", &self.units),
            ("users", &self.users),
            ("writable", &self.writable),
            ("sizes, compressed", &self.sizes),
            ("files", &self.files),
        ]
    }

    /// For people; one line says so if nothing differs.
    pub fn text(&self) -> String {
        if self.is_empty() {
            return "the images are the same\n".to_owned();
        }
        let mut out = String::new();
        for (title, changes) in self.parts() {
            if !changes.is_empty() {
                line(&mut out, format_args!("{title}"));
                lines(&mut out, changes);
            }
        }
        for (path, changes) in &self.configuration {
            line(&mut out, format_args!("settings in {path}"));
            lines(&mut out, changes);
        }
        out
    }
}

fn lines(out: &mut String, changes: &Changes) {
    let entry = |name: &str, value: &str| match value {
        "" => name.to_owned(),
        value => format!("{name}  {}", shown(value)),
    };
    for (name, value) in &changes.removed {
        line(out, format_args!("  - {}", entry(name, value)));
    }
    for (name, value) in &changes.added {
        line(out, format_args!("  + {}", entry(name, value)));
    }
    for (name, [before, after]) in &changes.changed {
        let (before, after) = (shown(before), shown(after));
        line(out, format_args!("  ~ {name}  {before} -> {after}"));
    }
}

pub(crate) fn shown(value: &str) -> String {
    let line = visible(value);
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// Compares two images and their reports.
///
/// # Errors
/// A file of one of them cannot be read.
pub fn between(before: (&Image, &Report), after: (&Image, &Report)) -> Result<Difference> {
    let (one, other) = (before.1, after.1);
    let changes = |entries: fn(&Report) -> Entries| Changes::between(entries(one), &entries(other));
    let files = files(&before.0.root, &after.0.root)?;
    let mut boot = changes(boot);
    boot.changed.extend(esp_files(&before.0.esp, &after.0.esp)?);
    let configuration = settings(&before.0.root, &after.0.root, one, other, &files)?;
    Ok(Difference {
        format: VERSION,
        image: changes(image),
        artifacts: changes(|report| report.artifacts.clone()),
        packages: changes(packages),
        units: changes(units),
        users: changes(users),
        writable: changes(writable),
        boot,
        files,
        configuration,
        sizes: changes(sizes),
    })
}

fn image(report: &Report) -> Entries {
    let image = &report.image;
    let named = [
        ("name", &image.id),
        ("version", &image.version),
        ("architecture", &image.architecture),
        ("base system", &image.system),
    ];
    let entry = |(name, value): (&str, &Option<String>)| Some((name.to_owned(), value.clone()?));
    named.into_iter().filter_map(entry).collect()
}

fn packages(report: &Report) -> Entries {
    let entry = |package: &crate::report::Package| (package.name.clone(), package.version.clone());
    report.packages.iter().map(entry).collect()
}

fn units(report: &Report) -> Entries {
    let entry = |(name, by): (&String, &Vec<String>)| (name.clone(), by.join(", "));
    report.units.iter().map(entry).collect()
}

fn users(report: &Report) -> Entries {
    let entry = |user: &crate::report::User| {
        let facts = format!("{}:{} {} {}", user.uid, user.gid, user.home, user.shell);
        (user.name.clone(), facts)
    };
    report.users.iter().map(entry).collect()
}

fn writable(report: &Report) -> Entries {
    let entry = |place: &crate::report::Writable| (place.path.clone(), place.backing.clone());
    report.writable.iter().map(entry).collect()
}

fn sizes(report: &Report) -> Entries {
    let entry = |size: &crate::report::Size| (text::owner(&size.owner), size.stored.to_string());
    report.sizes.iter().map(entry).collect()
}

fn boot(report: &Report) -> Entries {
    let mut entries = Entries::new();
    for partition in report.disk.iter().flat_map(|disk| &disk.partitions) {
        let size = size(partition.size);
        entries.insert(format!("partition {}", partition.label), size);
    }
    let Some(boot) = &report.boot else {
        return entries;
    };
    for path in boot.esp.keys() {
        entries.insert(format!("ESP {path}"), String::new());
    }
    let Some(uki) = &boot.uki else {
        return entries;
    };
    for section in &uki.sections {
        entries.insert(
            format!("section {}", section.name),
            section.size.to_string(),
        );
    }
    entries.extend(
        uki.kernel
            .clone()
            .map(|kernel| ("kernel".to_owned(), kernel)),
    );
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    let line = uki.command_line.as_deref().unwrap_or_default();
    for word in line.split_ascii_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let number = count.entry(key).or_default();
        *number += 1;
        let again = if *number > 1 {
            format!("[{number}]")
        } else {
            String::new()
        };
        entries.insert(format!("kernel word {key}{again}"), value.to_owned());
    }
    for module in &uki.initrd.modules {
        entries.insert(format!("initrd module {module}"), String::new());
    }
    entries
}

/// Files of both EFI system partitions whose contents differ: programs of another version, or with
/// another signature.
fn esp_files(before: &Option<Esp>, after: &Option<Esp>) -> Result<BTreeMap<String, [String; 2]>> {
    let mut changed = BTreeMap::new();
    let (Some(before), Some(after)) = (before, after) else {
        return Ok(changed);
    };
    for path in before.files.keys() {
        if !after.files.contains_key(path) {
            continue;
        }
        let (old, new) = (before.content(path)?, after.content(path)?);
        if old != new {
            let mut both = [program(&old), program(&new)];
            if both[0] == both[1] {
                both[1].push_str(", other content");
            }
            changed.insert(format!("ESP {path}"), both);
        }
    }
    Ok(changed)
}

fn program(bytes: &[u8]) -> String {
    let signed = pe::Image::read(bytes).is_ok_and(|image| !image.certificates().is_empty());
    let signed = if signed { ", signed" } else { "" };
    format!("{} bytes{signed}", bytes.len())
}

fn files(before: &Root, after: &Root) -> Result<Changes> {
    let mut changes = Changes::default();
    let all: BTreeSet<&str> = before
        .nodes()
        .chain(after.nodes())
        .map(|(path, _)| path)
        .collect();
    for path in all {
        match (before.node(path), after.node(path)) {
            (Some(old), None) => {
                changes.removed.insert(path.to_owned(), facts(old));
            }
            (None, Some(new)) => {
                changes.added.insert(path.to_owned(), facts(new));
            }
            (Some(old), Some(new)) => {
                let mut both = [facts(old), facts(new)];
                if both[0] == both[1] {
                    if same_content(before, after, path, &old.kind)? {
                        continue;
                    }
                    both[1].push_str(", other content");
                }
                changes.changed.insert(path.to_owned(), both);
            }
            (None, None) => (),
        }
    }
    Ok(changes)
}

fn facts(node: &Node) -> String {
    let Node {
        mode,
        uid,
        gid,
        kind,
    } = node;
    let kind = match kind {
        Kind::Directory => "directory".to_owned(),
        Kind::File(size) => format!("{size} bytes"),
        Kind::Symlink(target) => format!("link to {target}"),
        Kind::Other => "special file".to_owned(),
    };
    format!("{mode:04o} {uid}:{gid} {kind}")
}

fn same_content(before: &Root, after: &Root, path: &str, kind: &Kind) -> Result<bool> {
    if !matches!(kind, Kind::File(_)) {
        return Ok(true);
    }
    let context = || format!("reading `{path}`");
    let mut one = before.content(path)?;
    let mut other = after.content(path)?;
    let mut pieces = [[0; PIECE], [0; PIECE]];
    loop {
        let count = fill(&mut one, &mut pieces[0]).with_context(context)?;
        let same = fill(&mut other, &mut pieces[1]).with_context(context)?;
        if count != same || pieces[0][..count] != pieces[1][..same] {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

fn fill(from: &mut impl Read, piece: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match from.read(&mut piece[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// Of the configuration files among `files`, which settings differ.
fn settings(
    before: &Root,
    after: &Root,
    one: &Report,
    other: &Report,
    files: &Changes,
) -> Result<BTreeMap<String, Changes>> {
    let mut all = BTreeMap::new();
    let changed = files
        .changed
        .keys()
        .chain(files.added.keys())
        .chain(files.removed.keys());
    for path in changed {
        let is_settings = |report: &Report| report.configuration.contains_key(path);
        if !is_settings(one) && !is_settings(other) {
            continue;
        }
        let read = |root: &Root| -> Result<Option<Entries>> {
            let bytes = match root.node(path).map(|node| &node.kind) {
                Some(Kind::File(_)) => root.small_file(path, SMALL)?,
                _ => None,
            };
            Ok(match bytes {
                Some(bytes) => configuration::settings(path, &bytes),
                None => Some(Entries::new()),
            })
        };
        // What is not text has no settings: `files` says that it differs.
        if let (Some(old), Some(new)) = (read(before)?, read(after)?) {
            let changes = Changes::between(old, &new);
            if !changes.is_empty() {
                all.insert(path.clone(), changes);
            }
        }
    }
    Ok(all)
}
