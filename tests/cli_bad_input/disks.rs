use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Ran;
use nodeimg_test_support::archive::{file, gz, noise, program, tar};
use nodeimg_test_support::image::sums_hold;
use nodeimg_test_support::judge;
use nodeimg_test_support::run::{clean, listing, nodeimg_at};
use nodeimg_test_support::synthetic::{World, body, is_image};

/// A world whose containerd is too much for a small disk.
fn large() -> World {
    let world = World::new();
    for arch in ["amd64", "arm64"] {
        let mut containerd = program(arch, "containerd");
        containerd.extend(noise(700_000));
        let members = [
            file("bin/containerd", containerd),
            file("bin/containerd-shim-runc-v2", program(arch, "shim")),
        ];
        world.serve("containerd", "2.3.4", arch, &gz(&tar(&members)));
    }
    world.lock();
    world
}

/// Runs `command` with a file system of so many KiB at `at`, in a mount
/// namespace of its own, and gives what is left there as lines of `files`;
/// `None` where this machine does not let us.
fn on_small_disk(command: &Command, at: &Path, size: u32) -> Option<(Ran, String)> {
    fs::create_dir_all(at).unwrap();
    let mut words: Vec<_> = vec![command.get_program().to_owned()];
    words.extend(command.get_args().map(ToOwned::to_owned));
    // `files` goes to a place outside: the disk ends with the namespace.
    let files = tempfile::NamedTempFile::new().unwrap();
    let script = "mount -t tmpfs -o size=\"$1\"k,mode=0755 tmpfs \"$2\" || exit 99; at=$2; left=$3; \
                  shift 3; \"$@\"; code=$?; find \"$at\" -type f >\"$left\"; exit $code";
    let mut unshare = Command::new("unshare");
    let how: &[&str] = if judge::is_root() {
        &["-m"]
    } else {
        &["-r", "-m"]
    };
    unshare
        .args(how)
        .args(["sh", "-c", script, "sh", &size.to_string()]);
    unshare.arg(at).arg(files.path()).args(words).env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            unshare.env(name, value);
        }
    }
    let ran = Ran::of(unshare.current_dir(command.get_current_dir().unwrap()));
    if ran.code == Some(99) || ran.err.starts_with("unshare:") {
        judge::missing(&format!(
            "a mount namespace with a tmpfs ({})",
            ran.err.trim()
        ));
        return None;
    }
    let left = fs::read_to_string(files.path()).unwrap();
    Some((ran, left))
}

#[test]
fn the_output_disk_is_full() {
    let world = large();
    let Some((ran, left)) = on_small_disk(&world.build(), &world.path("out"), 300) else {
        return;
    };
    ran.refused(
        1,
        &[
            "building tiny-1.0.0-amd64",
            "overlay.tar.zst",
            "No space left on device",
            "disk full",
        ],
    );
    assert_eq!(left, "");
    world.store_is_sound().unwrap();
    // The same with room is not an error: it is the disk that was refused.
    let (ran, left) = on_small_disk(&world.build(), &world.path("out"), 4000).unwrap();
    ran.good();
    assert_eq!(left.lines().count(), 6, "{left}");
}

#[test]
fn the_store_disk_is_full() {
    let world = large();
    fs::remove_dir_all(world.path("store")).unwrap();
    let Some((ran, left)) = on_small_disk(&world.build(), &world.path("store"), 300) else {
        return;
    };
    ran.refused(
        1,
        &[
            "containerd 2.3.4 (amd64)",
            "No space left on device",
            "disk full",
        ],
    );
    let kept: Vec<_> = left
        .lines()
        .filter(|l| l.contains("/partial/") && !l.ends_with(".lock"))
        .collect();
    assert!(kept.is_empty(), "{kept:?}");
    assert!(listing(&world.path("out")).is_empty());
}

/// There is room for the download, but not for its unpacked content.
#[test]
fn the_store_disk_is_full_while_unpacking() {
    let world = World::new();
    for arch in ["amd64", "arm64"] {
        let mut containerd = program(arch, "containerd");
        containerd.resize(900_000, 0);
        let members = [
            file("bin/containerd", containerd),
            file("bin/containerd-shim-runc-v2", program(arch, "shim")),
        ];
        world.serve("containerd", "2.3.4", arch, &gz(&tar(&members)));
    }
    world.lock();
    fs::remove_dir_all(world.path("store")).unwrap();
    let Some((ran, left)) = on_small_disk(&world.build(), &world.path("store"), 400) else {
        return;
    };
    // Which of the archives meets the full disk first is chance.
    ran.refused(
        1,
        &[
            "unpacking",
            "(amd64)",
            "No space left on device",
            "disk full",
        ],
    );
    let derived = |record: bool| {
        let kept = |line: &&str| line.contains("/derived/") && line.ends_with(".record") == record;
        left.lines().filter(kept).count()
    };
    assert_eq!(derived(true), derived(false), "half done: {left}");
    assert!(derived(true) < 4, "{left}");
}

#[test]
fn the_bundle_disk_is_full() {
    let world = large();
    let mut command = world.nodeimg("fetch");
    command.args(["--arch", "amd64", "--bundle", "bundles/b.tar"]);
    let Some((ran, left)) = on_small_disk(&command, &world.path("bundles"), 300) else {
        return;
    };
    ran.refused(
        1,
        &["bundles/b.tar", "No space left on device", "disk full"],
    );
    assert_eq!(left, "");
}

