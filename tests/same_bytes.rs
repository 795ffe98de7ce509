//! The static program of both architectures: alone on a machine, and with one result from
//! everywhere. `ci/static --test` builds it and runs these; `NODEIMG_TEST_STATIC` names the
//! folder that ci/static fills.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nodeimg_test_support::debian::{ARCHS, fetched, recipe, store};
use nodeimg_test_support::elsewhere::{Elsewhere, of_files};
use nodeimg_test_support::run::{Ran, clean};
use nodeimg_test_support::synthetic::{EPOCH, World};
use nodeimg_test_support::{judge, place};
use tempfile::TempDir;

/// The folder of ci/static.
fn folder() -> PathBuf {
    let folder = std::env::var_os("NODEIMG_TEST_STATIC");
    folder.map_or_else(|| place::target().join("static"), PathBuf::from)
}

/// What `ci/static` leaves for `arch`.
fn program(arch: &str) -> PathBuf {
    let path = folder().join(arch).join("nodeimg");
    assert!(path.is_file(), "{}: ci/static builds it", path.display());
    path
}

fn is_own(arch: &str) -> bool {
    (arch == "arm64") == cfg!(target_arch = "aarch64")
}

/// What runs a program of a foreign `arch`, itself a static one.
fn emulator(arch: &str) -> Option<PathBuf> {
    let cpu = if arch == "arm64" { "aarch64" } else { "x86_64" };
    (!is_own(arch)).then(|| PathBuf::from(format!("/usr/bin/qemu-{cpu}-static")))
}

