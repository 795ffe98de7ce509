//! Waiting until the devices that the machine came up with are all there.
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::System;

const POLL: Duration = Duration::from_millis(20);

/// Waits until udev has worked off its queue: drivers are loaded then, and
/// partitions known. Without a running udev there is nothing to wait for.
///
/// The file `/run/udev/queue` is there as long as there are events to come; it
/// is what `udevadm settle` looks at as well.
pub(crate) fn wait_for_udev(system: &System, deadline: Instant) {
    while system.udev_control().exists()
        && system.udev_queue().exists()
        && Instant::now() < deadline
    {
        sleep(POLL);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use super::{System, wait_for_udev};

    #[test]
    fn an_empty_queue_and_the_deadline_end_it() {
        let run = tempfile::tempdir().unwrap();
        let system = System {
            run: run.path().to_owned(),
            ..System::default()
        };
        let began = Instant::now();
        let far = began + Duration::from_secs(3600);
        wait_for_udev(&system, far);
        fs::create_dir(run.path().join("udev")).unwrap();
        fs::write(system.udev_control(), "").unwrap();
        wait_for_udev(&system, far);
        fs::write(system.udev_queue(), "").unwrap();
        let wait = Duration::from_millis(80);
        wait_for_udev(&system, Instant::now() + wait);
        assert!(began.elapsed() >= wait);
        std::thread::scope(|scope| {
            scope.spawn(|| fs::remove_file(system.udev_queue()).unwrap());
            wait_for_udev(&system, far);
        });
    }
}
