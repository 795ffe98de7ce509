//! The rendered drop-in judged by CRI-O itself, where `NODEIMG_TEST_CRIO` names a folder
//! with one: every value that we write is in force, and the keys that we know are its own.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::judge;
use toml::{Table, Value};

use super::super::check::KEYS;
use super::{BAKED, config, on_crio};
use crate::input::recipe::handler::tests::handlers;
use crate::input::recipe::runtime::keys::tests::keys_of;
use crate::input::recipe::runtime::tests::in_force;
use crate::input::recipe::tests::recipe;

fn crio(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(folder.join("crio"));
    let output = command.args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn version(folder: &Path) -> String {
    let said = crio(folder, &["--version"]);
    let mut words = said.lines().next().unwrap().split(' ');
    words.next_back().unwrap().to_owned()
}

/// What `crio config` prints: values that are CRI-O's defaults are comments.
fn understood(text: &str) -> Table {
    let mut table = String::new();
    let mut values: BTreeMap<String, (bool, String)> = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            table = format!("{name}.");
            continue;
        }
        let bare = |line: &str| line.trim_start_matches(['#', ' ', '\t']).to_owned();
        let is_comment = line.starts_with('#');
        let code = bare(line);
        let Some((key, value)) = code.split_once(" = ") else {
            continue;
        };
        let is_key = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !key.chars().all(is_key) {
            continue;
        }
        let mut value = value.to_owned();
        while value.starts_with('[') && !value.ends_with(']') {
            value.push_str(&bare(lines.next().unwrap()));
        }
        let way = format!("{table}{key}");
        let there = values.get(&way);
        if there.is_none_or(|(was_comment, _)| *was_comment && !is_comment) {
            values.insert(way, (is_comment, value));
        }
    }
    let lines = values
        .iter()
        .map(|(way, (_, value))| format!("{way} = {value}"));
    // An example in a comment may be no value at all.
    let good = lines.filter(|line| line.parse::<Table>().is_ok());
    good.collect::<Vec<_>>().join("\n").parse().unwrap()
}

#[test]
fn crio_takes_every_value_that_is_rendered_for_it() {
    let Some(folder) = judge::crio() else { return };
    let more = format!(
        "[crio.config.runtime]\npids_limit = 2048\nlog_level = \"debug\"\n[crio.config.network]\n\
         cni_status_grace_period = \"7s\"\n[crio.config.nri]\nenable_nri = false\n{BAKED}"
    );
    let version = version(&folder);
    let handlers = handlers(&["crun", "youki", "kata"]);
    let made = recipe(&on_crio(&format!("{handlers}{more}")));
    let text = config::generate(&made, &version.parse().unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("10-nodeimg.conf"), &text).unwrap();
    let place = directory.path().to_str().unwrap();
    let said = crio(&folder, &["--config", "", "--config-dir", place, "config"]);
    let ours: Table = text.parse().unwrap();
    let mut missing = Vec::new();
    in_force(&ours, &understood(&said), "", &mut missing);
    assert_eq!(missing, [""; 0], "CRI-O {version}:\n{said}");
}

/// Each key that CRI-O prints is one that we know.
#[test]
fn the_list_of_keys_is_that_of_crio() {
    let Some(folder) = judge::crio() else { return };
    let minor = version(&folder);
    let minor: u64 = minor.split('.').nth(1).unwrap().parse().unwrap();
    let known = keys_of(KEYS, minor);
    let said = crio(&folder, &["config", "--default"]);
    let all = understood(&said);
    let mut printed = Vec::new();
    let mut open = vec![(String::new(), all["crio"].as_table().unwrap().clone())];
    while let Some((at, table)) = open.pop() {
        for (key, value) in table {
            let way = format!("{at}{key}");
            match value {
                Value::Table(inner) => open.push((format!("{way}."), inner)),
                _ => printed.push(way),
            }
        }
    }
    // Examples stand in comments behind the table of crun: the last name tells.
    let last = |way: &str| way.rsplit('.').next().map(str::to_owned);
    let names: Vec<_> = known.iter().map(|(way, _)| last(way)).collect();
    let unknown: Vec<_> = printed
        .iter()
        .filter(|way| !names.contains(&last(way)) && !way.contains('/'))
        .collect();
    assert!(
        unknown.is_empty() && printed.len() > 80,
        "{unknown:?} of {}",
        printed.len()
    );
}
