//! The search on real devices: loop devices that hold what a person may attach.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nodeimg_seed::contract::report::{Outcome, Report, Scrub};
use nodeimg_seed::contract::settings::{ImageSettings, MetadataService};
use nodeimg_seed::contract::stamp::{Stamp, TakenSeed};
use nodeimg_seed::text::problem::Problems;
use sha2::{Digest, Sha256};

use super::{Seek, seek};
use crate::media::System;
use crate::root::Root;
use crate::run::scrub;
use crate::source::Guard;
use nodeimg_test_support::judge;

/// A device of this machine, with nothing attached at first; `None`, with a message, if there can
/// be none.
pub(super) struct Loop {
    pub(super) path: String,
}

fn losetup(arguments: &[&str]) -> Option<String> {
    let output = Command::new("/sbin/losetup").args(arguments).output();
    let Ok(output) = output else {
        judge::missing("losetup");
        return None;
    };
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "losetup {arguments:?}: {error}");
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

impl Loop {
    pub(super) fn attach(image: &Path) -> Option<Self> {
        Self::attach_as(&["--find", "--show"], image)
    }

    fn attach_as(options: &[&str], image: &Path) -> Option<Self> {
        if !judge::is_root() {
            judge::missing("root, for a loop device");
            return None;
        }
        let path = losetup(&[options, &[image.to_str().unwrap()]].concat())?;
        Some(Self { path })
    }

    fn name(&self) -> String {
        self.path.trim_start_matches("/dev/").to_owned()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        losetup(&["--detach", &self.path]);
    }
}

/// An ext4 volume with a label and the files of a seed.
pub(super) fn volume(place: &Path, label: &str, files: &[&str]) -> std::path::PathBuf {
    let seed = place.join(format!("{label}-files"));
    for file in files {
        let path = seed.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "instance-id: i\n").unwrap();
    }
    fs::create_dir_all(&seed).unwrap();
    let image = place.join(format!("{label}-image"));
    File::create(&image).unwrap().set_len(4 << 20).unwrap();
    let made = Command::new("/sbin/mke2fs")
        .args([
            "-q",
            "-t",
            "ext4",
            "-L",
            label,
            "-d",
            seed.to_str().unwrap(),
        ])
        .arg(&image)
        .status()
        .unwrap();
    assert!(made.success());
    image
}

pub(super) const NO_CLOUD: &[&str] = &["meta-data", "user-data"];
pub(super) const DRIVE: &[&str] = &["openstack/latest/meta_data.json"];

struct Outcomes {
    place: Option<String>,
    report: Report,
    problems: Vec<String>,
}

/// These devices alone.
pub(super) fn system(root: &Root, devices: &[&Loop]) -> System {
    System {
        run: root.shown("run").into(),
        proc: root.shown("proc").into(),
        only: Some(devices.iter().map(|device| device.name()).collect()),
        ..System::default()
    }
}

/// Searches the given devices from a root that has nothing of its own.
fn search(devices: &[&Loop], finished: bool, wait: Duration) -> Outcomes {
    let root = tempfile::tempdir().unwrap();
    let opened = Root::open(root.path()).unwrap();
    let system = system(&opened, devices);
    let mut report = Report::new(Outcome::Failed);
    let mut problems = Problems::new();
    let asked = Seek {
        root: &opened,
        seed: None,
        finished,
        wait,
        system: Some(&system),
        metadata: &[],
        early: false,
        guard: &Guard::default(),
    };
    let found = seek(&asked, &mut report, &mut problems);
    Outcomes {
        place: found.map(|sought| sought.place),
        report,
        problems: problems.iter().map(ToString::to_string).collect(),
    }
}

/// A NoCloud volume with this user-data.
fn volume_with(place: &Path, user: &str) -> std::path::PathBuf {
    let image = volume(place, "cidata", NO_CLOUD);
    let file = place.join("user-data");
    fs::write(&file, user).unwrap();
    let commands = format!("rm user-data\nwrite {} user-data\n", file.display());
    let script = place.join("commands");
    fs::write(&script, commands).unwrap();
    let filled = Command::new("/sbin/debugfs")
        .args(["-w", "-f", script.to_str().unwrap()])
        .arg(&image)
        .output()
        .unwrap();
    assert!(filled.status.success());
    image
}

/// Of an instance that took its secrets from this user-data.
pub(super) fn stamp_of(user: &str) -> Stamp {
    let digest = Sha256::digest(user);
    Stamp {
        version: 1,
        instance_id: "i".to_owned(),
        host_name: "n".to_owned(),
        plan_digest: String::new(),
        files: Vec::new(),
        extra_files: Vec::new(),
        seed: Some(TakenSeed {
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            secret: true,
            origin: None,
        }),
        ..Stamp::default()
    }
}

