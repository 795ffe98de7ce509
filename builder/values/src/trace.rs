//! What a run did when, on which thread: a file that ui.perfetto.dev and chrome://tracing open
//! ([trace event format](https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU)).
//!
//! ```text
//! {"displayTimeUnit": "ms", "traceEvents": [
//!   {"ph": "M", "name": "thread_name", "pid": 1, "tid": 1, "args": {"name": "worker 1"}},
//!   {"ph": "X", "cat": "package", "name": "unpack bash", "pid": 1, "tid": 1,
//!    "ts": microseconds since the start, "dur": microseconds}, ...]}
//! ```
//!
//! Nothing is recorded before [`start`]: a span costs one load of memory then, and its name is
//! not even made. A thread that ends leaves its row to the next one, so that there are as many
//! rows as threads run at a time.
//!
//! # Invariants
//! - Spans of one row lie in one another or apart.
//! - Nothing that is recorded is read by what is measured: no output depends on a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// There is one process in the file.
const PROCESS: u32 = 1;

static RECORDER: OnceLock<Recorder> = OnceLock::new();

thread_local! {
    static ROW: Row = Row::take();
}

struct Recorder {
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    spans: Vec<Done>,
    /// Rows of threads that have ended.
    free: BTreeSet<u32>,
    rows: u32,
}

struct Done {
    row: u32,
    category: &'static str,
    name: String,
    begun: Duration,
    took: Duration,
}

impl Recorder {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The row of a thread, for as long as it lives.
struct Row(u32);

impl Row {
    fn take() -> Row {
        let Some(recorder) = RECORDER.get() else {
            return Row(0);
        };
        let mut state = recorder.state();
        let free = state.free.pop_first();
        Row(free.unwrap_or_else(|| {
            state.rows += 1;
            state.rows - 1
        }))
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        if let Some(recorder) = RECORDER.get() {
            recorder.state().free.insert(self.0);
        }
    }
}

/// Records from now on; the calling thread has the first row.
pub fn start() {
    RECORDER.get_or_init(|| Recorder {
        begun: Instant::now(),
        state: Mutex::default(),
    });
    ROW.with(|_| ());
}

/// Something that takes time, until it is dropped.
#[must_use = "it ends where it is dropped"]
pub struct Span(Option<Open>);

struct Open {
    category: &'static str,
    name: String,
    begun: Instant,
}

/// Begins a span; `name` is called only if somebody records.
pub fn span(category: &'static str, name: impl FnOnce() -> String) -> Span {
    Span(RECORDER.get().map(|_| Open {
        category,
        name: name(),
        begun: Instant::now(),
    }))
}

/// Begins a span of a stage of the work.
pub fn stage(name: &'static str) -> Span {
    span("stage", || name.to_owned())
}

impl Drop for Span {
    fn drop(&mut self) {
        let (Some(open), Some(recorder)) = (self.0.take(), RECORDER.get()) else {
            return;
        };
        let took = open.begun.elapsed();
        // Not in a thread that is just ending.
        let Ok(row) = ROW.try_with(|row| row.0) else {
            return;
        };
        let begun = open.begun.saturating_duration_since(recorder.begun);
        recorder.state().spans.push(Done {
            row,
            category: open.category,
            name: open.name,
            begun,
            took,
        });
    }
}

/// All that was recorded until now, as the text of a trace file; `title` names the process.
pub fn to_json(title: &str) -> String {
    let mut events = vec![named("process_name", 0, title)];
    if let Some(recorder) = RECORDER.get() {
        let state = recorder.state();
        for row in 0..state.rows {
            let name = match row {
                0 => "main".to_owned(),
                row => format!("worker {row}"),
            };
            events.push(named("thread_name", row, &name));
        }
        let mut rows: BTreeMap<(Duration, u32, usize), &Done> = BTreeMap::new();
        for (number, done) in state.spans.iter().enumerate() {
            rows.insert((done.begun, done.row, usize::MAX - number), done);
        }
        events.extend(rows.into_values().map(complete));
    }
    let all = json!({ "displayTimeUnit": "ms", "traceEvents": events });
    format!("{all}\n")
}

fn named(what: &str, row: u32, name: &str) -> Value {
    json!({ "ph": "M", "name": what, "pid": PROCESS, "tid": row, "args": { "name": name } })
}

fn complete(done: &Done) -> Value {
    json!({
        "ph": "X", "cat": done.category, "name": done.name, "pid": PROCESS, "tid": done.row,
        "ts": microseconds(done.begun), "dur": microseconds(done.took),
    })
}

fn microseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::parallel::in_parallel;

    /// One test, since a process has one recorder.
    #[test]
    fn spans_are_recorded_from_the_start_on_and_lie_in_one_another() {
        drop(span("x", || panic!("nobody records")));
        start();
        {
            let _outer = stage("outer");
            for _ in 0..3 {
                in_parallel(4, 8, |n| {
                    let _one = span("job", || format!("job \"{n}\""));
                    drop(span("part", || "a part".to_owned()));
                });
            }
        }
        let all: Value = serde_json::from_str(&to_json("a test")).unwrap();
        let events = all["traceEvents"].as_array().unwrap();
        // Other tests of this process may be recorded too.
        let ours = |event: &&Value| {
            ["stage", "job", "part"].contains(&event["cat"].as_str().unwrap_or_default())
        };
        let spans: Vec<_> = events.iter().filter(ours).collect();
        assert_eq!(spans.len(), 1 + 3 * 8 * 2);
        let of = |event: &Value| {
            let number = |key: &str| event[key].as_f64().unwrap();
            (
                event["tid"].as_u64().unwrap(),
                number("ts"),
                number("ts") + number("dur"),
            )
        };
        for one in &spans {
            for other in &spans {
                let ((row, start, end), (its, from, to)) = (of(one), of(other));
                // A nanosecond for the sum.
                let crosses = row == its && start < from && from < end && end + 0.001 < to;
                assert!(!crosses, "{one} {other}");
            }
        }
        let rows: BTreeSet<u64> = spans.iter().map(|event| of(event).0).collect();
        let named = events.iter().filter(|event| event["name"] == "thread_name");
        assert!(named.count() >= rows.len());
    }
}
