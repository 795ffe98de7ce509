//! `nodeimg seed new --inventory`, `seed check --inventory` and `seed token`.
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::run::{Ran, nodeimg, tool};
use serde_json::Value;

const DEFAULTS: &str = "[defaults]\napi_server = 'https://server.kubernetes.local:6443'\n\
    hosts = 'server.kubernetes.local=192.168.10.100'\nca = 'ca/ca.crt'\nca_key = 'ca/ca.key'\n\
    pod_subnet = '10.200.0.0/16 by /24'\n[group.spare]\nlabels = ['role=spare']\n";

pub fn seed(here: &Path, words: &[&str]) -> Ran {
    let mut command = nodeimg();
    Ran::of(command.arg("seed").args(words).current_dir(here))
}

/// A folder with a CA and an inventory of these machines.
pub fn folder(nodes: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    seed(directory.path(), &["ca", "ca"]).good();
    inventory(directory.path(), nodes);
    directory
}

pub fn inventory(here: &Path, nodes: &str) {
    fs::write(here.join("nodes.toml"), format!("{DEFAULTS}{nodes}")).unwrap();
}

pub fn node(name: &str, address: &str) -> String {
    format!(
        "[[node]]\nhost_name = '{name}'\nnode_ip = '{address}'\nmac = '52:54:00:00:00:{:02x}'\n",
        address.len() + usize::from(*name.as_bytes().last().unwrap())
    )
}

fn tree(at: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(at).into_iter().map(Result::unwrap);
    let files = files.filter(|entry| entry.file_type().is_file());
    let read = |entry: walkdir::DirEntry| {
        let name = entry.path().strip_prefix(at).unwrap().display().to_string();
        (name, fs::read(entry.path()).unwrap())
    };
    files.map(read).collect()
}

