//! A running node: QEMU in the cluster's namespace by `nodeimg run`, its console
//! in a file, its shell by SSH with a key of the seed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::control::{Cluster, is_true, until};
use super::images::{Variant, image};
use super::{Scene, logs};
use nodeimg_test_support::guest::usual_command_line;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::slots::{self, Slots};

/// Beyond what the slowest of these tests waits for altogether.
const LIFETIME: Duration = Duration::from_secs(3600);
/// For the kernel to start its first program, which it does in half a minute.
const SILENCE: Duration = Duration::from_secs(300);
/// For a boot to the kubelet's first words at the API server, on a busy host.
pub const BOOT: u64 = 900;
/// For what takes seconds on a processor of its own.
pub const SOON: u64 = 300;

/// The network of all nodes.
pub struct Place {
    pub name: &'static str,
    /// The last byte of 10.240.0.0/24.
    pub number: u8,
}

impl Place {
    pub fn address(&self) -> String {
        format!("10.240.0.{}", self.number)
    }

    /// Its second one, in a cluster that has both families.
    pub fn address6(&self) -> String {
        format!("fd00:10:240::{}", self.number)
    }

    pub fn mac(&self) -> String {
        format!("52:54:00:f0:00:{:02x}", self.number)
    }
}

/// A node to boot.
pub struct Machine<'a> {
    pub place: &'a Place,
    pub image: &'a Path,
    pub seed: &'a Path,
    pub cpus: u8,
    pub memory: &'a str,
    /// Where its disk stays, if it does.
    pub keep: Option<&'a Path>,
}

impl<'a> Machine<'a> {
    /// A worker of the usual size.
    pub fn worker(place: &'a Place, image: &'a Path, seed: &'a Path) -> Machine<'a> {
        Machine {
            place,
            image,
            seed,
            cpus: 1,
            memory: "1 GiB",
            keep: None,
        }
    }
}

/// What a test of a single worker begins with: the right to run it, once it may,
/// and its disk. `left` is for [`slots::take`].
pub fn alone(
    scene: Option<Scene>,
    variant: &Variant,
    arch: &str,
    left: u32,
) -> Option<(Scene, Slots, PathBuf)> {
    let scene = scene?;
    let slots = slots::take(1, left);
    Some((scene, slots, image(variant, arch)?))
}

pub struct Node {
    pub name: &'static str,
    pub address: String,
    cluster: Cluster,
    key: PathBuf,
    log: PathBuf,
    /// Of the connection to its shell.
    sockets: TempDir,
    child: Child,
    begun: Instant,
}

impl Node {
    pub fn start(scene: &Scene, machine: &Machine<'_>) -> Node {
        Node::start_at(scene, machine, machine.place.address())
    }

    /// The same, to be reached at `address`.
    pub fn start_at(scene: &Scene, machine: &Machine<'_>, address: String) -> Node {
        let name = machine.place.name;
        scene.cluster.tap(name);
        let log = logs().join(format!("{name}.log"));
        let errors = File::create(log.with_extension("err")).unwrap();
        let mut run = scene.cluster.inside(env!("CARGO_BIN_EXE_nodeimg"));
        run.arg("run").arg(machine.image);
        run.arg("--seed").arg(machine.seed);
        if let Some(directory) = machine.keep {
            run.arg("--keep").arg(directory);
        }
        run.args(["--cpus", &machine.cpus.to_string()]);
        run.args(["--memory", machine.memory]);
        run.args(["--timeout", &LIFETIME.as_secs().to_string(), "--"]);
        run.args(["-smbios", &usual_command_line()]);
        let tap = format!("tap,id=lan,ifname={name},script=no,downscript=no");
        let interface = format!(
            "virtio-net-pci,netdev=lan,romfile=,mac={}",
            machine.place.mac()
        );
        run.args(["-netdev", &tap, "-device", &interface]);
        run.stdin(Stdio::null()).stderr(errors);
        run.stdout(File::create(&log).unwrap());
        Node {
            name,
            address,
            cluster: scene.cluster.clone(),
            key: key(scene),
            log,
            sockets: TempDir::new().unwrap(),
            child: run.spawn().unwrap(),
            begun: Instant::now(),
        }
    }

    /// The same of a machine with more than one processor. QEMU, when it emulates those, loses a
    /// boot in a dozen or two (docs/how-to/run-in-qemu.md): then it starts once more, and says why.
    pub fn start_of_many(scene: &Scene, machine: &Machine<'_>) -> Node {
        let mut lost = Vec::new();
        while lost.len() < 3 {
            let mut node = Node::start(scene, machine);
            let Some(why) = node.until("its login", BOOT, Node::is_up_or_lost) else {
                return node;
            };
            let line = format!("{}: QEMU has lost a boot, the next one: {why}\n", node.name);
            // Straight to the terminal: the test harness keeps what passing tests print.
            let _ = io::stderr().lock().write_all(line.as_bytes());
            lost.push(why);
        }
        panic!("{}: three boots are lost: {lost:?}", machine.place.name);
    }

    /// Whether the console has got to the login, or what the kernel says instead.
    fn is_up_or_lost(&self) -> Result<Option<String>, String> {
        let console = fs::read(&self.log).unwrap();
        let console = String::from_utf8_lossy(&console);
        let lost = console.lines().find(|line| line.contains("Oops: int3"));
        match (lost, console.contains(" login: ")) {
            (Some(line), _) => Ok(Some(line.to_owned())),
            (None, true) => Ok(None),
            (None, false) if self.begun.elapsed() > SILENCE && !console.contains("Welcome to") => {
                Ok(Some(format!("silence for {SILENCE:?}")))
            }
            (None, false) => Err("no login".to_owned()),
        }
    }

