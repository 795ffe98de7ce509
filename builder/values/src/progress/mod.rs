//! What the user sees while something runs: two lines at the bottom of a terminal, a few
//! plain lines in CI, nothing with `--quiet`, one JSON object per line with `--json`. The only
//! user of indicatif.
//!
//! ```text
//! Bars     stderr: one line for the stage, one bar for all that is under way
//! Plain    stderr: a line when many downloads begin, now and then, and when they are over
//! Json     stdout; {"event":"download"|"step"|"warning"|"note", ...}, as in
//!          docs/reference/events.schema.json: sizes in bytes; "upload", "write"
//!          and "read" likewise
//! ```
//!
//! A line that cannot be written (a closed pipe) never stops the work.

mod batch;
mod interrupt;
mod screen;
mod transfer;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::HumanBytes;
use serde_json::{Value, json};

use crate::terminal::{Colour, painted};
use batch::Batch;
use screen::Screen;
use transfer::Way;

pub use transfer::{Download, Upload};

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
pub struct Progress(Arc<Shared>);

struct Shared {
    mode: Mode,
    screen: Screen,
    out: Mutex<Box<dyn Write + Send>>,
    /// Of each [`Way`].
    batches: [Mutex<Batch>; 4],
    stage: Mutex<String>,
    kept: interrupt::Kept,
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
        Progress(Arc::new(Shared {
            mode,
            screen: Screen::new(mode == Mode::Bars),
            out: Mutex::new(out),
            batches: Way::ALL.map(|_| Mutex::new(Batch::new())),
            stage: Mutex::default(),
            kept: interrupt::Kept::default(),
        }))
    }

    /// From now on, Ctrl-C and SIGTERM say what is kept before they end the process.
    ///
    /// To be called before any other thread is started.
    pub fn watch_interrupts(&self) {
        interrupt::watch(Arc::clone(&self.0));
    }

    /// A stage of the work begins: "assembling", "writing overlay.tar.zst".
    pub fn step(&self, name: &str) {
        let shared = &self.0;
        shared.settle();
        name.clone_into(&mut lock(&shared.stage));
        match shared.mode {
            Mode::Bars => shared.screen.stage(name),
            _ => shared.tell(name, || json!({"event": "step", "name": name})),
        }
    }

    /// Something that the user should look at, though the work goes on.
    pub fn warn(&self, message: &str) {
        let word = painted("warning:", Colour::Yellow);
        self.0.tell(
            &format!("{word} {message}"),
            || json!({"event": "warning", "message": message}),
        );
    }

    /// Good to know, nothing to do about.
    pub fn note(&self, message: &str) {
        self.0.settle();
        self.0
            .tell(message, || json!({"event": "note", "message": message}));
    }

    /// An event of a verb's own; shown with `--json` only.
    pub fn event(&self, event: &Value) {
        self.0.event(event);
    }

    /// What has happened: one object on standard output if events are asked for, a
    /// line for people otherwise.
    pub fn say(&self, event: &Value, text: &str) {
        match self.0.mode {
            Mode::Json => self.event(event),
            _ => self.note(text),
        }
    }

    /// `files` downloads of `bytes` in all will follow, as far as their sizes are known.
    pub fn plan(&self, files: usize, bytes: u64) {
        let shared = &self.0;
        shared.batch(Way::In).plan(files, bytes);
        if files > 1 && shared.mode == Mode::Plain {
            let size = match bytes {
                0 => String::new(),
                bytes => format!(", {}", HumanBytes(bytes)),
            };
            shared.line(&format!("fetching {files} files{size}"));
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
        {
            let mut batch = self.0.batch(way);
            if batch.start() {
                batch.total += size.unwrap_or(0);
            }
            self.0.screen.transfer(&batch, way.doing(), Some(what));
        }
        Download::new(&self.0, way, what, size)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.settle();
        self.0.screen.end();
    }
}

impl Shared {
    fn batch(&self, way: Way) -> MutexGuard<'_, Batch> {
        lock(&self.batches[way as usize])
    }

    /// Says what downloads and uploads came to, if any are over.
    fn settle(&self) {
        for way in Way::ALL {
            let summary = {
                let mut batch = self.batch(way);
                if !batch.is_over() {
                    continue;
                }
                std::mem::replace(&mut *batch, Batch::new()).summary(way.done())
            };
            self.screen.end_transfer();
            if let Some(text) = summary.filter(|_| self.is_for_people()) {
                self.line(&text);
            }
        }
    }

    fn is_for_people(&self) -> bool {
        matches!(self.mode, Mode::Plain | Mode::Bars)
    }

    fn event(&self, event: &Value) {
        if self.mode == Mode::Json {
            self.line(&event.to_string());
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
        self.screen.suspend(|| {
            let mut out = lock(&self.out);
            let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
