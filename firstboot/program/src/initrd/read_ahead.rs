//! Reads the programs that a node will start into the page cache, while systemd reads
//! its units and one processor is enough for that. Each of their blocks has to be
//! verified and unpacked, which is most of the time that such a program takes to start.
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::time::Instant;

use super::{kmsg, programs};

pub(crate) const CHILD: &str = "read-ahead";
const PIECE: usize = 256 * 1024;
/// Everything else has priority.
const NICENESS: i32 = 19;

/// Starts reading, and does not wait. Best effort: a boot without it is only slower.
pub(crate) fn start(files: &[String]) {
    if files.is_empty() {
        return;
    }
    if let Err(error) = programs::myself(CHILD).args(files).spawn() {
        kmsg::warn(&format!("cannot read ahead: {error}"));
    }
}

/// The child's part, in the root.
pub(crate) fn run(files: &[OsString]) {
    // Only the niceness is lost.
    let _ignored = rustix::process::nice(NICENESS);
    let began = Instant::now();
    let mut piece = vec![0; PIECE];
    let mut bytes = 0;
    for file in files {
        if !has_room(&fs::read_to_string("/proc/meminfo").unwrap_or_default()) {
            break;
        }
        // Whoever needs it will report what is wrong with it.
        bytes += read(file, &mut piece).unwrap_or(0);
    }
    let (size, time) = (bytes >> 20, kmsg::seconds(began.elapsed()));
    kmsg::note(&format!("read ahead {size} MiB in {time}"));
}

fn read(file: &OsString, piece: &mut [u8]) -> io::Result<usize> {
    let mut opened = File::open(file)?;
    let mut bytes = 0;
    loop {
        match opened.read(piece)? {
            0 => return Ok(bytes),
            length => bytes += length,
        }
    }
}

/// Whether more than half of the memory is free for anything, as
/// [proc_meminfo(5)](https://manpages.debian.org/trixie/manpages/proc_meminfo.5.en.html) counts
/// it: otherwise new pages would displace those read before.
fn has_room(meminfo: &str) -> bool {
    let number = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    match (number("MemTotal:"), number("MemFree:")) {
        (Some(total), Some(free)) => free > total / 2,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::has_room;

    #[test]
    fn half_of_the_memory_stays_free() {
        let meminfo = |free: u64| {
            format!("MemTotal:        2000 kB\nMemFree:         {free} kB\nMemAvailable: 9 kB\n")
        };
        assert!(has_room(&meminfo(1001)));
        assert!(!has_room(&meminfo(1000)));
        assert!(!has_room(""));
    }
}
