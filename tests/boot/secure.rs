//! Secure Boot with keys of one's own: systemd-boot enrols them in a machine that has none;
//! from then on firmware boots what they have signed, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{directory, image};
use nodeimg_test_support::disk::Disk;
use nodeimg_test_support::keys::Keys;
use nodeimg_test_support::run::{Ran, nodeimg};
use nodeimg_test_support::{judge, slots};

/// A firmware that has not decided by then is stuck.
const PATIENCE: Duration = Duration::from_secs(240);
/// What the kernel says under Secure Boot, and on the consoles of an image.
const BOOTED: &str = "Kernel is locked down from EFI Secure Boot";
/// What firmware and systemd-boot say of programs that `db` does not vouch for.
const REFUSED: &[&str] = &[
    "Access Denied",
    "Access denied",
    "Security violation",
    "Security Violation",
];

const SIGNED: &str = "[[secure_boot]]\nkey = \"db.key\"\ncertificate = \"db.pem\"\n";
const ENROLLED: &str = "[enroll]\npk = { key = \"PK.key\", certificate = \"PK.pem\" }\n\
                        kek = { key = \"KEK.key\", certificate = \"KEK.pem\" }\n\
                        db = [\"db.pem\", \"next.pem\"]\n";

/// A board whose firmware has Secure Boot.
struct Board {
    program: &'static str,
    machine: &'static [&'static str],
    /// The first that is there.
    code: &'static [&'static str],
    vars: &'static str,
}

const AMD64: Board = Board {
    program: "qemu-system-x86_64",
    machine: &[
        "-machine",
        "q35,smm=on,accel=tcg",
        "-cpu",
        "max",
        "-global",
        "driver=cfi.pflash01,property=secure,value=on",
    ],
    code: &["/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"],
    vars: "/usr/share/OVMF/OVMF_VARS_4M.fd",
};

const ARM64: Board = Board {
    program: "qemu-system-aarch64",
    machine: &["-machine", "virt,accel=tcg", "-cpu", "cortex-a76"],
    code: &[
        "/usr/share/AAVMF/AAVMF_CODE.secboot.fd",
        "/usr/share/AAVMF/AAVMF_CODE.ms.fd",
    ],
    vars: "/usr/share/AAVMF/AAVMF_VARS.fd",
};

/// One machine, whose variables stay from boot to boot.
struct Machine {
    board: &'static Board,
    code: &'static str,
    directory: PathBuf,
    boots: u32,
}

impl Machine {
    /// Without any key. `None`, with a printed skip, without its firmware.
    fn new(board: &'static Board, directory: &Path) -> Option<Machine> {
        let Some(code) = board.code.iter().find(|code| Path::new(code).is_file()) else {
            judge::missing(board.code[0]);
            return None;
        };
        fs::copy(board.vars, directory.join("vars.fd")).unwrap();
        Some(Machine {
            board,
            code,
            directory: directory.to_owned(),
            boots: 0,
        })
    }

    /// Boots a disk until its console says one of these, or the machine restarts; what it said.
    fn boot(&mut self, disk: &Path, until: &[&str]) -> String {
        self.boots += 1;
        let console = self.directory.join(format!("console-{}", self.boots));
        let _slot = slots::take(1, 1);
        let mut command = Command::new(self.board.program);
        command
            .args(self.board.machine)
            .args(["-m", "1024", "-nodefaults"]);
        command.args(["-display", "none", "-no-reboot"]);
        let vars = self.directory.join("vars.fd");
        for (unit, options, file) in [
            (0, "if=pflash,readonly=on", Path::new(self.code)),
            (1, "if=pflash", &vars),
        ] {
            command.arg("-drive");
            command.arg(format!(
                "{options},unit={unit},format=raw,file={}",
                file.display()
            ));
        }
        command.arg("-drive");
        command.arg(format!(
            "if=virtio,format=raw,snapshot=on,file={}",
            disk.display()
        ));
        command
            .arg("-serial")
            .arg(format!("file:{}", console.display()));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let said = watch(&mut child, &console, until);
        let _ = child.kill();
        slots::end(&mut child).unwrap();
        said
    }

    #[track_caller]
    fn boots(&mut self, disk: &Path) {
        let said = self.boot(disk, &[&[BOOTED], REFUSED].concat());
        assert!(
            said.contains(BOOTED),
            "boot {} of {}: {said}",
            self.boots,
            disk.display()
        );
    }

    #[track_caller]
    fn refuses(&mut self, disk: &Path) {
        let said = self.boot(disk, &[&[BOOTED, "Linux version"], REFUSED].concat());
        let refused = REFUSED.iter().any(|words| said.contains(words));
        assert!(
            refused && !said.contains("Linux version"),
            "boot {} of {}: {said}",
            self.boots,
            disk.display()
        );
    }
}

