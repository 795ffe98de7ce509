//! What the table `containerd.config` of a recipe may not say: names of another containerd,
//! which this one would ignore, and keys that the rest of the image decides.
//!
//! <https://github.com/containerd/containerd/blob/main/docs/containerd-2.0.md>

use toml::{Table, Value};

use super::{CONTAINERD, PROGRAM};
use crate::input::recipe::Artifact;
use crate::input::recipe::file::RecipeFile;
use crate::input::recipe::problems::Problems;
use crate::input::recipe::runtime::keys::List;
use crate::input::recipe::source::{Step, nearest};
use crate::input::recipe::value::Version;
use crate::tree::ImagePath;

const LISTS: &str = include_str!("../../../../../data/containerd-keys.txt");
/// The last minor version of containerd 2 whose keys are in that list.
pub const NEWEST: u64 = 4;

const IMAGES: &str = "io.containerd.cri.v1.images";
pub const RUNTIME: &str = "io.containerd.cri.v1.runtime";
pub const OLD_CRI: &str = "io.containerd.grpc.v1.cri";

/// Plugins of containerd 1.x, and where they are now.
const RENAMED: [(&str, &str); 4] = [
    (
        "io.containerd.internal.v1.restart",
        "io.containerd.monitor.container.v1.restart",
    ),
    (
        "io.containerd.monitor.v1.cgroups",
        "io.containerd.monitor.task.v1.cgroups",
    ),
    (
        "io.containerd.runtime.v1.linux",
        "io.containerd.runtime.v2.task",
    ),
    (
        "io.containerd.snapshotter.v1.aufs",
        "io.containerd.snapshotter.v1.overlayfs",
    ),
];

const SOCKET: &str = "the kubelet of this image looks for it at `/run/containerd/containerd.sock`";

/// Keys that must fit the rest of the image, and what to do instead.
const OWNED: [(&[&str], &str); 9] = [
    (
        &["version"],
        "nodeimg writes the version that the recipe's containerd reads: the names below \
         `plugins` must be of that version",
    ),
    (
        &["imports"],
        "nodeimg has containerd read `/etc/containerd/conf.d/*.toml`: put a `[[file]]` there",
    ),
    (
        &["root"],
        "this image keeps it at `/var/lib/containerd`, on the state partition",
    ),
    (
        &["state"],
        "this image keeps it at `/run/containerd`, in memory",
    ),
    (&["grpc", "address"], SOCKET),
    (
        &["plugins", "io.containerd.server.v1.grpc", "address"],
        SOCKET,
    ),
    (
        &["plugins", IMAGES, "pinned_images", "sandbox"],
        "set `sandbox_image`",
    ),
    (
        &["plugins", IMAGES, "registry", "config_path"],
        "nodeimg and first boot write what is at `/etc/containerd/certs.d`",
    ),
    (
        &["plugins", "io.containerd.internal.v1.opt", "path"],
        "this image keeps it at `/var/lib/containerd/opt`: the default cannot be written to",
    ),
];

pub fn check(file: &RecipeFile, artifacts: &[Artifact], problems: &mut Problems<'_>) {
    let Some(part) = &file.containerd else { return };
    let mut told = Told {
        problems,
        start: TABLE,
    };
    owned(&part.config, &mut told);
    registry(&part.config, &mut told);
    drivers(&part.config, &mut Vec::new(), &mut told);
    disabled(&part.config, &mut told);
    let program = PROGRAM.parse::<ImagePath>().ok();
    let installs =
        |artifact: &&Artifact| program.as_ref().is_some_and(|path| artifact.provides(path));
    // A package's version is not known before the lock is.
    let version = artifacts
        .iter()
        .find(installs)
        .map(|artifact| CONTAINERD.version_in(artifact));
    if let Some((2, minor)) = version.map(|version| version.major_minor()) {
        let minor = minor.min(NEWEST);
        names(&part.config, minor, &mut told);
        default_runtime(file, &part.config, &mut told);
    }
}

/// Notes problems below a table of containerd's configuration.
pub struct Told<'a, 'b> {
    pub problems: &'a mut Problems<'b>,
    /// The table's own place in its file.
    pub start: &'static [Step<'static>],
}

/// The place of the recipe's table.
pub const TABLE: &[Step<'static>] = &[Step::Key("containerd"), Step::Key("config")];

impl Told<'_, '_> {
    pub fn add(&mut self, way: &[&str], message: &str) {
        let steps = way.iter().map(|key| Step::Key(key));
        let steps: Vec<Step<'_>> = self.start.iter().copied().chain(steps).collect();
        match way.contains(&"registry") {
            // Logins are there.
            true => self.problems.add_unquoted(&steps, message),
            false => self.problems.add(&steps, message),
        }
    }
}

pub fn value<'a>(config: &'a Table, way: &[&str]) -> Option<&'a Value> {
    let (last, tables) = way.split_last()?;
    let table = tables
        .iter()
        .try_fold(config, |table, name| table.get(*name)?.as_table())?;
    table.get(*last)
}

