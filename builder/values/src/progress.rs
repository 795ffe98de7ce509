//! What the user sees while something runs: bars on a terminal, plain lines in
//! CI, nothing with `--quiet`, one JSON object per line with `--json`. The only
//! user of indicatif.
//!
//! ```text
//! Bars, Plain   stderr; stdout stays free for what a verb prints
//! Json          stdout; {"event":"download"|"step"|"warning"|"note", ...}
//!               download: "state" is started, resumed, retry, progress,
//!               finished, found or failed; sizes in bytes; "upload", "write" and
//!               "read" likewise
//! ```
//!
//! A line that cannot be written (a closed pipe) never stops the work.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

/// A `progress` event of one download is written at most this often.
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// How progress is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// For people at a terminal.
    Bars,
    /// For logs: a line for each thing that is done.
    Plain,
    /// Only errors, which are not this module's matter.
    Quiet,
    /// For programs: events on standard output.
    Json,
}

impl Mode {
    /// From the flags, the terminal and the environment (`CI`, `TERM=dumb`).
    pub fn choose(quiet: bool, json: bool) -> Mode {
        let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty() && v != "false");
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match (json, quiet) {
            (true, _) => Mode::Json,
            (false, true) => Mode::Quiet,
            _ if set("CI") || dumb || !io::stderr().is_terminal() => Mode::Plain,
            _ => Mode::Bars,
        }
    }
}

/// Where progress is told; shared by all threads.
pub struct Progress {
    mode: Mode,
    bars: MultiProgress,
    out: Mutex<Box<dyn Write + Send>>,
}

impl Progress {
    pub fn new(mode: Mode) -> Progress {
        match mode {
            Mode::Json => Progress::to(mode, Box::new(io::stdout())),
            _ => Progress::to(mode, Box::new(io::stderr())),
        }
    }

    /// Lines and events go to `out`; bars, if any, to the terminal.
    pub fn to(mode: Mode, out: Box<dyn Write + Send>) -> Progress {
        let target = match mode {
            Mode::Bars => ProgressDrawTarget::stderr(),
            _ => ProgressDrawTarget::hidden(),
        };
        Progress {
            mode,
            bars: MultiProgress::with_draw_target(target),
            out: Mutex::new(out),
        }
    }

    /// A stage of the work begins: "assembling", "writing overlay.tar.zst".
    pub fn step(&self, name: &str) {
        self.tell(name, || json!({"event": "step", "name": name}));
    }

    /// Something that the user should look at, though the work goes on.
    pub fn warn(&self, message: &str) {
        self.tell(
            &format!("warning: {message}"),
            || json!({"event": "warning", "message": message}),
        );
    }

    /// Good to know, nothing to do about.
    pub fn note(&self, message: &str) {
        self.tell(message, || json!({"event": "note", "message": message}));
    }

    /// An event of a verb's own; shown with `--json` only.
    pub fn event(&self, event: &Value) {
        if self.mode == Mode::Json {
            self.line(&event.to_string());
        }
    }

    /// What has happened: one object on standard output if events are asked for, a
    /// line for people otherwise.
    pub fn say(&self, event: &Value, text: &str) {
        match self.mode {
            Mode::Json => self.event(event),
            _ => self.note(text),
        }
    }

    /// A download begins; `size` may become known later.
    pub fn download(&self, what: &str, size: Option<u64>) -> Download<'_> {
        self.transfer(Way::In, what, size)
    }

    /// The same of an upload.
    pub fn upload(&self, what: &str, size: Option<u64>) -> Upload<'_> {
        self.transfer(Way::Out, what, size)
    }

    /// The same of what is written to a device.
    pub fn writing(&self, what: &str, size: Option<u64>) -> Download<'_> {
        self.transfer(Way::Written, what, size)
    }

    /// The same of what is read to be checked.
    pub fn reading(&self, what: &str, size: Option<u64>) -> Download<'_> {
        self.transfer(Way::Read, what, size)
    }

    fn transfer(&self, way: Way, what: &str, size: Option<u64>) -> Download<'_> {
        self.event(&json!({
            "event": way.event(), "state": "started", "what": what, "size": size,
        }));
        let bar = (self.mode == Mode::Bars).then(|| self.bars.add(new_bar(what, size)));
        Download {
            progress: self,
            way,
            what: what.to_owned(),
            bar,
            begun: Instant::now(),
            had: AtomicU64::new(0),
            told: Mutex::new(Instant::now()),
        }
    }

    fn tell(&self, text: &str, event: impl FnOnce() -> Value) {
        match self.mode {
            Mode::Quiet => {}
            Mode::Json => self.line(&event().to_string()),
            Mode::Plain | Mode::Bars => self.line(text),
        }
    }

    /// One write call for each line, so that lines of two threads never mix.
    fn line(&self, text: &str) {
        let line = format!("{text}\n");
        let write = || {
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        };
        match self.mode {
            Mode::Bars => self.bars.suspend(write),
            _ => write(),
        }
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    In,
    Out,
    Written,
    Read,
}

