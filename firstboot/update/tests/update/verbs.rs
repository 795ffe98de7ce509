//! The program on a node whose file system is a directory and whose disk is a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nodeimg_formats::update::{Manifest, PAYLOAD_TYPE, Requires, Wave};
use nodeimg_signing::dsse;
use nodeimg_signing::signer::{Given, Purpose, Signer};

use crate::fixture::{Machine, Version, hex};
use crate::model::boot;

struct Node {
    machine: Machine,
    root: PathBuf,
    updates: PathBuf,
}

fn old() -> Version {
    Version::of("1.0-20261101", 100..160)
}

fn new() -> Version {
    Version::of("1.1-20261201", (110..160).chain(900..910))
}

impl Node {
    fn new() -> Node {
        let machine = Machine::running(&old());
        let root = machine.folder.path().join("root");
        let updates = machine.folder.path().join("updates");
        fs::create_dir_all(&updates).unwrap();
        let node = Node {
            machine,
            root,
            updates,
        };
        node.runs(&old());
        node.put("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        node.put("var/tmp/.keep", "");
        node
    }

    fn runs(&self, version: &Version) {
        let release = format!(
            "ID=debian\nIMAGE_ID=\"node\"\nIMAGE_VERSION={}\n",
            version.version
        );
        self.put("usr/lib/os-release", &release);
        let line = format!("roothash={} root=/dev/mapper/root\n", version.hash);
        self.put("proc/cmdline", &line);
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodeimg-update"));
        command.args(arguments).arg("--root").arg(&self.root);
        if !arguments[0].ends_with("hold") {
            command.arg("--disk").arg(self.machine.path());
        }
        command
    }

    /// Exit status, and what was said.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        said(&self.command(arguments).output().unwrap())
    }

    fn source(&self) -> &str {
        self.updates.to_str().unwrap()
    }

    fn entry(&self) -> String {
        boot(&self.machine.disk, self.machine.size).unwrap().entry
    }

    fn publish(&self, change: impl FnOnce(&mut Manifest)) {
        let mut manifest = new().manifest();
        change(&mut manifest);
        new().publish_as(&self.updates, manifest);
    }
}

fn said(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn an_update_is_found_installed_listed_and_rolled_back() {
    let mut node = Node::new();
    let (status, text) = node.run(&["check", node.source()]);
    assert_eq!(status, 4, "{text}");
    assert!(text.contains("nothing newer than 1.0-20261101"), "{text}");
    node.publish(|_| {});
    let (status, text) = node.run(&["check", node.source()]);
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("1.1-20261201 can be installed"), "{text}");
    assert_eq!(node.entry(), "node_1.0-20261101.efi");
    let (status, text) = node.run(&["apply", node.source(), "--json"]);
    assert_eq!(status, 0, "{text}");
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["bytes"]["fetched"], 10 * 4096);
    assert_eq!(node.entry(), "node_1.1-20261201+3.efi");
    let state = fs::read_to_string(node.root.join("var/lib/nodeimg/update.json")).unwrap();
    assert!(state.contains("\"from\": \"1.0-20261101\""), "{state}");
    assert!(node.root.join("run/reboot-required").exists());
    let (status, text) = node.run(&["apply", node.source()]);
    assert!(
        status == 0 && text.contains("was installed before"),
        "{text}"
    );

    node.machine.boots(&new());
    node.runs(&new());
    let (status, text) = node.run(&["list", node.source()]);
    assert_eq!(status, 0, "{text}");
    for line in [
        "1.0-20261101                     is on this disk",
        "runs, 3 tries left",
        " at ",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // Its boots are counted still: the slot to go back to must not be overwritten.
    let third = Version::of("1.2", (120..160).chain(910..930));
    third.publish(&node.updates);
    let (status, text) = node.run(&["apply", node.source()]);
    assert!(
        status == 3 && text.contains("has not proved itself"),
        "{text}"
    );
    let (status, text) = node.run(&["rollback"]);
    assert_eq!(status, 0, "{text}");
    assert_eq!(node.entry(), "node_1.0-20261101.efi");
    // It is not taken a second time.
    node.runs(&old());
    let (status, text) = node.run(&["check", node.source(), "--to", "1.1-20261201"]);
    assert!(
        status == 3 && text.contains("an operator went back"),
        "{text}"
    );
    assert!(text.contains("failed on this node before"), "{text}");
}

