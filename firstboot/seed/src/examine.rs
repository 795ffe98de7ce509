//! A seed from its bytes to a plan: the one sequence, for a node that waits and
//! writes on the way ([`examine`]), and for a look at a seed elsewhere ([`outlook`]).
use std::borrow::Cow;

use crate::check::{self, Addresses, CheckedNode, Inputs};
use crate::contract::settings::ImageSettings;
use crate::plan::{self, Ground, Image, Plan, TemplateFile, UnknownImage};
use crate::read::cloud_config::{self, UserData};
use crate::read::meta_data::{self, MetaData};
use crate::read::network::{self, Network};
use crate::read::seed::Seed;
use crate::text::problem::{Place, Problems, Waited};

/// Facts of the place in which a seed is examined, asked for in the order of the methods.
pub trait Surroundings {
    /// The network that the seed asks for, applied if this is the node. `None` if it
    /// asks for none, or has errors.
    fn network(&self, seed: &Seed, problems: &mut Problems) -> Option<Network> {
        network::read(seed, problems)
    }

    /// The node's architecture, as `uname -m` says it.
    fn architecture(&self) -> &str;

    /// The node's addresses, once the one that the seed counts on is there, and how
    /// long that was waited for if it is not.
    fn addresses(&self, user: &UserData) -> (Addresses, Option<Waited>);

    /// Seconds since 1970.
    fn now(&self) -> u64;

    /// The templates of the image; `None` if they cannot be read.
    fn templates(&self, problems: &mut Problems) -> Option<Cow<'_, [TemplateFile]>>;

    fn image(&self) -> &dyn Image;

    /// Judges what programs of the image will read of the seed, beyond what a node does.
    fn judge(&self, _inputs: &Inputs<'_>, _network: Option<&Network>, _problems: &mut Problems) {}
}

/// Knows what programs of an image take.
pub trait Judge {
    /// Adds what they would refuse of a seed, which asks for this network.
    fn judge(&self, inputs: &Inputs<'_>, network: Option<&Network>, problems: &mut Problems);
}

/// A node whose seed has passed every check.
pub struct Examined {
    pub node: CheckedNode,
    /// Whether its user-data holds secrets.
    pub secret: bool,
    /// `None` if something does not fit the image.
    pub plan: Option<Plan>,
}

/// Reads, checks and plans what a seed says beside its meta-data, which a node has read
/// by then. `None` if the seed has errors.
pub fn examine(
    seed: &Seed,
    meta: &MetaData,
    settings: &ImageSettings,
    around: &impl Surroundings,
    problems: &mut Problems,
) -> Option<Examined> {
    problems.append(seed.told.clone());
    for (found, expected) in &seed.near {
        let reason = format!("is not read: a seed has `{expected}`");
        problems.warn(&Place::file(found), reason, "rename it");
    }
    let network = around.network(seed, problems);
    let data = meta.instance_data(seed.layout, around.architecture());
    let mut user = cloud_config::read_seed(seed, &data, settings.profile, problems)?;
    user.inject(&seed.injected);
    let (addresses, waited) = around.addresses(&user);
    let inputs = Inputs {
        settings,
        meta,
        user: &user,
        user_file: &user_data_name(seed),
        addresses: &addresses,
        waited,
        now: around.now(),
    };
    around.judge(&inputs, network.as_ref(), problems);
    let node = check::check(&inputs, problems)?;
    let plan = around.templates(problems).and_then(|templates| {
        let ground = Ground {
            templates: &templates,
            network: network.as_ref(),
            image: around.image(),
            handlers: &settings.handlers,
            writable: &settings.writable,
        };
        plan::plan(&node, &ground, problems)
    });
    Some(Examined {
        node,
        secret: user.secret,
        plan,
    })
}

/// What to blame for a key that is missing: a file that is not there is not to blame, but
/// that it is not there.
fn user_data_name(seed: &Seed) -> Cow<'_, str> {
    match &seed.user_data {
        Some(file) => Cow::Borrowed(&file.name),
        None => {
            let name = seed.layout.names().user_data;
            Cow::Owned(format!("seed (which has no {name})"))
        }
    }
}

/// Without the node: its image and its addresses are unknown.
pub struct Elsewhere<'a> {
    pub templates: &'a [TemplateFile],
    /// [`Surroundings::architecture`]
    pub architecture: &'a str,
    /// Seconds since 1970.
    pub now: u64,
    pub image: &'a UnknownImage,
    /// `None`: only what a node itself checks is.
    pub judge: Option<&'a dyn Judge>,
}

impl Surroundings for Elsewhere<'_> {
    fn architecture(&self) -> &str {
        self.architecture
    }

    fn addresses(&self, _user: &UserData) -> (Addresses, Option<Waited>) {
        (Addresses::Unknown, None)
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn templates(&self, _problems: &mut Problems) -> Option<Cow<'_, [TemplateFile]>> {
        Some(Cow::Borrowed(self.templates))
    }

    fn image(&self) -> &dyn Image {
        self.image
    }

    fn judge(&self, inputs: &Inputs<'_>, network: Option<&Network>, problems: &mut Problems) {
        if let Some(judge) = self.judge {
            judge.judge(inputs, network, problems);
        }
    }
}

/// The result for a node with this seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    pub instance_id: String,
    pub host_name: String,
    pub pod_subnets: Vec<String>,
    /// The node's own, each `key=value`, sorted.
    pub labels: Vec<String>,
    /// Paths that would be written, sorted.
    pub files: Vec<String>,
}

/// What a node would make of a seed; `None` if there are errors.
pub fn outlook(
    seed: &Seed,
    settings: &ImageSettings,
    elsewhere: &Elsewhere<'_>,
    problems: &mut Problems,
) -> Option<Outlook> {
    let meta = meta_data::read(seed, problems)?;
    let Examined { node, plan, .. } = examine(seed, &meta, settings, elsewhere, problems)?;
    let plan = plan?;
    Some(Outlook {
        instance_id: meta.instance_id,
        host_name: node.host_name,
        pod_subnets: node.pod_subnets.iter().map(ToString::to_string).collect(),
        labels: node.labels,
        files: plan.paths(),
    })
}
