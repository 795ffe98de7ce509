#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::fs;
use std::path::Path;
use std::time::Instant;

use super::find;
use crate::media::System;
use crate::root::Root;
use crate::source::{Found, Search};

struct Machine(tempfile::TempDir);

impl Machine {
    fn new(command_line: &str, serial: &str) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.write("proc/cmdline", command_line);
        machine.write("sys/class/dmi/id/product_serial", serial);
        machine.write("sys/class/dmi/id/product_uuid", "4711\n");
        machine.write("sys/class/dmi/id/chassis_serial", "a/../b\n");
        machine
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn found(&self, early: bool) -> String {
        let at = |name: &str| self.0.path().join(name);
        let system = System {
            sys: at("sys"),
            proc: at("proc"),
            ..System::default()
        };
        let search = Search {
            root: &Root::open(Path::new(self.0.path())).unwrap(),
            seed: None,
            system: Some(&system),
            media: &[],
            metadata: &[],
            early,
            guard: &crate::source::Guard::default(),
            deadline: Instant::now(),
        };
        let found = match find(&search) {
            Found::Absent(seen) => format!("absent {}", seen.join("; ")),
            Found::Broken { problems, .. } => {
                let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
                format!("broken {}", all.join("; "))
            }
            Found::Seed(sought) => {
                let named = &sought.seed.named;
                let (id, name) = (&named.instance_id, &named.local_hostname);
                format!("seed {} i={id:?} h={name:?}", sought.place)
            }
            Found::Pending { place, .. } => format!("pending {place}"),
        };
        found.replace(&self.0.path().display().to_string(), "")
    }
}

#[test]
fn places() {
    for (command_line, serial, expected) in [
        ("root=/dev/sda quiet", "", "absent "),
        ("ds=nocloudish", "x", "absent "),
        (
            "quiet ds=nocloud ro",
            "",
            "absent the kernel command line: `ds=nocloud` does not say where the seed is",
        ),
        ("ds=nocloud;s=/seed/", "", "seed /seed"),
        (
            "ds=nocloud;seedfrom=file:///seed",
            "ds=nocloud;s=/other/",
            "seed /seed",
        ),
        ("ro", "ds=nocloud;s=/seed\n", "seed /seed"),
        ("ds=nocloud;s=/none/", "", "holds neither `meta-data`"),
        (
            "ds=nocloud-net;s=http://10.0.0.1/a/",
            "",
            "pending http://10.0.0.1/a/meta-data",
        ),
        (
            "ds=nocloud;s=http://10.0.0.1/__dmi.system-uuid__/",
            "",
            "pending http://10.0.0.1/4711/meta-data",
        ),
        (
            "ds=nocloud;s=http://10.0.0.1/__dmi.system-version__/",
            "",
            "firmware has no system-version",
        ),
        // What would lead elsewhere is not put in.
        (
            "ds=nocloud;s=http://10.0.0.1/__dmi.chassis-serial-number__/",
            "",
            "firmware has no chassis-serial-number",
        ),
        (
            "ds=nocloud;s=http://10.0.0.1/__dmi.shoe-size__/",
            "",
            "`__dmi.shoe-size__` is not supported",
        ),
        (
            "ds=nocloud;s=http://seed.example/",
            "",
            "first boot only connects to IP addresses",
        ),
        ("ds=nocloud;s=https://10.0.0.1/", "", "uses https"),
        (
            "ds=nocloud;i=iid-1;h=node-7;s=/seed/",
            "",
            "seed /seed/ i=Some(\"iid-1\") h=Some(\"node-7\")",
        ),
        (
            "ds=nocloud;h=node-7",
            "",
            "names the machine but not where its seed is, and sources are never merged",
        ),
        ("ds=nocloud;x=1", "", "`x=1` is not supported"),
    ] {
        let machine = Machine::new(command_line, serial);
        machine.write("seed/meta-data", "");
        machine.write("seed/user-data", "");
        let found = machine.found(true);
        assert!(found.contains(expected), "{command_line} {serial}: {found}");
    }
}
