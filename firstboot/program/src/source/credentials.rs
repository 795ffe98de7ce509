//! Credentials of the system (<https://systemd.io/CREDENTIALS/>): what a hypervisor
//! passes by SMBIOS (`io.systemd.credential:NAME=...`), QEMU's `fw_cfg`
//! (`opt/io.systemd.credentials/NAME`) or the boot loader.
//!
//! `nodeimg.user-data` makes a seed; `nodeimg.meta-data`,
//! `nodeimg.network-config` and `nodeimg.vendor-data` go with it.
use nodeimg_seed::contract::stamp::Origin;
use nodeimg_seed::read::seed::{Layout, MAX_SEED_FILE, Seed, SeedFile};
use nodeimg_seed::text::problem::{Place, Problems};

use super::{Found, Home, Search, Sought};
use crate::root::Root;

const PREFIX: &str = "nodeimg.";

pub(super) fn find(search: &Search<'_>) -> Found {
    let Some(system) = search.system else {
        return Found::Absent(Vec::new());
    };
    let Ok(root) = Root::open(&system.run.join("credentials/@system")) else {
        return Found::Absent(Vec::new());
    };
    let mut problems = Problems::new();
    let mut take = |name: &str| {
        let name = format!("{PREFIX}{name}");
        let file = root.shown(&name);
        let read = root.read(&name, MAX_SEED_FILE);
        let bytes = read.map_err(|error| {
            let reason = format!("cannot be read: {error}");
            problems.error(&Place::file(&file), reason, "pass it again");
        });
        Some(SeedFile {
            bytes: bytes.ok().flatten()?,
            name: file,
        })
    };
    let names = Layout::NoCloud.names();
    let meta_data = take(names.meta_data);
    let user_data = take(names.user_data);
    let vendor_data = take(names.vendor_data);
    let network = take(names.network);
    let place = root.shown("/");
    if problems.has_errors() {
        return Found::Broken { place, problems };
    }
    if user_data.is_none() && meta_data.is_none() {
        let stray = [vendor_data, network].into_iter().flatten().next();
        return Found::Absent(
            stray
                .map(|file| format!("{} exists but `{PREFIX}user-data` does not", file.name))
                .into_iter()
                .collect(),
        );
    }
    let empty = || SeedFile::new(root.shown(&format!("{PREFIX}{}", names.meta_data)), "");
    Found::Seed(Box::new(Sought {
        place,
        seed: Seed {
            user_data,
            vendor_data,
            network,
            ..Seed::new(Layout::NoCloud, meta_data.unwrap_or_else(empty))
        },
        home: Home::Elsewhere,
        origin: Origin::default(),
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::find;
    use crate::media::System;
    use crate::root::Root;
    use crate::source::{Found, Search};

    #[test]
    fn what_is_handed_over() {
        let run = tempfile::tempdir().unwrap();
        let system = System {
            run: run.path().to_owned(),
            ..System::default()
        };
        let found = || {
            find(&Search {
                root: &Root::open(run.path()).unwrap(),
                seed: None,
                system: Some(&system),
                media: &[],
                metadata: &[],
                early: false,
                guard: &crate::source::Guard::default(),
                deadline: Instant::now(),
            })
        };
        let place = run.path().join("credentials/@system");
        assert!(matches!(found(), Found::Absent(seen) if seen.is_empty()));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("nodeimg.network-config"), "version: 2").unwrap();
        assert!(
            matches!(found(), Found::Absent(seen) if seen[0].ends_with("but `nodeimg.user-data` does not"))
        );
        fs::write(place.join("nodeimg.user-data"), "#cloud-config\n").unwrap();
        let Found::Seed(sought) = found() else {
            panic!("is a seed")
        };
        let seed = sought.seed;
        assert!(seed.meta_data.says_nothing() && seed.network.is_some());
        fs::create_dir(place.join("nodeimg.meta-data")).unwrap();
        assert!(matches!(found(), Found::Broken { .. }));
    }
}