/// A volume as it is attached: secrets are overwritten, on the device itself.
#[test]
fn a_medium_is_written_over_where_it_can_be() {
    const SECRET: &str = "SECRET-KEY-MATERIAL";
    let directory = tempfile::tempdir().unwrap();
    let user = format!("#cloud-config\n{}", format!("# {SECRET}\n").repeat(400));
    let image = volume_with(directory.path(), &user);
    let holds = || {
        let bytes = fs::read(&image).unwrap();
        let wanted = SECRET.as_bytes();
        bytes.windows(wanted.len()).any(|window| window == wanted)
    };
    let settings = "{\"version\": 1, \"profile\": \"hard-way\", \"writable\": [], \"seed_wait\": 0, \"epoch\": 0}";
    let settings = ImageSettings::from_json(settings.as_bytes()).unwrap();
    for (options, expected) in [
        (
            ["--find", "--show", "--read-only"].as_slice(),
            Scrub::ReadOnly,
        ),
        (&["--find", "--show"], Scrub::Overwritten),
        (&["--find", "--show"], Scrub::Overwritten),
    ] {
        let Some(device) = Loop::attach_as(options, &image) else {
            return;
        };
        let root = tempfile::tempdir().unwrap();
        let root = Root::open(root.path()).unwrap();
        let system = system(&root, &[&device]);
        let asked = Seek {
            root: &root,
            seed: None,
            finished: true,
            wait: AT_ONCE,
            system: Some(&system),
            metadata: &[],
            early: false,
            guard: &Guard::default(),
        };
        let mut problems = Problems::new();
        let mut report = Report::new(Outcome::Failed);
        let sought = seek(&asked, &mut report, &mut problems).unwrap();
        let stamp = stamp_of(&user);
        let done = scrub::settle(&root, &settings, &stamp, &sought, &mut problems);
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(done, Some(expected), "{said:?}");
        drop(device);
        assert_eq!(holds(), expected == Scrub::ReadOnly);
    }
    let checked = Command::new("/sbin/e2fsck")
        .args(["-f", "-n", image.to_str().unwrap()])
        .status()
        .unwrap();
    assert!(checked.success(), "the file system is whole");
}

pub(super) const AT_ONCE: Duration = Duration::ZERO;

#[test]
fn by_label_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let attach = |label, files| Loop::attach(&volume(place, label, files));
    let Some(drive) = attach("CONFIG-2", DRIVE) else {
        return;
    };
    let found = search(&[&drive], false, AT_ONCE);
    let expected = format!("config drive in {} (config drive)", drive.path);
    assert_eq!(found.place, Some(expected), "{:?}", found.problems);

    let no_cloud = attach("CIDATA", NO_CLOUD).unwrap();
    let found = search(&[&drive, &no_cloud], false, AT_ONCE);
    let expected = format!("NoCloud in {} (NoCloud volume)", no_cloud.path);
    assert_eq!(found.place, Some(expected), "{:?}", found.problems);

    // There is no guessing between two, and an empty one is not ignored.
    let second = attach("cidata", &[]).unwrap();
    let found = search(&[&no_cloud, &second], false, AT_ONCE);
    assert!(
        found.place.is_none()
            && found.problems[0].contains("first boot cannot tell which one is meant"),
        "{:?}",
        found.problems
    );
    let found = search(&[&second, &drive], false, AT_ONCE);
    let expected = format!("{}: holds neither `meta-data` and `user-data`", second.path);
    assert!(
        found.problems[0].starts_with(&expected),
        "{:?}",
        found.problems
    );
}

#[test]
fn near_misses_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let attach = |label, files| Loop::attach(&volume(place, label, files));
    let Some(wrong) = attach("Config-2", DRIVE) else {
        return;
    };
    let other = attach("data", NO_CLOUD).unwrap();
    let neither = attach("state", &["x"]).unwrap();
    let found = search(&[&wrong, &other, &neither], false, AT_ONCE);
    let text = found.problems.join("\n");
    for expected in [
        format!(
            "{}: found `Config-2` (ext4), expected `config-2`; correct the label",
            wrong.path
        ),
        format!(
            "{}: holds `user-data` but has the label `data`, expected `cidata`",
            other.path
        ),
        "seed: there is none".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected} is not in\n{text}");
    }
    assert_eq!(found.problems.len(), 3);
    let seen = format!("{}: ext4, label `state`", neither.path);
    assert!(found.report.seen.contains(&seen), "{:?}", found.report.seen);
    // A node that is set up has lost nothing.
    let found = search(&[&wrong], true, Duration::from_secs(600));
    assert!(found.place.is_none() && found.problems.is_empty());
}