/// `command` as a user whom permissions bind.
fn unprivileged(world: &World, verb: &str) -> Option<Command> {
    if !judge::is_root() {
        return Some(world.nodeimg(verb));
    }
    // The build directory may be nobody's to read.
    let binary = world.path("nodeimg");
    fs::copy(env!("CARGO_BIN_EXE_nodeimg"), &binary).unwrap();
    for path in [&binary, &world.path("")] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        judge::missing("the command `setpriv`");
        return None;
    }
    let mut command = clean(Command::new("setpriv"));
    command.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--no-new-privs",
    ]);
    command.arg(nodeimg_at(&binary).get_program());
    Some(world.prepared(command, verb))
}

fn open_to_all(path: &Path) {
    Ran::of(Command::new("chmod").args(["-R", "a+rwX"]).arg(path)).good();
}

#[test]
fn an_output_directory_that_is_not_ours() {
    let world = World::warm();
    open_to_all(&world.path("store"));
    fs::create_dir(world.path("out")).unwrap();
    fs::set_permissions(world.path("out"), Permissions::from_mode(0o555)).unwrap();
    let Some(mut command) = unprivileged(&world, "build") else {
        return;
    };
    command.args(["--arch", "amd64"]);
    Ran::of(&mut command).refused(
        1,
        &[
            "creating out/tiny-1.0.0-amd64",
            "Permission denied",
            "choose an output directory",
        ],
    );
    world.is_clean().unwrap();
}

#[test]
fn a_store_that_is_not_ours() {
    let world = World::locked();
    fs::create_dir(world.path("store")).unwrap();
    fs::set_permissions(world.path("store"), Permissions::from_mode(0o555)).unwrap();
    let Some(mut command) = unprivileged(&world, "build") else {
        return;
    };
    command.args(["--arch", "amd64"]);
    Ran::of(&mut command).refused(
        1,
        &["opening the store", "Permission denied", "--store DIR"],
    );
    assert!(!world.path("out").exists() && listing(&world.path("store")).is_empty());
}

#[test]
fn things_that_are_in_the_way() {
    // Files where directories are wanted.
    for (path, says) in [("out", "out"), ("store", "opening the store")] {
        let world = World::locked();
        fs::write(world.path(path), "mine").unwrap();
        Ran::of(&mut world.build()).refused(1, &[says]);
        assert_eq!(fs::read_to_string(world.path(path)).unwrap(), "mine");
    }
    // Somebody's work where the image would go.
    let world = World::locked();
    fs::create_dir_all(world.image("amd64")).unwrap();
    fs::write(world.image("amd64").join("thesis.tex"), "mine").unwrap();
    Ran::of(&mut world.build()).refused(
        1,
        &[
            "thesis.tex",
            "not an output of an earlier build",
            "move it away",
        ],
    );
    assert_eq!(
        listing(&world.path("out")),
        ["tiny-1.0.0-amd64", "tiny-1.0.0-amd64/thesis.tex"]
    );
}

/// Builds at once into one cold store and one output directory: all succeed,
/// and nothing is downloaded twice.
#[test]
fn builds_at_once_share_a_store_and_an_output() {
    let world = World::locked();
    let children: Vec<_> = (0..4)
        .map(|_| {
            let mut command = world.build();
            command.args(["--arch", "arm64"]);
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        Ran::from(
            child.wait_with_output().unwrap(),
            "one of four builds".to_owned(),
        )
        .good();
    }
    assert_eq!(world.asked("containerd").len(), 1, "downloaded once");
    for arch in ["amd64", "arm64"] {
        assert!(is_image(&world.image(arch)));
        sums_hold(&world.image(arch));
    }
    assert_eq!(
        listing(&world.path("out")).len(),
        2 + 2 * 6,
        "nothing else in out/"
    );
    assert!(world.partials().is_empty());
    world.store_is_sound().unwrap();
    // One more sees that all is there.
    let ran = Ran::of(&mut world.build()).good();
    assert!(ran.err.contains("is up to date"), "{}", ran.err);
}

/// A blob that went bad on disk is named, dropped and fetched again.
#[test]
fn a_damaged_store_heals() {
    let world = World::warm();
    let digest = nodeimg_test_support::archive::sha256(&body("runc", "amd64"));
    let blob = world.path("store/blobs").join(&digest[..2]).join(&digest);
    let damage = || {
        fs::set_permissions(&blob, Permissions::from_mode(0o644)).unwrap();
        fs::write(&blob, "rotten").unwrap();
    };
    damage();
    Ran::of(world.nodeimg("store").arg("verify")).refused(1, &[&digest, "dropped"]);
    assert!(!blob.exists());
    Ran::of(&mut world.build()).good();
    fs::remove_dir_all(world.path("out")).unwrap();
    damage();
    let ran = Ran::of(&mut world.build()).good();
    assert!(
        ran.err.contains("runc 1.4.3 (amd64)") && ran.err.contains("damaged"),
        "{}",
        ran.err
    );
    world.store_is_sound().unwrap();
    // Without a network it is an error, and dropped all the same.
    fs::remove_dir_all(world.path("out")).unwrap();
    damage();
    Ran::of(world.build().arg("--offline")).refused(1, &["lacks 1 of 5", "runc 1.4.3 (amd64)"]);
    assert!(listing(&world.path("out")).is_empty() && !blob.exists());
}
