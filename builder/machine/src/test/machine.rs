//! One boot of the disk under test, with its console and facts in files.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nodeimg_seed::contract::runtime::Runtime;
use nodeimg_values::arch::Arch;
use nodeimg_values::terminal::plain_text;
use tokio::sync::oneshot;

use super::facts::Facts;
use super::identity::TOKEN;
use super::pictures;
use crate::qemu::Format;
use crate::qemu::command::{Console, Machine, Medium};
use crate::qemu::exec::Script;
use crate::qemu::firmware::Firmware;
use crate::qemu::host::{Accel, Host};
use crate::qemu::image::Image;
use crate::qemu::run::{Interrupted, Until, run};
use crate::qemu::sink::Sink;
use crate::qemu::state::State;

/// It has `$wait`, in seconds, `$token`, `$runtime`, a unit, and `$pictures`.
const GUEST: &str = include_str!("guest.sh");

/// What every boot of a test has in common.
pub struct Bench {
    pub image: Image,
    /// The container runtime of the image.
    pub runtime: &'static Runtime,
    pub host: Host,
    pub firmware: Firmware,
    /// In bytes.
    pub memory: u64,
    pub cpus: u8,
    /// Of one boot.
    pub timeout: Duration,
    /// Where consoles and facts go.
    pub logs: PathBuf,
}

/// One of them.
#[derive(Default)]
pub struct Plan<'a> {
    /// Of the files, without an extension.
    pub name: &'a str,
    pub seed: Option<&'a Path>,
    /// What the node writes stays here for the next boot.
    pub keep: Option<&'a Path>,
    /// Fires when the node may say its last facts and power off.
    pub go: Option<oneshot::Receiver<()>>,
    /// Whether the node says how it came up: see [`pictures`].
    pub pictures: bool,
    /// The power is cut so long after the console has said the text.
    pub cut: Option<(&'a str, Duration)>,
}

/// What came of it.
pub struct Boot {
    pub facts: Facts,
    /// Without a terminal's colours and movements.
    pub console: String,
    /// Why the machine did not end as it should.
    pub failed: Option<String>,
}

impl Bench {
    /// Boots the disk under test.
    pub fn boot(&self, plan: Plan<'_>) -> Result<Boot> {
        self.boot_image(&self.image, plan)
    }

    /// Boots another of the same machine.
    pub fn boot_image(&self, image: &Image, plan: Plan<'_>) -> Result<Boot> {
        let state = State::open(plan.keep)?;
        let vars = state.vars(&self.firmware.vars)?;
        let disk = state.disk(image, None)?;
        let seed = plan.seed.map(|seed| state.medium(seed)).transpose()?;
        let extra = self.words();
        let machine = Machine {
            arch: image.arch,
            host: &self.host,
            code: &self.firmware.code,
            vars: &vars,
            disk: &disk,
            durable: false,
            seed: seed.as_deref().map(|path| Medium {
                path,
                format: Format::Raw,
                writable: true,
            }),
            memory: self.memory,
            cpus: self.cpus,
            ports: &[],
            console: Console::Stream,
            extra: &extra,
        };
        let file = |extension: &str| self.logs.join(format!("{}.{extension}", plan.name));
        let (facts, console) = (file("facts"), file("console"));
        let until = Until {
            disk: disk.clone(),
            timeout: Some(self.timeout),
            expect: plan.cut.map(|(text, _)| text.to_owned()),
            cut: plan.cut.map(|(_, after)| after),
            script: Some(Script {
                text: self.script(plan.pictures),
                output: Sink::file(&facts)?,
                go: Some(plan.go.unwrap_or_else(fired)),
            }),
            console: Sink::file(&console)?,
            typed: false,
        };
        let ended = run(&self.host.program, &machine.arguments()?, until);
        let failed = match ended {
            Err(error) if error.is::<Interrupted>() => return Err(error),
            ended => ended.err().map(|error| format!("{error:#}")),
        };
        let read = |path: &Path| {
            let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            anyhow::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let mut told = Facts::read(&read(&facts)?);
        if plan.pictures {
            pictures::keep(&mut told, &self.logs, plan.name)?;
            told.write(&facts)?;
        }
        Ok(Boot {
            facts: told,
            console: plain_text(&read(&console)?),
            failed,
        })
    }

    /// The node waits for half of its time at most, so that it can still say
    /// what is wrong with it.
    fn script(&self, pictures: bool) -> Vec<u8> {
        let wait = self.timeout.as_secs() / 2;
        let pictures = if pictures { "yes" } else { "no" };
        format!(
            "wait={wait} token={TOKEN} pictures={pictures} runtime={}\n{GUEST}",
            self.runtime.unit
        )
        .into_bytes()
    }

    /// For a machine that is slow, and now and then stands still: the default
    /// times of units are for others, and Linux on x86 gives up if its timer
    /// seems not to tick.
    fn words(&self) -> Vec<OsString> {
        if self.host.accel != Accel::Tcg {
            return Vec::new();
        }
        let times = "systemd.default_timeout_start_sec=300 systemd.default_device_timeout_sec=300";
        let timer = match self.image.arch {
            Arch::Amd64 => " no_timer_check",
            Arch::Arm64 => "",
        };
        let value = format!("type=11,value=io.systemd.stub.kernel-cmdline-extra={times}{timer}");
        vec!["-smbios".into(), value.into()]
    }
}

/// Nothing to wait for.
fn fired() -> oneshot::Receiver<()> {
    let (fire, fired) = oneshot::channel();
    let _ = fire.send(());
    fired
}
