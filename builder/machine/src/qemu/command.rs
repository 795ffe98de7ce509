//! QEMU's command line ([its manual](https://www.qemu.org/docs/master/system/invocation.html)).
//!
//! Nothing is left to QEMU's defaults or to the user's configuration of it:
//! the same machine everywhere, but for the processor.

use std::ffi::OsString;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Result, bail};
use nodeimg_values::arch::Arch;
use serde_json::{Value, json};

use super::firmware::Flash;
use super::host::{Accel, Host};
use super::{Format, facts};

/// A port of this machine that leads to one of the guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    udp: bool,
    host: u16,
    guest: u16,
}

impl FromStr for Port {
    type Err = anyhow::Error;

    /// `HOST:GUEST`, with `/udp` behind it if it is not TCP.
    fn from_str(text: &str) -> Result<Port> {
        let (ports, udp) = match text.rsplit_once('/') {
            None => (text, false),
            Some((ports, "tcp")) => (ports, false),
            Some((ports, "udp")) => (ports, true),
            Some((_, other)) => bail!("`{other}` is neither tcp nor udp"),
        };
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
        match ports.split_once(':').map(|(h, g)| (port(h), port(g))) {
            Some((Some(host), Some(guest))) => Ok(Port { udp, host, guest }),
            _ => bail!("`{text}` is not HOST:GUEST, two ports from 1 to 65535 (2222:22)"),
        }
    }
}

/// A disk beside the image's own.
#[derive(Debug)]
pub struct Medium<'a> {
    pub path: &'a Path,
    pub format: Format,
    pub writable: bool,
}

/// Who reads the serial console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Console {
    /// A person at a terminal: Ctrl-a is QEMU's.
    Terminal,
    /// A program: every byte is the guest's.
    Stream,
}

/// What an emulated processor is better without.
fn emulated(arch: Arch) -> &'static str {
    match arch {
        // `rep stosb` and `rep movsb` are emulated byte by byte, and a kernel that
        // sees these two flags clears and copies every page so: without them a boot
        // takes an eighth less.
        Arch::Amd64 => ",-erms,-fsrm",
        // Pointer authentication by its real cipher takes half of the time.
        Arch::Arm64 => ",pauth-impdef=on",
    }
}

/// The machine to run.
#[derive(Debug)]
pub struct Machine<'a> {
    pub arch: Arch,
    pub host: &'a Host,
    pub code: &'a Flash,
    pub vars: &'a Flash,
    /// A qcow2 that the guest writes to.
    pub disk: &'a Path,
    /// Whether what it writes is to survive this machine's crash.
    pub durable: bool,
    pub seed: Option<Medium<'a>>,
    /// In bytes.
    pub memory: u64,
    pub cpus: u8,
    pub ports: &'a [Port],
    pub console: Console,
    pub extra: &'a [OsString],
}

impl Machine<'_> {
    /// The arguments, without the program.
    pub fn arguments(&self) -> Result<Vec<OsString>> {
        let mut all = Arguments::default();
        all.plain(&["-no-user-config", "-nodefaults", "-display", "none"]);
        self.board(&mut all)?;
        self.disks(&mut all)?;
        all.option("-netdev", &self.network());
        // No boot from the network: the interface's own firmware is left out.
        all.option("-device", "virtio-net-pci,netdev=net,romfile=");
        all.option("-device", "virtio-rng-pci");
        match self.console {
            Console::Terminal => {
                all.option("-chardev", "stdio,id=console,mux=on,signal=off");
                all.option("-mon", "chardev=console,mode=readline");
            }
            Console::Stream => all.option("-chardev", "stdio,id=console,signal=off"),
        }
        all.option("-serial", "chardev:console");
        let mut arguments = all.0;
        arguments.extend(self.extra.iter().cloned());
        Ok(arguments)
    }

    fn board(&self, all: &mut Arguments) -> Result<()> {
        let accel = self.host.accel;
        let mut machine = facts(self.arch).machine.to_owned();
        let mut cpu = "max".to_owned();
        if self.arch == Arch::Arm64 {
            machine.push_str(",gic-version=max");
        }
        if accel == Accel::Tcg {
            cpu.push_str(emulated(self.arch));
        }
        all.option("-machine", &format!("{machine},pflash0=code,pflash1=vars"));
        all.option("-accel", accel.name());
        all.option("-cpu", &cpu);
        all.option("-smp", &self.cpus.to_string());
        all.option("-m", &format!("{}M", self.memory >> 20));
        for (name, flash, read_only) in [("code", self.code, true), ("vars", self.vars, false)] {
            let options = json!({ "read-only": read_only });
            all.blockdev(name, flash.format, &flash.path, options)?;
        }
        Ok(())
    }

    fn disks(&self, all: &mut Arguments) -> Result<()> {
        let options = json!({
            "discard": "unmap",
            // What the machine's crash would lose is not kept anyway.
            "cache": { "direct": false, "no-flush": !self.durable },
        });
        all.blockdev("disk", Format::Qcow2, self.disk, options)?;
        // With a name, so that arguments behind `--` can move it.
        all.option("-device", "virtio-blk-pci,id=disk,drive=disk,bootindex=0");
        if let Some(seed) = &self.seed {
            let options = json!({ "read-only": !seed.writable });
            all.blockdev("seed", seed.format, seed.path, options)?;
            all.option("-device", "virtio-blk-pci,drive=seed");
        }
        Ok(())
    }

    fn network(&self) -> String {
        let mut text = "user,id=net".to_owned();
        for port in self.ports {
            let kind = if port.udp { "udp" } else { "tcp" };
            text.push_str(&format!(
                ",hostfwd={kind}:127.0.0.1:{}-:{}",
                port.host, port.guest
            ));
        }
        text
    }
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn plain(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(OsString::from));
    }

    fn option(&mut self, name: &str, value: &str) {
        self.plain(&[name, value]);
    }

    /// As JSON, so that a path may have commas in it.
    fn blockdev(&mut self, name: &str, format: Format, path: &Path, more: Value) -> Result<()> {
        let Some(filename) = path.to_str() else {
            bail!("{}: QEMU needs a path in UTF-8", path.display());
        };
        let mut device = json!({
            "node-name": name,
            "driver": format.name(),
            "file": { "driver": "file", "filename": filename },
        });
        if let (Value::Object(device), Value::Object(mut more)) = (&mut device, more) {
            // The file below must agree with what lies over it.
            for key in ["read-only", "cache", "discard"] {
                if let Some(value) = more.get(key) {
                    device["file"][key] = value.clone();
                }
            }
            device.append(&mut more);
        }
        self.option("-blockdev", &device.to_string());
        Ok(())
    }
}

