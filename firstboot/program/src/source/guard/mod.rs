//! A node that is set up is not taken by somebody else's seed: which sources it reads, and
//! of which it takes a new instance.
//!
//! # Rules
//! - Of volumes, the very one that the node's own seed came from. Another one may be a
//!   tenant's: a pod with a raw block volume writes whatever label it likes.
//! - Of servers and metadata services, the one that the node's own seed came from.
//! - Whoever decides what the machine boots is trusted: the kernel command line as to
//!   directories, the firmware's and the boot loader's credentials; and so is whoever writes
//!   to the node's own disk: the state directory, the boot partition.
//! - A machine other than the one that was set up takes a seed from anywhere: its disk is a
//!   copy, and a copy becomes a node of its own.
//! - So does a node whose operator says so, once by `nodeimg-firstboot reprovision` or for as
//!   long as the machine's command line or credentials say it.
//! - The recipe can choose `any`, or `never`: then only the operator's word counts.
//! - So it is with a node whose stamp and copy are lost: what it was cannot be compared.
//!
//! Whatever is refused is told once, with what to do if it was meant.
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;

use nodeimg_seed::contract::overwritten;
use nodeimg_seed::contract::settings::{MetadataService, Reprovision};
use nodeimg_seed::contract::stamp::{MediumId, Origin, Stamp};
use nodeimg_seed::read::meta_data;
use nodeimg_seed::read::seed::Seed;
use nodeimg_seed::text::problem::{Place, Problems};

use super::Sought;
use crate::apply::UNKNOWN;
use crate::media::{Content, Medium, System, identity};
use crate::root::Root;
use crate::root::gate::Open;

/// The note by which `nodeimg-firstboot reprovision` speaks to the next run.
pub(crate) const NOTE: &str = "/var/lib/nodeimg/reprovision";

/// The word of the kernel command line, and the name of the credential.
const WORD: &str = "nodeimg.reprovision";

const REMEDY: &str = "remove it; if it is meant for this node, run `nodeimg-firstboot reprovision` \
                      and reboot, or boot once with `nodeimg.reprovision=1` on the kernel command \
                      line";

/// How the operator says that this node may become another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permit {
    Note,
    CommandLine,
    Credential,
}

/// The instance that may not give way to any other.
#[derive(Debug)]
struct Own {
    instance_id: String,
    /// Not known of one that an earlier version has set up.
    origin: Option<Origin>,
    /// Why no source at all is good enough.
    never: Option<&'static str>,
}

const NEVER: &str = "holds a new instance, and this image takes none once a node is set up \
                     (`first_boot.reprovision = \"never\"`)";
const LOST: &str = "is not taken: this node was set up, and its record of its own instance is lost";

/// What a node refuses. One that is not set up refuses nothing.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    own: Option<Own>,
    permit: Option<Permit>,
    /// The identifiers of the machine that was set up and of this one, if they differ.
    moved: Option<(String, String)>,
    /// Reasons by place.
    refused: RefCell<BTreeMap<String, String>>,
}

impl Guard {
    /// `system` is none for a copy of a root, which belongs to no machine.
    pub(crate) fn of(
        root: &Root,
        system: Option<&System>,
        rule: Reprovision,
        stamp: Option<&Stamp>,
    ) -> Self {
        let Some(stamp) = stamp else {
            return Self::default();
        };
        let permit = permit(root, system);
        let origin = stamp.seed.as_ref().and_then(|seed| seed.origin.clone());
        let recorded = origin.as_ref().and_then(|origin| origin.machine.clone());
        let moved = recorded
            .zip(system.and_then(identity::machine))
            .filter(|(before, now)| before != now);
        let guarded = permit.is_none()
            && match rule {
                Reprovision::Any => false,
                Reprovision::SameSource => moved.is_none(),
                Reprovision::Never => true,
            };
        Self {
            own: guarded.then(|| Own {
                instance_id: stamp.instance_id.clone(),
                origin,
                never: match rule {
                    _ if stamp.instance_id == UNKNOWN => Some(LOST),
                    Reprovision::Never => Some(NEVER),
                    _ => None,
                },
            }),
            permit,
            moved: moved.filter(|_| rule == Reprovision::SameSource),
            refused: RefCell::default(),
        }
    }

    /// Whether anything is refused.
    pub(crate) fn is_on(&self) -> bool {
        self.own.is_some()
    }

    fn refuse(&self, place: String, reason: String) {
        self.refused.borrow_mut().insert(place, reason);
    }

    /// Whether a volume with the label of a seed must be left alone.
    pub(crate) fn bars_medium(&self, medium: &Medium, id: &MediumId) -> bool {
        let Some(own) = &self.own else {
            return false;
        };
        let origin = own.origin.as_ref();
        let mine = origin.and_then(|origin| origin.medium.as_ref());
        if mine.is_some_and(|mine| mine.is(id)) {
            return false;
        }
        let (what, labels) = match &medium.content {
            Content::Volume(volume) => (volume.kind.to_string(), volume.labels.join("`, `")),
            _ => (String::new(), String::new()),
        };
        let mut about = format!("{what}, label `{labels}`");
        for (name, value) in [
            ("UUID", &id.uuid),
            ("serial number", &id.serial),
            ("WWN", &id.wwid),
        ] {
            if let Some(value) = value {
                about.push_str(&format!(", {name} {}", shown(value)));
            }
        }
        let why = match (origin, mine) {
            (None, _) => {
                "cannot be compared with the volume of this node's own seed, which was not \
                          recorded when the node was set up, or is lost"
            }
            (_, None) => "is a seed's volume, and this node's own seed did not come on one",
            (_, Some(_)) => "is not the volume that this node was set up from",
        };
        let place = medium.device.path.display().to_string();
        self.refuse(place, format!("{why}, so it is not read ({about})"));
        true
    }

