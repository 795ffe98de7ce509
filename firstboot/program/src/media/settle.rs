//! Waits until all devices that the machine started with are present, and for what
//! these bring later.
use std::thread::sleep;
use std::time::{Duration, Instant};

use nodeimg_seed::text::problem::Waited;

use super::System;

const POLL: Duration = Duration::from_millis(20);
/// Longer than udev takes for a device that it was told of; a device that its rules
/// ignore must not hold up the boot.
const UNKNOWN_DEVICE: Duration = Duration::from_secs(10);

/// Waits until udev has processed its queue: then drivers are loaded and partitions
/// known. Without a running udev there is nothing to wait for.
///
/// The file `/run/udev/queue` exists as long as there are pending events; `udevadm
/// settle` looks at it as well. A udevd that has only just started has not made it yet,
/// though all devices have been announced: so each device must have its record, too,
/// which udev writes when it is done with it.
pub(crate) fn wait_for_udev(system: &System, deadline: Instant) {
    let began = Instant::now();
    while Instant::now() < deadline && is_busy(system, began) {
        sleep(POLL);
    }
}

/// Whether udev is still processing the devices of a machine; `began` is the start of
/// the wait.
fn is_busy(system: &System, began: Instant) -> bool {
    system.udev_control().exists()
        && (system.udev_queue().exists()
            || (began.elapsed() < UNKNOWN_DEVICE && !all_known(system)))
}

/// Time for a network interface to appear, or an address. It counts from when udev was
/// last seen at work, since on a slow machine the driver that makes the interface may be
/// far down its queue; and it ends whatever udev does.
pub(crate) struct Patience<'a> {
    system: &'a System,
    began: Instant,
    /// When udev was last seen at work.
    last_busy: Instant,
    is_busy: bool,
    /// With udev idle, and in total.
    limits: [Duration; 2],
}

impl<'a> Patience<'a> {
    /// DHCP on a slow switch port takes most of the first, a fully emulated machine
    /// most of the second. The units' own limits are longer.
    const LIMITS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(300)];

    pub(crate) fn new(system: &'a System) -> Self {
        Self::of(system, Self::LIMITS)
    }

    fn of(system: &'a System, limits: [Duration; 2]) -> Self {
        let now = Instant::now();
        Self {
            system,
            began: now,
            last_busy: now,
            is_busy: false,
            limits,
        }
    }

    /// To be called again and again.
    pub(crate) fn is_over(&mut self) -> bool {
        self.is_busy = is_busy(self.system, self.began);
        if self.is_busy {
            self.last_busy = Instant::now();
        }
        let [at_rest, in_all] = self.limits;
        self.last_busy.elapsed() >= at_rest || self.began.elapsed() >= in_all
    }

    /// For the report.
    pub(crate) fn waited(&self) -> Waited {
        Waited {
            seconds: self.began.elapsed().as_secs(),
            is_busy: self.is_busy,
        }
    }

    /// "up to 60 s ..."
    pub(crate) fn shown(&self) -> String {
        let [at_rest, in_all] = self.limits.map(|limit| limit.as_secs());
        format!("up to {at_rest} s after udev has processed all devices, {in_all} s in total")
    }
}

fn all_known(system: &System) -> bool {
    let mut volumes = system.devices().into_iter();
    let interfaces = crate::machine::interfaces::all(&system.sys);
    volumes.all(|device| has_record(system, &format!("b{}", device.number)))
        && interfaces
            .iter()
            .all(|interface| is_named(system, interface))
}

/// Whether udev is done with a network interface, its name included.
pub(crate) fn is_named(system: &System, interface: &crate::machine::interfaces::Interface) -> bool {
    !system.udev_control().exists() || has_record(system, &format!("n{}", interface.index))
}

fn has_record(system: &System, name: &str) -> bool {
    system.run.join("udev/data").join(name).exists()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use super::{Patience, System, wait_for_udev};

    #[test]
    fn patience_begins_when_udev_is_at_rest() {
        let run = tempfile::tempdir().unwrap();
        let system = System {
            run: run.path().to_owned(),
            sys: run.path().join("sys"),
            ..System::default()
        };
        fs::create_dir(run.path().join("udev")).unwrap();
        fs::write(system.udev_control(), "").unwrap();
        fs::write(system.udev_queue(), "").unwrap();
        let minute = Duration::from_secs(60);
        let mut patience = Patience::of(&system, [minute, 60 * minute]);
        // Its time is over, but udev is still working.
        patience.last_busy -= 2 * minute;
        assert!(!patience.is_over());
        let mut bounded = Patience::of(&system, [minute, Duration::ZERO]);
        assert!(bounded.is_over());
        assert_eq!(
            bounded.waited().to_string(),
            "waited 0 s, and udev is still processing this machine's devices"
        );
        fs::remove_file(system.udev_queue()).unwrap();
        assert!(!patience.is_over());
        patience.last_busy -= 2 * minute;
        assert!(patience.is_over());
        assert_eq!(patience.waited().to_string(), "waited 0 s");
    }

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
        // The queue is empty because udevd has not heard of this one yet.
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