fn owned(config: &Table, told: &mut Told<'_, '_>) {
    for (way, remedy) in OWNED {
        if value(config, way).is_some() {
            told.add(way, &format!("not set here: {remedy}"));
        }
    }
}

/// `config_path`, which nodeimg sets, and these exclude each other.
pub fn registry(config: &Table, told: &mut Told<'_, '_>) {
    for plugin in [IMAGES, OLD_CRI] {
        for (key, instead) in [
            (
                "mirrors",
                "containerd does not start its CRI plugin with this beside `config_path`, which \
                 nodeimg sets: use `[registries.NAME]` with `mirrors`",
            ),
            (
                "configs",
                "not beside `config_path`, which nodeimg sets: use `[registries.NAME]` for a CA, \
                 and `nodeimg.registries` of the seed for logins",
            ),
            (
                "auths",
                "a login is for seeds (`nodeimg.registries`), and not for an image",
            ),
        ] {
            let way = ["plugins", plugin, "registry", key];
            if value(config, &way).is_some() {
                told.add(&way, instead);
            }
        }
    }
}

pub fn drivers<'a>(table: &'a Table, way: &mut Vec<&'a str>, told: &mut Told<'_, '_>) {
    for (key, value) in table {
        way.push(key);
        if key == "SystemdCgroup" && value.as_bool() == Some(false) {
            told.add(
                way,
                "the kubelet's cgroupDriver is systemd, and both must agree: remove it",
            );
        }
        if let Value::Table(inner) = value {
            drivers(inner, way, told);
        }
        way.pop();
    }
}

/// Without its CRI plugins containerd starts no pod.
pub fn disabled(config: &Table, told: &mut Told<'_, '_>) {
    let list = config.get("disabled_plugins").and_then(Value::as_array);
    for name in list.into_iter().flatten().filter_map(Value::as_str) {
        if ["cri", OLD_CRI, IMAGES, RUNTIME].contains(&name) {
            told.add(
                &["disabled_plugins"],
                &format!("without `{name}` the kubelet has no container runtime"),
            );
        } else if !name.contains('.') {
            told.add(
                &["disabled_plugins"],
                &format!(
                    "containerd would not start: `{name}` is not the name of a plugin, as \
                     `io.containerd.snapshotter.v1.btrfs`"
                ),
            );
        }
    }
}

/// The tables of the list, each with its minor versions and its keys.
pub fn sections() -> impl Iterator<Item = (&'static str, u64, u64, &'static str)> {
    LISTS.split("\n[").skip(1).filter_map(|section| {
        let (head, keys) = section.split_once('\n').unwrap_or((section, ""));
        let (name, ages) = head.split_once("] ")?;
        let (first, last) = ages.split_once(' ')?;
        Some((name, first.parse().ok()?, last.parse().ok()?, keys))
    })
}

pub fn list(lines: &'static str) -> List {
    List {
        lines,
        program: "containerd 2",
    }
}

fn keys(table: &str) -> Option<List> {
    let (.., lines) = sections().find(|(name, ..)| *name == table)?;
    // One without keys of its own has those that it likes.
    (!lines.is_empty()).then(|| list(lines))
}

pub fn names(config: &Table, minor: u64, told: &mut Told<'_, '_>) {
    let is_owned = |way: &[&str]| OWNED.iter().any(|(owned, _)| *owned == way);
    for bad in keys("")
        .into_iter()
        .flat_map(|keys| keys.bad_of(config, minor))
    {
        let way: Vec<&str> = bad.way.iter().map(String::as_str).collect();
        if !is_owned(&way) {
            told.add(&way, &bad.message);
        }
    }
    let plugins = config.get("plugins").and_then(Value::as_table);
    for (name, value) in plugins.into_iter().flatten() {
        let way = ["plugins", name];
        let known = sections()
            .any(|(known, first, last, _)| known == name && (first..=last).contains(&minor));
        let Some(table) = value.as_table() else {
            told.add(&way, "is a table");
            continue;
        };
        if !known {
            told.add(&way, &unknown(name, minor));
            continue;
        }
        let bad = keys(name)
            .into_iter()
            .flat_map(|keys| keys.bad_of(table, minor));
        for bad in bad {
            let steps: Vec<&str> = way
                .into_iter()
                .chain(bad.way.iter().map(String::as_str))
                .collect();
            if is_owned(&steps) {
                continue;
            }
            let is_old = name == OLD_CRI;
            match value_at(table, &bad.way).and_then(Value::as_table) {
                // One of 1.x whose keys are in two tables now.
                Some(inner) if is_old => of_old_cri(&steps, inner, minor, &bad.message, told),
                _ => {
                    let moved = is_old.then(|| moved(&steps[2..], minor)).flatten();
                    told.add(&steps, moved.as_deref().unwrap_or(&bad.message));
                }
            }
        }
    }
}

