//! A tiny image root, seeds for it, and the binary run on both.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, unreachable_pub)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nodeimg_test_support::seeds::{BRIDGE, ENVIRONMENT, SETTINGS};
use tempfile::TempDir;

pub struct Image {
    pub directory: TempDir,
}

impl Image {
    pub fn new() -> Self {
        // In memory if possible: every file is synced.
        let memory = tempfile::tempdir_in("/dev/shm");
        let image = Self {
            directory: memory.unwrap_or_else(|_| tempfile::tempdir().unwrap()),
        };
        image.write("usr/lib/nodeimg/firstboot.json", SETTINGS);
        image.write(
            "usr/lib/nodeimg/templates/etc/cni/net.d/10-bridge.conf",
            BRIDGE,
        );
        image.write(
            "usr/lib/nodeimg/templates/etc/nodeimg/node.env",
            ENVIRONMENT,
        );
        image
    }

    /// A host of containers whose image has a few files and directories.
    pub fn host() -> Self {
        let image = Self::new();
        let settings = image.text("usr/lib/nodeimg/firstboot.json");
        let mut settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
        settings["profile"] = "container-host".into();
        settings["writable"] = serde_json::json!(["/etc", "/var"]);
        image.write("usr/lib/nodeimg/firstboot.json", settings.to_string());
        let templates = image.path().join("usr/lib/nodeimg/templates");
        fs::remove_dir_all(&templates).unwrap();
        fs::create_dir_all(&templates).unwrap();
        image.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
        image.write("etc/group", "root:x:0:\n");
        image.write("etc/containerd/config.toml", "x");
        for directory in ["etc/ssh", "var/log", "etc/ssl/b"] {
            fs::create_dir_all(image.path().join(directory)).unwrap();
        }
        image
    }

    /// The warnings of the report, one a line.
    pub fn warnings(&self) -> String {
        let problems = self.result()["problems"].clone();
        let problems = problems.as_array().cloned().unwrap_or_default();
        let warnings = problems
            .iter()
            .filter(|problem| problem["severity"] == "warning");
        warnings.map(|problem| format!("{problem}\n")).collect()
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A NoCloud seed in the default place.
    pub fn seed(&self, user_data: impl AsRef<[u8]>, meta_data: &str) {
        self.write("var/lib/nodeimg/seed/user-data", user_data);
        self.write("var/lib/nodeimg/seed/meta-data", meta_data);
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let mut all = vec!["--root".to_owned(), self.path().display().to_string()];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Ran::new(&all)
    }

    pub fn status(&self, arguments: &[&str]) -> Ran {
        let mut all = vec![
            "status".to_owned(),
            "--root".to_owned(),
            self.path().display().to_string(),
        ];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Ran::new(&all)
    }

    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.path().join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    }

    pub fn has(&self, path: &str) -> bool {
        self.path().join(path).exists()
    }

    pub fn result(&self) -> serde_json::Value {
        serde_json::from_str(&self.text("run/nodeimg/result.json")).unwrap()
    }

    /// Every file outside the image's own part and the seed: `path mode`, sorted.
    pub fn written(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.path().to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path
                    .strip_prefix(self.path())
                    .unwrap()
                    .display()
                    .to_string();
                if name == "usr" || name == "var/lib/nodeimg/seed" {
                    continue;
                }
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.push(format!("{name} {:o}", self.mode(&name)));
                }
            }
        }
        found.sort();
        found
    }
}

pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn new(arguments: &[String]) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(env!("CARGO_BIN_EXE_nodeimg-firstboot"))
            .args(arguments)
            .output()
            .unwrap();
        Self {
            code: status.code().expect("killed by a signal"),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    /// The box without its frame and line breaks.
    pub fn reason(&self) -> String {
        let lines = self.err.lines().map(|line| line.trim_matches(['|', ' ']));
        lines.collect::<Vec<_>>().join(" ")
    }
}