    /// Whether a server must not be asked: the address of a directory, or of a service.
    pub(crate) fn bars_address(&self, address: &str, service: Option<MetadataService>) -> bool {
        let Some(own) = &self.own else {
            return false;
        };
        let origin = own.origin.as_ref();
        if origin
            .is_some_and(|mine| mine.url.as_deref() == Some(address) && mine.service == service)
        {
            return false;
        }
        let before = origin.and_then(|mine| mine.url.as_deref());
        let mut reason =
            "is not where this node's own seed came from, so it is not asked".to_owned();
        if let Some(before) = before.filter(|before| *before != address) {
            reason.push_str(&format!(" (that was {})", shown(before)));
        }
        self.refuse(address.to_owned(), reason);
        true
    }

    /// Whether a seed that may be read is of an instance that may not be taken.
    pub(crate) fn bars(&self, sought: &Sought) -> bool {
        let Some((own, never)) = self.own.as_ref().and_then(|own| Some((own, own.never?))) else {
            return false;
        };
        // An overwritten seed says which instance it was of, and nothing more.
        if never == LOST && sought.seed.has_served() {
            return false;
        }
        // What is wrong with it is told by whoever uses it.
        let mut unused = Problems::new();
        let meta = meta_data::read(&sought.seed, &mut unused);
        if never == NEVER && meta.is_none_or(|meta| meta.instance_id == own.instance_id) {
            return false;
        }
        self.refuse(sought.place.clone(), never.to_owned());
        true
    }

    /// Whether the seed of the instance that is set up is to be applied once more: the
    /// operator says so, and it has not been overwritten. For as long as a machine's command
    /// line or credentials say so, only one that has changed.
    pub(crate) fn renews(&self, stamp: &Stamp, seed: &Seed) -> bool {
        let files = [&seed.user_data, &seed.vendor_data];
        let mut files = files.into_iter().flatten();
        if files.any(|file| overwritten::served(&file.bytes).is_some()) {
            return false;
        }
        let taken = stamp.seed.as_ref();
        match self.permit {
            Some(Permit::Note) => true,
            Some(_) => taken.is_some_and(|taken| taken.digest != seed.digest()),
            None => false,
        }
    }

    /// Adds what was refused, as warnings. `unchanged` says that the node is still the one that
    /// an earlier boot has set up.
    pub(crate) fn tell(&self, unchanged: bool, problems: &mut Problems) {
        for (place, reason) in &*self.refused.borrow() {
            problems.warn(&Place::file(place), reason, REMEDY);
        }
        if let (true, Some((before, now))) = (unchanged, &self.moved) {
            let reason = format!(
                "this node was set up on another machine (its identifier was {}, here it is {}), so \
                 it takes a new instance from any source",
                shown(before),
                shown(now)
            );
            let remedy = "attach the seed of this machine; if it is to stay the same node, run \
                          `nodeimg-firstboot bind`";
            problems.warn(&Place::file("machine"), reason, remedy);
        }
    }

    /// Says on the console why this boot may make another node of this one.
    pub(crate) fn announce(&self) {
        let who = match self.permit {
            Some(Permit::Note) => "`nodeimg-firstboot reprovision` was run",
            Some(Permit::CommandLine) => "the kernel command line has `nodeimg.reprovision`",
            Some(Permit::Credential) => "there is a credential `nodeimg.reprovision`",
            None => return,
        };
        println!("nodeimg-firstboot: in this boot a seed from any source is taken: {who}");
    }

    /// The operator's note counts for one boot.
    pub(crate) fn spend(&self, root: &Root, problems: &mut Problems) {
        if self.permit != Some(Permit::Note) {
            return;
        }
        let removed = root
            .remove(NOTE, &mut Open)
            .and_then(|()| root.sync_parent(NOTE, &mut Open));
        if let Err(error) = removed {
            let reason = format!("cannot be removed: {error}; the next boot takes any seed, too");
            problems.warn(&Place::file(NOTE), reason, "remove it");
        }
    }
}

/// What the operator has said, in the place that counts longest.
fn permit(root: &Root, system: Option<&System>) -> Option<Permit> {
    if root.exists(NOTE) {
        return Some(Permit::Note);
    }
    let system = system?;
    let line = fs::read_to_string(system.proc.join("cmdline")).unwrap_or_default();
    let mut said = line.split_whitespace().rev().filter_map(|word| {
        let rest = word.strip_prefix(WORD)?;
        match rest.strip_prefix('=') {
            Some(value) => Some(is_yes(value)),
            None => rest.is_empty().then_some(true),
        }
    });
    // The last one counts, as with systemd's words.
    if said.next() == Some(true) {
        return Some(Permit::CommandLine);
    }
    let file = system.run.join("credentials/@system").join(WORD);
    let value = fs::read_to_string(file).ok()?;
    is_yes(value.trim()).then_some(Permit::Credential)
}

fn is_yes(value: &str) -> bool {
    ["1", "yes", "y", "true", "t", "on"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

/// Devices and servers choose this text.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}

#[cfg(test)]
mod tests;
