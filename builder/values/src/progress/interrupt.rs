//! Ctrl-C: what is kept is said before the process ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use indicatif::HumanBytes;
use nix::sys::signal::{Signal, raise};
use serde_json::json;

use super::{Mode, Shared, lock};
use crate::signals::heeded;

/// What this run has brought into the store.
#[derive(Default)]
pub struct Kept {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Kept {
    pub fn add(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Waits in a thread for SIGINT and SIGTERM, unless they are ignored, which every later thread leaves to it; children
/// get them as ever, since the standard library starts them with no signal blocked.
pub fn watch(shared: Arc<Shared>) {
    let signals = heeded(&[Signal::SIGINT, Signal::SIGTERM]);
    // Without the mask the signals end the process as they always did.
    if signals.thread_block().is_err() {
        return;
    }
    let waiting = thread::Builder::new().name("signals".to_owned());
    let spawned = waiting.spawn(move || {
        let Ok(signal) = signals.wait() else { return };
        tell(&shared, signal);
        // As the shell and its scripts expect: ended by the signal, not by an exit.
        let _ = signals.thread_unblock();
        let _ = raise(signal);
    });
    if spawned.is_err() {
        let _ = signals.thread_unblock();
    }
}

fn tell(shared: &Shared, signal: Signal) {
    shared.screen.end();
    let files = shared.kept.files.load(Ordering::Relaxed);
    let bytes = shared.kept.bytes.load(Ordering::Relaxed);
    let stage = lock(&shared.stage).clone();
    match shared.mode {
        Mode::Json => shared.event(&json!({
            "event": "interrupted", "signal": signal.as_str(), "stage": stage,
            "files": files, "bytes": bytes,
        })),
        _ => {
            let stage = match stage.as_str() {
                "" => String::new(),
                stage => format!(" while {stage}"),
            };
            let files = match files {
                0 => "the store has nothing new".to_owned(),
                1 => format!("the store keeps 1 file ({})", HumanBytes(bytes)),
                files => format!("the store keeps {files} files ({})", HumanBytes(bytes)),
            };
            shared.line(&format!(
                "interrupted{stage}: {files}, the next run continues what was half fetched, and \
                 no output is left half written"
            ));
        }
    }
}
