//! QEMU as a child: its console, its time, and how it ends.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nodeimg_values::system;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::console::{Console, find};
use super::exec::{Exec, Script};
use super::qmp::{self, Event, Monitor, Order};
use super::sink::Sink;

/// How long a guest has for its shutdown, once it was asked to: enough for an
/// emulated one on a busy machine.
const SHUTDOWN: Duration = Duration::from_secs(90);
/// How long QEMU has to end by itself.
const QUIT: Duration = Duration::from_secs(5);

/// What a run is to wait for.
#[derive(Debug)]
pub struct Until {
    /// The file that the guest's disk is written to.
    pub disk: PathBuf,
    /// The machine is powered down after that, and the run has failed.
    pub timeout: Option<Duration>,
    /// The machine is powered down when its console has said this, and the
    /// run has done what it should.
    pub expect: Option<String>,
    /// So long after that its power is cut, instead.
    pub cut: Option<Duration>,
    /// The machine powers itself off when this script has ended.
    pub script: Option<Script>,
    pub console: Sink,
    /// Whether keyboard input goes to the console.
    pub typed: bool,
}

/// Somebody asked this process to end, so there is nothing to go on with.
#[derive(Debug)]
pub struct Interrupted(&'static str);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the machine was switched off on {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// Runs QEMU to its end; fine if the guest powered itself off, or said what
/// was expected of it. The exit status of the script, if there is one.
pub fn run(program: &Path, arguments: &[OsString], until: Until) -> Result<Option<u8>> {
    let _restored = Terminal::save();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        let mut run = Run::start(program, arguments, until).await?;
        let status = run.wait().await?;
        run.conclude(status)?;
        run.exec.map_or(Ok(()), Exec::passed_on)?;
        Ok(run.script_status)
    })
}

/// QEMU puts the terminal into raw mode, and cannot undo that if it is killed.
struct Terminal(Option<Termios>);

impl Terminal {
    fn save() -> Terminal {
        Terminal(tcgetattr(io::stdin()).ok())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            // A terminal that is gone needs no settings.
            let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, settings);
        }
    }
}

/// Why a run began to end its machine.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Cause {
    Timeout,
    Expected,
    Signal(&'static str),
    Stopped(String),
}

/// A QEMU under way.
struct Run<'a> {
    program: &'a Path,
    timeout: Option<Duration>,
    expect: Option<String>,
    cut: Option<Duration>,
    disk: PathBuf,
    child: Child,
    monitor: Monitor,
    signals: Signals,
    console: Option<Console>,
    exec: Option<Exec>,
    /// What the script ended with.
    script_status: Option<u8>,
    /// The first that there was.
    cause: Option<Cause>,
    /// QEMU's word for why the machine went off.
    reason: Option<String>,
    /// The next step, unless the machine has ended by then.
    next: Option<(Instant, Step)>,
}

/// Ever harder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    PowerButton,
    Quit,
    Kill,
}

