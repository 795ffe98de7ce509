//! The kernel's log ([dev-kmsg](https://docs.kernel.org/admin-guide/abi-testing.html)), the only
//! log at this point; the journal picks it up later.
use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

const PATH: &str = "/dev/kmsg";
/// For the journal: consoles leave it out.
const DEBUG: u8 = 7;
const NOTICE: u8 = 5;
const WARNING: u8 = 4;
/// Syslog level: errors and worse.
const ERROR: u8 = 3;

pub(crate) fn tell(text: &str) {
    write(NOTICE, text);
}

/// The output of a program.
pub(crate) fn note(text: &str) {
    write(DEBUG, text);
}

pub(crate) fn warn(text: &str) {
    write(WARNING, text);
}

/// "1.2 s". Without floats: what prints them is 10 KiB of the binary.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
}

/// Best effort: without a log there is nowhere to report to.
fn write(level: u8, text: &str) {
    for line in text.lines() {
        let _best_effort = fs::write(PATH, format!("<{level}>nodeimg: {line}\n"));
    }
}

/// The last `count` errors of the kernel.
pub(crate) fn errors(count: usize) -> Vec<String> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(PATH);
    let Ok(mut log) = opened else {
        return Vec::new();
    };
    let mut last = VecDeque::new();
    let mut record = vec![0; 8192];
    loop {
        // One record a read; EPIPE says that some were overwritten.
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => last.extend(error_in(&record[..length])),
            Err(error) if error.raw_os_error() == Some(nix::libc::EPIPE) => {}
            Err(_) => break,
        }
        if last.len() > count {
            last.pop_front();
        }
    }
    last.into()
}

/// "facility and level,number,time,flags;text".
fn error_in(record: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(record);
    let (head, rest) = text.split_once(';')?;
    let number: u32 = head.split(',').next()?.parse().ok()?;
    // Only the kernel's own: messages written here have been shown already.
    let is_error = number >> 3 == 0 && number & 7 <= u32::from(ERROR);
    is_error.then(|| rest.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::error_in;

    #[test]
    fn the_kernels_errors_are_told_from_the_rest() {
        for (record, expected) in [
            (
                "3,577,9213,-;device-mapper: verity: 254:3: data block 9 is corrupted\n SUBSYSTEM=x\n",
                Some("device-mapper: verity: 254:3: data block 9 is corrupted"),
            ),
            ("2,1,0,c;critical", Some("critical")),
            ("4,1,0,-;a warning", None),
            // From a program.
            ("11,1,0,-;nodeimg: x", None),
            ("not a record", None),
            ("x,1;y", None),
        ] {
            assert_eq!(error_in(record.as_bytes()).as_deref(), expected, "{record}");
        }
    }
}
