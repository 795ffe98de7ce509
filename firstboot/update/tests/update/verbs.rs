//! The program on a node whose file system is a directory and whose disk is a file.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use nodeimg_formats::update::Manifest;

use crate::fixture::{Machine, Version};
use crate::model::boot;

pub struct Node {
    pub machine: Machine,
    root: PathBuf,
    pub updates: PathBuf,
}

fn old() -> Version {
    Version::of("1.0-20261101", 100..160)
}

pub fn new() -> Version {
    Version::of("1.1-20261201", (110..160).chain(900..910))
}

impl Node {
    pub fn new() -> Node {
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

    pub fn put(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodeimg-update"));
        command.args(arguments).arg("--root").arg(&self.root);
        if !arguments[0].ends_with("hold") {
            command.arg("--disk").arg(self.machine.path());
        }
        command
    }

    /// Exit status, and what was said.
    pub fn run(&self, arguments: &[&str]) -> (i32, String) {
        said(&self.command(arguments).output().unwrap())
    }

    pub fn source(&self) -> &str {
        self.updates.to_str().unwrap()
    }

    fn entry(&self) -> String {
        boot(&self.machine.disk, self.machine.size).unwrap().entry
    }

    pub fn publish(&self, change: impl FnOnce(&mut Manifest)) {
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
    let (status, text) = node.run(&["check"]);
    assert!(
        status == 4 && text.contains("no source of updates is set"),
        "{text}"
    );
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
    // A source that cannot be asked hides nothing of what is here.
    let (status, text) = node.run(&["list", "/no/such/directory"]);
    assert!(
        status == 0 && text.contains("cannot be asked") && text.contains(" runs, "),
        "{text}"
    );
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
