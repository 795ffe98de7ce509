//! What a running node needs before its seed can be checked: the seed's network.
//!
//! Two steps of a boot call this. Before systemd-networkd, `network` finds the seed and
//! applies its network, so that no interface ever has an address that the seed does not
//! give it. After networkd, `run` finds everything in place; only a seed that came over
//! the network, or was corrected since, changes anything then.
use std::thread::sleep;
use std::time::Duration;

use nodeimg_seed::contract::report::{Outcome, Report};
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::examine::examine;
use nodeimg_seed::read::meta_data::{self, MetaData};
use nodeimg_seed::read::network::{self, DIRECTORY, Link, Network};
use nodeimg_seed::read::seed::{Layout, Seed};
use nodeimg_seed::text::problem::{Place, Problems, Waited};

use crate::apply::{self, Original, State, aside};
use crate::machine::Machine;
use crate::machine::interfaces::{self, Interface};
use crate::media::{self, Patience, System};
use crate::root::Root;
use crate::root::gate::Open;
use crate::run::here::Here;
use crate::run::steady;
use crate::search::{self, Seek};
use crate::source::Guard;

const CARD_POLL: Duration = Duration::from_millis(100);

/// `nodeimg-firstboot network`: prints what it did; it does not write the report.
pub(crate) fn before_networkd(root: &Root, settings: &ImageSettings) -> Problems {
    let mut problems = Problems::new();
    let state = State::read(root);
    let finished = state.finished();
    // After a power cut in a boot that tried another instance.
    aside::settle(root, finished, DIRECTORY, &mut problems, &mut Open);
    let system = System::default();
    let guard = Guard::of(
        root,
        Some(&system),
        settings.reprovision,
        state.stamp.as_ref(),
    );
    let seek = Seek {
        root,
        seed: None,
        finished: state.whole(root).is_some(),
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
        wait_for_cards(network, &system, |link| link.set_name.is_some());
    }
    put_in_force(root, network.as_ref(), &system, &mut problems);
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

/// The network of the seed, applied if this is the running system; `None` if it asks
/// for none, or has errors.
pub(crate) fn network(
    root: &Root,
    machine: Option<Machine>,
    seed: &Seed,
    problems: &mut Problems,
) -> Option<Network> {
    let mut found = Problems::new();
    let network = network::read(seed, &mut found);
    let good = !found.has_errors();
    problems.append(found);
    if machine.is_some() && good {
        let system = System::default();
        if let Some(network) = &network {
            let (found, waited) = wait_for_cards(network, &system, |_| true);
            tell_missing(network, seed.layout, (&found, &waited), problems);
        }
        put_in_force(root, network.as_ref(), &system, problems);
    }
    network
}

fn put_in_force(root: &Root, network: Option<&Network>, system: &System, problems: &mut Problems) {
    if let Some(network) = network {
        for (name, error) in interfaces::rename(network, &interfaces::all(&system.sys)) {
            let reason = format!("a network interface cannot be renamed to `{name}`: {error}");
            let remedy = "choose a name that no other interface has";
            let mut links = network.links.iter();
            let link = links.find(|link| link.set_name.as_ref() == Some(&name));
            let place = link.map_or_else(Place::default, |link| link.place.clone());
            problems.error(&place, reason, remedy);
        }
    }
    let staged = interfaces::stage(root, network);
    if let Err(error) = staged.and_then(|changed| {
        if changed {
            interfaces::reload()
        } else {
            Ok(())
        }
    }) {
        let reason = format!("the network configuration cannot be applied: {error}");
        problems.error(&Place::file(DIRECTORY), reason, "");
    }
}

/// Waits for the interfaces of the required links: a driver may take its time, and udev
/// names an interface before it can be renamed.
fn wait_for_cards(
    network: &Network,
    system: &System,
    counts: fn(&Link) -> bool,
) -> (Vec<Interface>, Waited) {
    let mut patience = Patience::new(system);
    let mut said = false;
    loop {
        let mut found = interfaces::all(&system.sys);
        found.retain(|interface| media::is_named(system, interface));
        let missing = interfaces::missing(network, &found);
        let Some((_, reason)) = missing.iter().find(|(link, _)| counts(link)) else {
            return (found, patience.waited());
        };
        if patience.is_over() {
            return (found, patience.waited());
        }
        // Most appear at once.
        if !said && patience.waited().seconds > 0 {
            println!(
                "nodeimg-firstboot: {reason}; waiting for it {}",
                patience.shown()
            );
            said = true;
        }
        sleep(CARD_POLL);
    }
}

fn tell_missing(
    network: &Network,
    layout: Layout,
    (found, waited): (&[Interface], &Waited),
    problems: &mut Problems,
) {
    // OpenStack's form has no key for a link that may be missing.
    let way = match layout {
        Layout::NoCloud => "correct the seed, or mark the link `optional: true`",
        Layout::ConfigDrive => "attach the interface, or correct the network in the cloud",
    };
    for (link, reason) in interfaces::missing(network, found) {
        let reason = format!("{reason} ({waited})");
        let remedy = format!("this machine has {}; {way}", interfaces::listed(found));
        problems.error(&link.place, reason, remedy);
    }
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
