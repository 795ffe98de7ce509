//! The two lines at the bottom of a terminal: the stage of the work, and one bar for all
//! that is under way.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::batch::Batch;

const TICK: Duration = Duration::from_millis(120);

/// Shows nothing until there is something to show.
pub struct Screen {
    lines: MultiProgress,
    stage: Mutex<Option<ProgressBar>>,
    bar: Mutex<Option<ProgressBar>>,
    is_shown: bool,
}

impl Screen {
    /// On standard error, or nowhere.
    pub fn new(is_shown: bool) -> Screen {
        let target = match is_shown {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        Screen {
            lines: MultiProgress::with_draw_target(target),
            stage: Mutex::new(None),
            bar: Mutex::new(None),
            is_shown,
        }
    }

    /// `write` with the lines out of its way.
    pub fn suspend(&self, write: impl FnOnce()) {
        match self.is_shown {
            true => self.lines.suspend(write),
            false => write(),
        }
    }

    pub fn stage(&self, name: &str) {
        if !self.is_shown {
            return;
        }
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = stage.get_or_insert_with(|| {
            let bar = self.lines.add(ProgressBar::new_spinner());
            bar.set_style(style("{spinner} {wide_msg} {elapsed}"));
            bar.enable_steady_tick(TICK);
            bar
        });
        bar.reset_elapsed();
        bar.set_message(Cow::Owned(name.to_owned()));
    }

    /// How far all of it is; `what` is what is under way now.
    pub fn transfer(&self, batch: &Batch, doing: &'static str, what: Option<&str>) {
        if !self.is_shown {
            return;
        }
        let mut shown = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = shown.get_or_insert_with(|| {
            let bar = self.lines.add(ProgressBar::no_length());
            bar.set_style(style(template(columns())).progress_chars("=> "));
            bar
        });
        bar.set_length(batch.total.max(batch.bytes));
        bar.set_prefix(format!("{doing} {}", batch.count()));
        bar.set_position(batch.bytes);
        if let Some(what) = what {
            bar.set_message(Cow::Owned(what.to_owned()));
        }
    }

    /// Whatever was under way is over.
    pub fn end_transfer(&self) {
        end(&self.lines, &self.bar);
    }

    pub fn end(&self) {
        self.end_transfer();
        end(&self.lines, &self.stage);
    }
}

fn end(lines: &MultiProgress, bar: &Mutex<Option<ProgressBar>>) {
    let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bar) = bar.take() {
        bar.finish_and_clear();
        lines.remove(&bar);
    }
}

fn columns() -> u16 {
    let (_, columns) = console::Term::stderr().size();
    columns
}

/// Bytes, rate and time left always; the bar and the name if there is room.
fn template(columns: u16) -> &'static str {
    match columns {
        0..72 => "{prefix} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        72..120 => "{prefix} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        _ => "{prefix} [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec} {eta} {wide_msg}",
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_has_a_template_with_bytes_rate_and_time_left() {
        for columns in [0, 20, 60, 71, 72, 80, 119, 120, 200, u16::MAX] {
            let text = template(columns);
            assert!(ProgressStyle::with_template(text).is_ok(), "{columns}");
            for key in ["{bytes}", "{bytes_per_sec}", "{eta}"] {
                assert!(text.contains(key), "{columns}");
            }
        }
    }
}
