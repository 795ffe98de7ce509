//! QEMU's monitor for programs, as much of it as a run needs
//! ([QMP](https://www.qemu.org/docs/master/interop/qmp-spec.html)).
//!
//! ```text
//!  QEMU   {"QMP": ...}                     a greeting
//!  run    {"execute": "qmp_capabilities"}
//!  QEMU   {"return": {}}                   one for each command
//!  QEMU   {"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}, ...}
//! ```
//!
//! It speaks over one end of a socket pair, so that no other process can reach
//! it and no name is left behind.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// Why a machine is going off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// By its own system or by somebody here, in QEMU's word
    /// ([ShutdownCause](https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html#object-QMP-run-state.ShutdownCause)).
    Shutdown { reason: String },
    /// It stands still, in QEMU's word for why ([RunState]).
    ///
    /// [RunState]: https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html#object-QMP-run-state.RunState
    Stopped { state: String },
}

/// What a run says to QEMU.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// The power button, which the guest may follow.
    PowerButton,
    /// QEMU ends.
    Quit,
}

/// Our end of the pair, and QEMU's.
pub fn pair() -> Result<(StdStream, OwnedFd)> {
    let make = || -> std::io::Result<_> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        // Inherited by the next child, which is QEMU: no other is started.
        fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok((ours, OwnedFd::from(theirs)))
    };
    make().context("making a socket for QEMU's monitor")
}

/// The monitor of a running QEMU.
#[derive(Debug)]
pub struct Monitor {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Monitor {
    /// Within a tokio runtime.
    pub async fn new(stream: StdStream) -> Result<Monitor> {
        let stream = UnixStream::from_std(stream).context("reading QEMU's monitor")?;
        let (reader, writer) = stream.into_split();
        let mut monitor = Monitor {
            lines: BufReader::new(reader).lines(),
            writer,
        };
        monitor.execute("qmp_capabilities").await;
        Ok(monitor)
    }

    /// A QEMU that has ended does not hear, and needs not.
    async fn execute(&mut self, command: &str) {
        let line = format!("{}\n", json!({ "execute": command }));
        let _ = self.writer.write_all(line.as_bytes()).await;
    }

    pub async fn order(&mut self, order: Order) {
        self.execute(match order {
            Order::PowerButton => "system_powerdown",
            Order::Quit => "quit",
        })
        .await;
    }

    /// The next event that a run looks at; `None` when QEMU has ended. May be
    /// dropped at any time without losing one.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let line = self.lines.next_line().await.ok().flatten()?;
            match understand(&line) {
                Said::Event(event) => return Some(event),
                Said::Stop => self.execute("query-status").await,
                Said::Other => {}
            }
        }
    }
}

enum Said {
    Event(Event),
    /// Why is another question.
    Stop,
    Other,
}

fn understand(line: &str) -> Said {
    let Ok(message) = serde_json::from_str::<Value>(line) else {
        return Said::Other;
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match message["event"].as_str() {
        Some("SHUTDOWN") => {
            let reason = text(&message["data"]["reason"]);
            return Said::Event(Event::Shutdown { reason });
        }
        Some("STOP") => return Said::Stop,
        _ => {}
    }
    // The answer to query-status, the only question.
    match message["return"]["status"].as_str() {
        None | Some("running" | "shutdown") => Said::Other,
        Some(state) => Said::Event(Event::Stopped {
            state: state.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What a run makes of these lines from a QEMU, and what it says to it.
    fn talk(lines: &[&str]) -> (Vec<Event>, String) {
        use std::io::{Read, Write};
        let (ours, theirs) = StdStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut qemu = theirs;
        for line in lines {
            writeln!(qemu, "{line}").unwrap();
        }
        qemu.shutdown(std::net::Shutdown::Write).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let events = runtime.block_on(async {
            let mut monitor = Monitor::new(ours).await.unwrap();
            let mut events = Vec::new();
            while let Some(event) = monitor.next().await {
                events.push(event);
            }
            monitor.order(Order::PowerButton).await;
            events
        });
        let mut said = String::new();
        qemu.read_to_string(&mut said).unwrap();
        (events, said)
    }

    #[test]
    fn events_are_found_among_the_rest() {
        let (events, said) = talk(&[
            r#"{"QMP": {"version": {}, "capabilities": []}}"#,
            r#"{"return": {}}"#,
            r#"{"timestamp": {}, "event": "RTC_CHANGE", "data": {"offset": 1}}"#,
            "no json",
            r#"{"timestamp": {}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}"#,
        ]);
        let reason = "guest-shutdown".to_owned();
        assert_eq!(events, [Event::Shutdown { reason }]);
        let executed: Vec<&str> = said.lines().collect();
        assert_eq!(
            executed,
            [
                r#"{"execute":"qmp_capabilities"}"#,
                r#"{"execute":"system_powerdown"}"#
            ]
        );
    }

    #[test]
    fn a_machine_that_stops_is_asked_why() {
        let (events, said) = talk(&[
            r#"{"timestamp": {}, "event": "STOP"}"#,
            r#"{"return": {"status": "internal-error", "running": false}}"#,
        ]);
        let state = "internal-error".to_owned();
        assert_eq!(events, [Event::Stopped { state }]);
        assert!(said.contains("query-status"), "{said}");
    }
}
