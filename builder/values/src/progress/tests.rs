//! What each mode shows.
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
    drop(progress);
    let bytes = sink.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn plain_lines() {
    let text = shown(Mode::Plain);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "assembling",
            "warning: odd \"thing\"",
            "runc 1.4.3 (arm64): the connection was cut; retrying in 0.5 s",
        ]
    );
    assert!(lines[3].starts_with("fetched 1 of 2 files, 2.00 KiB in "));
    assert_eq!(lines.len(), 4);
}

#[test]
fn a_log_has_few_lines_however_many_files_there_are() {
    let sink = Sink::default();
    let progress = Progress::to(Mode::Plain, Box::new(sink.clone()));
    progress.plan(130, 130 * 2048);
    for number in 0..130 {
        let download = progress.download(&format!("package {number}"), Some(2048));
        download.from(0);
        download.size(2048);
        download.advance(2048);
        download.finished(2048);
    }
    progress.step("assembling");
    progress.download("one more", None).finished(10);
    drop(progress);
    let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[0], "fetching 130 files, 260.00 KiB");
    assert!(
        lines[1].starts_with("fetched 130 files, 260.00 KiB in "),
        "{text}"
    );
    assert_eq!(lines[2], "assembling");
    assert!(lines[3].starts_with("fetched one more, 10 B in "), "{text}");
}

/// With a mirror that answers now and then, too.
#[test]
fn retries_of_many_files_are_counted() {
    let sink = Sink::default();
    let progress = Progress::to(Mode::Plain, Box::new(sink.clone()));
    progress.plan(130, 0);
    for number in 0..130 {
        let download = progress.download(&format!("package {number}"), Some(10));
        download.retry("the server says 503", Duration::from_millis(500));
        download.finished(10);
    }
    drop(progress);
    let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.ends_with(", 130 retries\n"), "{text}");
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
