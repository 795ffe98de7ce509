//! `nodeimg run`: a built disk in QEMU.

use std::io::{IsTerminal, stdin};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nodeimg_machine::qemu::command::{Console, Machine, quoted};
use nodeimg_machine::qemu::exec::Script;
use nodeimg_machine::qemu::firmware::Firmware;
use nodeimg_machine::qemu::host::Host;
use nodeimg_machine::qemu::image::Image;
use nodeimg_machine::qemu::medium::SeedMedium;
use nodeimg_machine::qemu::run::{Until, run as start};
use nodeimg_machine::qemu::sink::Sink;
use nodeimg_machine::qemu::state::State;
use serde_json::json;

use super::Session;
use crate::cli::RunArgs;

/// Firmware, kernel and an initrd unpacked do not fit into less.
const LEAST_MEMORY: u64 = 512 << 20;

/// Ends with the status of `--exec`'s script, if there is one.
pub fn run(session: &Session<'_>, args: &RunArgs) -> Result<ExitCode> {
    let image = Image::find(&args.boot.image, args.boot.arch)?;
    let memory = args.size.memory;
    if memory.0 < LEAST_MEMORY {
        bail!("--memory {memory}: a node needs at least 512 MiB");
    }
    let host = Host::find(image.arch, args.boot.accel)?;
    let firmware = Firmware::choose(args.boot.firmware.as_ref(), image.arch, &host)?;
    let state = State::open(args.keep.as_deref())?;
    let vars = state.vars(&firmware.vars)?;
    let disk = state.disk(&image, args.disk_size.map(|size| size.0))?;
    let seed = args.seed.as_deref();
    let seed = seed.map(|seed| SeedMedium::of(seed, &state)).transpose()?;
    // A console that is not shown cannot be typed at.
    let typed = args.exec.is_none() && args.console.is_none();
    let at_terminal = typed && stdin().is_terminal();
    let arguments = Machine {
        arch: image.arch,
        host: &host,
        code: &firmware.code,
        vars: &vars,
        disk: &disk,
        durable: state.is_kept(),
        seed: seed.as_ref().map(SeedMedium::medium),
        memory: memory.0,
        cpus: args.size.cpus,
        ports: &args.ports,
        console: match at_terminal {
            true => Console::Terminal,
            false => Console::Stream,
        },
        extra: &args.extra,
    }
    .arguments()?;
    if args.print {
        let mut words = vec![host.program.clone().into_os_string()];
        words.extend(arguments);
        print(session, state, &quoted(&words));
        return Ok(ExitCode::SUCCESS);
    }
    announce(session, &image, &host, at_terminal);
    let until = Until {
        disk: disk.clone(),
        timeout: args.timeout.map(Duration::from_secs),
        expect: args.expect.clone(),
        cut: None,
        script: script(session, args)?,
        console: console(session, args)?,
        typed,
    };
    let status = start(&host.program, &arguments, until)
        .with_context(|| format!("running {}", image.path.display()))?;
    if let Some(status) = status {
        session
            .progress
            .event(&json!({ "event": "exec", "status": status }));
    }
    Ok(status.map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// Events have standard output for themselves.
fn console(session: &Session<'_>, args: &RunArgs) -> Result<Sink> {
    match &args.console {
        Some(path) => Sink::file(path),
        None if session.global.json || args.exec.is_some() => Ok(Sink::Stderr),
        None => Ok(Sink::Stdout),
    }
}

fn script(session: &Session<'_>, args: &RunArgs) -> Result<Option<Script>> {
    let Some(path) = &args.exec else {
        return Ok(None);
    };
    let text =
        std::fs::read(path).with_context(|| format!("reading the script {}", path.display()))?;
    let output = match &args.exec_output {
        Some(path) => Sink::file(path)?,
        None if session.global.json => Sink::Stderr,
        None => Sink::Stdout,
    };
    Ok(Some(Script {
        text,
        output,
        go: None,
    }))
}

fn print(session: &Session<'_>, state: State, command: &str) {
    let files = state.leave();
    let shown = files.display();
    session.progress.note(&format!(
        "the command uses files in {shown}, including a seed's secrets: remove them afterwards"
    ));
    if session.global.json {
        let event = json!({ "event": "command", "command": command, "files": files });
        session.progress.event(&event);
    } else {
        println!("{command}");
    }
}

fn announce(session: &Session<'_>, image: &Image, host: &Host, at_terminal: bool) {
    let disk = image.path.display();
    let mut text = format!("booting {disk} ({})", image.arch);
    match &host.slow {
        Some(why) => text.push_str(&format!(
            " on an emulated processor, ten times slower than a real one ({why})"
        )),
        None => text.push_str(&format!(" with {}", host.accel.name())),
    }
    if at_terminal {
        text.push_str("; Ctrl-a x switches it off, Ctrl-a c is QEMU's monitor");
    }
    let event = json!({
        "event": "run",
        "disk": image.path,
        "arch": image.arch,
        "accelerator": host.accel.name(),
    });
    session.say(&event, &text);
}
