#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;
use std::fs;

use tempfile::TempDir;

use super::ledger::Ledger;
use super::pools::count_up;
use super::read::Flag;
use super::{Inventory, clashes};

fn flags() -> Vec<Flag> {
    let flag = |name: &str, many| Flag {
        name: name.to_owned(),
        many,
    };
    vec![
        flag("host-name", false),
        flag("node-ip", true),
        flag("pod-subnet", true),
        flag("label", true),
        flag("ca", false),
    ]
}

fn inventory(name: &str, text: &str) -> Result<Inventory, String> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let inventory = Inventory::read(&path, &flags());
    let place = format!("{}/", folder.path().display());
    inventory.map_err(|error| format!("{error:#}").replace(&place, ""))
}

const CSV: &str = "# our machines\nhost_name,MAC,node_ip,labels\n\
                   a,52-54-00-12-34-56,10.0.0.5;fd00::5,zone=a;ssd=\n\nb,,,\n";

#[test]
fn both_forms_say_the_same() {
    let toml = "[defaults]\nca = 'ca.crt'\n[group.big]\nlabel = ['zone=a', 'ssd=']\nca = 'other'\n\
                [[node]]\nhost_name = 'a'\ngroup = 'big'\nnode_ip = ['10.0.0.5', 'fd00::5']\n\
                [[node]]\nhost-name = 'b'\n";
    let csv = inventory("n.csv", CSV).unwrap();
    let toml = inventory("n.toml", toml).unwrap();
    for rows in [&csv.rows, &toml.rows] {
        assert_eq!(rows[0].all("node-ip"), ["10.0.0.5", "fd00::5"]);
        assert_eq!(rows[0].all("label"), ["zone=a", "ssd="]);
        assert_eq!(rows[1].host_name(), "b");
        assert!(rows[1].all("node-ip").is_empty());
    }
    assert!(
        csv.rows[0].place.ends_with("n.csv:3"),
        "{}",
        csv.rows[0].place
    );
    assert_eq!(toml.rows[0].one("ca"), Some("other"));
    assert_eq!(toml.rows[1].one("ca"), Some("ca.crt"));
    assert!(
        toml.rows[1].place.ends_with("n.toml:10"),
        "{}",
        toml.rows[1].place
    );
}

#[test]
fn mistakes_have_their_line() {
    for (name, text, expected) in [
        (
            "n.csv",
            "host_name,ip\n",
            "n.csv:1: `ip` is not a flag of `nodeimg seed new` nor a key of an inventory: did you mean `node_ip`?",
        ),
        (
            "n.csv",
            "host_name;node_ip\n",
            "n.csv:1: the columns are not separated by commas",
        ),
        (
            "n.csv",
            "host_name,label,labels\n",
            "n.csv:1: `label` is there twice",
        ),
        (
            "n.csv",
            "host_name,ca\na\nb,c,d\n",
            "n.csv:3: 3 cells, but the header names 2 columns",
        ),
        (
            "n.csv",
            "host_name,ca\n,x\n",
            "n.csv:2: this machine has no host_name",
        ),
        (
            "n.csv",
            "host_name\n",
            "n.csv: the inventory has no machine",
        ),
        (
            "n.csv",
            "host_name,group\na,b\n",
            "n.csv:1: groups are for inventories in TOML, which can say what a group has",
        ),
        (
            "n.toml",
            "[[nodes]]\n",
            "n.toml:1: `nodes` is not a part of an inventory: it has [defaults], [group.NAME] and [[node]]",
        ),
        (
            "n.toml",
            "[[node]]\nhost_name = 'a'\ngroup = 'x'\n",
            "n.toml:3: there is no [group.x]",
        ),
        (
            "n.toml",
            "[[node]]\nhost_name = ['a', 'b']\n",
            "n.toml:2: `host_name` takes one value",
        ),
        (
            "n.toml",
            "[node]\nhost_name = 'a'\n",
            "n.toml:1: write [[node]], once for every machine",
        ),
        (
            "n.toml",
            "[[node]]\nhost_name = 1.5\n",
            "n.toml:2: a value is text, a whole number, true, false or a list of these",
        ),
        (
            "n.toml",
            "[[node]]\nca = 'x'\n",
            "n.toml:1: this machine has no host_name",
        ),
    ] {
        assert_eq!(inventory(name, text).unwrap_err(), expected);
    }
    let broken = inventory("n.toml", "[[node]]\nhost_name = 'a\n").unwrap_err();
    assert!(broken.starts_with("n.toml:2: "), "{broken}");
}

/// Subnets of these names, with the ledger beside `path`.
fn counted(path: &std::path::Path, names: &[&str], pool: &str) -> Result<Vec<String>, String> {
    let lines: String = names
        .iter()
        .map(|name| format!("{name},{pool}\n"))
        .collect();
    fs::write(path, format!("host_name,pod_subnet\n{lines}")).unwrap();
    let mut rows = Inventory::read(path, &flags()).unwrap().rows;
    let mut ledger = Ledger::beside(path).unwrap();
    count_up(&mut rows, &mut ledger).map_err(|error| format!("{error:#}"))?;
    ledger.save().unwrap();
    Ok(rows
        .iter()
        .map(|row| row.all("pod-subnet").join(" "))
        .collect())
}