impl Way {
    fn event(self) -> &'static str {
        match self {
            Way::In => "download",
            Way::Out => "upload",
            Way::Written => "write",
            Way::Read => "read",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Way::In => "fetched",
            Way::Out => "pushed",
            Way::Written => "wrote",
            Way::Read => "read",
        }
    }
}

/// One upload; its ends are those of a download.
pub type Upload<'a> = Download<'a>;

/// One download; dropped without [`finished`](Download::finished) it vanishes
/// from the screen, and whoever drops it reports the error.
pub struct Download<'a> {
    progress: &'a Progress,
    way: Way,
    what: String,
    bar: Option<ProgressBar>,
    begun: Instant,
    had: AtomicU64,
    told: Mutex<Instant>,
}

impl Download<'_> {
    /// The server told the whole size.
    pub fn size(&self, size: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(size);
        }
    }

    /// The bytes up to `at` are there from before; 0 is a start from nothing.
    pub fn from(&self, at: u64) {
        self.had.store(at, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.set_position(at);
            bar.reset_eta();
        }
        if at > 0 {
            self.event("resumed", json!({"at": at}));
            self.plain(|| format!("resuming {} at {}", self.what, HumanBytes(at)));
        }
    }

    /// `bytes` more are there.
    pub fn advance(&self, bytes: u64) {
        let had = self.had.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
        if self.progress.mode == Mode::Json {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.elapsed() >= EVENT_EVERY {
                *told = Instant::now();
                self.event("progress", json!({"bytes": had}));
            }
        }
    }

    /// It failed for `reason`, and is tried again after `wait`.
    pub fn retry(&self, reason: &str, wait: Duration) {
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.event("retry", json!({"reason": reason, "wait_ms": ms}));
        if matches!(self.progress.mode, Mode::Plain | Mode::Bars) {
            let wait = wait.as_secs_f64();
            self.progress
                .line(&format!("{}: {reason}; retrying in {wait:.1} s", self.what));
        }
    }

    /// It is where it belongs, `size` bytes in all.
    pub fn finished(self, size: u64) {
        let took = self.begun.elapsed();
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.event("finished", json!({"size": size, "ms": ms}));
        self.clear();
        if matches!(self.progress.mode, Mode::Plain | Mode::Bars) {
            self.progress.line(&format!(
                "{} {}, {} in {:.1} s",
                self.way.done(),
                self.what,
                HumanBytes(size),
                took.as_secs_f64()
            ));
        }
    }

    /// It was there meanwhile.
    pub fn found(self) {
        self.event("found", json!({}));
    }

    /// It failed for good; the error itself is the caller's to report.
    pub fn failed(self) {
        self.event("failed", json!({}));
    }

    fn event(&self, state: &str, more: Value) {
        if self.progress.mode != Mode::Json {
            return;
        }
        let mut event = json!({"event": self.way.event(), "state": state, "what": self.what});
        if let (Value::Object(event), Value::Object(more)) = (&mut event, more) {
            event.extend(more);
        }
        self.progress.line(&event.to_string());
    }

    fn plain(&self, text: impl FnOnce() -> String) {
        if self.progress.mode == Mode::Plain {
            self.progress.line(&text());
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            self.progress.bars.remove(bar);
        }
    }
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

fn new_bar(what: &str, size: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Some(size) = size {
        bar.set_length(size);
    }
    let template = "{msg:32!} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(Cow::Owned(what.to_owned()));
    bar
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What one step, one warning and one resumed, retried download show.
    fn shown(mode: Mode) -> String {
        let sink = Sink::default();
        let progress = Progress::to(mode, Box::new(sink.clone()));
        progress.step("assembling");
        progress.warn("odd \"thing\"");
        let download = progress.download("runc 1.4.3 (arm64)", Some(2048));
        download.from(1024);
        download.retry("the connection was cut", Duration::from_millis(500));
        download.advance(1024);
        download.finished(2048);
        progress.download("crictl", None).failed();
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn plain_lines() {
        let text = shown(Mode::Plain);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "assembling",
                "warning: odd \"thing\"",
                "resuming runc 1.4.3 (arm64) at 1.00 KiB",
                "runc 1.4.3 (arm64): the connection was cut; retrying in 0.5 s",
            ]
        );
        assert!(lines[4].starts_with("fetched runc 1.4.3 (arm64), 2.00 KiB in "));
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn quiet_is_quiet() {
        assert_eq!(shown(Mode::Quiet), "");
    }

    #[test]
    fn every_json_line_is_an_object_with_its_event() {
        let text = shown(Mode::Json);
        let events: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let names: Vec<String> = events
            .iter()
            .map(|e| {
                let state = e["state"].as_str().unwrap_or_default();
                format!("{} {state}", e["event"].as_str().unwrap())
            })
            .collect();
        assert_eq!(
            names,
            [
                "step ",
                "warning ",
                "download started",
                "download resumed",
                "download retry",
                "download finished",
                "download started",
                "download failed",
            ]
        );
        assert_eq!(events[1]["message"], "odd \"thing\"");
        assert_eq!(events[2]["size"], 2048);
        assert_eq!(events[3]["at"], 1024);
        assert_eq!(events[4]["wait_ms"], 500);
    }
}