fn value_at<'a>(table: &'a Table, way: &[String]) -> Option<&'a Value> {
    let names: Vec<&str> = way.iter().map(String::as_str).collect();
    value(table, &names)
}

/// Each key of a table of containerd 1.x's CRI plugin that another check does not tell.
fn of_old_cri(way: &[&str], table: &Table, minor: u64, otherwise: &str, told: &mut Told<'_, '_>) {
    let is_registry = way.last() == Some(&"registry");
    let mut is_told = false;
    for key in table.keys() {
        if is_registry && ["auths", "configs", "mirrors"].contains(&key.as_str()) {
            is_told = true;
            continue;
        }
        let steps = [way, &[key.as_str()]].concat();
        if let Some(message) = moved(&steps[2..], minor) {
            told.add(&steps, &message);
            is_told = true;
        }
    }
    if !is_told {
        told.add(way, otherwise);
    }
}

/// What the recipe says of a containerd whose version only the lock has: the base system's.
///
/// # Errors
/// All that this version would ignore or stop at.
pub fn by_version(config: &Table, version: &Version) -> anyhow::Result<()> {
    let mut problems = Problems::new(&[]);
    let mut told = Told {
        problems: &mut problems,
        start: TABLE,
    };
    match version.major_minor() {
        (2, minor) => names(config, minor.min(NEWEST), &mut told),
        _ => {
            for plugin in [IMAGES, RUNTIME] {
                if value(config, &["plugins", plugin]).is_some() {
                    let message = format!(
                        "containerd {version} would ignore the table: before 2.0 it is `{OLD_CRI}`"
                    );
                    told.add(&["plugins", plugin], &message);
                }
            }
        }
    }
    problems.done().map(drop)
}

fn unknown(name: &str, minor: u64) -> String {
    let passes = format!("containerd 2.{minor} has no such plugin and would ignore the table");
    if let Some((_, now)) = RENAMED.iter().find(|(old, _)| *old == name) {
        return format!("{passes}: since 2.0 it is `{now}`");
    }
    if let Some((_, first, last, _)) = sections().find(|(known, ..)| *known == name) {
        return format!("{passes}: it is one of containerd 2.{first} to 2.{last}");
    }
    if name == "cri" {
        return format!("{passes}: since 2.0 it is `{RUNTIME}` and `{IMAGES}`");
    }
    let names = sections().map(|(known, ..)| known);
    // Their names are long and much alike, so the last parts tell.
    let last = |name: &str| name.rsplit('.').next().map(str::to_owned);
    let same = sections()
        .map(|(known, ..)| known)
        .find(|known| last(known) == last(name));
    let near = nearest(name, names).filter(|near| last(near).is_some());
    match same.or(near) {
        Some(near) => format!("{passes}; did you mean `{near}`?"),
        None => passes,
    }
}

/// Where a key of containerd 1.x's one CRI plugin is now.
fn moved(way: &[&str], minor: u64) -> Option<String> {
    let now = match *way {
        ["sandbox_image"] => return Some("set `sandbox_image` of the recipe".to_owned()),
        [
            "containerd",
            "snapshotter" | "disable_snapshot_annotations" | "discard_unpacked_layers",
        ] => IMAGES,
        [first, ..] if keys(RUNTIME)?.has(first) => RUNTIME,
        [first, ..] if keys(IMAGES)?.has(first) => IMAGES,
        _ => return None,
    };
    Some(format!(
        "containerd 2.{minor} would ignore this: of `{OLD_CRI}` only the streaming server is \
         left, and this is in `{now}` since 2.0"
    ))
}

/// One that is not configured stops the CRI plugin.
fn default_runtime(file: &RecipeFile, config: &Table, told: &mut Told<'_, '_>) {
    let way = ["plugins", RUNTIME, "containerd", "default_runtime_name"];
    let Some(name) = value(config, &way).and_then(Value::as_str) else {
        return;
    };
    let runtimes = value(config, &["plugins", RUNTIME, "containerd", "runtimes"]);
    let is_given = runtimes
        .and_then(Value::as_table)
        .is_some_and(|table| table.contains_key(name));
    if name != "runc" && !is_given && file.handlers.iter().all(|handler| handler != name) {
        told.add(
            &way,
            &format!("containerd would not start its CRI plugin: no runtime is called `{name}`"),
        );
    }
}