#[test]
fn who_has_a_subnet_keeps_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("n.csv");
    let pool = "10.200.0.0/16 by /24";
    let first = counted(&path, &["a", "b"], pool).unwrap();
    assert_eq!(first, ["10.200.0.0/24", "10.200.1.0/24"]);
    let ledger = fs::read(folder.path().join("n.csv.lock")).unwrap();
    counted(&path, &["b", "a"], pool).unwrap();
    assert_eq!(fs::read(folder.path().join("n.csv.lock")).unwrap(), ledger);
    let inserted = counted(&path, &["new", "a", "b"], pool).unwrap();
    assert_eq!(
        inserted,
        ["10.200.2.0/24", "10.200.0.0/24", "10.200.1.0/24"]
    );
    // The subnet of one that is gone is not given away.
    let without = counted(&path, &["c", "b"], pool).unwrap();
    assert_eq!(without, ["10.200.3.0/24", "10.200.1.0/24"]);
}

#[test]
fn pools_of_every_kind_count_to_their_end() {
    let folder = TempDir::new().unwrap();
    for (i, (pool, expected)) in [
        ("fd00:1::/63 by /64", vec!["fd00:1::/64", "fd00:1:0:1::/64"]),
        (
            "10.0.0.254-10.0.1.0",
            vec!["10.0.0.254", "10.0.0.255", "10.0.1.0"],
        ),
        (
            "10.0.0.0/24 by /26;fd00::/8 by /64",
            vec!["10.0.0.0/26 fd00::/64"],
        ),
        ("0.0.0.0/0 by /1", vec!["0.0.0.0/1", "128.0.0.0/1"]),
        ("::/0 by /0", vec!["::/0"]),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{i}.csv"));
        let names: Vec<_> = ["a", "b", "c"][..expected.len()].to_vec();
        let counted_up = counted(&path, &names, pool);
        match pool {
            // A whole family does not fit a number of 128 bits; refused, not wrong.
            "::/0 by /0" => assert!(counted_up.is_err()),
            _ => assert_eq!(counted_up.unwrap(), expected),
        }
    }
    let path = folder.path().join("full.csv");
    let full = counted(&path, &["a", "b", "c"], "10.0.0.0/23 by /24").unwrap_err();
    assert!(
        full.ends_with("full.csv:4: nothing of 10.0.0.0/23 by /24 is left for c"),
        "{full}"
    );
    for (pool, expected) in [
        (
            "10.0.0.1/23 by /24",
            "`10.0.0.1/23` is an address in a network: write `10.0.0.0/23`",
        ),
        ("10.0.0.0/23 by 24", "write `10.0.0.0/23 by /24`"),
        (
            "10.0.0.0/23 by /22",
            "10.0.0.0/23 cannot be divided into networks of /22",
        ),
        (
            "10.0.0.9-10.0.0.1",
            "`10.0.0.9-10.0.0.1` does not count up from its first address to its last",
        ),
    ] {
        let error = counted(&path, &["a"], pool).unwrap_err();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn what_is_given_by_hand_is_counted_around() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("n.csv");
    let text = "host_name,pod_subnet\na,10.0.0.0/22 by /24\nb,10.0.0.0/23\nc,10.0.0.0/22 by /24\n";
    fs::write(&path, text).unwrap();
    let mut rows = Inventory::read(&path, &flags()).unwrap().rows;
    let mut ledger = Ledger::beside(&path).unwrap();
    count_up(&mut rows, &mut ledger).unwrap();
    let subnets: Vec<_> = rows
        .iter()
        .map(|row| row.all("pod-subnet").join(""))
        .collect();
    assert_eq!(subnets, ["10.0.2.0/24", "10.0.0.0/23", "10.0.3.0/24"]);
    assert!(clashes::find(&rows).is_empty());
}

#[test]
fn clashes_are_found_in_any_spelling() {
    let text = "host_name,mac,node_ip,pod_subnet\n\
                a,52:54:00:aa:bb:cc,fd00::5,10.0.0.0/16\n\
                A,5254.00AA.BBCC,fd00:0::5,10.0.3.0/24\n\
                c,,10.0.3.7,10.1.0.0/24\n\
                d,,10.9.0.0/24,\ne,,10.9.0.0/24,\n";
    let rows = inventory("n.csv", text).unwrap().rows;
    let found = clashes::find(&rows);
    let found: Vec<_> = found
        .iter()
        .map(|text| {
            text.rsplit_once("n.csv:").map_or("", |_| {
                let at = text.find("n.csv:").unwrap();
                &text[at..]
            })
        })
        .collect();
    let start = |text: &str, expected: &str| assert!(text.starts_with(expected), "{text}");
    assert_eq!(found.len(), 5, "{found:#?}");
    start(found[0], "n.csv:3: host_name `A` is also that of a (");
    start(
        found[1],
        "n.csv:3: mac `5254.00AA.BBCC` is also that of a (",
    );
    start(found[2], "n.csv:3: node_ip `fd00:0::5` is also that of a (");
    start(
        found[3],
        "n.csv:3: the pod_subnet of A overlaps that of a (",
    );
    start(
        found[4],
        "n.csv:4: node_ip 10.0.3.7 lies in 10.0.3.0/24, the pod_subnet of A (",
    );
}

#[test]
fn a_thousand_nodes_have_a_thousand_subnets() {
    let folder = TempDir::new().unwrap();
    let names: Vec<_> = (0..1000).map(|i| format!("n{i}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let subnets = counted(&folder.path().join("n.csv"), &names, "10.0.0.0/8 by /24").unwrap();
    assert_eq!(subnets.iter().collect::<BTreeSet<_>>().len(), 1000);
}
