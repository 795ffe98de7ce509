//! A power cut at every step of writing over a seed, and what the next boot makes of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::fs;
use std::io;
use std::path::Path;

use nodeimg_seed::contract::overwritten;
use nodeimg_seed::read::meta_data;
use nodeimg_seed::read::seed::{Layout, Seed, SeedFile};
use nodeimg_seed::text::problem::Problems;

use super::{Stage, overwrite, stage};
use crate::root::Root;
use crate::root::gate::{Change, Gate, Open};

const SECRET: &str = "SECRET-KEY-MATERIAL";

struct Cut {
    left: usize,
}

impl Gate for Cut {
    fn pass(&mut self, _change: Change, _path: &str) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or(io::Error::other("cut"))?;
        Ok(())
    }
}

fn write(directory: &Path, files: &[(&str, String)]) {
    for (name, text) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn seed(directory: &Path, layout: Layout) -> Seed {
    let names = layout.names();
    let take = |name: &str| {
        let bytes = fs::read(directory.join(name)).ok()?;
        Some(SeedFile::new(name, bytes))
    };
    Seed {
        user_data: take(names.user_data),
        vendor_data: take(names.vendor_data),
        ..Seed::new(layout, take(names.meta_data).unwrap())
    }
}

fn everything(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&everything(&path));
        } else {
            text.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap()));
        }
    }
    text
}

/// No identity of its own: the bytes are the identity, and they go.
fn no_cloud(place: &Path) {
    let long = format!(
        "#cloud-config\n# {SECRET}\n{}",
        format!("# {SECRET}\n").repeat(500)
    );
    write(
        place,
        &[
            ("meta-data", "local-hostname: n\n".to_owned()),
            ("user-data", long),
            ("vendor-data", format!("#!/bin/sh\n{SECRET}")),
        ],
    );
}

fn drive(place: &Path) {
    let meta = format!("{{\"uuid\": \"u\", \"admin_pass\": \"{SECRET}\", \"x\": 1}}");
    let user = format!("#cloud-config\npassword: {SECRET}\n");
    write(
        place,
        &[
            ("openstack/latest/meta_data.json", meta.clone()),
            ("openstack/latest/user_data", user.clone()),
            (
                "openstack/latest/vendor_data2.json",
                format!("{{\"cloud-init\": \"{SECRET}\"}}"),
            ),
            ("openstack/2018-08-27/meta_data.json", meta),
            ("openstack/2018-08-27/user_data", user.clone()),
            ("openstack/content/0000", format!("{SECRET}{SECRET}")),
            ("ec2/latest/user-data", user),
        ],
    );
}

#[test]
fn whole_at_last_wherever_it_is_cut() {
    for (layout, make) in [
        (Layout::NoCloud, no_cloud as fn(&Path)),
        (Layout::ConfigDrive, drive),
    ] {
        let mut cuts = 0;
        loop {
            let place = tempfile::tempdir().unwrap();
            make(place.path());
            let root = Root::open(place.path()).unwrap();
            let before = seed(place.path(), layout);
            let mut problems = Problems::new();
            let id = meta_data::read(&before, &mut problems).unwrap().instance_id;
            let digest = before.digest();
            let size = before.user_data.as_ref().unwrap().bytes.len();
            assert_eq!(stage(&before, &digest), Stage::Fresh);
            let cut = overwrite(&root, "/", layout, &id, &mut Cut { left: cuts });
            let then = seed(place.path(), layout);
            // The next boot knows it for the same instance, and goes on.
            let now = meta_data::read(&then, &mut problems).unwrap().instance_id;
            assert_eq!(now, id, "cut at {cuts}");
            let reached = stage(&then, &digest);
            if cut.is_ok() {
                assert_eq!(reached, Stage::Done);
                assert!(!everything(place.path()).contains(SECRET));
                let size_now = then.user_data.as_ref().unwrap().bytes.len();
                assert_eq!(size_now, size.max(overwritten::mark(&id).len()));
                break;
            }
            let clean = !everything(place.path()).contains(SECRET);
            assert!(clean || reached != Stage::Done, "cut at {cuts}");
            assert_ne!(reached, Stage::Changed, "cut at {cuts}");
            overwrite(&root, "/", layout, &id, &mut Open).unwrap();
            assert!(!everything(place.path()).contains(SECRET), "cut at {cuts}");
            assert_eq!(stage(&seed(place.path(), layout), &digest), Stage::Done);
            cuts += 1;
        }
        assert!(cuts > 3, "{cuts}");
    }
}

#[test]
fn another_seed_is_not_touched() {
    let place = tempfile::tempdir().unwrap();
    no_cloud(place.path());
    let digest = seed(place.path(), Layout::NoCloud).digest();
    fs::write(place.path().join("user-data"), "#cloud-config\n").unwrap();
    let changed = seed(place.path(), Layout::NoCloud);
    assert_eq!(stage(&changed, &digest), Stage::Changed);
}
