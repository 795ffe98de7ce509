//! The text of a recipe that extends a built-in one by what was chosen.

use std::path::Path;

use anyhow::{Context, Result, bail};
use ipnet::IpNet;

use super::runtime;
use crate::cli::{ChoiceArgs, Platform};
use crate::input::recipe::value::Name;
use crate::input::recipe::{Recipe, RecipeRef, built_in_names, load};
use crate::output::KINDS;

/// A recipe, not yet written.
pub struct Draft {
    pub name: Name,
    pub text: String,
}

/// That of the directory, if an image can have it.
pub fn name_of(directory: &Path) -> Result<Name> {
    let whole = std::path::absolute(directory).unwrap_or_default();
    let name = whole.file_name().map(|name| name.to_string_lossy());
    let name = name.unwrap_or_default().to_ascii_lowercase();
    let name = name.replace([' ', '_'], "-");
    name.parse().or_else(|_| "my-node".parse())
}

pub fn recipes() -> impl Iterator<Item = (&'static str, Recipe)> {
    built_in_names().into_iter().filter_map(|name| {
        let recipe = load(&RecipeRef::BuiltIn(name.to_owned()), &KINDS).ok()?;
        Some((name, recipe))
    })
}

/// Whether a node of this profile has a kubelet.
pub fn has_kubernetes(profile: &str) -> bool {
    recipes().any(|(_, recipe)| recipe.profile.name == profile && recipe.kubernetes.is_some())
}

/// The versions of Kubernetes that built-in recipes have with this runtime, newest first.
pub fn versions(profile: &str, runtime: &str) -> Vec<String> {
    let mut own = Vec::new();
    let mut others = Vec::new();
    for (_, recipe) in recipes().filter(|(_, recipe)| recipe.runtime.shared.name == runtime) {
        let Some(version) = recipe.kubernetes else {
            continue;
        };
        match recipe.profile.name == profile {
            true => own.push(version),
            false => others.push(version),
        }
    }
    own.append(&mut others);
    own.sort();
    own.dedup();
    own.iter()
        .rev()
        .map(|version| version.as_str().to_owned())
        .collect()
}

/// The networks of the cluster that the recipe of this profile has: pods, Services.
pub fn networks(profile: &str) -> Option<(String, String)> {
    let (_, recipe) = recipes().find(|(_, recipe)| recipe.profile.name == profile)?;
    let cluster = &recipe.effective.cluster;
    let pods = cluster.cluster_cidr.as_ref()?.to_string();
    Some((pods, cluster.service_cidr.as_ref()?.to_string()))
}

/// What `choice` comes to.
///
/// # Errors
/// Choices that no recipe can have together.
pub fn of(directory: &Path, choice: &ChoiceArgs) -> Result<Draft> {
    let profile = choice.profile.as_deref().unwrap_or("hard-way");
    let name = match &choice.name {
        Some(name) => name.clone(),
        None => name_of(directory)?,
    };
    let wanted = choice.runtime.as_deref();
    let mut bases: Vec<_> = recipes()
        .filter(|(_, recipe)| recipe.profile.name == profile)
        .collect();
    // The one that is named like its profile, unless another is nearer to what is asked for.
    bases.sort_by_key(|(base, recipe)| {
        let other = wanted.is_some_and(|runtime| recipe.runtime.shared.name != runtime);
        (other, *base != profile)
    });
    let (base, recipe) = bases
        .into_iter()
        .next()
        .context("no built-in recipe has this profile")?;
    let mut text = format!(
        "# {name}: a node image of your own. What is not set here comes from the built-in\n\
         # recipe that it extends: `nodeimg recipe show --recipe {base}` prints that, and\n\
         # `nodeimg help reference/recipe` explains every key.\n\
         extends = \"{base}\"\nname = \"{name}\"\n\n"
    );
    text += &kubernetes(&recipe, profile, choice)?;
    text += "# Files below overlay/root are copied into the image, those below overlay/templates are\n\
             # rendered at first boot.\noverlay = [\"overlay\"]\n\n\
             # What a build writes: disk boots (`nodeimg run`); disk-qcow2, rootfs-tar, overlay, sysext and\n\
             # others are in `nodeimg build --help`.\noutputs = [\"disk\"]\n";
    text += &cluster(&recipe, profile, choice)?;
    text += kernel(choice.platform);
    text += &runtime::part(&recipe, choice)?;
    Ok(Draft { name, text })
}