#[test]
fn waiting_ends_with_the_medium_or_the_time() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty");
    File::create(&empty).unwrap().set_len(1 << 20).unwrap();
    let Some(device) = Loop::attach(&empty) else {
        return;
    };
    let began = Instant::now();
    let wait = Duration::from_millis(500);
    let found = search(&[&device], false, wait);
    assert!(found.place.is_none() && began.elapsed() >= wait);
    assert!(began.elapsed() < Duration::from_secs(30));
    let expected = format!("{}: unknown content", device.path);
    assert!(
        found.report.seen.contains(&expected),
        "{:?}",
        found.report.seen
    );
    let image = volume(directory.path(), "cidata", NO_CLOUD);
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            fs::copy(&image, &empty).unwrap();
            // The block device shows the new bytes once its cache is gone.
            losetup(&["--set-capacity", &device.path]);
            let _flushed = Command::new("/sbin/blockdev")
                .args(["--flushbufs", &device.path])
                .status();
        });
        let found = search(&[&device], false, Duration::from_secs(300));
        assert!(found.place.is_some(), "{:?}", found.problems);
    });
    assert!(began.elapsed() < Duration::from_secs(60));
}

/// A search of a machine whose command line names a server at `address`.
fn search_server(address: &str, early: bool, finished: bool, wait: Duration) -> Outcomes {
    let cmdline = format!("ro ds=nocloud;s=http://{address}/\n");
    search_servers(&cmdline, address, &[], early, finished, wait)
}

fn search_servers(
    cmdline: &str,
    address: &str,
    metadata: &[MetadataService],
    early: bool,
    finished: bool,
    wait: Duration,
) -> Outcomes {
    let root = tempfile::tempdir().unwrap();
    let proc = root.path().join("proc");
    fs::create_dir(&proc).unwrap();
    fs::write(proc.join("cmdline"), cmdline).unwrap();
    let system = System {
        run: root.path().join("run"),
        sys: root.path().join("sys"),
        proc,
        metadata: format!("http://{address}/"),
        ..System::default()
    };
    let mut report = Report::new(Outcome::Failed);
    let mut problems = Problems::new();
    let asked = Seek {
        root: &Root::open(root.path()).unwrap(),
        seed: None,
        finished,
        wait,
        system: Some(&system),
        metadata,
        early,
        guard: &Guard::default(),
    };
    let found = seek(&asked, &mut report, &mut problems);
    Outcomes {
        place: found.map(|sought| sought.place),
        report,
        problems: problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_server_is_asked_until_it_answers_or_the_time_is_over() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let began = Instant::now();
    let hour = Duration::from_secs(3600);
    // Before there is a network, it is left to the next step.
    let early = search_server(&address, true, false, hour);
    assert!(early.place.is_none() && early.problems.is_empty());
    assert!(began.elapsed() < Duration::from_secs(60));
    let wait = Duration::from_millis(600);
    let found = search_server(&address, false, false, wait);
    assert!(began.elapsed() >= wait && found.place.is_none());
    let expected =
        format!("http://{address}/meta-data (kernel command line or firmware): cannot be reached");
    assert!(
        found.problems[0].starts_with(&expected),
        "{:?}",
        found.problems
    );
    assert!(found.report.files.is_empty());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            let listener = std::net::TcpListener::bind(&address).unwrap();
            for stream in listener.incoming().take(4) {
                use std::io::{Read, Write};
                let mut stream = stream.unwrap();
                let _request = stream.read(&mut [0; 1024]);
                let _gone = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
            }
        });
        let found = search_server(&address, false, false, hour);
        assert!(found.place.is_some(), "{:?}", found.problems);
    });
}

/// A listener that nobody accepts from: the kernel completes the connection, and no answer comes.
#[test]
fn a_node_that_is_set_up_asks_a_silent_server_for_ten_seconds_in_all() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let hour = Duration::from_secs(3600);
    let seed_url = format!("ds=nocloud;s=http://{address}/\n");
    let both = [MetadataService::Openstack, MetadataService::Ec2];
    std::thread::scope(|scope| {
        for (cmdline, metadata) in [(seed_url.as_str(), &[][..]), ("quiet\n", &both[..])] {
            let address = &address;
            scope.spawn(move || {
                let began = Instant::now();
                let found = search_servers(cmdline, address, metadata, false, true, hour);
                let took = began.elapsed();
                assert!(found.place.is_none() && found.problems.is_empty());
                assert!(
                    took >= Duration::from_secs(5),
                    "{took:?}: the server was not asked"
                );
                assert!(took <= Duration::from_secs(10), "{took:?}");
            });
        }
    });
}