    /// As [`until`], which ends at once if the machine has.
    #[track_caller]
    pub fn until<T>(
        &mut self,
        what: &str,
        seconds: u64,
        mut ask: impl FnMut(&Node) -> Result<T, String>,
    ) -> T {
        let what = format!("{}: {what}", self.name);
        until(&what, seconds, || {
            let ended = slots::ended(&mut self.child).unwrap();
            assert!(
                ended.is_none(),
                "{what}: the machine has ended, see {}",
                self.log.display()
            );
            ask(self)
        })
    }

    /// The node as the API server has it, once it is Ready.
    #[track_caller]
    pub fn ready(&mut self) -> Value {
        self.until("Ready", BOOT, |node| {
            let object = node.object().ok_or("there is no such node")?;
            match is_true(&object, "Ready") {
                true => Ok(object),
                false => Err(object["status"]["conditions"].to_string()),
            }
        })
    }

    fn object(&self) -> Option<Value> {
        self.cluster.node(self.name)
    }

    /// Over one connection for all: a separate one costs the node a key exchange and a
    /// session with its services, seconds of an emulated processor.
    pub fn ssh(&self) -> Command {
        let mut ssh = self.cluster.inside("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]);
        ssh.args(["-o", "StrictHostKeyChecking=no", "-o", "ConnectTimeout=20"]);
        // It ends with the machine, if by its silence.
        ssh.args([
            "-o",
            "ServerAliveInterval=20",
            "-o",
            "ServerAliveCountMax=6",
        ]);
        ssh.args(["-o", "ControlMaster=auto", "-o", "ControlPersist=yes", "-o"]);
        ssh.arg(format!("ControlPath={}", self.connection().display()));
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-i"]);
        ssh.arg(&self.key).arg(format!("root@{}", self.address));
        ssh
    }

    /// A socket, which has no room for a long path.
    fn connection(&self) -> PathBuf {
        self.sockets.path().join(self.name)
    }

    /// Before the machine does, so that what comes next is of the next one.
    fn disconnect(&self) {
        if self.connection().exists() {
            let _ = self.ssh().args(["-O", "exit"]).output();
        }
    }

    /// A script of the shell, as root; whatever it ends with.
    pub fn tries(&self, script: &str) -> Ran {
        Ran::of(self.ssh().arg(script).stdin(Stdio::null()))
    }

    /// The same, which must succeed.
    #[track_caller]
    pub fn shell(&self, script: &str) -> String {
        self.tries(script).good().out.trim().to_owned()
    }

    /// The end of what a server on the node's loopback answers.
    #[track_caller]
    pub fn asks(&self, port: u16, path: &str) -> String {
        let ask = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"
        );
        let said = self.shell(&format!("bash -c \"{ask}\""));
        said.lines().last().unwrap_or_default().to_owned()
    }

    /// Until a script succeeds: what it says.
    #[track_caller]
    pub fn comes_to(&mut self, what: &str, script: &str) -> String {
        self.until(what, SOON, |node| {
            let ran = node.tries(script);
            match ran.code {
                Some(0) => Ok(ran.out.trim().to_owned()),
                _ => Err(format!("{}{}", ran.out, ran.err)),
            }
        })
    }

    /// Restarts the machine: returns when another boot's kubelet says Ready.
    #[track_caller]
    pub fn reboots(&mut self) {
        self.boots_after("systemctl reboot");
    }

    /// The same of a machine that is cut off in the middle of what it does, with what it
    /// had not written yet lost.
    #[track_caller]
    pub fn loses_power(&mut self) {
        // In the background: nothing would end the connection.
        self.boots_after("(sleep 2; echo b >/proc/sysrq-trigger) >/dev/null 2>&1 &");
    }

    #[track_caller]
    fn boots_after(&mut self, script: &str) {
        let boot_id = |node: &Node| {
            let object = node.object().unwrap_or_default();
            object["status"]["nodeInfo"]["bootID"].to_string()
        };
        let before = boot_id(self);
        // The connection ends with the machine.
        let _ = self.tries(script);
        self.disconnect();
        self.until("another boot", BOOT, |node| {
            let now = boot_id(node);
            (now != before).then_some(()).ok_or(now)
        });
        self.ready();
    }
}

impl Node {
    /// Switches it off as its administrator does, and waits for that.
    #[track_caller]
    pub fn powers_off(mut self) {
        let _ = self.tries("systemctl poweroff");
        self.disconnect();
        let what = format!("{} is off", self.name);
        let ended = until(&what, SOON, || {
            let ended = slots::ended(&mut self.child).unwrap();
            ended.ok_or_else(|| "it runs".to_owned())
        });
        assert!(ended.success(), "{what}: {ended}");
    }
}

impl Drop for Node {
    /// `nodeimg run` ends its QEMU with itself.
    fn drop(&mut self) {
        if let Ok(None) = slots::ended(&mut self.child) {
            if std::thread::panicking() {
                self.tells();
            }
            let id = i32::try_from(self.child.id()).unwrap();
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        let _ = slots::end(&mut self.child);
        self.disconnect();
    }
}

impl Node {
    /// The state of the node of a failed test, in addition to its console.
    fn tells(&self) {
        let mut ssh = self.ssh();
        ssh.arg(
            "cat /run/nodeimg/result.json; systemctl --failed; journalctl -b --no-pager | tail -n 1500",
        );
        if let Ok(output) = ssh.stdin(Stdio::null()).output() {
            let _ = fs::write(self.log.with_extension("journal"), output.stdout);
        }
    }
}

/// The key of a test's seeds, made for it.
pub fn key(scene: &Scene) -> PathBuf {
    let key = scene.directory.join("key");
    if !key.exists() {
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"]);
        Ran::of(make.arg(&key)).good();
    }
    key
}
