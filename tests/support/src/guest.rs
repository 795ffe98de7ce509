//! A built image in QEMU, by `nodeimg run`, and what it says of itself.
//!
//! ```text
//!  host   nodeimg run --exec guest.sh and what a test has of its own,
//!         SMBIOS: more words for the command line
//!  guest  ... multi-user.target, then the script: lines `name=value`, power off
//!  host   asserts
//! ```
//!
//! Each boot has its console, the errors of `nodeimg run` and the facts in files
//! beside one another in the build directory; a failure names them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nodeimg_values::terminal::plain_text;

pub use super::facts::Facts;
use super::run::nodeimg;
use super::slots::{self, Slots};
use super::{judge, place};

/// An emulated machine beside others, on a busy host.
const PATIENCE: Duration = Duration::from_secs(900);
/// What `nodeimg run` has to end in after its own time.
const GRACE: Duration = Duration::from_secs(150);
/// What a guest says of itself.
const SCRIPT: &str = include_str!("guest.sh");
/// More of it.
const WHOLE: &str = include_str!("whole.sh");
/// On every machine's command line. The default times are for machines of the
/// usual speed. The list of security modules is Debian's without `bpf`: systemd
/// loads a program into that one at each boot, for which an emulated processor
/// takes 20 seconds.
const WORDS: &str = "systemd.default_timeout_start_sec=300 systemd.default_device_timeout_sec=300 \
                     lsm=landlock,lockdown,yama,integrity,apparmor";
/// The last of the facts.
const END: &str = "fact end true\n";
/// For a machine that is to end by a power cut alone.
const WAITS_FOR_THE_CUT: &str = "sleep infinity\n";

/// One boot to come.
pub struct Guest {
    name: String,
    image: PathBuf,
    /// Of `nodeimg run`.
    arguments: Vec<String>,
    /// Of QEMU.
    machine: Vec<String>,
    script: String,
    /// Behind the image's own command line.
    words: String,
    left: u32,
}

impl Guest {
    /// `name` is for files; `image` is what `nodeimg run` takes.
    pub fn new(name: &str, image: &Path) -> Guest {
        Guest {
            name: name.to_owned(),
            image: image.to_owned(),
            arguments: Vec::new(),
            machine: Vec::new(),
            script: SCRIPT.to_owned(),
            words: WORDS.to_owned(),
            left: 1,
        }
    }

    /// More arguments of `nodeimg run`.
    pub fn with(mut self, arguments: &[&str]) -> Guest {
        self.arguments
            .extend(arguments.iter().map(|word| (*word).to_owned()));
        self
    }

