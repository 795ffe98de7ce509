//! A seed from its bytes to a plan, in one go: what first boot would do with it.
//!
//! The binary on a node goes the same way, with waiting and writing between the
//! steps; `nodeimg seed check` takes this one.
use crate::check::{self, Addresses, Inputs};
use crate::contract::settings::{ImageSettings, Profile};
use crate::plan::{self, Ground, TemplateFile, UnknownImage};
use crate::read::cloud_config::{self, UserData};
use crate::read::meta_data::{self, MetaData};
use crate::read::network;
use crate::read::seed::Seed;
use crate::text::problem::Problems;

/// What would become of a node with this seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    pub instance_id: String,
    pub host_name: String,
    pub pod_subnets: Vec<String>,
    /// Paths that would be written, sorted.
    pub files: Vec<String>,
}

/// Reads, checks and plans. `now` is in seconds since 1970. `None` where there are errors.
pub fn examine(
    seed: &Seed,
    settings: &ImageSettings,
    templates: &[TemplateFile],
    now: u64,
    problems: &mut Problems,
) -> Option<Outlook> {
    let meta = meta_data::read(seed, problems)?;
    let network = network::read(seed, problems);
    let (user_file, user) = user_data(seed, &meta, settings.profile, problems)?;
    let inputs = Inputs {
        settings,
        meta: &meta,
        user: &user,
        user_file: &user_file,
        addresses: &Addresses::Unknown,
        waited: None,
        now,
    };
    let node = check::check(&inputs, problems)?;
    let ground = Ground {
        templates,
        network: network.as_ref(),
        image: &UnknownImage,
        writable: &settings.writable,
    };
    let plan = plan::plan(&node, &ground, problems)?;
    Some(Outlook {
        instance_id: meta.instance_id,
        host_name: node.host_name,
        pod_subnets: node.pod_subnets.iter().map(ToString::to_string).collect(),
        files: plan.paths(),
    })
}

/// The user-data of a seed, and the name of its file.
pub fn user_data(
    seed: &Seed,
    meta: &MetaData,
    profile: Profile,
    problems: &mut Problems,
) -> Option<(String, UserData)> {
    let name = match &seed.user_data {
        Some(file) => file.name.clone(),
        None => seed.layout.names().user_data.to_owned(),
    };
    let data = meta.instance_data(seed.layout);
    let mut user = cloud_config::read_seed(seed, &data, profile, problems)?;
    user.inject(&seed.injected);
    Some((name, user))
}
