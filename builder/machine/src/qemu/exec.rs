//! A script in the guest, behind its multi-user.target.
//!
//! ```text
//!  host   SMBIOS: a unit, and a drop-in of multi-user.target that wants it
//!  guest  ... multi-user.target, then the unit: LAUNCHER
//!  guest  port nodeimg.status: `ready\n`
//!  host   port nodeimg.exec:   `BYTES INPUT\n`, then the script; one line more
//!         if INPUT is `port`, which the script may wait for
//!  guest  port nodeimg.exec:   what the script says
//!  guest  port nodeimg.status: `STATUS\n`, then power off
//! ```
//!
//! Nothing of it is in the image: systemd 256 and later take units from
//! credentials
//! ([systemd.system-credentials](https://www.freedesktop.org/software/systemd/man/latest/systemd.system-credentials.html)),
//! and credentials from the firmware's tables
//! ([systemd on credentials](https://systemd.io/CREDENTIALS/)). The ports are
//! virtio's, with a socket pair behind each, so that no name is left behind and
//! a guest waits if nobody reads. The guest speaks first: firmware with a driver for
//! these ports (edk2 since 2023) takes what is sent before Linux has them.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::qmp;
use super::sink::Sink;

const UNIT: &str = "nodeimg-exec.service";
/// What the guest says when it can be given the script.
const READY: &str = "ready";
/// What the unit runs. A shell reads its `read` byte by byte and `head` no more
/// than it is told, so that the script is not lost to either. multi-user.target does
/// not wait for udev, which on a slow machine is still to load the ports' driver.
const LAUNCHER: &str = "\
tries=600
until [ -c /dev/virtio-ports/nodeimg.exec ] && [ -c /dev/virtio-ports/nodeimg.status ]; do
tries=$((tries - 1)); [ $tries -gt 0 ] || exit 1; sleep 0.5
done
exec 3<>/dev/virtio-ports/nodeimg.exec 4>/dev/virtio-ports/nodeimg.status
script=/run/nodeimg-exec
echo ready >&4
read -r size input <&3
head -c \"$size\" <&3 >\"$script\"
chmod 700 \"$script\"
run() { \"$script\" >&3 2>&1 3<&- 4>&-; }
if [ \"$input\" = port ]; then run <&3; else run </dev/null; fi
echo $? >&4
";

/// The script to run, and where its output goes.
#[derive(Debug)]
pub struct Script {
    pub text: Vec<u8>,
    pub output: Sink,
    /// Fires when the script is to read a line; it reads nothing without.
    pub go: Option<oneshot::Receiver<()>>,
}

/// The guest's ends of both ports, for QEMU.
pub struct Ports {
    exec: OwnedFd,
    status: OwnedFd,
}

impl Ports {
    /// QEMU's arguments for a machine that runs a script.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut all = vec![
            "-device".to_owned(),
            "virtio-serial-pci,id=nodeimg".to_owned(),
        ];
        let ports = [("exec", &self.exec), ("status", &self.status)];
        for (number, (name, fd)) in ports.into_iter().enumerate() {
            all.push("-chardev".to_owned());
            all.push(format!("socket,id=nodeimg-{name},fd={}", fd.as_raw_fd()));
            all.push("-device".to_owned());
            all.push(format!(
                "virtserialport,bus=nodeimg.0,nr={},chardev=nodeimg-{name},name=nodeimg.{name}",
                number + 1
            ));
        }
        for (name, text) in credentials() {
            all.push("-smbios".to_owned());
            let encoded = STANDARD.encode(text);
            all.push(format!(
                "type=11,value=io.systemd.credential.binary:{name}={encoded}"
            ));
        }
        all.into_iter().map(OsString::from).collect()
    }
}