/// `from` at `to`, for whoever runs it.
fn installed(from: &Path, to: PathBuf) -> PathBuf {
    fs::copy(from, &to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    fs::set_permissions(&to, Permissions::from_mode(0o755)).unwrap();
    to
}

/// The names in builder/programs.txt.
fn listed() -> Vec<String> {
    let text = fs::read_to_string(place::top().join("builder/programs.txt")).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
        .collect()
}

/// A root with nothing but the program: no C library and none of its files, no certificates,
/// no /proc, no /tmp.
struct Bare {
    root: TempDir,
    start: Vec<String>,
}

impl Bare {
    fn new(arch: &str) -> Bare {
        let root = TempDir::new().unwrap();
        let mut start = Vec::new();
        if let Some(emulator) = emulator(arch) {
            installed(&emulator, root.path().join("emulator"));
            start.push("/emulator".to_owned());
        }
        installed(&program(arch), root.path().join("nodeimg"));
        start.push("/nodeimg".to_owned());
        Bare { root, start }
    }

    fn nodeimg(&self, words: &[&str]) -> Command {
        let mut command = clean(Command::new("/usr/sbin/chroot"));
        command.arg(self.root.path()).args(&self.start).args(words);
        command.env("SOURCE_DATE_EPOCH", EPOCH);
        command
    }
}

#[test]
#[ignore = "needs what ci/static builds, and root"]
fn the_programs_are_inside() {
    for arch in ARCHS {
        let said = Ran::of(&mut Bare::new(arch).nodeimg(&["--version"]))
            .good()
            .out;
        for name in listed() {
            for of in ARCHS {
                let path = folder().join("programs").join(of).join(&name);
                let bytes = fs::read(&path).unwrap();
                let line = format!(
                    "{name} for {of}: {} bytes, sha256 {}",
                    bytes.len(),
                    nodeimg_test_support::archive::sha256(&bytes)
                );
                assert!(said.lines().any(|said| said == line), "{line}\n{said}");
            }
        }
    }
}

/// C may hold the time of its compilation, as `__DATE__` writes it; ci/static fixes that.
#[test]
#[ignore = "needs what ci/static builds, and root"]
fn no_time_of_compilation_is_inside() {
    for arch in ARCHS {
        let bytes = fs::read(program(arch)).unwrap();
        let dates: Vec<_> = bytes.split(|byte| *byte == 0).filter_map(date).collect();
        let fixed = dates.iter().all(|date| *date == "Jan  1 1970");
        assert!(fixed, "the program for {arch} holds {dates:?}");
    }
}

/// `Mmm dd yyyy`.
fn date(word: &[u8]) -> Option<&str> {
    const MONTHS: &str = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";
    let text = str::from_utf8(word).ok().filter(|text| text.is_ascii())?;
    let (month, rest) = text.split_at_checked(3)?;
    let (day, year) = rest.strip_prefix(' ')?.split_at_checked(2)?;
    let year = year.strip_prefix(' ')?;
    let numbers = day.trim_start().parse::<u8>().is_ok() && year.parse::<u16>().is_ok();
    (MONTHS.split(' ').any(|name| name == month) && year.len() == 4 && numbers).then_some(text)
}

/// Downloads by address, and builds with the first-boot binaries inside, in an empty root;
/// the result is that of the dynamic program with the same binaries.
#[test]
#[ignore = "needs what ci/static builds, and root"]
fn it_builds_alone_in_an_empty_root() {
    let world = World::locked();
    let build = ["build", "--arch", "amd64", "--arch", "arm64"];
    let outputs = ["--output", "overlay", "--output", "sysext"];
    let mut ours = world.nodeimg("build");
    ours.args(&build[1..]).args(outputs);
    for arch in ARCHS {
        let path = folder().join("programs").join(arch);
        ours.arg("--firstboot").arg(format!(
            "{arch}={}",
            path.join("nodeimg-firstboot").display()
        ));
    }
    Ran::of(&mut ours).good();
    let wanted = of_files(&world.path("out"));
    for arch in ARCHS {
        let bare = Bare::new(arch);
        let work = bare.root.path().join("build");
        fs::create_dir_all(work.join("overlay/root")).unwrap();
        for name in ["recipe.toml", "recipe.lock"] {
            fs::copy(world.path(name), work.join(name)).unwrap();
        }
        let mut alone = bare.nodeimg(&build);
        alone.args(outputs).args(["--mirror", &world.mirror()]);
        alone.args(["--recipe", "/build/recipe.toml", "--store", "/build/store"]);
        Ran::of(alone.args(["--out", "/build/out"])).good();
        assert_eq!(
            of_files(&work.join("out")),
            wanted,
            "by the program for {arch}"
        );
    }
}

/// A server whose certificate is from a public authority needs none on the machine: what
/// fails here is the look-up of the name, and not the set-up of TLS.
#[test]
#[ignore = "needs what ci/static builds, and root"]
fn without_any_configuration_https_and_names_are_understood() {
    let world = World::locked();
    for arch in ARCHS {
        let bare = Bare::new(arch);
        let work = bare.root.path().join("build");
        fs::create_dir_all(work.join("overlay/root")).unwrap();
        for name in ["recipe.toml", "recipe.lock"] {
            fs::copy(world.path(name), work.join(name)).unwrap();
        }
        let mut fetch = bare.nodeimg(&["fetch", "--retries", "0", "--arch", "amd64"]);
        fetch.args(["--recipe", "/build/recipe.toml", "--store", "/build/store"]);
        let ran = Ran::of(&mut fetch);
        ran.refused(1, &["up.test", "cannot connect"]);
    }
}

/// The fastest of many: what else this machine does has little part in it.
#[test]
#[ignore = "needs what ci/static builds"]
fn it_starts_in_ten_milliseconds() {
    let arch = ARCHS.into_iter().find(|arch| is_own(arch)).unwrap();
    let program = program(arch);
    let fastest = (0..30).map(|_| {
        let begun = Instant::now();
        Ran::of(clean(Command::new(&program)).arg("--help")).good();
        begun.elapsed()
    });
    let fastest = fastest.min().unwrap();
    assert!(fastest < Duration::from_millis(10), "{fastest:?}");
}

/// One build of a whole disk.
struct Variant {
    name: &'static str,
    /// Of the program.
    arch: &'static str,
    who: Elsewhere,
    /// From the store of the variant before it, with all that it has made.
    warm: bool,
    /// Where it is built, below a directory of its own.
    below: &'static str,
}

const VARIANTS: [Variant; 3] = [
    Variant {
        name: "root, umask 022, a cold store",
        arch: "amd64",
        who: Elsewhere {
            umask: "022",
            nobody: false,
            one_cpu: false,
        },
        warm: false,
        below: "a",
    },
    Variant {
        name: "nobody, umask 077, one processor, elsewhere, a warm store",
        arch: "amd64",
        who: Elsewhere {
            umask: "077",
            nobody: true,
            one_cpu: true,
        },
        warm: true,
        below: "b/another place",
    },
    Variant {
        name: "the program for arm64, a cold store",
        arch: "arm64",
        who: Elsewhere {
            umask: "022",
            nobody: true,
            one_cpu: false,
        },
        warm: false,
        below: "c",
    },
];

/// A store that has what the recipe's lock pins, and nothing made of it.
fn cold_store(to: &Path) {
    let lock = fs::read_to_string(recipe().with_extension("lock")).unwrap();
    let digests = lock
        .lines()
        .filter_map(|line| line.strip_prefix("sha256 = \"")?.strip_suffix('"'));
    for digest in digests {
        let folder = Path::new("blobs").join(&digest[..2]);
        // Indexes are pinned too, and a build does not read them.
        if let Ok(bytes) = fs::read(store().join(&folder).join(digest)) {
            fs::create_dir_all(to.join(&folder)).unwrap();
            fs::write(to.join(&folder).join(digest), bytes).unwrap();
        }
    }
}

/// Builds disks for both architectures in `place`, and gives a digest for each file. The
/// store is `place`'s own.
fn disks(variant: &Variant, place: &Path) -> Vec<String> {
    let at = place.join(variant.below);
    fs::create_dir_all(&at).unwrap();
    let file = at.join("recipe.toml");
    fs::copy(recipe(), &file).unwrap();
    fs::copy(recipe().with_extension("lock"), file.with_extension("lock")).unwrap();
    let own = installed(&program(variant.arch), at.join("nodeimg"));
    let mut build = variant.who.command(place);
    build.args(emulator(variant.arch)).arg(own);
    build.args(["build", "--quiet", "--offline", "--out", "out"]);
    for output in ["disk", "root", "uki"] {
        build.args(["--output", output]);
    }
    for arch in ARCHS {
        build.args(["--arch", arch]);
    }
    build.arg("--recipe").arg(&file);
    build.arg("--store").arg(place.join("store"));
    Ran::of(build.current_dir(&at)).good();
    of_files(&at.join("out"))
}

#[test]
#[ignore = "needs what ci/static builds; minutes"]
fn one_disk_from_everywhere() {
    if !judge::is_full("disks by the static programs") || !fetched() {
        return;
    }
    let mut first: Option<Vec<String>> = None;
    let mut kept: Option<TempDir> = None;
    for variant in &VARIANTS {
        let place = TempDir::new().unwrap();
        let at = place.path().join("store");
        match kept.take().filter(|_| variant.warm) {
            Some(before) => fs::rename(before.path().join("store"), at).unwrap(),
            None => cold_store(&at),
        }
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        let begun = Instant::now();
        let found = disks(variant, place.path());
        let seconds = begun.elapsed().as_secs();
        judge::say(&format!("{}: {seconds} s", variant.name));
        kept = Some(place);
        match &first {
            None => first = Some(found),
            Some(first) => assert_eq!(&found, first, "{}", variant.name),
        }
    }
    assert_eq!(
        first
            .unwrap()
            .iter()
            .filter(|line| line.ends_with("disk.raw"))
            .count(),
        2
    );
}