/// As a shell takes it.
pub fn quoted(words: &[OsString]) -> String {
    let quote = |word: &OsString| {
        let word = word.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:+@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.into_owned()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn plain(edit: impl FnOnce(&mut Machine<'_>)) -> String {
        text(&[], &[], edit)
    }

    fn text(ports: &[Port], extra: &[OsString], edit: impl FnOnce(&mut Machine<'_>)) -> String {
        let host = Host {
            program: "/usr/bin/qemu".into(),
            accel: Accel::Tcg,
            slow: None,
        };
        let flash = |path: &str| Flash {
            path: path.into(),
            format: Format::Raw,
        };
        let (code, vars) = (flash("/code"), flash("/vars"));
        let mut machine = Machine {
            arch: Arch::Amd64,
            host: &host,
            code: &code,
            vars: &vars,
            disk: Path::new("/a, b/disk.qcow2"),
            durable: false,
            seed: None,
            memory: 2 << 30,
            cpus: 2,
            ports,
            console: Console::Stream,
            extra,
        };
        edit(&mut machine);
        quoted(&machine.arguments().unwrap())
    }

    #[track_caller]
    fn has(text: &str, parts: &[&str]) {
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn each_architecture_has_its_board() {
        let amd64 = plain(|_| {});
        has(
            &amd64,
            &[
                "-machine q35,pflash0",
                "-accel tcg -cpu max,-erms,-fsrm -smp 2 -m 2048M",
            ],
        );
        has(
            &amd64,
            &[r#""filename":"/a, b/disk.qcow2""#, r#""no-flush":true"#],
        );
        assert!(!amd64.contains("seed"), "{amd64}");
        let arm64 = plain(|machine| machine.arch = Arch::Arm64);
        has(
            &arm64,
            &["-machine virt,gic-version=max,", "-cpu max,pauth-impdef=on"],
        );
    }

    #[test]
    fn the_firmware_cannot_be_written_but_its_variables_can() {
        let text = plain(|_| {});
        let of = |name: &str| {
            let mut words = text.split("-blockdev ");
            let name = format!(r#""node-name":"{name}""#);
            words.find(|word| word.contains(&name)).unwrap().to_owned()
        };
        assert!(of("code").contains(r#""read-only":true"#));
        assert!(of("vars").contains(r#""read-only":false"#));
    }

    #[test]
    fn ports_lead_from_loopback_alone() {
        let ports = ["2222:22", "53:5353/udp", "80:80/tcp"];
        let ports = ports.map(|text| text.parse::<Port>().unwrap());
        let text = text(&ports, &[], |_| {});
        has(
            &text,
            &[
                "-netdev user,id=net,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp:127.0.0.1:53-:5353,hostfwd=tcp:127.0.0.1:80-:80 ",
            ],
        );
        for odd in [
            "22", "0:22", "22:", ":22", "a:b", "70000:1", "1:2/sctp", "1:2:3",
        ] {
            assert!(odd.parse::<Port>().is_err(), "{odd}");
        }
    }

    #[test]
    fn a_terminal_has_the_monitor_behind_ctrl_a() {
        let stream = plain(|_| {});
        has(
            &stream,
            &["-chardev stdio,id=console,signal=off -serial chardev:console"],
        );
        assert!(!stream.contains("-mon "), "{stream}");
        let terminal = plain(|machine| machine.console = Console::Terminal);
        has(&terminal, &["mux=on", "-mon chardev=console,mode=readline"]);
    }

    #[test]
    fn what_is_behind_the_dashes_comes_last() {
        let extra = ["-smbios", "type=11,value=it's"].map(OsString::from);
        let medium = Medium {
            path: Path::new("/seed.iso"),
            format: Format::Raw,
            writable: false,
        };
        let text = text(&[], &extra, |machine| machine.seed = Some(medium));
        assert!(text.ends_with(r"-smbios 'type=11,value=it'\''s'"), "{text}");
        has(
            &text,
            &[
                "-device virtio-blk-pci,drive=seed",
                r#""filename":"/seed.iso""#,
            ],
        );
    }
}
