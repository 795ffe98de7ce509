//! One download, or one upload, from its start to one of its ends.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{EVENT_EVERY, Mode, Shared, lock};

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    In,
    Out,
    Written,
    Read,
}

impl Way {
    pub const ALL: [Way; 4] = [Way::In, Way::Out, Way::Written, Way::Read];

    pub fn event(self) -> &'static str {
        match self {
            Way::In => "download",
            Way::Out => "upload",
            Way::Written => "write",
            Way::Read => "read",
        }
    }

    pub fn doing(self) -> &'static str {
        match self {
            Way::In => "fetching",
            Way::Out => "pushing",
            Way::Written => "writing",
            Way::Read => "reading",
        }
    }

    pub fn done(self) -> &'static str {
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

/// One download; dropped without [`finished`](Download::finished) it counts as failed, and
/// whoever drops it reports the error.
pub struct Download<'a> {
    shared: &'a Shared,
    way: Way,
    what: String,
    /// Its size as the batch's total has it.
    counted: Mutex<Option<u64>>,
    is_open: bool,
    begun: Instant,
    had: AtomicU64,
    told: Mutex<Instant>,
}

impl<'a> Download<'a> {
    pub(super) fn new(shared: &'a Shared, way: Way, what: &str, size: Option<u64>) -> Download<'a> {
        Download {
            shared,
            way,
            what: what.to_owned(),
            counted: Mutex::new(size),
            is_open: true,
            begun: Instant::now(),
            had: AtomicU64::new(0),
            told: Mutex::new(Instant::now()),
        }
    }
    /// The server told the whole size.
    pub fn size(&self, size: u64) {
        let mut counted = lock(&self.counted);
        if counted.is_none() {
            *counted = Some(size);
            self.shared.batch(self.way).total += size;
        }
    }

    /// The bytes up to `at` are there from before; 0 is a start from nothing.
    pub fn from(&self, at: u64) {
        let was = self.had.swap(at, Ordering::Relaxed);
        self.shared.batch(self.way).moved(was, at);
        if at > 0 {
            self.event("resumed", json!({"at": at}));
        }
    }

    /// `bytes` more are there.
    pub fn advance(&self, bytes: u64) {
        let had = self.had.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let sign = {
            let mut batch = self.shared.batch(self.way);
            batch.bytes += bytes;
            self.shared.screen.transfer(&batch, self.way.doing(), None);
            match self.shared.mode {
                Mode::Plain => batch.sign(self.way.doing()),
                _ => None,
            }
        };
        if let Some(sign) = sign {
            self.shared.line(&sign);
        }
        if self.shared.mode == Mode::Json {
            let mut told = lock(&self.told);
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
        let is_told = self.shared.batch(self.way).retry();
        if is_told && self.shared.is_for_people() {
            let wait = wait.as_secs_f64();
            self.shared
                .line(&format!("{}: {reason}; retrying in {wait:.1} s", self.what));
        }
    }

    /// It is where it belongs, `size` bytes in all.
    pub fn finished(mut self, size: u64) {
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.event("finished", json!({"size": size, "ms": ms}));
        self.close(Some(size));
        if self.way == Way::In {
            self.shared.kept.add(size);
        }
    }

    /// It was there meanwhile.
    pub fn found(mut self) {
        self.event("found", json!({}));
        let size = lock(&self.counted).unwrap_or(0);
        self.close(Some(size));
    }

    /// It failed for good; the error itself is the caller's to report.
    pub fn failed(self) {
        self.event("failed", json!({}));
    }

    /// Over, with `size` bytes, or with nothing.
    fn close(&mut self, size: Option<u64>) {
        self.is_open = false;
        let mut batch = self.shared.batch(self.way);
        match size {
            Some(size) => {
                let had = self.had.swap(size, Ordering::Relaxed);
                batch.bytes = batch.bytes.saturating_sub(had) + size;
                batch.finish(&self.what);
            }
            None => batch.fail(),
        }
        self.shared.screen.transfer(&batch, self.way.doing(), None);
    }

    fn event(&self, state: &str, more: Value) {
        if self.shared.mode != Mode::Json {
            return;
        }
        let mut event = json!({"event": self.way.event(), "state": state, "what": self.what});
        if let (Value::Object(event), Value::Object(more)) = (&mut event, more) {
            event.extend(more);
        }
        self.shared.event(&event);
    }
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.close(None);
        }
    }
}
