//! What no image may hold: a secret or an identity that all its nodes would
//! share, and traces of the machine that built it. One list, in every build.

use anyhow::{Result, bail};

use super::{Base, dpkg, known, machine_id};
use crate::input::artifact::oci_image::store;
use crate::tree::{Content, ImagePath, Kind, Node};

type Rule = fn(&Base<'_>, &ImagePath, &Node) -> Result<Option<&'static str>>;

const RULES: [(&str, Rule); 7] = [
    ("passwords", password),
    ("keys", host_key),
    ("machine-id", machine_id_of),
    ("names", name_of_node),
    ("leftovers", leftover),
    ("modes", writable_by_all),
    ("build paths", build_path),
];

pub fn check(base: &mut Base<'_>) -> Result<()> {
    let mut problems = Vec::new();
    let own = base.tree.iter().filter(|(path, _)| !store::holds(path));
    for (path, node) in own {
        for (rule, find) in RULES {
            if let Some(problem) = find(base, path, node)? {
                problems.push(format!("{rule}: `{path}` (from {}) {problem}", node.origin));
            }
        }
    }
    if !base.has(machine_id::PATH)? {
        problems.push(
            "machine-id: `/etc/machine-id` is missing: it must be empty or contain `uninitialized`"
                .into(),
        );
    }
    if problems.is_empty() {
        return Ok(());
    }
    bail!("{}", problems.join("\n"))
}

fn text_of(node: &Node, limit: u64) -> Result<Option<String>> {
    match &node.kind {
        Kind::File(content) => Ok(String::from_utf8(content.head(limit)?).ok()),
        Kind::Directory | Kind::Symlink(_) => Ok(None),
    }
}

/// A password field may say only that there is no password.
fn password(_: &Base<'_>, path: &ImagePath, node: &Node) -> Result<Option<&'static str>> {
    let allowed: fn(&str) -> bool = match path.as_str() {
        "/etc/passwd" | "/etc/group" => |field| field == "x" || field == "*",
        "/etc/shadow" | "/etc/gshadow" => |field| matches!(field, "*" | "!" | "!*" | "!!"),
        _ => return Ok(None),
    };
    let text = text_of(node, u64::MAX)?.unwrap_or_default();
    let bad = text
        .lines()
        .filter_map(|line| line.split(':').nth(1))
        .any(|field| !allowed(field));
    Ok(bad.then_some("gives an account a password, or lets it in without one"))
}

fn host_key(_: &Base<'_>, path: &ImagePath, _: &Node) -> Result<Option<&'static str>> {
    if path.name().starts_with("ssh_host_") && path.is_within(&"/etc/ssh".parse()?) {
        return Ok(Some(
            "is a host key, which every node of the image would share",
        ));
    }
    Ok(None)
}

fn machine_id_of(_: &Base<'_>, path: &ImagePath, node: &Node) -> Result<Option<&'static str>> {
    let right = match path.as_str() {
        machine_id::PATH => {
            let text = text_of(node, 64)?;
            text.is_some_and(|text| text.is_empty() || text == machine_id::UNINITIALIZED)
        }
        "/var/lib/dbus/machine-id" => matches!(node.kind, Kind::Symlink(_)),
        _ => true,
    };
    Ok((!right).then_some("is an identity that every node of the image would share"))
}

fn name_of_node(_: &Base<'_>, path: &ImagePath, node: &Node) -> Result<Option<&'static str>> {
    if !known::IDENTITIES.contains(&path.as_str()) {
        return Ok(None);
    }
    let text = text_of(node, 4096)?.unwrap_or_default();
    Ok(known::is_identity(&text).then_some(
        "is a name that every node of the image would share: leave it out, each node makes its \
         own, or write it from the seed",
    ))
}

fn leftover(_: &Base<'_>, path: &ImagePath, node: &Node) -> Result<Option<&'static str>> {
    const SUFFIXES: [&str; 8] = [
        ".dpkg-dist",
        ".dpkg-new",
        ".dpkg-old",
        ".dpkg-tmp",
        ".ucf-dist",
        ".ucf-new",
        ".ucf-old",
        ".swp",
    ];
    const NAMES: [&str; 8] = [
        "/etc/passwd-",
        "/etc/group-",
        "/etc/shadow-",
        "/etc/gshadow-",
        "/etc/.pwd.lock",
        "/etc/hostname",
        "/var/lib/systemd/random-seed",
        "/usr/lib/udev/hwdb.bin",
    ];
    let is_directory = matches!(node.kind, Kind::Directory);
    let in_empty = ["/tmp/", "/run/", "/var/"]
        .iter()
        .any(|top| path.as_str().starts_with(top));
    let expected = is_directory
        || path
            .parent()
            .is_some_and(|parent| parent.as_str() == dpkg::VAR);
    let bad = NAMES.contains(&path.as_str())
        || SUFFIXES.iter().any(|suffix| path.name().ends_with(suffix))
        || (in_empty && !expected);
    Ok(bad.then_some("is left over from building or running a system"))
}

fn writable_by_all(_: &Base<'_>, _: &ImagePath, node: &Node) -> Result<Option<&'static str>> {
    let bad = match node.kind {
        Kind::Symlink(_) => false,
        Kind::File(_) => node.stat.mode & 0o002 != 0,
        Kind::Directory => node.stat.mode & 0o1002 == 0o002,
    };
    Ok(bad.then_some("can be written by everyone"))
}

/// The directory of the build, in what the build itself wrote.
fn build_path(base: &Base<'_>, _: &ImagePath, node: &Node) -> Result<Option<&'static str>> {
    let Some(directory) = base.facts.build_directory else {
        return Ok(None);
    };
    let holds = match &node.kind {
        Kind::Directory | Kind::File(Content::Span { .. } | Content::Joined(_)) => false,
        Kind::Symlink(target) => target.contains(directory),
        Kind::File(Content::Inline(bytes)) => {
            memchr::memmem::find(bytes, directory.as_bytes()).is_some()
        }
    };
    Ok(holds.then_some("names the directory that the image was built in"))
}
