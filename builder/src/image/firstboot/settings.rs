//! What first boot is told of the image that it runs in.

use nodeimg_seed::contract::profile::Join;
use nodeimg_seed::contract::registries::ImageRegistries;
use nodeimg_seed::contract::settings::{self, ImageSettings};
use nodeimg_values::epoch::Epoch;

use crate::input::recipe::Recipe;
use crate::input::recipe::file::{MetadataService, Reprovision, RuntimeChange};
use crate::input::recipe::handler::Handler;

/// The places where kubeadm is looked for; the first is upstream's packages' own.
pub const KUBEADM: [&str; 2] = ["/usr/bin/kubeadm", "/usr/local/bin/kubeadm"];

pub const KUBELET: [&str; 2] = ["/usr/bin/kubelet", "/usr/local/bin/kubelet"];

/// The version of a program, as far as the recipe itself says it.
fn of_recipe(recipe: &Recipe, places: [&str; 2]) -> Option<String> {
    let mut paths = places.iter().filter_map(|path| path.parse().ok());
    paths.find_map(|path| recipe.version_of(&path).map(ToString::to_string))
}

/// Where a seed may write. On a node that boots from nodeimg's own base system
/// `/etc` and `/var` are on the state partition; what another base has is its
/// own affair, so that only what the recipe says counts there.
fn writable_for_seeds(recipe: &Recipe) -> Vec<String> {
    let state = recipe.base.as_ref().map(|_| ["/etc", "/var"]);
    let mut paths: Vec<String> = state.into_iter().flatten().map(str::to_owned).collect();
    paths.extend(recipe.writable.iter().map(ToString::to_string));
    paths
}

fn told(handler: &Handler) -> settings::Handler {
    settings::Handler {
        name: handler.name.to_owned(),
        device: handler.device.map(str::to_owned),
    }
}

/// What first boot is told of the image.
pub fn settings_of(recipe: &Recipe, epoch: Epoch) -> ImageSettings {
    let by_kubeadm = recipe.profile.joins == Join::Kubeadm;
    ImageSettings {
        version: settings::SETTINGS_VERSION,
        profile: recipe.profile,
        runtime: recipe.runtime.shared,
        clean_runtime: recipe.first_boot.runtime_change == Some(RuntimeChange::Clean),
        cluster_cidr: recipe
            .cluster
            .cluster_cidr
            .as_ref()
            .map(ToString::to_string),
        service_cidr: recipe
            .cluster
            .service_cidr
            .as_ref()
            .map(ToString::to_string),
        cluster_domain: recipe
            .cluster
            .cluster_domain
            .as_ref()
            .map(ToString::to_string),
        writable: writable_for_seeds(recipe),
        metadata: recipe
            .first_boot
            .metadata
            .iter()
            .map(|service| match service {
                MetadataService::Openstack => settings::MetadataService::Openstack,
                MetadataService::Ec2 => settings::MetadataService::Ec2,
            })
            .collect(),
        forbid_commands: recipe.first_boot.commands == Some(false),
        kubeadm: of_recipe(recipe, KUBEADM).filter(|_| by_kubeadm),
        kubelet: of_recipe(recipe, KUBELET).filter(|_| by_kubeadm),
        max_pods: recipe.kubelet.max_pods,
        keep_seed: recipe.first_boot.scrub == Some(false),
        reprovision: match recipe.first_boot.reprovision {
            Some(Reprovision::Any) => settings::Reprovision::Any,
            Some(Reprovision::SameSource) | None => settings::Reprovision::SameSource,
            Some(Reprovision::Never) => settings::Reprovision::Never,
        },
        handlers: recipe
            .handlers
            .iter()
            .map(|handler| told(handler))
            .collect(),
        registries: ImageRegistries {
            format: recipe.runtime.registries,
            hosts: recipe.registries.clone(),
        },
        seed_wait: recipe.first_boot.wait.unwrap_or(settings::SEED_WAIT),
        epoch: epoch.0,
    }
}

#[cfg(test)]
mod tests {
    use nodeimg_seed::contract::settings::Reprovision;
    use nodeimg_values::epoch::Epoch;

    use super::settings_of;
    use crate::input::recipe::tests::{recipe, refusal};

    #[test]
    fn whose_seeds_a_node_takes() {
        for (text, expected) in [
            ("", Reprovision::SameSource),
            ("any", Reprovision::Any),
            ("same-source", Reprovision::SameSource),
            ("never", Reprovision::Never),
        ] {
            let more = match text {
                "" => String::new(),
                text => format!("[first_boot]\nreprovision = \"{text}\"\n"),
            };
            let told = settings_of(&recipe(&more), Epoch(0));
            assert_eq!(told.reprovision, expected, "{text}");
        }
        let refused = refusal("[first_boot]\nreprovision = \"sometimes\"\n");
        assert!(refused.contains("same-source"), "{refused}");
    }
}
