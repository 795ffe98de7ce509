//! Waiting until the devices that the machine came up with are all there.
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::System;

const POLL: Duration = Duration::from_millis(20);
/// Longer than udev takes for a device that it was told of, and no reason to
/// hold up a boot for one that its rules pass over.
const UNKNOWN_DEVICE: Duration = Duration::from_secs(10);

/// Waits until udev has worked off its queue: drivers are loaded then, and
/// partitions known. Without a running udev there is nothing to wait for.
///
/// The file `/run/udev/queue` is there as long as there are events to come; it
/// is what `udevadm settle` looks at as well. A udevd that has only just started
/// has not made it yet, though all devices have been announced: so each device
/// must have its record, too, which udev writes when it is done with it.
pub(crate) fn wait_for_udev(system: &System, deadline: Instant) {
    let patience = Instant::now() + UNKNOWN_DEVICE;
    while system.udev_control().exists() {
        let now = Instant::now();
        let known = now >= patience || all_known(system);
        if now >= deadline || (known && !system.udev_queue().exists()) {
            return;
        }
        sleep(POLL);
    }
}

fn all_known(system: &System) -> bool {
    let mut volumes = system.devices().into_iter();
    let cards = crate::cards::cards(&system.sys);
    volumes.all(|device| has_record(system, &format!("b{}", device.number)))
        && cards.iter().all(|card| is_named(system, card))
}

/// Whether udev is done with a network card, its name included.
pub(crate) fn is_named(system: &System, card: &crate::cards::Card) -> bool {
    !system.udev_control().exists() || has_record(system, &format!("n{}", card.index))
}

fn has_record(system: &System, name: &str) -> bool {
    system.run.join("udev/data").join(name).exists()
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
        let sys = tempfile::tempdir().unwrap();
        let system = System {
            run: run.path().to_owned(),
            sys: sys.path().to_owned(),
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
        // The queue is empty because udevd has yet to hear of this one.
        let device = sys.path().join("class/block/sda");
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("dev"), "8:0\n").unwrap();
        fs::write(device.join("size"), "100\n").unwrap();
        let later = Instant::now();
        wait_for_udev(&system, later + wait);
        assert!(later.elapsed() >= wait);
        fs::create_dir(run.path().join("udev/data")).unwrap();
        fs::write(run.path().join("udev/data/b8:0"), "I:1\n").unwrap();
        wait_for_udev(&system, far);
    }
}
