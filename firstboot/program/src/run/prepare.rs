//! What a running node needs before its seed can be checked: the seed's network.
//!
//! Two steps of a boot call this. Before systemd-networkd, `early` finds the seed and
//! applies its network, so that no interface ever has an address that the seed does not
//! give it. After networkd, `run` finds everything in place; only a seed that came over
//! the network, or was corrected since, changes anything then.
use std::thread::sleep;
use std::time::Duration;

use nodeimg_seed::read::network::{self, DIRECTORY, Link, Network};
use nodeimg_seed::read::seed::{Layout, Seed};
use nodeimg_seed::text::problem::{Place, Problems, Waited};

use crate::machine::Machine;
use crate::machine::interfaces::{self, Interface};
use crate::media::{self, Patience, System};
use crate::root::Root;

const CARD_POLL: Duration = Duration::from_millis(100);

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

pub(super) fn put_in_force(
    root: &Root,
    network: Option<&Network>,
    system: &System,
    problems: &mut Problems,
) {
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
pub(super) fn wait_for_cards(
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
