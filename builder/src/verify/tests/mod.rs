//! One mutation for each step, which fails that step and no other; and many more that each are
//! named with their place.
// Tables of mutations are long.
#![allow(clippy::unwrap_used, clippy::too_many_lines)]

mod fixture;
mod mutations;
mod steps;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nodeimg_formats::fat;
use nodeimg_formats::gpt::{self, Extent};
use nodeimg_signing::certificate::{Certificate, PublicKey};
use nodeimg_signing::dsse;
use nodeimg_signing::signer::{Given, Purpose, Signer};
use nodeimg_trust::Roots;
use nodeimg_values::digest::Digest;
use nodeimg_values::progress::{Mode, Progress};

use super::known::Subject;
use super::policy::{Anchor, Pinned, Policy};
use super::rebuild::Again;
use super::source::Source;
use super::step::{Step, Verdict};
use super::{Task, verify};
use crate::output::sign;
use fixture::Fixture;

/// The one image that all tests copy; `None` without openssl.
fn fixture() -> Option<&'static Fixture> {
    static ONE: OnceLock<Option<Fixture>> = OnceLock::new();
    ONE.get_or_init(|| Fixture::new("an image\n")).as_ref()
}

impl Fixture {
    fn certificate(&self, name: &str) -> Certificate {
        Certificate::from_file(&self.keys.join(format!("{name}.pem"))).unwrap()
    }

    /// Who signs, and by which certificate.
    fn signer(&self, name: &str) -> Signer<'static> {
        let certificate = self.keys.join(format!("{name}.pem"));
        let given = Given {
            key: Some(self.keys.join(format!("{name}.key"))),
            sign_command: None,
            certificate: certificate.is_file().then_some(certificate),
        };
        let purpose = match name {
            "release" => Purpose::Checksums,
            _ => Purpose::SecureBoot,
        };
        Signer::open(name, &given, purpose, None).unwrap()
    }

    fn policy(&self) -> Policy {
        let path = self.keys.join("release.pub");
        let key = PublicKey::from_file(&path).unwrap();
        Policy {
            anchors: vec![Anchor::Key(path, key)],
            secure_boot: vec![self.certificate("db")],
            root_hash: None,
            pinned: Some(Pinned {
                label: "tiny.lock".into(),
                lock: fixture::lock(),
                chosen: None,
                roots: Roots::built_in().unwrap(),
            }),
            roots: Roots::built_in().unwrap(),
            integrity_only: false,
        }
    }

    /// Sums, statement, manifest and SBOMs tell of the files as they are now, and are signed:
    /// what somebody with the key of the checksums could do. `pairs` are digests of what is
    /// inside of files, before and after.
    fn tell(&self, image: &Path, pairs: &[(String, String)]) {
        let mut pairs = pairs.to_vec();
        let text = fs::read_to_string(image.join("SHA256SUMS")).unwrap();
        let mut sums: BTreeMap<String, String> = text
            .lines()
            .map(|line| line.split_once("  ").unwrap())
            .map(|(hex, name)| (name.to_owned(), hex.to_owned()))
            .collect();
        let last = [
            "sbom.spdx.json",
            "sbom.cdx.json",
            "manifest.json",
            "provenance.json",
        ];
        let first: Vec<String> = sums
            .keys()
            .filter(|name| !last.contains(&name.as_str()))
            .cloned()
            .collect();
        for name in first.iter().map(String::as_str).chain(last) {
            let path = image.join(name);
            if last.contains(&name) {
                let mut text = fs::read_to_string(&path).unwrap();
                for (old, new) in &pairs {
                    text = text.replace(old, new);
                }
                fs::write(&path, text).unwrap();
            }
            let new = Digest::sha256(&fs::read(&path).unwrap()).hex().to_owned();
            let old = sums.insert(name.to_owned(), new.clone()).unwrap();
            if old != new {
                pairs.push((old, new));
            }
        }
        let lines: Vec<String> = sums
            .iter()
            .map(|(name, hex)| format!("{hex}  {name}\n"))
            .collect();
        let text = lines.concat();
        fs::write(image.join("SHA256SUMS"), &text).unwrap();
        let signer = self.signer("release");
        let signature = signer.sign("sums", text.as_bytes()).unwrap().unwrap();
        fs::write(image.join(sign::SIGNATURE), signature).unwrap();
        let statement = fs::read(image.join("provenance.json")).unwrap();
        let line = dsse::sign(&signer, "statement", dsse::IN_TOTO, &statement)
            .unwrap()
            .unwrap();
        fs::write(image.join(sign::SIGNED), line).unwrap();
    }

    /// The EFI programs of the ESP and beside it, changed and signed by `by`.
    fn programs(&self, image: &Path, by: Option<&str>, change: impl Fn(&str, &[u8]) -> Vec<u8>) {
        use nodeimg_signing::authenticode;
        let disk = Disk::open(image);
        let mut contents = disk.esp();
        let mut pairs = Vec::new();
        let mut alone = None;
        for (path, bytes) in &mut contents {
            if !path.to_lowercase().ends_with(".efi") {
                continue;
            }
            let plain = authenticode::without(bytes).unwrap();
            let changed = change(path, &plain);
            if changed == plain {
                continue;
            }
            let signatures = by.map(|by| {
                authenticode::sign(&self.signer(by), "program", &changed)
                    .unwrap()
                    .unwrap()
            });
            let signatures: Vec<Vec<u8>> = signatures.into_iter().collect();
            let new = authenticode::with(&changed, &signatures).unwrap();
            pairs.push((hex(bytes), hex(&new)));
            *bytes = new;
            if path == fixture::UKI {
                alone = Some(bytes.clone());
            }
        }
        disk.write_esp(&contents);
        if let Some(bytes) = alone {
            fs::write(image.join("uki.efi"), bytes).unwrap();
        }
        disk.as_qcow2(image);
        self.tell(image, &pairs);
    }
}

