//! What is under way: every download, or every upload, of one stretch of the work, counted.

use std::time::{Duration, Instant};

use indicatif::HumanBytes;

/// In a log, the first sign of life comes after this time, and each next one after twice
/// the time: an hour has nine lines.
const FIRST_SIGN: Duration = Duration::from_secs(10);

/// So many retries of a batch are told one by one.
const RETRIES_TOLD: usize = 3;

/// Transfers one way, since something was last told about them.
#[derive(Debug)]
pub struct Batch {
    begun: Instant,
    next_sign: Duration,
    planned: usize,
    started: usize,
    pub done: usize,
    failed: usize,
    /// How often one was tried again.
    retries: usize,
    /// Bytes that are there, of this run and from before.
    pub bytes: u64,
    /// Bytes that there will be, as far as is known.
    pub total: u64,
    /// Of `bytes`, those that an earlier run brought.
    had: u64,
    /// What the only finished one is called.
    last: String,
}

impl Batch {
    pub fn new() -> Batch {
        Batch {
            begun: Instant::now(),
            next_sign: FIRST_SIGN,
            planned: 0,
            started: 0,
            done: 0,
            failed: 0,
            retries: 0,
            bytes: 0,
            total: 0,
            had: 0,
            last: String::new(),
        }
    }

    /// `files` of `bytes` in all will follow, as far as sizes are known.
    pub fn plan(&mut self, files: usize, bytes: u64) {
        if self.planned == 0 && self.started == 0 {
            self.begun = Instant::now();
        }
        self.planned += files;
        self.total += bytes;
    }

    /// One begins; whether it was not planned, so that its size is new.
    pub fn start(&mut self) -> bool {
        if self.planned == 0 && self.started == 0 {
            self.begun = Instant::now();
        }
        self.started += 1;
        let is_new = self.started > self.planned;
        self.planned = self.planned.max(self.started);
        is_new
    }

    /// It goes on from `at` instead of `was`.
    pub fn moved(&mut self, was: u64, at: u64) {
        self.bytes = self.bytes.saturating_sub(was) + at;
        self.had += at;
    }

    pub fn finish(&mut self, what: &str) {
        self.done += 1;
        what.clone_into(&mut self.last);
    }

    /// It came to nothing.
    pub fn fail(&mut self) {
        self.failed += 1;
    }

    /// It is tried again; whether that is worth a line: a mirror that is down fails all of them.
    pub fn retry(&mut self) -> bool {
        self.retries += 1;
        self.retries <= RETRIES_TOLD
    }

    /// Nothing is under way, and nothing is to come.
    pub fn is_over(&self) -> bool {
        self.planned > 0 && self.done + self.failed >= self.planned
    }

    /// `12/130`, for the bar.
    pub fn count(&self) -> String {
        format!("{}/{}", self.done, self.planned)
    }

    /// The line that a log gets now, if it is time for one.
    pub fn sign(&mut self, doing: &str) -> Option<String> {
        let took = self.begun.elapsed();
        if took < self.next_sign {
            return None;
        }
        while self.next_sign <= took {
            self.next_sign *= 2;
        }
        Some(self.so_far(doing, took))
    }

    fn so_far(&self, doing: &str, took: Duration) -> String {
        let mut text = format!("{doing} {} files", self.count().replace('/', " of "));
        if self.total >= self.bytes && self.total > 0 {
            text += &format!(", {} of {}", HumanBytes(self.bytes), HumanBytes(self.total));
        } else {
            text += &format!(", {}", HumanBytes(self.bytes));
        }
        let fresh = self.bytes.saturating_sub(self.had);
        let Some(rate) = rate(fresh, took) else {
            return text;
        };
        text += &format!(", {}/s", HumanBytes(rate));
        let left = self.total.saturating_sub(self.bytes);
        match left > 0 {
            true => format!("{text}, {} left", spent(Duration::from_secs(left / rate))),
            false => text,
        }
    }

    /// What there is to say when all is over; nothing if there was nothing.
    pub fn summary(&self, done: &str) -> Option<String> {
        let took = self.begun.elapsed();
        let size = HumanBytes(self.bytes);
        match (self.done, self.failed) {
            (0, _) => None,
            (1, 0) => Some(format!("{done} {}, {size} in {}", self.last, spent(took))),
            (count, failed) => {
                let of = match failed {
                    0 => String::new(),
                    failed => format!(" of {}", count + failed),
                };
                let fresh = self.bytes.saturating_sub(self.had);
                let rate = rate(fresh, took);
                let rate =
                    rate.map_or_else(String::new, |rate| format!(" ({}/s)", HumanBytes(rate)));
                let retries = match self.retries {
                    0..=RETRIES_TOLD => String::new(),
                    retries => format!(", {retries} retries"),
                };
                Some(format!(
                    "{done} {count}{of} files, {size} in {}{rate}{retries}",
                    spent(took)
                ))
            }
        }
    }
}

/// Bytes in a second; nothing if it cannot be told yet.
fn rate(bytes: u64, took: Duration) -> Option<u64> {
    let ms = u64::try_from(took.as_millis())
        .ok()
        .filter(|ms| *ms >= 100)?;
    Some(bytes.saturating_mul(1000) / ms).filter(|rate| *rate > 0)
}

/// `0.4 s`, `42 s`, `3 min 20 s`.
fn spent(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_told_of_many_files() {
        let mut batch = Batch::new();
        assert_eq!(batch.summary("fetched"), None);
        batch.plan(130, 400 << 20);
        for _ in 0..40 {
            assert!(!batch.start());
            batch.bytes += 2 << 20;
            batch.finish("x");
        }
        let text = batch.so_far("fetching", Duration::from_secs(8));
        assert_eq!(
            text,
            "fetching 40 of 130 files, 80.00 MiB of 400.00 MiB, 10.00 MiB/s, 32 s left"
        );
        assert!(!batch.is_over() && batch.sign("fetching").is_none());
        for _ in 0..90 {
            batch.start();
            batch.fail();
        }
        assert!(batch.is_over());
        let text = batch.summary("fetched").unwrap();
        assert!(
            text.starts_with("fetched 40 of 130 files, 80.00 MiB in "),
            "{text}"
        );
    }

    #[test]
    fn what_was_there_before_makes_no_rate() {
        let mut batch = Batch::new();
        assert!(batch.start());
        batch.total += 100 << 20;
        batch.moved(0, 90 << 20);
        batch.bytes += 4 << 20;
        let text = batch.so_far("fetching", Duration::from_secs(2));
        assert!(text.ends_with("2.00 MiB/s, 3.0 s left"), "{text}");
    }

    #[test]
    fn a_day_of_downloading_has_few_lines() {
        let mut batch = Batch::new();
        batch.plan(2, 10);
        let mut lines = 0;
        for second in 0..86_400 {
            batch.begun = Instant::now()
                .checked_sub(Duration::from_secs(second))
                .unwrap();
            lines += usize::from(batch.sign("fetching").is_some());
        }
        assert!((8..=15).contains(&lines), "{lines}");
    }
}
