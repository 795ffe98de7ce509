//! Archives are made here, byte by byte where `tar` would refuse to make them.
//! `packing`: how archives come; `hostile`: what is in them; `rules`: what is asked of them;
//! `zips`: the other archives.
#![allow(clippy::unwrap_used)]

mod hostile;
mod mangled;
mod packing;
mod rules;
mod zips;

use std::io::Write;

use nodeimg_test_support::archive::{Member, file, gz, special, tar, zst};
use nodeimg_values::digest::{Digest, Expected};

use super::*;
use crate::tree::{Content, Kind as NodeKind};

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An ELF header: class (2 = 64 bit), data (1 = little-endian), machine.
fn elf(class: u8, data: u8, machine: u16) -> Vec<u8> {
    let mut bytes = vec![0; 100];
    bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, data]);
    let machine = match data {
        1 => machine.to_le_bytes(),
        _ => machine.to_be_bytes(),
    };
    bytes[18..20].copy_from_slice(&machine);
    bytes
}

fn arm64() -> Vec<u8> {
    elf(2, 1, 183)
}

fn rule(from: &str, to: &str) -> InstallRule {
    InstallRule {
        from: (!from.is_empty()).then(|| from.to_owned().try_into().unwrap()),
        to: to.to_owned().try_into().unwrap(),
        mode: Mode::default(),
    }
}

/// A store of its own with one artifact in it.
struct Case {
    dir: tempfile::TempDir,
    store: Store,
    blob: Arc<VerifiedBlob>,
    kind: Kind,
    max_unpacked: u64,
    allow_setuid: bool,
}

impl Case {
    fn new(bytes: &[u8]) -> Case {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut partial = store.partial("x", &[]).unwrap();
        partial.write(bytes).unwrap();
        let want = Expected {
            sha256: Some(Digest::sha256(bytes)),
            ..Expected::default()
        };
        let blob = Arc::new(partial.commit(&want).unwrap().unwrap());
        Case {
            dir,
            store,
            blob,
            kind: Kind::Archive,
            max_unpacked: 1 << 20,
            allow_setuid: false,
        }
    }

    fn unpack(&self, rules: &[InstallRule]) -> Result<Vec<(ImagePath, Node)>> {
        let spec = Spec {
            name: "containerd",
            version: "2.3.4",
            arch: Arch::Arm64,
            kind: self.kind,
            rules,
            max_unpacked: self.max_unpacked,
            allow_setuid: self.allow_setuid,
        };
        unpack(&self.store, Arc::clone(&self.blob), &spec)
    }

    fn lines(&self, rules: &[InstallRule]) -> Vec<String> {
        self.unpack(rules).unwrap().iter().map(line).collect()
    }

    /// The refusal's text, after seeing that nothing is left in the store.
    fn refusal(&self, rules: &[InstallRule]) -> String {
        let error = match self.unpack(rules) {
            Err(error) => format!("{error:#}"),
            Ok(nodes) => panic!("not refused: {nodes:?}"),
        };
        assert!(
            error.starts_with("unpacking containerd 2.3.4 (arm64): "),
            "{error}"
        );
        assert_eq!(self.derived(), [""; 0], "{error}");
        error
    }

    fn derived(&self) -> Vec<String> {
        walkdir::WalkDir::new(self.dir.path().join("derived"))
            .into_iter()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().display().to_string())
            .collect()
    }
}

fn line((path, node): &(ImagePath, Node)) -> String {
    let (what, detail) = match &node.kind {
        NodeKind::Directory => ("dir", String::new()),
        NodeKind::File(content) => ("file", short(&read(content))),
        NodeKind::Symlink(target) => ("->", target.clone()),
    };
    format!("{path} {what} {:04o} {detail}", node.stat.mode)
}

fn read(content: &Content) -> Vec<u8> {
    content.head(u64::MAX).unwrap()
}

fn short(bytes: &[u8]) -> String {
    Digest::sha256(bytes).hex()[..8].to_owned()
}

fn everything() -> Vec<Member> {
    vec![
        special(b'5', "./", ""),
        special(b'5', "./bin/", ""),
        file("./bin/containerd", arm64()),
        special(b'1', "./bin/hard", "bin/containerd"),
        special(b'2', "./bin/soft", "containerd"),
        special(b'5', "./bin/deep/", ""),
        file("./bin/deep/x", "not picked"),
        file("./etc/config.toml", "version = 3\n"),
        special(b'2', "./away", "/usr/share/elsewhere"),
    ]
}