#[test]
fn the_same_inventory_gives_the_same_bytes() {
    let two = node("a", "192.168.10.101") + &node("b", "192.168.10.102") + "group = 'spare'\n";
    let directory = folder(&two);
    let here = directory.path();
    let ran = seed(here, &["new", "--inventory", "nodes.toml", "out"]).good();
    assert!(
        ran.err
            .contains("out: 2 seeds (2 new, 0 changed, 0 unchanged)"),
        "{}",
        ran.err
    );
    let first = tree(&here.join("out"));
    assert_eq!(first.len(), 4);
    let text = String::from_utf8(first["b/user-data"].clone()).unwrap();
    assert!(
        text.contains("10.200.1.0/24") && text.contains("\"role\": \"spare\""),
        "{text}"
    );
    for (name, mode) in [("out", 0o700), ("out/a", 0o700), ("out/a/user-data", 0o600)] {
        let found = fs::metadata(here.join(name)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
    }
    seed(here, &["check", "out/a"]).good();

    let ran = seed(here, &["new", "--inventory", "nodes.toml", "out"]).good();
    assert!(ran.err.contains("0 changed, 2 unchanged"), "{}", ran.err);
    seed(here, &["new", "--inventory", "nodes.toml", "again"]).good();
    assert!(
        tree(&here.join("again")) == first,
        "same inventory, ledger and CA"
    );

    // A line before the others moves nobody.
    inventory(here, &(node("c", "192.168.10.103") + &two));
    let ran = seed(here, &["new", "--inventory", "nodes.toml", "out"]).good();
    assert!(
        ran.err.contains("1 new, 0 changed, 2 unchanged"),
        "{}",
        ran.err
    );
    let now = tree(&here.join("out"));
    assert!(first.iter().all(|(name, bytes)| now[name] == *bytes));

    // What would change needs a word; what is gone is named.
    inventory(
        here,
        &(node("a", "192.168.10.111") + &node("c", "192.168.10.103")),
    );
    let words = ["new", "--inventory", "nodes.toml", "out"];
    seed(here, &words).refused(
        1,
        &["out: seeds of a are there and would change", "--force"],
    );
    assert!(tree(&here.join("out")) == now);
    let ran = seed(here, &[&words[..], &["--force"]].concat()).good();
    for part in [
        "1 changed, 1 unchanged",
        "out also holds b",
        "b: not in the inventory any more",
    ] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    let renewed = seed(here, &[&words[..], &["--force", "--renew"]].concat()).good();
    assert!(
        renewed.err.contains("0 changed, 2 unchanged"),
        "of one day: {}",
        renewed.err
    );
}

#[test]
fn images_of_volumes_are_for_each_node() {
    let directory = folder(&node("a", "192.168.10.101"));
    let here = directory.path();
    let words = ["new", "--inventory", "nodes.toml", "out", "--img"];
    seed(here, &words).good();
    let ran = seed(here, &words).good();
    assert!(ran.err.contains("1 unchanged"), "{}", ran.err);
    let mut read = Command::new("mtype");
    if let Some(ran) = tool(
        read.args(["-i", "out/a.img", "::user-data"])
            .current_dir(here),
    ) {
        assert!(ran.good().out.contains("10.200.0.0/24"));
    }
}

/// One error for each thing that is wrong, and one for the whole.
#[track_caller]
fn refused(ran: &Ran, expected: &[&str]) {
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    for part in expected {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
}

#[test]
fn nothing_is_written_if_one_machine_is_wrong() {
    let wrong = node("a", "192.168.10.101") + &node("B_x", "192.168.10.102");
    for (nodes, expected) in [
        (
            wrong.as_str(),
            vec![
                "nodes.toml:13 (B_x): ",
                "nothing was written, because the seeds of B_x do not work",
            ],
        ),
        (
            "[[node]]\nhost_name = 'a'\ndays = 'x'\n",
            vec!["nodes.toml:9 (a): invalid value 'x' for '--days <DAYS>'"],
        ),
        (
            "[[node]]\nhost_name = 'a'\nca = 'none.crt'\n",
            vec!["nodes.toml:9 (a)", "none.crt: No such file"],
        ),
        (
            "[[node]]\nhost_name = 'a'\nno_kube_proxy = 'x'\n",
            vec!["nodes.toml:11: write true or false"],
        ),
        (
            "[[node]]\nhost_name = 'a'\nforce = true\n",
            vec!["nodes.toml:11: `force` is not a flag of"],
        ),
        (
            "[[node]]\nhost_name = 'a'\nnode_ip = '10.0.0.1'\n[[node]]\nhost_name = 'b'\nnode_ip = '10.0.0.1'\n",
            vec![
                "error: nodes.toml:14: node_ip `10.0.0.1` is also that of a (nodes.toml:9)",
                "machines share what they may not",
            ],
        ),
    ] {
        let directory = folder(nodes);
        let here = directory.path();
        let words = ["new", "--inventory", "nodes.toml", "out"];
        refused(&seed(here, &words), &expected);
        assert!(
            !here.join("out").exists() && !here.join("nodes.toml.lock").exists(),
            "{nodes}"
        );
        refused(
            &seed(here, &["check", "--inventory", "nodes.toml"]),
            &expected[..1],
        );
    }
    let directory = folder(&node("a", "192.168.10.101"));
    seed(
        directory.path(),
        &[
            "new",
            "--inventory",
            "nodes.toml",
            "out",
            "--host-name",
            "x",
        ],
    )
    .refused(2, &["--host-name"]);
    seed(directory.path(), &["new", "out"]).refused(2, &["--host-name"]);
    seed(directory.path(), &["check"]).refused(2, &["DIR"]);
    let checked = seed(directory.path(), &["check", "--inventory", "nodes.toml"]).good();
    assert!(
        checked.err.contains("nodes.toml: 1 valid seeds"),
        "{}",
        checked.err
    );
    assert!(
        !directory.path().join("nodes.toml.lock").exists(),
        "a check writes nothing"
    );
}

/// Flags of the command line hold for every line of a CSV file.
#[test]
fn a_csv_file_has_its_defaults_on_the_command_line() {
    let directory = folder("");
    let here = directory.path();
    fs::create_dir(here.join("racks")).unwrap();
    let csv = "host_name,node_ip,days,san,no_kube_proxy\na,192.168.10.101,10,x.example;y.example,\nb,192.168.10.102,,,true\n";
    fs::write(here.join("racks/nodes.csv"), csv).unwrap();
    let words = "new --inventory racks/nodes.csv out --days 20 --ca ca/ca.crt --ca-key ca/ca.key \
                 --api-server https://192.168.10.100:6443 --pod-subnet";
    let mut words: Vec<&str> = words.split_whitespace().collect();
    words.push("10.200.0.0/16 by /24");
    seed(here, &words).good();
    let text = fs::read_to_string(here.join("out/b/user-data")).unwrap();
    assert!(
        text.contains("10.200.1.0/24") && !text.contains("kube_proxy"),
        "{text}"
    );
    let text = fs::read_to_string(here.join("out/a/user-data")).unwrap();
    assert!(text.contains("kube_proxy"), "{text}");
}

#[test]
fn every_export_has_the_nodes() {
    let directory = folder(
        &(node("a", "192.168.10.101") + "uuid = '4C4C4544-0035'\nroot_device = '/dev/nvme0n1'\n"),
    );
    let here = directory.path();
    let words = "new --inventory nodes.toml out --export metal3=metal3.json --export matchbox=mb \
                 --export tinkerbell=hw.json --export nocloud-http=www";
    let words: Vec<&str> = words.split_whitespace().collect();
    seed(here, &words).good();
    let user_data = fs::read_to_string(here.join("out/a/user-data")).unwrap();
    let json = |name: &str| -> Value {
        let mode = fs::metadata(here.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
        serde_json::from_slice(&fs::read(here.join(name)).unwrap()).unwrap()
    };
    let metal3 = json("metal3.json");
    assert_eq!(metal3["items"][0]["stringData"]["userData"], user_data);
    let host = &metal3["items"][1];
    assert_eq!(
        host["spec"]["userData"]["name"],
        metal3["items"][0]["metadata"]["name"]
    );
    assert_eq!(
        host["spec"]["rootDeviceHints"]["deviceName"],
        "/dev/nvme0n1"
    );
    assert_eq!(
        host["spec"]["bootMACAddress"].as_str().map(str::len),
        Some(17)
    );
    assert_eq!(json("hw.json")["items"][0]["spec"]["userData"], user_data);
    let served = fs::read_to_string(here.join("www/4c4c4544-0035/user-data")).unwrap();
    assert_eq!(served, user_data);
    assert!(here.join("www/4c4c4544-0035/vendor-data").exists());
    let group: Value =
        serde_json::from_slice(&fs::read(here.join("mb/groups/a.json")).unwrap()).unwrap();
    assert_eq!(group["selector"]["uuid"], "4c4c4544-0035");
    assert!(
        here.join("mb/assets/nodeimg/4c4c4544-0035/meta-data")
            .exists()
    );

    inventory(
        here,
        "[[node]]\nhost_name = 'b'\nnode_ip = '192.168.10.102'\n",
    );
    for form in ["metal3", "tinkerbell", "matchbox", "nocloud-http"] {
        let to = format!("{form}=other");
        let words = ["new", "--inventory", "nodes.toml", "o", "--export", &to];
        seed(here, &words).refused(1, &["nodes.toml:9"]);
        assert!(!here.join("other").exists() && !here.join("o").exists());
    }
    let words = [
        "new",
        "--inventory",
        "nodes.toml",
        "o",
        "--export",
        "ironic=x",
    ];
    seed(here, &words).refused(2, &["`ironic` is not one of metal3, tinkerbell"]);
}

#[test]
fn a_token_comes_with_its_secret() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    seed(here, &["token", "batch", "--ttl", "90m"]).good();
    let token = fs::read_to_string(here.join("batch/token")).unwrap();
    let secret: Value =
        serde_json::from_slice(&fs::read(here.join("batch/secret.json")).unwrap()).unwrap();
    assert!(token.starts_with(secret["stringData"]["token-id"].as_str().unwrap()));
    seed(here, &["token", "batch"]).refused(1, &["batch"]);
    seed(here, &["token", "other", "--ttl", "0h"]).refused(2, &["write a time from 1m to 366d"]);
    seed(here, &["token", "other", "--group", "system:masters"])
        .refused(1, &["system:bootstrappers:"]);
    assert!(!here.join("other").exists());
}
