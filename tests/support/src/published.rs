//! A small image as its publisher offers it: built, and signed in every way that `nodeimg verify`
//! knows. Whoever changes a file of it can sign it again as its publisher would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::archive::sha256;
use super::keys::Keys;
use super::run::{Ran, nodeimg};
use super::sigstore::Sigstore;
use super::synthetic::World;

/// Who signs in CI.
pub const IDENTITY: &str = "https://ci.test/images/.github/workflows/sign.yml@refs/tags/v1";
/// Signs the sums.
const KEYS: &str = "[checksums]\nkey = \"release.key\"\n";
/// What tells of other files by their digests, in the order in which it is written.
const TELLING: [&str; 4] = [
    "sbom.cdx.json",
    "sbom.spdx.json",
    "manifest.json",
    "provenance.json",
];

/// A published directory.
pub struct Published {
    pub world: World,
    pub keys: Keys,
    pub sigstore: Sigstore,
    /// Where it is.
    pub image: PathBuf,
}

impl Published {
    /// An overlay and an extension, not signed yet. `None`, with a printed skip, without openssl.
    pub fn unsigned() -> Option<Published> {
        let mut world = World::warm();
        world.edit(
            "profile =",
            "outputs = [\"overlay\", \"sysext\"]\nprofile =",
        );
        let keys = Keys::make(&world.path("keys"), &["db", "other"])?;
        Ran::of(world.build().arg("--quiet")).good();
        let image = world.image("amd64");
        let published = Published {
            world,
            keys,
            sigstore: Sigstore::new(),
            image,
        };
        fs::write(published.root(), published.sigstore.trusted_root()).unwrap();
        Some(published)
    }

    /// The same, signed by `release.key`.
    pub fn signed() -> Option<Published> {
        let published = Published::unsigned()?;
        published.sign();
        Some(published)
    }

    /// From now on a copy of what is there at `image`, with another name.
    pub fn copied(&mut self, from: &Path, name: &str) {
        let to = self.world.path(name);
        fs::create_dir(&to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        self.image = to;
    }

    /// Signs sums and statement by `release.key`, as they are now.
    pub fn sign(&self) {
        for name in ["SHA256SUMS.sig", "provenance.intoto.jsonl"] {
            let _ = fs::remove_file(self.path(name));
        }
        let keys = self.keys.file("sums.toml", KEYS);
        let mut sign = nodeimg();
        sign.args(["sign", "--quiet"]).arg(&self.image);
        Ran::of(sign.arg("--keys").arg(keys)).good();
    }

    /// Signs the sums by [`IDENTITY`], as cosign does in CI.
    pub fn sign_in_ci(&self) {
        let sums = fs::read(self.path("SHA256SUMS")).unwrap();
        let bundle = self.sigstore.bundle(IDENTITY, &sums);
        fs::write(self.path("SHA256SUMS.sigstore.json"), bundle).unwrap();
    }

    /// Another content of a file, which everything that tells of it knows, signed again: what a
    /// publisher does that lies.
    pub fn lie(&self, name: &str, content: &[u8]) {
        self.write(name, content);
        self.sign();
    }

    /// The same, not signed again.
    pub fn write(&self, name: &str, content: &[u8]) {
        self.replace(name, content);
        let later = TELLING
            .iter()
            .position(|one| *one == name)
            .map_or(0, |at| at + 1);
        for telling in &TELLING[later..] {
            // Each was written after those before it, whose digests it may have.
            let text = fs::read_to_string(self.path(telling)).unwrap();
            let told = self.told(&text);
            if told != text {
                self.replace(telling, told.as_bytes());
            }
        }
        self.list();
    }

    /// Changes a text of JSON, as [`Published::lie`] does.
    pub fn lie_in(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut value: Value = serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap();
        change(&mut value);
        self.lie(name, format!("{value:#}\n").as_bytes());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.image.join(name)
    }

    /// The trusted root of [`IDENTITY`]'s Sigstore.
    pub fn root(&self) -> PathBuf {
        self.world.path("root.json")
    }

    /// `nodeimg verify`, which trusts nobody yet.
    pub fn verify(&self, what: &Path) -> Command {
        let mut command = self.world.bare("verify");
        command.arg(what);
        command
    }

    /// The same, which trusts `release.pub`.
    pub fn verify_by_key(&self) -> Command {
        let mut command = self.verify(&self.image);
        command.arg("--key").arg(self.keys.path("release.pub"));
        command
    }

    /// The same, which trusts [`IDENTITY`].
    pub fn verify_by_identity(&self, identity: &str) -> Command {
        let mut command = self.verify(&self.image);
        command.args(["--identity", identity, "--issuer", super::sigstore::ISSUER]);
        command.arg("--trusted-root").arg(self.root());
        command
    }

    fn replace(&self, name: &str, content: &[u8]) {
        // Another file: outputs may be linked to those of the store.
        let path = self.path(name);
        let _ = fs::remove_file(&path);
        fs::write(path, content).unwrap();
    }

    /// A text with the digests that the files have now in the place of those that are listed.
    fn told(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, old) in self.listed() {
            if let Ok(bytes) = fs::read(self.path(&name)) {
                text = text.replace(&old, &sha256(&bytes));
            }
        }
        text
    }

    /// Name and digest of each line of the sums.
    pub fn listed(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.path("SHA256SUMS")).unwrap();
        let lines = text.lines().map(|line| line.split_once("  ").unwrap());
        lines
            .map(|(hex, name)| (name.to_owned(), hex.to_owned()))
            .collect()
    }

    /// Writes the sums again.
    fn list(&self) {
        let lines = self.listed().into_iter().map(|(name, _)| {
            let bytes = fs::read(self.path(&name)).unwrap();
            format!("{}  {name}\n", sha256(&bytes))
        });
        let text: String = lines.collect();
        self.replace("SHA256SUMS", text.as_bytes());
    }
}

/// How each step ended, by name, from what `--json` printed.
pub fn verdicts(out: &str) -> Vec<(String, String)> {
    let lines = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut reports = lines.filter(|event| event["event"] == "verified");
    let report = reports.next().expect("no event `verified`");
    let steps = report["steps"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    steps
        .map(|step| (text(&step["step"]), text(&step["verdict"])))
        .collect()
}

/// The names of the steps that failed.
pub fn failed(out: &str) -> Vec<String> {
    let all = verdicts(out).into_iter();
    all.filter(|(_, verdict)| verdict == "failed")
        .map(|(step, _)| step)
        .collect()
}
