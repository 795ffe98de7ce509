//! Data sources: where a seed can come from.
//!
//! The order of [`SOURCES`] is the order of the search; the first source that is
//! present wins, and sources are never merged. To add one: a file here with a `find`,
//! and a row in [`SOURCES`] and in `docs/reference/first-boot/seed.md`.
mod boot_partition;
mod credentials;
mod directory;
pub(crate) mod guard;
mod http;
mod kernel;
mod medium;
mod near;
mod remote;
mod seed_option;
mod state_directory;

use std::path::Path;
use std::time::Instant;

use nodeimg_seed::contract::settings::MetadataService;
use nodeimg_seed::contract::stamp::Origin;
use nodeimg_seed::read::seed::Seed;
use nodeimg_seed::text::problem::Problems;
use nodeimg_seed::volume::FileSystem;

use crate::media::{Device, Medium, System};
use crate::root::Root;

pub(crate) use guard::Guard;
pub(crate) use near::near_misses;

/// The places to look in.
pub(crate) struct Search<'a> {
    pub(crate) root: &'a Root,
    /// `--seed`: then no other source is tried.
    pub(crate) seed: Option<&'a Path>,
    pub(crate) system: Option<&'a System>,
    /// The volumes of this machine; none if the root is not its own.
    pub(crate) media: &'a [Medium],
    /// Services that the image's recipe asks for.
    pub(crate) metadata: &'a [MetadataService],
    /// Whether the network is not up yet.
    pub(crate) early: bool,
    /// What this node refuses, since it is set up.
    pub(crate) guard: &'a Guard,
    /// The deadline of this pass, for requests to servers.
    pub(crate) deadline: Instant,
}

/// Where a seed is, for overwriting its secrets later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Home {
    Volume {
        device: Device,
        kind: FileSystem,
        base: String,
    },
    /// In the root itself.
    Directory(String),
    /// Passed by the firmware, on a server, or named by the caller: not ours to change.
    Elsewhere,
}

/// A seed that was found.
pub(crate) struct Sought {
    /// For messages.
    pub(crate) place: String,
    pub(crate) seed: Seed,
    pub(crate) home: Home,
    /// For the stamp; without the machine.
    pub(crate) origin: Origin,
}

pub(crate) enum Found {
    /// Absent. What was found instead, near misses by name; empty if the source was not tried.
    Absent(Vec<String>),
    /// Present, but not readable as a seed.
    Broken {
        place: String,
        problems: Problems,
    },
    Seed(Box<Sought>),
    /// Asked for, but not reachable (yet). Sources further down are ignored then.
    Pending {
        place: String,
        reason: String,
    },
}

struct Source {
    name: &'static str,
    /// Made for this very machine: no wait for other sources.
    firm: bool,
    find: fn(&Search<'_>) -> Found,
}

const SOURCES: &[Source] = &[
    Source {
        name: "--seed",
        firm: true,
        find: seed_option::find,
    },
    Source {
        name: "kernel command line or firmware",
        firm: true,
        find: kernel::find,
    },
    Source {
        name: "credentials",
        firm: true,
        find: credentials::find,
    },
    Source {
        name: "NoCloud volume",
        firm: true,
        find: medium::no_cloud,
    },
    Source {
        name: "config drive",
        firm: true,
        find: medium::config_drive,
    },
    Source {
        name: "state directory",
        firm: false,
        find: state_directory::find,
    },
    Source {
        name: "boot partition",
        firm: false,
        find: boot_partition::find,
    },
    Source {
        name: "metadata service",
        firm: false,
        find: remote::link_local,
    },
];

/// Tries each source in turn. Places carry the name of their source. Also says whether
/// to use the result at once, or to wait for other sources.
pub(crate) fn find(search: &Search<'_>) -> (Found, bool) {
    let mut seen = Vec::new();
    for source in SOURCES {
        if search.seed.is_some() && source.name != "--seed" {
            break;
        }
        let named = |place: String| format!("{place} ({})", source.name);
        match (source.find)(search) {
            Found::Absent(lines) => seen.extend(lines.into_iter().map(named)),
            Found::Broken { place, problems } => {
                let place = named(place);
                return (Found::Broken { place, problems }, false);
            }
            Found::Pending { place, reason } => {
                let place = named(place);
                return (Found::Pending { place, reason }, source.firm);
            }
            Found::Seed(mut sought) => {
                let title = sought.seed.layout.title();
                sought.place = format!("{title} in {}", named(sought.place));
                return (Found::Seed(sought), source.firm);
            }
        }
    }
    (Found::Absent(seen), false)
}