fn hex(bytes: &[u8]) -> String {
    Digest::sha256(bytes).hex().to_owned()
}

/// `disk.raw` of an image, to be changed.
struct Disk(File);

impl Disk {
    fn open(image: &Path) -> Disk {
        let path = image.join("disk.raw");
        Disk(File::options().read(true).write(true).open(path).unwrap())
    }

    fn place(&self, name: &str) -> Extent {
        let table = gpt::read(&self.0).unwrap();
        table
            .partitions
            .iter()
            .find(|entry| entry.name == name)
            .unwrap()
            .place
    }

    fn flip(&self, at: u64) {
        let mut byte = [0];
        self.0.read_exact_at(&mut byte, at).unwrap();
        self.0.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
    }

    fn size(&self) -> u64 {
        self.0.metadata().unwrap().len()
    }

    fn esp(&self) -> BTreeMap<String, Vec<u8>> {
        let place = self.place("esp");
        fat::read(&self.0, place.start, place.size).unwrap().files
    }

    fn write_esp(&self, files: &BTreeMap<String, Vec<u8>>) {
        fixture::write_esp(&self.0, self.place("esp"), files);
    }

    /// The other form is the same disk again.
    fn as_qcow2(&self, image: &Path) {
        let mut to = File::create(image.join("disk.qcow2")).unwrap();
        nodeimg_formats::qcow2::write(&self.0, 0, &mut to).unwrap();
    }
}

/// What all steps say of a directory.
fn verdicts(image: &Path, policy: Policy) -> Vec<(Step, Verdict)> {
    verdicts_with(image, policy, None)
}

/// Builds it again.
type Rebuild<'a> = dyn Fn(&Again<'_>) -> anyhow::Result<()> + 'a;

fn verdicts_with(
    image: &Path,
    policy: Policy,
    rebuild: Option<&Rebuild<'_>>,
) -> Vec<(Step, Verdict)> {
    let task = Task {
        subject: Subject::Outputs {
            shown: image.display().to_string(),
        },
        policy,
        source: Some(Source::Directory {
            path: image.to_owned(),
            only: None,
        }),
        store: None,
        rebuild,
    };
    verify(task, &Progress::new(Mode::Quiet)).verdicts
}

/// Of a disk without anything beside it.
fn of_disk(path: PathBuf, policy: Policy) -> Vec<(Step, Verdict)> {
    let file = File::open(&path).unwrap();
    let task = Task {
        subject: Subject::Disk { path, file },
        policy,
        source: None,
        store: None,
        rebuild: None,
    };
    verify(task, &Progress::new(Mode::Quiet)).verdicts
}

/// The steps that failed, each with all that is said of it.
fn failed(verdicts: &[(Step, Verdict)]) -> Vec<(Step, String)> {
    let faults = verdicts.iter().filter_map(|(step, verdict)| match verdict {
        Verdict::Failed(fault) => Some((
            *step,
            format!(
                "{} @ {}",
                fault.what,
                fault.place.clone().unwrap_or_default()
            ),
        )),
        _ => None,
    });
    faults.collect()
}