fn watch(child: &mut Child, console: &Path, until: &[&str]) -> String {
    let started = Instant::now();
    loop {
        let ended = slots::ended(child).unwrap().is_some();
        let said = fs::read(console).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        if ended || until.iter().any(|words| said.contains(words)) {
            return said;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "no end after {PATIENCE:?}: {said}"
        );
        thread::sleep(Duration::from_millis(200));
    }
}

/// An image's directory with the same files, in a place of its own.
fn copied(image: &Path, to: &Path) -> PathBuf {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(image).unwrap() {
        let path = entry.unwrap().path();
        fs::hard_link(&path, to.join(path.file_name().unwrap())).unwrap();
    }
    to.to_owned()
}

fn signed(image: &Path, to: &Path, keys: &Keys, text: &str) -> PathBuf {
    let directory = copied(image, to);
    let file = keys.file("keys.toml", text);
    let mut sign = nodeimg();
    sign.args(["sign", "--quiet"])
        .arg(&directory)
        .arg("--keys")
        .arg(file);
    Ran::of(&mut sign).good();
    directory.join("disk.raw")
}

/// A copy of a disk with another byte where the ESP has `needle`, so far behind its beginning.
fn changed(disk: &Path, to: &Path, needle: &[u8], behind: usize) -> PathBuf {
    let copy = Disk::copy(disk, to);
    let (start, length) = copy.partition("esp");
    let mut esp = vec![0; usize::try_from(length).unwrap()];
    std::os::unix::fs::FileExt::read_exact_at(&copy.file, &mut esp, start).unwrap();
    let at = esp
        .windows(needle.len())
        .position(|part| part == needle)
        .unwrap();
    copy.flip(start + (at + behind) as u64);
    copy.path
}

/// Enrols the keys and boots what they have signed; then, of what they have not, `refused`.
fn proven(arch: &str, board: &'static Board, all: bool) {
    let Some(image) = image(arch) else { return };
    let place = directory(&format!("secure-{arch}"));
    let names = ["PK", "KEK", "db", "next", "other"];
    let Some(keys) = Keys::make(&place.join("keys"), &names) else {
        return;
    };
    let Some(mut machine) = Machine::new(board, &place) else {
        return;
    };
    let disk = signed(
        &image,
        &place.join("signed"),
        &keys,
        &format!("{SIGNED}{ENROLLED}"),
    );
    // systemd-boot enrols, and restarts the machine.
    let said = machine.boot(&disk, &["Linux version"]);
    assert!(
        !said.contains("Linux version"),
        "no keys were enrolled: {said}"
    );
    machine.boots(&disk);
    // Another command line is a program that was changed; the root hash's first digit.
    let harmed = place.join("harmed.raw");
    machine.refuses(&changed(&disk, &harmed, b"roothash=", 9));
    fs::remove_file(&harmed).unwrap();
    if all {
        others(&mut machine, &image, &place, &keys, &disk);
    }
    fs::remove_dir_all(&place).unwrap();
}

fn others(machine: &mut Machine, image: &Path, place: &Path, keys: &Keys, disk: &Path) {
    machine.refuses(&image.join("disk.raw"));
    let other = SIGNED.replace("db.", "other.");
    machine.refuses(&signed(image, &place.join("other"), keys, &other));
    // systemd-boot itself.
    let harmed = place.join("loader.raw");
    machine.refuses(&changed(disk, &harmed, b"#### LoaderInfo: systemd-boot", 6));
    // The key that comes next boots too; so does a program that both have signed.
    let next = SIGNED.replace("db.", "next.");
    machine.boots(&signed(image, &place.join("next"), keys, &next));
    machine.boots(&signed(
        image,
        &place.join("both"),
        keys,
        &format!("{SIGNED}{next}"),
    ));
    // A machine that has learnt that the old key is revoked.
    let revoked = ENROLLED.replace(
        "[\"db.pem\", \"next.pem\"]",
        "[\"next.pem\"]\ndbx = [\"db.pem\"]",
    );
    let again = place.join("revoked");
    fs::create_dir(&again).unwrap();
    let mut later = Machine::new(machine.board, &again).unwrap();
    let fresh = signed(
        image,
        &again.join("signed"),
        keys,
        &format!("{next}{revoked}"),
    );
    later.boot(&fresh, &["Linux version"]);
    later.boots(&fresh);
    later.refuses(disk);
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn amd64_boots_what_is_signed_and_nothing_else() {
    proven("amd64", &AMD64, judge::is_full("every case of Secure Boot"));
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn arm64_boots_what_is_signed_and_nothing_else() {
    if judge::is_full("Secure Boot on arm64") {
        proven("arm64", &ARM64, false);
    }
}