/// Signals that ask a run to end.
struct Signals([(Signal, &'static str); 3]);

impl Signals {
    fn new() -> Result<Signals> {
        let listen = |kind, name| {
            signal(kind)
                .map(|signal| (signal, name))
                .context("waiting for signals")
        };
        Ok(Signals([
            listen(SignalKind::interrupt(), "an interrupt")?,
            listen(SignalKind::terminate(), "SIGTERM")?,
            listen(SignalKind::hangup(), "a hangup")?,
        ]))
    }

    async fn next(&mut self) -> &'static str {
        let [(a, a_name), (b, b_name), (c, c_name)] = &mut self.0;
        tokio::select! {
            _ = a.recv() => a_name,
            _ = b.recv() => b_name,
            _ = c.recv() => c_name,
        }
    }
}

impl<'a> Run<'a> {
    async fn start(program: &'a Path, arguments: &[OsString], until: Until) -> Result<Run<'a>> {
        // Before the child, so that none comes between.
        let signals = Signals::new()?;
        let (ours, theirs) = qmp::pair()?;
        let (exec, ports) = until.script.map(Exec::new).transpose()?.unzip();
        let mut command = Command::new(program);
        command.arg("-chardev");
        command.arg(format!("socket,id=qmp,fd={}", theirs.as_raw_fd()));
        command.args(["-mon", "chardev=qmp,mode=control"]);
        if let Some(ports) = &ports {
            command.args(ports.arguments());
        }
        command.args(arguments).kill_on_drop(true);
        if !until.typed {
            command.stdin(Stdio::null());
        }
        let direct = until.console.stdio().context("forwarding the console")?;
        command.stdout(match until.expect {
            Some(_) => Stdio::piped(),
            None => direct,
        });
        let shown = program.display();
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {shown}"))?;
        drop((theirs, ports));
        let console = match (child.stdout.take(), &until.expect) {
            (Some(from), Some(expect)) => Some(Console::new(from, expect, until.console)),
            _ => None,
        };
        let deadline = until.timeout.map(|after| Instant::now() + after);
        Ok(Run {
            program,
            timeout: until.timeout,
            expect: until.expect,
            cut: until.cut,
            disk: until.disk,
            child,
            monitor: Monitor::new(ours).await?,
            signals,
            console,
            exec,
            script_status: None,
            cause: None,
            reason: None,
            next: deadline.map(|at| (at, Step::PowerButton)),
        })
    }

    async fn wait(&mut self) -> Result<ExitStatus> {
        let mut listening = true;
        let mut executing = true;
        let status = loop {
            let at = self.next.map(|(at, _)| at);
            tokio::select! {
                status = self.child.wait() => break status.context("waiting for QEMU")?,
                event = self.monitor.next(), if listening => match event {
                    Some(event) => self.heard(event).await,
                    None => listening = false,
                },
                found = find(&mut self.console) => match found {
                    true => self.expected().await,
                    false => self.console = None,
                },
                ended = next(&mut self.exec), if executing => match ended {
                    Some(status) => self.executed(status),
                    None => executing = false,
                },
                () = sleep_until(at.unwrap_or_else(Instant::now)), if at.is_some() => self.due().await,
                name = self.signals.next() => self.end(Cause::Signal(name), Step::Quit).await,
            }
        };
        // What it said last may not have been read yet.
        while let Some(event) = self.monitor.next().await {
            self.heard(event).await;
        }
        if let Some(console) = &mut self.console {
            while console.find().await {
                self.cause.get_or_insert(Cause::Expected);
            }
        }
        while let Some(status) = next_of_ended(&mut self.exec).await {
            self.script_status.get_or_insert(status);
        }
        Ok(status)
    }

    /// The machine goes off by itself now.
    fn executed(&mut self, status: u8) {
        self.script_status.get_or_insert(status);
        if self.cause.is_none() {
            self.next = Some((Instant::now() + SHUTDOWN, Step::Quit));
        }
    }

    async fn expected(&mut self) {
        match self.cut {
            Some(after) if self.cause.is_none() => {
                self.cause = Some(Cause::Expected);
                self.next = Some((Instant::now() + after, Step::Kill));
            }
            _ => self.end(Cause::Expected, Step::PowerButton).await,
        }
    }

    async fn heard(&mut self, event: Event) {
        match event {
            Event::Shutdown { reason } => self.reason = Some(reason),
            Event::Stopped { state } => {
                // By the user at the monitor, who will go on.
                if state != "paused" {
                    self.end(Cause::Stopped(state), Step::Quit).await;
                }
            }
        }
    }

    async fn due(&mut self) {
        match self.next.take() {
            Some((_, Step::PowerButton)) => self.end(Cause::Timeout, Step::PowerButton).await,
            Some((_, step)) => self.take(step).await,
            None => {}
        }
    }

    /// Begins to end the machine; a second wish makes it faster.
    async fn end(&mut self, cause: Cause, step: Step) {
        let again = self.cause.is_some();
        self.cause.get_or_insert(cause);
        self.take(if again { Step::Quit } else { step }).await;
    }

    async fn take(&mut self, step: Step) {
        let now = Instant::now();
        self.next = match step {
            Step::PowerButton => {
                self.monitor.order(Order::PowerButton).await;
                Some((now + SHUTDOWN, Step::Quit))
            }
            Step::Quit => {
                self.monitor.order(Order::Quit).await;
                Some((now + QUIT, Step::Kill))
            }
            Step::Kill => {
                // It may have ended in this moment.
                let _ = self.child.start_kill();
                None
            }
        };
    }

    fn conclude(&self, status: ExitStatus) -> Result<()> {
        let by_itself = self.reason.as_deref() == Some("guest-shutdown");
        match &self.cause {
            Some(Cause::Expected) => Ok(()),
            Some(Cause::Timeout) => {
                let seconds = self.timeout.unwrap_or_default().as_secs();
                let how = if by_itself {
                    "it was powered down"
                } else {
                    "it ignored its power button and was switched off"
                };
                bail!("the machine was still running after {seconds} s (--timeout); {how}")
            }
            Some(Cause::Signal(name)) => Err(Interrupted(name).into()),
            // QEMU's default: only a full file system stops the machine.
            Some(Cause::Stopped(state)) if state == "io-error" => bail!(
                "QEMU stopped the machine: no space is left for {}{}; make space, or choose \
                 another file system by TMPDIR or --keep",
                self.disk.display(),
                free_space(&self.disk).unwrap_or_default()
            ),
            Some(Cause::Stopped(state)) => bail!(
                "QEMU stopped the machine ({state}); its output is above. --accel tcg works \
                 without this machine's virtualization"
            ),
            None => self.own_end(status),
        }
    }

    /// Nobody here wanted it to end.
    fn own_end(&self, status: ExitStatus) -> Result<()> {
        let program = self.program.display();
        match self.reason.as_deref() {
            _ if !status.success() => bail!("{program} failed ({status}); its output is above"),
            Some("guest-shutdown") => self.own_shutdown(),
            Some("guest-reset") => bail!("the machine tried to reboot"),
            Some("guest-panic") => bail!("the machine's kernel panicked; its output is above"),
            _ => match self.script_status {
                Some(status) => bail!(
                    "the script ended with status {status}, but the machine did not power off \
                     within {} s afterwards and was switched off",
                    SHUTDOWN.as_secs()
                ),
                None => bail!("the machine was switched off at its console"),
            },
        }
    }

    fn own_shutdown(&self) -> Result<()> {
        if let Some(expect) = &self.expect {
            bail!("the machine powered off before its console printed `{expect}`");
        }
        if self.exec.is_some() && self.script_status.is_none() {
            bail!("the machine powered off before the script ended");
        }
        Ok(())
    }
}

fn free_space(path: &Path) -> Option<String> {
    let free = system::free_space(path).ok()?;
    Some(format!(" ({} MiB are free there)", free >> 20))
}

/// The end of the script, which is never if there is none.
async fn next(exec: &mut Option<Exec>) -> Option<u8> {
    match exec {
        Some(exec) => exec.next().await,
        None => std::future::pending().await,
    }
}

/// The same when QEMU has ended.
async fn next_of_ended(exec: &mut Option<Exec>) -> Option<u8> {
    match exec {
        Some(exec) => exec.next().await,
        None => None,
    }
}
