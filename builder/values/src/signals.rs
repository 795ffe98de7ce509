//! Which signals a process may wait for.

use std::fs;

use nix::sys::signal::{SigSet, Signal};

/// Those of `signals` that this process was not started to ignore. nohup(1) has a process ignore
/// SIGHUP, and a shell has what it runs in the background ignore SIGINT; to wait for such a
/// signal is to receive it all the same.
pub fn heeded(signals: &[Signal]) -> SigSet {
    // Without /proc, as on macOS: all of them.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored(&status);
    let heeded = signals
        .iter()
        .filter(|signal| ignored & (1 << (**signal as u32 - 1)) == 0);
    heeded.copied().collect()
}

/// The mask of [proc_pid_status(5)](https://man7.org/linux/man-pages/man5/proc_pid_status.5.html):
/// bit 0 is signal 1.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::ignored;

    #[test]
    fn the_mask_is_read() {
        assert_eq!(
            ignored("SigBlk:\t0000\nSigIgn:\t0000000000001003\n"),
            0x1003
        );
        assert_eq!(ignored(""), 0);
    }
}