/// The keys of the recipe itself.
fn kubernetes(base: &Recipe, profile: &str, choice: &ChoiceArgs) -> Result<String> {
    let mut text = String::new();
    let own = base.runtime.shared.name;
    let runtime = choice.runtime.as_deref().unwrap_or(own);
    if base.kubernetes.is_none() {
        if choice.kubernetes.is_some() || runtime != own {
            bail!(
                "a node of the profile `{profile}` has no Kubernetes: leave --kubernetes and --runtime out"
            );
        }
        return Ok(text);
    }
    let known = versions(profile, runtime);
    let of_base = base.kubernetes.as_ref().map(|version| version.as_str());
    let version = match choice
        .kubernetes
        .as_deref()
        .map(|version| version.trim_start_matches('v'))
    {
        None if known
            .iter()
            .any(|version| Some(version.as_str()) == of_base) =>
        {
            of_base.unwrap_or_default()
        }
        None => known.first().map_or("", String::as_str),
        Some(version) if version.matches('.').count() >= 2 => version,
        Some(minor) => match known
            .iter()
            .find(|version| version.starts_with(&format!("{minor}.")))
        {
            Some(version) => version,
            None => bail!(
                "--kubernetes {minor}: give the whole version ({minor}.N); nodeimg itself has {}",
                known.join(", ")
            ),
        },
    };
    text += "# kubelet, kube-proxy, kubeadm and kubectl follow it; `nodeimg lock --update\n\
             # kubernetes=VERSION` changes it and pins what it needs.\n";
    text += &format!("kubernetes = \"{version}\"\n\n");
    if runtime != own {
        text += &format!("# What runs containers.\nruntime = \"{runtime}\"\n\n");
    }
    Ok(text)
}

fn cluster(base: &Recipe, profile: &str, choice: &ChoiceArgs) -> Result<String> {
    if choice.pods.is_none() && choice.services.is_none() {
        return Ok(String::new());
    }
    if base.effective.cluster.cluster_cidr.is_none() {
        bail!(
            "a node of the profile `{profile}` gets the cluster's networks when it joins: leave \
             --pods and --services out"
        );
    }
    let mut text =
        "\n# The cluster's networks, the same on all of its nodes. They may not overlap each\n\
                    # other or the nodes' own.\n[cluster]\n"
            .to_owned();
    if let Some(pods) = &choice.pods {
        text += &format!("cluster_cidr = \"{pods}\"\n");
    }
    if let Some(services) = &choice.services {
        let network: IpNet = services.to_string().parse().context("--services")?;
        let dns = network
            .hosts()
            .nth(9)
            .context("--services: too small a network")?;
        text += &format!(
            "service_cidr = \"{services}\"\n\
             # The address of the cluster's DNS, the tenth of that network by custom.\n\
             cluster_dns = [\"{dns}\"]\n"
        );
    }
    Ok(text)
}

fn kernel(platform: Option<Platform>) -> &'static str {
    match platform {
        Some(Platform::Metal) => {
            "\n# The generic kernel, which has the drivers of physical machines. Network cards and\n\
             # processors often need firmware too: `nodeimg help reference/recipe`.\n\
             [base]\nexclude = [\"linux-image-cloud-amd64\", \"linux-image-cloud-arm64\"]\n\n\
             [base.arch_packages]\namd64 = [\"linux-image-amd64\"]\narm64 = [\"linux-image-arm64\"]\n"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nodeimg_seed::contract::profile::PROFILES;
    use nodeimg_seed::contract::runtime::RUNTIMES;

    use super::*;
    use crate::input::recipe::load;

    /// Whatever the questions can be answered with makes a recipe that is accepted.
    #[test]
    fn every_combination_is_a_good_recipe() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("overlay")).unwrap();
        let mut count = 0;
        for profile in PROFILES {
            let runtimes = RUNTIMES.iter().filter(|_| has_kubernetes(profile.name));
            let mut runtimes: Vec<_> = runtimes.map(|runtime| Some(runtime.name)).collect();
            runtimes.push(None);
            for runtime in runtimes {
                let known = runtime
                    .map(|name| versions(profile.name, name))
                    .unwrap_or_default();
                let known = known.into_iter().map(Some).chain([None]);
                for (version, platform) in known.flat_map(|version| {
                    [None, Some(Platform::Cloud), Some(Platform::Metal)]
                        .map(|platform| (version.clone(), platform))
                }) {
                    for own in [false, networks(profile.name).is_some()] {
                        let choice = ChoiceArgs {
                            profile: Some(profile.name.to_owned()),
                            kubernetes: version.clone(),
                            runtime: runtime.map(str::to_owned),
                            pods: own.then(|| "10.90.0.0/16".parse().unwrap()),
                            services: own.then(|| "10.91.0.0/20".parse().unwrap()),
                            platform,
                            name: None,
                        };
                        let draft = of(folder.path(), &choice).unwrap();
                        let file = folder.path().join("x.toml");
                        std::fs::write(&file, &draft.text).unwrap();
                        let recipe = load(&RecipeRef::File(file), &KINDS);
                        let recipe =
                            recipe.unwrap_or_else(|e| panic!("{choice:?}: {e:#}\n{}", draft.text));
                        assert_eq!(recipe.profile.name, profile.name);
                        count += 1;
                    }
                }
            }
        }
        assert!(count > 50, "{count}");
    }
}