#[test]
fn each_refusal_is_one_sentence_and_changes_nothing() {
    let later = u64::MAX / 4;
    type Change = Box<dyn Fn(&mut Manifest)>;
    let cases: Vec<(&str, bool, Change)> = vec![
        (
            "is of the image `other`",
            false,
            Box::new(|it| it.id = "other".to_owned()),
        ),
        (
            "is for arm64, but",
            false,
            Box::new(|it| it.architecture = "arm64".to_owned()),
        ),
        (
            "is older than",
            true,
            Box::new(|it| it.version = "0.9".to_owned()),
        ),
        (
            "needs a newer nodeimg-update",
            false,
            Box::new(|it| it.schema = 2),
        ),
        (
            "has to be installed afresh",
            false,
            Box::new(|it| {
                it.root.content.size = 1 << 30;
                it.verity.size = nodeimg_formats::verity::size_for(1 << 30);
            }),
        ),
        (
            "update to 1.0.5 first",
            false,
            Box::new(|it| {
                it.requires = Some(Requires {
                    minimum: Some("1.0.5".to_owned()),
                    from: Vec::new(),
                });
            }),
        ),
        (
            "from 1.0.9 only",
            false,
            Box::new(|it| {
                it.requires = Some(Requires {
                    minimum: None,
                    from: vec!["1.0.9".to_owned()],
                });
            }),
        ),
        (
            "state format 2",
            false,
            Box::new(|it| it.state.reads_from = 2),
        ),
        (
            "held back by its publisher",
            true,
            Box::new(|it| it.hold = true),
        ),
        (
            "this node's turn is in",
            true,
            Box::new(move |it| {
                it.waves = vec![Wave {
                    start: later,
                    percent: 100,
                }];
            }),
        ),
        (
            "none of which has this node",
            true,
            Box::new(|it| {
                it.waves = vec![Wave {
                    start: 0,
                    percent: 0,
                }];
            }),
        ),
        (
            "the name of a file leads elsewhere",
            false,
            Box::new(|it| {
                it.root.content.file = "../x.root.raw".to_owned();
            }),
        ),
        (
            "the manifest is damaged",
            false,
            Box::new(|it| it.root.data_block = 512),
        ),
    ];
    for (why, can_be_forced, change) in cases {
        let node = Node::new();
        node.publish(|manifest| change(manifest));
        let before = hex(&<sha2::Sha256 as sha2::Digest>::digest(
            fs::read(node.machine.path()).unwrap(),
        ));
        let (status, text) = node.run(&["apply", node.source(), "--to", "1.1-20261201"]);
        assert_eq!(status, 3, "{why}: {text}");
        assert!(text.contains(why), "{why}: {text}");
        assert_eq!(text.trim_end().lines().count(), 1, "{text}");
        assert_eq!(text.contains("--force takes it"), can_be_forced, "{text}");
        let after = hex(&<sha2::Sha256 as sha2::Digest>::digest(
            fs::read(node.machine.path()).unwrap(),
        ));
        assert_eq!(before, after, "{why}");
        let (status, text) = node.run(&["check", node.source(), "--json", "--to", "1.1-20261201"]);
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(status == 3 && told["refused"] == true, "{told}");
    }
}

#[test]
fn a_held_node_takes_nothing_unless_it_is_forced() {
    let node = Node::new();
    node.publish(|_| {});
    node.run(&["hold"]);
    let (status, text) = node.run(&["apply", node.source()]);
    assert!(
        status == 3 && text.contains("is held back on this node"),
        "{text}"
    );
    node.run(&["unhold"]);
    node.run(&["hold", "1.1-20261201"]);
    let (status, _) = node.run(&["apply", node.source()]);
    assert_eq!(status, 3);
    let (status, text) = node.run(&["apply", node.source(), "--force"]);
    assert_eq!(status, 0, "{text}");
}

#[test]
fn a_barrier_is_stepped_over_in_two_updates() {
    let node = Node::new();
    node.publish(|_| {});
    let third = Version::of("2.0", 120..170);
    let mut manifest = third.manifest();
    manifest.requires = Some(Requires {
        minimum: Some("1.1".to_owned()),
        from: Vec::new(),
    });
    third.publish_as(&node.updates, manifest);
    let (status, text) = node.run(&["apply", node.source()]);
    assert!(
        status == 0 && text.contains("1.1-20261201 is installed"),
        "{text}"
    );
}

/// A key of the tests in PEM, and its public half.
fn keys(dir: &Path) -> Option<(PathBuf, String)> {
    let run = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        command.current_dir(dir).args(arguments);
        let told = nodeimg_test_support::judge::run(&mut command)?;
        assert!(told.status.success(), "{told:?}");
        Some(String::from_utf8(told.stdout).unwrap())
    };
    run(&["genpkey", "-algorithm", "ED25519", "-out", "key.pem"])?;
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join("key.pem");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    Some((path, run(&["pkey", "-in", "key.pem", "-pubout"])?))
}