    /// More arguments of QEMU.
    pub fn qemu(mut self, arguments: &[&str]) -> Guest {
        self.machine
            .extend(arguments.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Another disk, raw, which the guest finds by `serial`.
    pub fn disk(self, path: &Path, serial: &str, writable: bool) -> Guest {
        let read_only = if writable { "off" } else { "on" };
        let file = path.display();
        let drive = format!("if=none,id={serial},format=raw,read-only={read_only},file={file}");
        let device = format!("virtio-blk-pci,drive={serial},serial={serial}");
        self.qemu(&["-drive", &drive, "-device", &device])
    }

    /// More of a script, behind guest.sh.
    pub fn script(mut self, text: &str) -> Guest {
        self.script.push_str(text);
        self
    }

    /// The guest says all that it knows of itself: its root, its runtime, what is writable.
    pub fn look_at_all(self) -> Guest {
        self.script(WHOLE)
    }

    /// `--seed` and `--keep`, where they are wanted.
    pub fn seed(self, path: &Path) -> Guest {
        self.with(&["--seed", path.to_str().unwrap()])
    }

    pub fn keep(self, path: &Path) -> Guest {
        self.with(&["--keep", path.to_str().unwrap()])
    }

    /// More words for the kernel's command line.
    pub fn words(mut self, words: &str) -> Guest {
        self.words.push(' ');
        self.words.push_str(words);
        self
    }

    /// How many boots the test has left, with this one, or other work that takes as
    /// long ([`slots::take`]); 1 by default.
    pub fn left(mut self, boots: u32) -> Guest {
        self.left = boots;
        self
    }

    /// Boots to the end of the script; the machine must power itself off.
    /// `None`, with a printed skip, if there is no QEMU for it.
    pub fn facts(self) -> Option<Facts> {
        self.facts_while(|_| {})
    }

    /// The same with something to do meanwhile.
    pub fn facts_while(self, meanwhile: impl FnOnce(&mut Boot)) -> Option<Facts> {
        let mut boot = Boot::start(&self);
        meanwhile(&mut boot);
        let status = boot.wait(PATIENCE + GRACE);
        if boot.lacks_qemu() {
            return None;
        }
        let told = fs::read_to_string(boot.file("facts")).unwrap_or_default();
        let facts = Facts::read(&told, boot.console(), boot.logs());
        assert!(
            status.success() && facts.are_whole(),
            "{}: nodeimg run ended with {status}; {}",
            self.name,
            boot.logs()
        );
        Some(facts)
    }

    /// Boots, and pulls the plug so much `later` than the console has said `marker`.
    /// The machine does not end before: its script waits for the cut. False
    /// where [`Guest::facts`] has `None`.
    pub fn cut(mut self, marker: &str, later: Duration) -> bool {
        self.script.clear();
        self.cut_meanwhile(marker, later)
    }

    /// The same while the script runs, or behind it.
    pub fn cut_meanwhile(mut self, marker: &str, later: Duration) -> bool {
        self.script.push_str(WAITS_FOR_THE_CUT);
        let mut boot = Boot::start(&self);
        let end = Instant::now() + PATIENCE;
        let mut said = false;
        while !said && boot.is_running() && Instant::now() < end {
            thread::sleep(Duration::from_millis(50));
            said = boot.console().contains(marker);
        }
        if boot.lacks_qemu() {
            return false;
        }
        assert!(said, "the console never said {marker:?}; {}", boot.logs());
        thread::sleep(later);
        let pulled = boot.pull_the_plug();
        assert!(pulled, "the machine has ended by itself; {}", boot.logs());
        let _ = boot.wait(GRACE);
        true
    }

    /// Boots until the console has said every one of `texts`, and switches the
    /// machine off: the whole console. The machine must not have reached
    /// multi-user.target. `None` as for [`Guest::facts`].
    pub fn never_up(self, texts: &[&str]) -> Option<String> {
        let mut boot = Boot::start(&self);
        let end = Instant::now() + PATIENCE;
        let mut lacking: Vec<&str> = texts.to_vec();
        while !lacking.is_empty() && Instant::now() < end && boot.is_running() {
            thread::sleep(Duration::from_millis(200));
            let console = boot.console();
            lacking.retain(|text| !console.contains(text));
        }
        boot.switch_off();
        let _ = boot.wait(GRACE);
        if boot.lacks_qemu() {
            return None;
        }
        let console = boot.console();
        lacking.retain(|text| !console.contains(text));
        assert!(
            lacking.is_empty(),
            "{}: the console never said {lacking:?}; {}",
            self.name,
            boot.logs()
        );
        let facts = fs::read_to_string(boot.file("facts")).unwrap_or_default();
        assert!(
            facts.is_empty(),
            "{}: the machine came up; {}",
            self.name,
            boot.logs()
        );
        Some(console)
    }
}

/// A `nodeimg run` under way.
pub struct Boot {
    base: PathBuf,
    child: Child,
    _slot: Slots,
}

impl Boot {
    fn start(guest: &Guest) -> Boot {
        let directory = place::tmp().join("boot-logs");
        fs::create_dir_all(&directory).unwrap();
        let base = directory.join(&guest.name);
        let file = |extension: &str| base.with_extension(extension);
        for extension in ["facts", "log"] {
            fs::write(file(extension), "").unwrap();
        }
        fs::write(file("sh"), guest.script.clone() + END).unwrap();
        let slot = slots::take(1, guest.left);
        let mut command = nodeimg();
        // One processor: tests run beside one another.
        command.arg("run").arg(&guest.image).args(["--cpus", "1"]);
        command.args(["--timeout", &PATIENCE.as_secs().to_string()]);
        command.arg("--exec").arg(file("sh"));
        command.arg("--exec-output").arg(file("facts"));
        command.arg("--console").arg(file("log"));
        command.args(&guest.arguments).args(["--", "-smbios"]);
        command.arg(command_line(&guest.words));
        command.args(&guest.machine);
        let child = spawn(command, &file("err"));
        Boot {
            base,
            child,
            _slot: slot,
        }
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.base.with_extension(extension)
    }

    /// Without the colours and movements of a terminal, so that texts are found.
    fn console(&self) -> String {
        let bytes = fs::read(self.file("log")).unwrap_or_default();
        plain_text(&String::from_utf8_lossy(&bytes))
    }

    /// Waits until the guest has told a fact of that name; false where it will
    /// not any more.
    pub fn has_told(&mut self, name: &str) -> bool {
        let end = Instant::now() + PATIENCE;
        let start = format!("{name}=");
        loop {
            let told = fs::read_to_string(self.file("facts")).unwrap_or_default();
            if told.lines().any(|line| line.starts_with(&start)) {
                return true;
            }
            if !self.is_running() || Instant::now() > end {
                return false;
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Kills QEMU, which `nodeimg run` has as its only child.
    fn pull_the_plug(&mut self) -> bool {
        let id = self.child.id();
        let children = format!("/proc/{id}/task/{id}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        let Some(qemu) = children.split_whitespace().next() else {
            return false;
        };
        kill(Pid::from_raw(qemu.parse().unwrap()), Signal::SIGKILL).is_ok()
    }

    fn is_running(&mut self) -> bool {
        slots::ended(&mut self.child).unwrap().is_none()
    }

    /// `nodeimg run` ends its QEMU with itself.
    fn switch_off(&mut self) {
        if self.is_running() {
            let id = i32::try_from(self.child.id()).unwrap();
            kill(Pid::from_raw(id), Signal::SIGTERM).unwrap();
        }
    }

    fn wait(&mut self, most: Duration) -> ExitStatus {
        let end = Instant::now() + most;
        loop {
            if let Some(status) = slots::ended(&mut self.child).unwrap() {
                return status;
            }
            if Instant::now() > end {
                self.switch_off();
                panic!("nodeimg run did not end in {most:?}; {}", self.logs());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn lacks_qemu(&self) -> bool {
        let said = fs::read_to_string(self.file("err")).unwrap_or_default();
        lacks_qemu(&said)
    }

    /// What a failure is to say: where everything is, and how it ended.
    fn logs(&self) -> String {
        let console = self.console();
        let lines: Vec<&str> = console.lines().filter(|line| !line.is_empty()).collect();
        let tail = lines[lines.len().saturating_sub(25)..].join("\n  ");
        let said = fs::read_to_string(self.file("err")).unwrap_or_default();
        let log = self.file("log");
        format!(
            "see {} (and .err, .facts beside it)\n--- nodeimg run said\n{}\n--- the console's end\n  {tail}",
            log.display(),
            said.trim()
        )
    }
}

impl Drop for Boot {
    /// A failed assertion leaves no machine behind.
    fn drop(&mut self) {
        self.switch_off();
        let _ = slots::end(&mut self.child);
    }
}

/// Whether nodeimg `said` that there is no QEMU for the machine: with a printed skip.
#[track_caller]
pub fn lacks_qemu(said: &str) -> bool {
    let lacks = [
        "is not installed, or not on PATH",
        "there is no UEFI firmware",
    ];
    let missing = lacks.iter().any(|text| said.contains(text));
    if missing {
        judge::missing(said.trim());
    }
    missing
}

/// What QEMU takes behind `-smbios` for more words on the kernel's command line
/// ([systemd-stub](https://www.freedesktop.org/software/systemd/man/latest/systemd-stub.html)).
fn command_line(words: &str) -> String {
    // A comma that stands alone begins QEMU's next option.
    let words = words.replace(',', ",,");
    format!("type=11,value=io.systemd.stub.kernel-cmdline-extra={words}")
}

/// The same of the words that every machine has.
pub fn usual_command_line() -> String {
    command_line(WORDS)
}

fn spawn(mut command: Command, errors: &Path) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(File::create(errors).unwrap());
    match command.spawn() {
        Ok(child) => child,
        Err(e) => panic!("{command:?}: {e}"),
    }
}
