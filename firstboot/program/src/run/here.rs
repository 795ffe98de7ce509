//! The node itself, as the place where its seed is examined.
use std::borrow::Cow;
use std::thread::sleep;
use std::time::Duration;

use nodeimg_seed::check::{self, Addresses, InterfaceAddress};
use nodeimg_seed::contract::paths::TEMPLATE_DIR;
use nodeimg_seed::examine::Surroundings;
use nodeimg_seed::plan::{Image, TemplateFile};
use nodeimg_seed::read::cloud_config::UserData;
use nodeimg_seed::read::network::Network;
use nodeimg_seed::read::seed::Seed;
use nodeimg_seed::text::problem::{Place, Problems, Waited};

use crate::apply::Original;
use crate::machine::{self, Machine};
use crate::media::{Patience, System};
use crate::root::Root;
use crate::run::prepare;

const ADDRESS_POLL: Duration = Duration::from_millis(200);

const MAX_TEMPLATE: usize = 1 << 20;

pub(crate) struct Here<'a> {
    pub(crate) root: &'a Root,
    pub(crate) machine: Option<Machine>,
    /// Addresses that a copy of a root is taken to have.
    pub(crate) assumed: &'a [InterfaceAddress],
    pub(crate) image: Original<'a>,
    /// Whether the seed's network is still to be put in force.
    pub(crate) is_early: bool,
}

impl Surroundings for Here<'_> {
    fn network(&self, seed: &Seed, problems: &mut Problems) -> Option<Network> {
        prepare::network(self.root, self.machine, seed, problems)
    }

    fn architecture(&self) -> &str {
        std::env::consts::ARCH
    }

    fn addresses(&self, user: &UserData) -> (Addresses, Option<Waited>) {
        match self.machine {
            Some(machine) => wait_for_address(machine, user),
            None if self.is_early => (Addresses::Later, None),
            None if self.assumed.is_empty() => (Addresses::Unknown, None),
            None => (Addresses::Known(self.assumed.to_vec()), None),
        }
    }

    fn now(&self) -> u64 {
        machine::now()
    }

    fn templates(&self, problems: &mut Problems) -> Option<Cow<'_, [TemplateFile]>> {
        read_templates(self.root, problems).map(Cow::Owned)
    }

    fn image(&self) -> &dyn Image {
        &self.image
    }
}

/// Waits for the address that the seed asks for; returns how long, if it did not come.
fn wait_for_address(machine: Machine, user: &UserData) -> (Addresses, Option<Waited>) {
    let system = System::default();
    let mut patience = Patience::new(&system);
    let mut said = false;
    loop {
        let addresses = Addresses::Known(machine.addresses());
        if !check::still_missing(user, &addresses) {
            return (addresses, None);
        }
        if patience.is_over() {
            return (addresses, Some(patience.waited()));
        }
        if !said {
            println!(
                "nodeimg-firstboot: waiting for the node's address {}",
                patience.shown()
            );
            said = true;
        }
        sleep(ADDRESS_POLL);
    }
}

/// Every file below the template directory, by the path that it renders to.
pub(super) fn read_templates(root: &Root, problems: &mut Problems) -> Option<Vec<TemplateFile>> {
    let mut templates = Vec::new();
    let mut open = vec![String::new()];
    while let Some(inside) = open.pop() {
        let directory = format!("{TEMPLATE_DIR}{inside}");
        let failed = |error: std::io::Error, problems: &mut Problems| {
            let place = Place::file(root.shown(&directory));
            problems.error(
                &place,
                format!("cannot be read: {error}"),
                "rebuild the image",
            );
        };
        let names = root
            .list(&directory)
            .map_err(|error| failed(error, problems))
            .ok()?;
        for (name, is_directory) in names {
            let path = format!("{inside}/{name}");
            if is_directory {
                open.push(path);
                continue;
            }
            let read = root
                .read(&format!("{TEMPLATE_DIR}{path}"), MAX_TEMPLATE)
                .and_then(|bytes| {
                    let bytes = bytes.ok_or_else(|| std::io::Error::other("is a dangling link"))?;
                    String::from_utf8(bytes.to_vec())
                        .map_err(|_| std::io::Error::other("is not UTF-8 text"))
                });
            let text = read.map_err(|error| failed(error, problems)).ok()?;
            templates.push(TemplateFile { path, text });
        }
    }
    Some(templates)
}
