//! Files of containerd's configuration that the recipe's author lays in: whether containerd
//! starts with them, and what it would ignore.
//!
//! `LoadConfig` of <https://github.com/containerd/containerd/blob/main/cmd/containerd/server/config/config.go>.

use toml::{Table, Value};

use super::check::{self, OLD_CRI, RUNTIME, Told, value};
use super::config::PATH;
use crate::input::recipe::problems::Problems;
use crate::input::recipe::runtime::{Laid, LaidFile};
use crate::input::recipe::source::Source;
use crate::input::recipe::value::Version;

/// Where containerd of an image looks for more files.
const DROP_INS: &str = "/etc/containerd/conf.d";

/// What the whole image decides, and what to do instead.
const OWNED: [(&[&str], &str, &str); 4] = [
    (
        &["root"],
        "/var/lib/containerd",
        "the state partition keeps it",
    ),
    (&["state"], "/run/containerd", "it is kept in memory"),
    (
        &["grpc", "address"],
        "/run/containerd/containerd.sock",
        "the kubelet of this image looks for it there",
    ),
    (
        &["plugins", "io.containerd.server.v1.grpc", "address"],
        "/run/containerd/containerd.sock",
        "the kubelet of this image looks for it there",
    ),
];
/// Keys of containerd 1.x that tools still write; they say nothing if they are empty.
const IDLE: [&str; 3] = ["runtime_engine", "runtime_root", "runtime_type_options"];

pub static LAID: Laid = Laid {
    folder: DROP_INS,
    ending: ".toml",
    check,
};

fn is_drop_in(path: &str) -> bool {
    let below = path.strip_prefix(DROP_INS);
    below.is_some_and(|name| name.starts_with('/'))
}

fn check(files: &[LaidFile<'_>], own: &str, version: &Version) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut tables: Vec<Table> = own.parse().into_iter().collect();
    let mut sources = Vec::new();
    for file in files {
        let source = Source {
            label: file.label.clone(),
            text: file.text.to_owned(),
            directory: None,
        };
        match source.parse::<Table>() {
            Ok(table) => {
                tables.push(table.clone());
                sources.push((file, source, table));
            }
            Err(error) => wrong.push(format!("{error:#}\ncontainerd would not start")),
        }
    }
    let runtimes = runtimes(&tables);
    let root = match files.iter().any(|file| file.path == PATH) {
        true => newest(version),
        false => {
            let own = tables.first().map(version_of).filter(|own| *own > 0);
            own.unwrap_or_else(|| newest(version))
        }
    };
    for (file, source, table) in &sources {
        let sources = [source.clone()];
        let mut problems = Problems::new(&sources);
        let mut told = Told {
            problems: &mut problems,
            start: &[],
        };
        one(file.path, table, root, version, &mut told);
        default_runtime(table, &runtimes, &mut told);
        if let Err(error) = problems.done() {
            wrong.push(format!("{error:#}"));
        }
    }
    wrong
}

/// The version of its configuration that a containerd reads.
fn newest(version: &Version) -> i64 {
    match version.major_minor() {
        (1, _) => 2,
        (2, 0..=2) => 3,
        _ => 4,
    }
}

/// One that says nothing is of version 1 or older.
fn version_of(table: &Table) -> i64 {
    let version = table.get("version").and_then(Value::as_integer);
    version.unwrap_or(0)
}

fn one(path: &str, table: &Table, root: i64, version: &Version, told: &mut Told<'_, '_>) {
    let own = version_of(table);
    if own > root {
        let message = match is_drop_in(path) {
            true => format!(
                "containerd {version} would not start: the version of a file in {DROP_INS} may \
                 not be higher than {root}, that of its main file"
            ),
            false => {
                format!("containerd {version} would not start: it reads version {root} at most")
            }
        };
        told.add(&["version"], &message);
    }
    for (way, expected, why) in OWNED {
        if value(table, way).is_some_and(|given| given.as_str() != Some(expected)) {
            told.add(way, &format!("is `{expected}` in this image: {why}"));
        }
    }
    check::registry(table, told);
    check::drivers(table, &mut Vec::new(), told);
    check::disabled(table, told);
    let (major, minor) = version.major_minor();
    if major == 2 {
        let mut plain = table.clone();
        without_idle(&mut plain);
        // containerd moves what older versions have to where it is now.
        if own < 3
            && let Some(plugins) = plain.get_mut("plugins").and_then(Value::as_table_mut)
        {
            plugins.retain(|name, _| name != OLD_CRI && name.starts_with("io.containerd."));
        }
        check::names(&plain, minor.min(check::NEWEST), told);
    }
}

fn without_idle(table: &mut Table) {
    table.retain(|key, value| {
        let is_empty = value.as_str().is_some_and(str::is_empty);
        !(IDLE.contains(&key) && is_empty)
    });
    for (_, inner) in table.iter_mut() {
        if let Value::Table(inner) = inner {
            without_idle(inner);
        }
    }
}

/// The names of all runtimes that are configured.
fn runtimes(tables: &[Table]) -> Vec<String> {
    let named = |table: &Table, plugin: &str| -> Vec<String> {
        let found = value(table, &["plugins", plugin, "containerd", "runtimes"]);
        let found = found.and_then(Value::as_table);
        found
            .map(|table| table.keys().cloned().collect())
            .unwrap_or_default()
    };
    let both = |table: &Table| [named(table, RUNTIME), named(table, OLD_CRI)].concat();
    tables.iter().flat_map(both).collect()
}

/// One that is not configured stops the CRI plugin.
fn default_runtime(table: &Table, runtimes: &[String], told: &mut Told<'_, '_>) {
    for plugin in [RUNTIME, OLD_CRI] {
        let way = ["plugins", plugin, "containerd", "default_runtime_name"];
        let Some(name) = value(table, &way).and_then(Value::as_str) else {
            continue;
        };
        if name != "runc" && !runtimes.iter().any(|runtime| runtime == name) {
            told.add(
                &way,
                &format!(
                    "containerd would not start its CRI plugin: no runtime is called `{name}`"
                ),
            );
        }
    }
}
