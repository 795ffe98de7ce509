//! What cargo says if it is to build a nodeimg with programs inside, and the folder that
//! `NODEIMG_PROGRAMS` names is not what `ci/static programs` makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodeimg_test_support::archive::{firstboot, sha256};
use nodeimg_test_support::place;
use nodeimg_test_support::run::{Ran, clean};
use tempfile::TempDir;

const ARCHS: [&str; 2] = ["amd64", "arm64"];

/// The build script of the nodeimg under test: the newest one beside it.
fn script() -> PathBuf {
    let folder = place::nodeimg().parent().unwrap().join("build");
    let found = fs::read_dir(folder).unwrap().filter_map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // Other packages are named nodeimg-NAME-DIGEST.
        let own = name
            .strip_prefix("nodeimg-")
            .filter(|rest| !rest.contains('-'));
        let path = own.map(|_| entry.path().join("build-script-build"))?;
        let time = fs::metadata(&path).ok()?.modified().unwrap();
        Some((time, path))
    });
    found.max().expect("a build script").1
}

/// Of the programs that go inside.
fn names() -> impl Iterator<Item = &'static str> {
    let lines = include_str!("../../builder/programs.txt").lines();
    let rows = lines.filter(|line| !line.starts_with('#'));
    rows.filter_map(|row| row.split_whitespace().next())
}

/// A good folder, and a place for what the script writes.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(TempDir::new().unwrap());
        fs::create_dir(folder.path("out")).unwrap();
        let mut sums = String::new();
        for arch in ARCHS {
            let bytes = firstboot(arch);
            fs::create_dir(folder.path(arch)).unwrap();
            for name in names() {
                sums += &format!("{}  {arch}/{name}\n", sha256(&bytes));
                fs::write(folder.path(arch).join(name), &bytes).unwrap();
            }
        }
        fs::write(folder.path("SHA256SUMS"), sums).unwrap();
        folder
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn script(&self, programs: Option<&Path>, profile: &str) -> Command {
        let mut script = clean(Command::new(script()));
        script.current_dir(place::top().join("builder"));
        script
            .env("OUT_DIR", self.path("out"))
            .env("PROFILE", profile);
        script.envs(programs.map(|programs| ("NODEIMG_PROGRAMS", programs)));
        script
    }
}

#[test]
fn a_folder_of_programs_that_is_not_one() {
    type Damage = fn(&Folder);
    let cases: [(Damage, &[&str]); 5] = [
        (
            |folder| fs::remove_file(folder.path("SHA256SUMS")).unwrap(),
            &["SHA256SUMS", "No such file"],
        ),
        (
            |folder| fs::remove_file(folder.path("arm64/nodeimg-firstboot")).unwrap(),
            &["arm64/nodeimg-firstboot", "No such file"],
        ),
        (
            |folder| fs::write(folder.path("arm64/nodeimg-firstboot"), firstboot("amd64")).unwrap(),
            &[
                "arm64/nodeimg-firstboot has the SHA-256 digest",
                "SHA256SUMS there says",
            ],
        ),
        (
            |folder| fs::write(folder.path("SHA256SUMS"), "").unwrap(),
            &["SHA256SUMS there says nothing"],
        ),
        (
            |folder| {
                let bytes = firstboot("amd64");
                let digest = sha256(&bytes);
                fs::write(folder.path("arm64/nodeimg-firstboot"), bytes).unwrap();
                let sums = ARCHS.map(|arch| format!("{digest}  {arch}/nodeimg-firstboot\n"));
                fs::write(folder.path("SHA256SUMS"), sums.concat()).unwrap();
            },
            &["arm64/nodeimg-firstboot is not an ELF program for arm64"],
        ),
    ];
    for (damage, says) in cases {
        let folder = Folder::new();
        Ran::of(&mut folder.script(Some(folder.0.path()), "debug")).good();
        damage(&folder);
        let ran = Ran::of(&mut folder.script(Some(folder.0.path()), "debug"));
        assert_eq!(ran.code, Some(1));
        for says in says
            .iter()
            .chain(&["NODEIMG_PROGRAMS", "ci/static programs"])
        {
            assert!(ran.err.contains(says), "{says}: {}", ran.err);
        }
    }
    let folder = Folder::new();
    let ran = Ran::of(&mut folder.script(Some(Path::new("programs")), "debug"));
    assert!(ran.err.contains("give an absolute path"), "{}", ran.err);
}

/// A developer's build is quiet; one that somebody may install says what it lacks.
#[test]
fn a_release_without_programs_says_so() {
    let folder = Folder::new();
    for (programs, profile, warns) in [
        (None, "debug", false),
        (None, "release", true),
        (Some(Path::new("none")), "release", false),
        (Some(folder.0.path()), "release", false),
    ] {
        let said = Ran::of(&mut folder.script(programs, profile)).good().out;
        let warned = said.contains("cargo::warning=") && said.contains("ci/static");
        assert_eq!(warned, warns, "{programs:?} {profile}: {said}");
    }
}