/// By name: the unit, and what pulls it in. Both credentials are there in the
/// initrd already, which has no multi-user.target.
fn credentials() -> [(String, String); 2] {
    let launcher = STANDARD.encode(LAUNCHER);
    // Type=exec, so that systemd counts the boot as done while the script runs
    // and the script can ask whether it is.
    let unit = format!(
        "[Unit]\n\
         Description=The script of nodeimg run --exec\n\
         DefaultDependencies=no\n\
         After=multi-user.target\n\
         ConditionPathExists=!/etc/initrd-release\n\
         SuccessAction=poweroff\n\
         FailureAction=poweroff\n\
         [Service]\n\
         Type=exec\n\
         Environment=HOME=/root\n\
         ExecStart=/bin/sh -c \"echo {launcher} | base64 -d | /bin/sh\"\n"
    );
    let wants = format!("[Unit]\nWants={UNIT}\n");
    [
        (format!("systemd.extra-unit.{UNIT}"), unit),
        (
            "systemd.unit-dropin.multi-user.target~nodeimg-exec".to_owned(),
            wants,
        ),
    ]
}

/// A script that the guest has been given, or will be.
#[derive(Debug)]
pub struct Exec {
    said: OwnedReadHalf,
    status: Lines<BufReader<UnixStream>>,
    is_silent: bool,
    output: Sink,
    failed: Option<io::Error>,
    /// Has the script sent.
    ready: Option<oneshot::Sender<()>>,
    /// Holds our end open: QEMU would close the port with it.
    sending: JoinHandle<()>,
}

impl Exec {
    /// Within a tokio runtime.
    pub fn new(script: Script) -> Result<(Exec, Ports)> {
        let stream = |stream: StdStream| UnixStream::from_std(stream);
        let (exec, their_exec) = qmp::pair()?;
        let (status, their_status) = qmp::pair()?;
        let context = "creating the ports for a script";
        let (said, mut to) = stream(exec).context(context)?.into_split();
        let (text, go) = (script.text, script.go);
        let (ready, is_ready) = oneshot::channel();
        let sending = tokio::spawn(async move {
            let _ = is_ready.await;
            let input = if go.is_some() { "port" } else { "none" };
            let head = format!("{} {input}\n", text.len());
            // A QEMU that has ended takes no script, and that is told anyway.
            if to.write_all(head.as_bytes()).await.is_ok() {
                let _ = to.write_all(&text).await;
            }
            if let Some(go) = go
                && go.await.is_ok()
            {
                let _ = to.write_all(b"go\n").await;
            }
            std::future::pending::<()>().await;
            drop(to);
        });
        let exec = Exec {
            said,
            status: BufReader::new(stream(status).context(context)?).lines(),
            is_silent: false,
            output: script.output,
            failed: None,
            ready: Some(ready),
            sending,
        };
        let ports = Ports {
            exec: their_exec,
            status: their_status,
        };
        Ok((exec, ports))
    }

    /// Passes on what the script says until it has ended: its status, or `None`
    /// when QEMU has ended. May be dropped at any time without losing a byte.
    pub async fn next(&mut self) -> Option<u8> {
        let mut buffer = [0; 4096];
        loop {
            tokio::select! {
                biased;
                read = self.said.read(&mut buffer), if !self.is_silent => {
                    let read = read.unwrap_or(0);
                    self.is_silent = read == 0;
                    if let Err(e) = self.output.write(&buffer[..read]) {
                        self.failed.get_or_insert(e);
                    }
                }
                line = self.status.next_line() => {
                    let line = line.ok().flatten();
                    if line.as_deref() == Some(READY) {
                        self.ready.take().map(|ready| ready.send(()));
                        continue;
                    }
                    let status = line.and_then(|line| line.parse().ok());
                    if status.is_none() {
                        self.drain().await;
                    }
                    return status;
                }
            }
        }
    }

    /// The unread output of a QEMU that has ended.
    pub async fn drain(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = self.said.read(&mut buffer).await {
            if let Err(e) = self.output.write(&buffer[..read]) {
                self.failed.get_or_insert(e);
            }
        }
    }

    /// Whether all that the script said could be passed on.
    pub fn passed_on(self) -> Result<()> {
        self.sending.abort();
        match self.failed {
            Some(e) => Err(e).context("writing the script's output"),
            None => Ok(()),
        }
    }
}
