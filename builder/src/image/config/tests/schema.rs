//! The rendered Kubernetes configuration against Kubernetes' published types:
//! every key exists in the version that the recipe installs, and every value is
//! of its type.
#![allow(clippy::unwrap_used)]
use nodeimg_seed::contract::profile::Service;
use nodeimg_seed::text::yaml;

use crate::image::config::{credential_providers, kube_proxy, kubelet};
use crate::input::published::{self, of_yaml};
use crate::input::recipe::tests::recipe;
use crate::input::recipe::value::Version;
use crate::input::recipe::{self, Recipe, RecipeRef, built_in_names};
use crate::output::KINDS;

use super::FULL_PROVIDER;

/// What is wrong with a configuration file by the types of that version.
fn wrong(version: &Version, kind: &str, text: &str) -> Vec<published::Wrong> {
    let (_, minor) = version.major_minor();
    let release = published::of(minor).unwrap();
    let document = of_yaml(&yaml::parse(text).unwrap().unwrap());
    let api = document["apiVersion"].as_str().unwrap();
    assert_eq!(document["kind"], kind);
    assert!(
        release.kinds(api).contains(&kind.to_owned()),
        "{api} {kind}"
    );
    release.check(api, kind, &document)
}

/// The kubelet's and kube-proxy's configuration of a recipe.
fn rendered(recipe: &Recipe) -> (String, String) {
    let kubelet = kubelet::generate(recipe, false).unwrap().swap_remove(0);
    let proxy = kube_proxy::generate(recipe).unwrap().swap_remove(0);
    (kubelet.text, proxy.text)
}

fn kubelet_of(recipe: &Recipe) -> Option<&Version> {
    recipe.version_of(&"/usr/local/bin/kubelet".parse().unwrap())
}

#[test]
fn shipped_recipes_render_what_their_kubernetes_publishes() {
    let mut checked = Vec::new();
    for name in built_in_names() {
        let recipe = recipe::load(&RecipeRef::BuiltIn(name.to_owned()), &KINDS).unwrap();
        let of_profile = recipe.profile.has_service(Service::Kubelet);
        let Some(version) = kubelet_of(&recipe).filter(|_| of_profile) else {
            continue;
        };
        let (kubelet, proxy) = rendered(&recipe);
        assert_eq!(
            wrong(version, "KubeletConfiguration", &kubelet),
            [],
            "{name}"
        );
        assert_eq!(
            wrong(version, "KubeProxyConfiguration", &proxy),
            [],
            "{name}"
        );
        checked.push(version.to_string());
    }
    for version in ["1.36.4", "1.37.1"] {
        assert!(checked.contains(&version.to_owned()), "{checked:?}");
    }
}

/// Everything that a recipe can set by a field of its own, in every profile, by the
/// oldest Kubernetes that a recipe may have and all since.
#[test]
fn everything_that_a_recipe_can_say_is_published() {
    let full = "[cluster]\ncluster_cidr = [\"10.200.0.0/16\", \"fd00:200::/48\"]\nservice_cidr = [\"10.32.0.0/24\", \"fd00:32::/108\"]\n\
                cluster_dns = [\"10.32.0.10\"]\ncluster_domain = \"a.example\"\n[kubelet]\nmax_pods = 250\n\
                [kube_proxy]\nmode = \"nftables\"\n";
    for version in ["1.34.4", "1.35.4", "1.36.4", "1.37.1"] {
        let version: Version = version.parse().unwrap();
        for profile in ["hard-way", "bootstrap"] {
            let recipe = recipe(&format!("profile = \"{profile}\"\n{full}"));
            let (kubelet, proxy) = rendered(&recipe);
            assert_eq!(wrong(&version, "KubeletConfiguration", &kubelet), []);
            assert_eq!(wrong(&version, "KubeProxyConfiguration", &proxy), []);
            assert!(kubelet.contains("maxPods: 250") && proxy.contains("nftables"));
            assert_eq!(
                kubelet.contains("rotateCertificates"),
                profile == "bootstrap"
            );
        }
    }
}

/// Every key of a credential provider.
#[test]
fn credential_providers_are_published() {
    for version in ["1.34.4", "1.35.4", "1.36.4", "1.37.1"] {
        let version: Version = version.parse().unwrap();
        let recipe = recipe(FULL_PROVIDER);
        let files = credential_providers::generate(&recipe).unwrap();
        let wrong = wrong(&version, "CredentialProviderConfig", &files[0].text);
        assert_eq!(wrong, [], "{version}");
    }
}