#[test]
fn where_a_key_is_baked_in_only_what_it_signed_is_taken() {
    let node = Node::new();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let Some((_, public)) = keys(dirs[0].path()) else {
        return;
    };
    let Some((wrong, _)) = keys(dirs[1].path()) else {
        return;
    };
    let right = dirs[0].path().join("key.pem");
    node.put(
        "usr/lib/nodeimg/update.toml",
        "keys = [\"/usr/lib/nodeimg/update.pub\"]\n",
    );
    node.put("usr/lib/nodeimg/update.pub", &public);
    node.publish(|_| {});
    let (status, text) = node.run(&["apply", node.source()]);
    assert!(status == 3 && text.contains("it is not signed"), "{text}");
    let path = node
        .updates
        .join(format!("{}.update.json.dsse", new().stem()));
    let body = serde_json::to_vec(&new().manifest()).unwrap();
    fs::write(&path, signed(&wrong, PAYLOAD_TYPE, &body)).unwrap();
    let (status, text) = node.run(&["apply", node.source()]);
    assert!(
        status == 3 && text.contains("its signature does not count"),
        "{text}"
    );
    fs::write(&path, signed(&right, "application/vnd.in-toto+json", &body)).unwrap();
    assert_eq!(node.run(&["apply", node.source()]).0, 3);
    // The plain manifest beside it says something else: it is not read.
    node.publish(|manifest| manifest.hold = true);
    fs::write(&path, signed(&right, PAYLOAD_TYPE, &body)).unwrap();
    let (status, text) = node.run(&["apply", node.source()]);
    assert_eq!(status, 0, "{text}");
    // A node's own file may name a source, but no key.
    node.put(
        "etc/nodeimg/update.toml",
        &format!("source = \"{}\"\n", node.source()),
    );
    assert_eq!(node.run(&["check"]).0, 0);
    node.put("etc/nodeimg/update.toml", "keys = [\"/etc/x.pub\"]\n");
    let (status, text) = node.run(&["check"]);
    assert!(
        status == 1 && text.contains("does not let a seed do so"),
        "{text}"
    );
}

fn signed(key: &Path, kind: &str, body: &[u8]) -> String {
    let given = Given {
        key: Some(key.to_owned()),
        ..Given::default()
    };
    let signer = Signer::open("a key", &given, Purpose::Checksums, None).unwrap();
    dsse::sign(&signer, "a test", kind, body).unwrap().unwrap()
}

#[test]
fn a_tar_on_standard_input_is_an_update_in_any_order() {
    let stem = new().stem();
    let all = [".update.json", ".verity.raw", ".efi.zst", ".root.raw"];
    let reversed = [".root.raw", ".efi.zst", ".update.json", ".verity.raw"];
    for order in [all, reversed] {
        let node = Node::new();
        node.publish(|_| {});
        let mut tar = tar::Builder::new(Vec::new());
        for end in order {
            let path = format!("{stem}{end}");
            tar.append_path_with_name(node.updates.join(&path), format!("./update/{path}"))
                .unwrap();
        }
        let bytes = tar.into_inner().unwrap();
        let told = pipe(&node, &bytes);
        assert_eq!(told.0, 0, "{}", told.1);
        assert_eq!(node.entry(), "node_1.1-20261201+3.efi");
        // Cut anywhere: the old version boots.
        let node = Node::new();
        for end in [1000, bytes.len() / 3, bytes.len() * 2 / 3] {
            let (status, text) = pipe(&node, &bytes[..end]);
            assert_ne!(status, 0, "{text}");
            assert_eq!(node.entry(), "node_1.0-20261101.efi");
        }
        let (status, text) = pipe(&node, &zstd::encode_all(&bytes[..], 1).unwrap());
        assert!(status == 1 && text.contains("is not a tar"), "{text}");
    }
}

fn pipe(node: &Node, bytes: &[u8]) -> (i32, String) {
    let mut child = node
        .command(&["apply", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || {
        // It may have read enough.
        let _ = std::io::Write::write_all(&mut to, &bytes);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    said(&output)
}

#[test]
fn the_esp_where_it_is_mounted_is_written_by_name() {
    let node = Node::new();
    node.publish(|_| {});
    let esp = node.machine.folder.path().join("esp");
    fs::create_dir_all(esp.join("EFI/Linux")).unwrap();
    fs::write(esp.join("EFI/Linux/node_1.0-20261101.efi"), old().uki).unwrap();
    fs::write(esp.join("EFI/Linux/.#node_1.1-20261201+3.efi"), b"half").unwrap();
    let at = esp.to_str().unwrap();
    let (status, text) = node.run(&["apply", node.source(), "--esp", at]);
    assert_eq!(status, 0, "{text}");
    let mut names: Vec<String> = fs::read_dir(esp.join("EFI/Linux"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["node_1.0-20261101.efi", "node_1.1-20261201+3.efi"]);
    assert!(fs::read(esp.join("EFI/Linux").join(&names[1])).unwrap() == new().uki);
}
