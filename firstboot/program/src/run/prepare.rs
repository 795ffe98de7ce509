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
use nodeimg_seed::read::meta_data;
use nodeimg_seed::read::network::{self, DIRECTORY, Link, Network};
use nodeimg_seed::read::seed::Seed;
use nodeimg_seed::text::problem::{Place, Problems, Waited};

use crate::apply::{self, State};
use crate::machine::Machine;
use crate::machine::interfaces::{self, Interface};
use crate::media::{self, Patience, System};
use crate::root::Root;
use crate::root::gate::Open;
use crate::search::{self, Seek};
use crate::source::Guard;

const CARD_POLL: Duration = Duration::from_millis(100);

/// `nodeimg-firstboot network`: prints what it did; it does not write the report.
pub(crate) fn before_networkd(root: &Root, settings: &ImageSettings) -> Problems {
    let mut problems = Problems::new();
    let state = State::read(root);
    let finished = state.finished(root);
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
        finished: finished.is_some(),
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
    let before = problems.clone();
    let network = network::read(&sought.seed, &mut problems);
    if problems != before && network.is_none() && problems.has_errors() {
        return problems;
    }
    // A cloned machine has the network of its original.
    if let Err(failure) = apply::retire(root, &state, DIRECTORY, &mut Open) {
        failure.tell(&mut problems);
    }
    if let Some(network) = &network {
        wait_for_cards(network, &system, |link| link.set_name.is_some());
    }
    put_in_force(root, network.as_ref(), &system, &mut problems);
    problems
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
            tell_missing(network, &found, &waited, problems);
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
            problems.error(&Place::file("network").key(name), reason, remedy);
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

fn tell_missing(network: &Network, found: &[Interface], waited: &Waited, problems: &mut Problems) {
    for (link, reason) in interfaces::missing(network, found) {
        let reason = format!("{reason} ({waited})");
        let remedy = format!(
            "this machine has {}; correct the seed, or mark the link `optional: true`",
            interfaces::listed(found)
        );
        problems.error(&link.place, reason, remedy);
    }
}
