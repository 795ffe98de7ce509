//! Whoever makes versions of an image, signs them, and offers them to its nodes.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::keys::Keys;
use super::real;
use super::run::{Ran, nodeimg};

/// A publisher's key.
pub struct Publisher {
    keys: Keys,
    file: PathBuf,
}

/// A version that a node can take: the output `update` of a build, signed.
pub struct Version {
    pub version: String,
    /// What its entry on the ESP is called by, without count and `.efi`.
    pub entry: String,
    /// The output directory.
    pub image: PathBuf,
    /// What the names of its files begin with.
    stem: String,
}

impl Publisher {
    /// With a key in `folder`. `None`, with a printed skip, without openssl.
    pub fn new(folder: &Path) -> Option<Publisher> {
        let keys = Keys::make(folder, &[])?;
        let file = keys.file("keys.toml", "[checksums]\nkey = \"release.key\"\n");
        Some(Publisher { keys, file })
    }

    /// The table of a recipe whose nodes take what this publisher has signed, and only that; not
    /// by themselves, which would be in the midst of something else.
    pub fn table(&self) -> String {
        let key = self.keys.path("release.pub");
        format!(
            "[update]\nschedule = \"never\"\nkey = \"{}\"\n",
            key.display()
        )
    }

    /// Signs the only image for `arch` in `directory`.
    pub fn sign(&self, directory: &Path, arch: &str) -> Version {
        let image = real::output_for(directory, arch);
        let mut sign = nodeimg();
        sign.args(["sign", "--quiet"]).arg(&image);
        Ran::of(sign.arg("--keys").arg(&self.file)).good();
        let entries = fs::read_dir(&image).unwrap().map(|it| it.unwrap());
        let mut names = entries.map(|it| it.file_name().into_string().unwrap());
        let manifest = names.find(|name| name.ends_with(".update.json")).unwrap();
        let text = fs::read(image.join(&manifest)).unwrap();
        let text: Value = serde_json::from_slice(&text).unwrap();
        let value = |key: &str| text[key].as_str().unwrap().to_owned();
        let version = value("version");
        Version {
            entry: format!("{}_{version}", value("id")).replace('+', "."),
            version,
            image,
            stem: manifest.trim_end_matches(".update.json").to_owned(),
        }
    }
}

impl Version {
    /// By `nodeimg publish`, in a registry on this machine.
    pub fn publish(&self, registry: SocketAddr, repository: &str) {
        let mut publish = nodeimg();
        publish.args(["publish", "--quiet"]).arg(&self.image);
        publish.arg(format!("oci://{registry}/{repository}"));
        Ran::of(&mut publish).good();
    }

    /// Its files, in the order in which a stream of them needs the least room.
    pub fn files(&self) -> Vec<PathBuf> {
        let endings = [
            "update.json",
            "update.json.dsse",
            "verity.raw",
            "efi.zst",
            "root.raw",
        ];
        let name = |ending: &&str| self.image.join(format!("{}.{ending}", self.stem));
        endings.iter().map(name).collect()
    }

    /// A medium with these files and nothing else, in the file `to`.
    pub fn medium(&self, to: &Path) -> Option<PathBuf> {
        let folder = to.with_extension("files");
        fs::create_dir(&folder).unwrap();
        let mut size = 16 << 20;
        for file in self.files() {
            size += fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
        }
        // What ext4 itself needs.
        let size = (size + size / 8).next_multiple_of(1 << 20);
        fs::File::create(to).unwrap().set_len(size).unwrap();
        let mut make = Command::new("mke2fs");
        make.args(["-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d"]);
        super::run::tool(make.arg(&folder).arg(to))?.good();
        fs::remove_dir_all(folder).unwrap();
        Some(to.to_owned())
    }

    /// `tar` of the files, whose output is to be read.
    pub fn stream(&self) -> Command {
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(&self.image).args(["-cf", "-"]);
        for file in self.files() {
            tar.arg(file.file_name().unwrap());
        }
        tar.stdout(Stdio::piped());
        tar
    }
}

/// What `nodeimg-update apply --json` has said, beside other words; with its figures in the
/// terminal.
#[track_caller]
pub fn applied(what: &str, said: &str, seconds: f64) -> Value {
    let json = said.find('{').zip(said.rfind('}'));
    let json = json.map(|(start, end)| &said[start..=end]);
    let json: Value = json
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_else(|| panic!("{what}: {said}"));
    let megabytes = |key: &str| json["bytes"][key].as_f64().unwrap_or_default() / 1e6;
    tell(&format!(
        "{what}: {:.2} MB fetched, {:.1} MB here, applied in {seconds:.1} s",
        megabytes("fetched"),
        megabytes("kept") + megabytes("copied")
    ));
    json
}

/// Straight to the terminal: the test harness keeps what passing tests print.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
