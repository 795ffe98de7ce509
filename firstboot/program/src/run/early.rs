//! The step before systemd-networkd: whose network is in force when the interfaces come up.
use std::time::Duration;

use nodeimg_seed::contract::report::{Outcome, Report};
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::examine::examine;
use nodeimg_seed::read::meta_data::{self, MetaData};
use nodeimg_seed::read::network::{self, DIRECTORY};
use nodeimg_seed::read::seed::Seed;
use nodeimg_seed::text::problem::Problems;

use crate::apply::{self, Original, State, aside};
use crate::media::System;
use crate::root::Root;
use crate::root::gate::Open;
use crate::run::here::Here;
use crate::run::{prepare, steady};
use crate::search::{self, Seek};
use crate::source::Guard;

/// `nodeimg-firstboot network`: prints what it did; it does not write the report.
pub(crate) fn before_networkd(root: &Root, settings: &ImageSettings) -> Problems {
    let mut problems = Problems::new();
    let state = State::read(root);
    if state.check_reader(&mut problems).is_none() {
        return problems;
    }
    let finished = state.finished();
    // After a power cut in a boot that tried another instance.
    aside::settle(root, finished, DIRECTORY, &mut problems, &mut Open);
    let system = System::default();
    let guard = Guard::of(
        root,
        Some(&system),
        settings.reprovision,
        state.known(root).as_ref(),
    );
    let seek = Seek {
        root,
        seed: None,
        finished: state.needs_no_seed(root),
        wait: Duration::from_secs(u64::from(settings.seed_wait)),
        system: Some(&system),
        metadata: &settings.metadata,
        guard: &guard,
        early: true,
    };
    let mut report = Report::new(Outcome::Failed);
    let sought = search::seek(&seek, &mut report, &mut problems);
    guard.tell(false, &mut problems);
    let Some(sought) = sought else {
        return problems;
    };
    let Some(meta) = meta_data::read(&sought.seed, &mut problems) else {
        return problems;
    };
    if finished.is_some_and(|stamp| stamp.instance_id == meta.instance_id) {
        return problems;
    }
    if !steady::names_itself(finished, &meta, &sought.seed, &mut problems) {
        return problems;
    }
    let before = problems.clone();
    let network = network::read(&sought.seed, &mut problems);
    if problems != before && network.is_none() && problems.has_errors() {
        return problems;
    }
    if make_way(root, &sought.seed, &meta, settings, &state, &mut problems).is_none() {
        return problems;
    }
    if let Some(network) = &network {
        prepare::wait_for_cards(network, &system, |link| link.set_name.is_some());
    }
    prepare::put_in_force(root, network.as_ref(), &system, &mut problems);
    problems
}

/// Puts the network of an earlier instance out of force: a cloned machine has the network
/// of its original. `None` if it stays, since the new seed does not pass.
fn make_way(
    root: &Root,
    seed: &Seed,
    meta: &MetaData,
    settings: &ImageSettings,
    state: &State,
    problems: &mut Problems,
) -> Option<()> {
    let old = aside::files(root, state, DIRECTORY);
    if old.is_empty() && state.finished().is_none() {
        return Some(());
    }
    if !passes(root, seed, meta, settings, state, problems) {
        return None;
    }
    let put = aside::put(root, &old, &mut Open);
    put.map_err(|failure| failure.tell(problems)).ok()
}

/// Whether the whole seed passes, as far as that can be told before the network is up;
/// until then, the instance before it keeps its network.
pub(crate) fn passes(
    root: &Root,
    seed: &Seed,
    meta: &MetaData,
    settings: &ImageSettings,
    state: &State,
    problems: &mut Problems,
) -> bool {
    let mut found = Problems::new();
    let around = Here {
        root,
        machine: None,
        assumed: &[],
        image: Original::new(root, state),
        is_early: true,
    };
    let examined = examine(seed, meta, settings, &around, &mut found);
    if let Some(plan) = examined.and_then(|examined| examined.plan) {
        apply::fit::check(root, &plan, state, &settings.writable, &mut found);
    }
    let good = !found.has_errors();
    if !good {
        problems.append(found);
    }
    good
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;

    use nodeimg_seed::contract::settings::ImageSettings;
    use nodeimg_seed::read::meta_data;
    use nodeimg_seed::read::network::DIRECTORY;
    use nodeimg_seed::read::seed::{Layout, Seed, SeedFile};
    use nodeimg_seed::text::problem::Problems;

    use super::make_way;
    use crate::apply::{State, aside};
    use crate::root::Root;
    use crate::root::gate::Open;

    const SETTINGS: &[u8] = br#"{"version": 1, "profile": "container-host",
        "writable": ["/etc", "/var"], "seed_wait": 1, "epoch": 1700000000}"#;
    const STAMP: &str = r#"{"version": 1, "instance_id": "a", "host_name": "a",
        "files": ["/etc/hosts", "/etc/systemd/network/10-nodeimg-e.network"]}"#;

    #[test]
    fn the_old_network_stays_until_the_whole_new_seed_has_passed() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("etc/hosts", "");
        write("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
        write("etc/systemd/network/10-nodeimg-e.network", "old");
        write("var/lib/nodeimg/instance.json", STAMP);
        fs::create_dir_all(directory.path().join("usr/lib/nodeimg/templates")).unwrap();
        let root = Root::open(directory.path()).unwrap();
        let settings = ImageSettings::from_json(SETTINGS).unwrap();
        let state = State::read(&root);
        let network = || root.list(DIRECTORY).unwrap();
        let old = network();
        for (user, passes) in [
            ("#cloud-config\nhostname: B_B\n", false),
            ("<html>Sign in</html>", false),
            (
                "#cloud-config\nhostname: b\nwrite_files: [{path: /etc/passwd/x}]\n",
                false,
            ),
            ("#cloud-config\nhostname: b\n", true),
        ] {
            let meta = SeedFile::new("meta-data", "instance-id: b\n");
            let seed = Seed {
                user_data: Some(SeedFile::new("user-data", user)),
                ..Seed::new(Layout::NoCloud, meta)
            };
            let mut problems = Problems::new();
            let meta = meta_data::read(&seed, &mut problems).unwrap();
            let made = make_way(&root, &seed, &meta, &settings, &state, &mut problems);
            assert_eq!(made.is_some(), passes, "{user}: {problems:?}");
            assert_eq!(problems.has_errors(), !passes, "{user}");
            assert_eq!(network() == old, !passes, "{user}");
            assert!(!root.exists("/var/lib/nodeimg/pending.json"));
        }
        // Nothing that networkd reads, and yet the instance is complete.
        assert!(
            network()
                .iter()
                .all(|(name, _)| !name.ends_with(".network"))
        );
        let stamp = state.finished().unwrap();
        assert!(crate::apply::missing(&root, stamp).is_empty());
        let mut problems = Problems::new();
        assert!(aside::settle(
            &root,
            Some(stamp),
            DIRECTORY,
            &mut problems,
            &mut Open
        ));
        assert_eq!(network(), old);
        // Of another instance, it goes for good.
        let paths = aside::files(&root, &state, DIRECTORY);
        assert!(aside::put(&root, &paths, &mut Open).is_ok());
        let mut other = stamp.clone();
        other.files.clear();
        assert!(!aside::settle(
            &root,
            Some(&other),
            DIRECTORY,
            &mut problems,
            &mut Open
        ));
        assert!(network().is_empty());
        assert_eq!(problems, Problems::new());
    }
}
