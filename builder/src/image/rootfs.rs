//! From a recipe and its bytes to a [`Tree`]: the one ordered list of steps.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nodeimg_seed::check::registries;
use nodeimg_seed::contract::profile::{Join, Service};
use nodeimg_seed::contract::settings;
use nodeimg_seed::plan;
use nodeimg_values::arch::Arch;
use nodeimg_values::epoch::Epoch;
use nodeimg_values::parallel::in_parallel;
use nodeimg_values::trace;

use super::base::{self, setup};
use super::brought::Brought;
use super::config::{self, Generated};
use super::consistency::Judged;
use super::firstboot::settings::{KUBEADM, KUBELET, settings_of};
use super::{accepted, boot, layers, lint, modules, not_free, units};
use crate::input::artifact::{self, oci_image};
use crate::input::bring::Fetched;
use crate::input::debian::scripts::{self, makes::Makes};
use crate::input::recipe::Recipe;
use crate::input::recipe::runtime::Baked;
use crate::input::recipe::value::Version;
use crate::store::Store;
use crate::tree::{Content, ImagePath, Node, Origin, Tree};

/// All that an image is made of.
pub struct BuildInputs<'a> {
    pub recipe: &'a Recipe,
    /// What the recipe brings along.
    pub brought: &'a Brought,
    pub arch: Arch,
    pub epoch: Epoch,
    pub store: &'a Store,
    pub fetched: Fetched<'a>,
    /// Whether the packages were locked while nobody was looking.
    pub unattended: bool,
    pub firstboot: Content,
}

/// What came of it.
pub struct Assembled {
    pub tree: Tree,
    /// What lies over the base system, as another one would get it.
    pub overlay: Option<Tree>,
    /// What boots the tree, if an output is a disk.
    pub boot: Option<boot::Parts>,
    /// Warnings: what a person should know, though it is not an error.
    pub warnings: Vec<String>,
}

/// Runs every step. In order: what the recipe's author says last wins, the lints see
/// it all.
pub fn assemble(inputs: &BuildInputs<'_>) -> Result<Assembled> {
    let recipe = inputs.recipe;
    let (mut tree, base) = step("unpacking the base system", || base_system(inputs))?;
    step("configuring the base system", || {
        with_base(inputs, &base, &mut tree, setup::configure)
    })?;
    step("unpacking the artifacts", || artifacts(inputs, &mut tree))?;
    step("writing the configuration", || {
        configuration(recipe, &base, &mut tree)
    })?;
    step("writing the configuration of registries", || {
        registries(recipe, &mut tree)
    })?;
    step("adding first boot", || first_boot(inputs, &base, &mut tree))?;
    let has_images = !inputs.fetched.images.is_empty();
    step("laying in the overlay", || {
        layers::lay_in_own(recipe, has_images, &mut tree)
    })?;
    step("baking the container images", || {
        container_images(inputs, &mut tree)
    })?;
    step("making the writable directories", || {
        writable(recipe, &mut tree)
    })?;
    step("laying in the recipe's overlays", || {
        layers::lay_over_all(&inputs.brought.overlays, &mut tree)
    })?;
    step("adding the recipe's files", || {
        extra_files(inputs.brought, &mut tree)
    })?;
    let elsewhere = step("enabling the units", || {
        units::enable_all(recipe, &mut tree)
    })?;
    let kernels = step(modules::STEP, || index_modules(inputs, &mut tree))?;
    let kubernetes = version_of_kubernetes(recipe, &base, &tree)?;
    let runtime = version_of_program(recipe, &base, &tree, recipe.runtime.program)?;
    let judged = Judged {
        recipe,
        arch: inputs.arch,
        tree: &tree,
        kernels: &kernels,
        runtime: runtime.as_ref(),
        kubernetes: kubernetes.as_ref(),
    };
    let found = step("comparing the tree with itself", || judged.judge())?;
    let boot = step("making the tree into a disk's root", || {
        boot::prepare(&mut tree, recipe, inputs.arch, inputs.epoch)
    })?;
    let overlay = recipe.needs_base();
    let overlay = overlay.then(|| Brought::without_updater(tree.above_base()));
    step("sealing the base system", || {
        with_base(inputs, &base, &mut tree, setup::seal)
    })?;
    let absent = step("checking the tree", || lint::check(recipe, &tree))?;
    let lacking = step("looking for what scripts make", || {
        accepted::lacking(&base.by_hand, &tree)
    })?;
    let warnings = [
        base.unread,
        not_free::packages(&inputs.fetched),
        missing_dns(recipe),
        elsewhere,
        found,
        absent,
        lacking,
    ]
    .concat();
    Ok(Assembled {
        tree,
        overlay,
        boot,
        warnings,
    })
}

/// What an error in it says, and a trace.
fn step<T>(name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let _span = trace::stage(name);
    work().context(name)
}

/// Facts about the base system; nothing if the recipe has none.
#[derive(Default)]
struct BaseSystem {
    packages: Vec<setup::Package>,
    /// Warnings of scripts that nobody has read.
    unread: Vec<String>,
    /// What scripts would make that somebody accepted by hand, by package.
    by_hand: Vec<(String, Makes)>,
}

fn base_system(inputs: &BuildInputs<'_>) -> Result<(Tree, BaseSystem)> {
    let mut tree = Tree::default();
    let packages = base::unpack(inputs.store, inputs.arch, &inputs.fetched.packages)?;
    let (mut unread, mut by_hand) = (Vec::new(), Vec::new());
    if let Some(base) = &inputs.recipe.base {
        let controls = packages.iter().map(|p| (p.name.as_str(), &p.control));
        match scripts::check(controls, &base.accept_scripts) {
            Err(error) if inputs.unattended => unread.push(format!("{error:#}")),
            checked => checked?,
        }
        let foreign = accepted::foreign(&inputs.fetched, base);
        for package in &packages {
            let (name, control) = (package.name.as_str(), &package.control);
            if foreign.contains(name)
                || scripts::accepted_by_hand(name, control, &base.accept_scripts)?
            {
                by_hand.push((package.name.clone(), Makes::of(&package.control)));
            }
        }
    }
    let packages = base::lay_in(packages, &mut tree)?;
    let base = BaseSystem {
        packages,
        unread,
        by_hand,
    };
    Ok((tree, base))
}

fn index_modules(inputs: &BuildInputs<'_>, tree: &mut Tree) -> Result<Vec<modules::Modules>> {
    if !inputs.recipe.needs_base() {
        return Ok(Vec::new());
    }
    modules::index_all(tree, inputs.store)
}

/// Nothing if the image has no base system.
fn with_base(
    inputs: &BuildInputs<'_>,
    base: &BaseSystem,
    tree: &mut Tree,
    run: fn(&mut Tree, setup::BaseFacts<'_>) -> Result<()>,
) -> Result<()> {
    if !inputs.recipe.needs_base() {
        return Ok(());
    }
    let directory = std::env::current_dir().context("finding the directory of the build")?;
    // The root directory or one that every system has would be found in any file.
    let telling = directory.components().count() > 3;
    let facts = setup::BaseFacts {
        arch: inputs.arch,
        epoch: inputs.epoch,
        packages: &base.packages,
        enable: &inputs.recipe.enable,
        runtime: inputs.recipe.runtime,
        build_directory: directory.to_str().filter(|_| telling),
    };
    run(tree, facts)
}

fn artifacts(inputs: &BuildInputs<'_>, tree: &mut Tree) -> Result<()> {
    let artifacts = &inputs.fetched.artifacts;
    // Unpacking is CPU work, an archive a thread; laying in is in the recipe's order.
    let unpacked = in_parallel(artifacts.len(), artifacts.len(), |at| {
        let artifact = artifacts[at].asked;
        let _span = trace::span("artifact", || format!("unpack {}", artifact.name));
        let rules = artifact.rules_of(inputs.arch)?;
        let spec = artifact.spec(inputs.arch, &rules);
        artifact::unpack(inputs.store, Arc::clone(&artifacts[at].bytes), &spec)
    });
    for nodes in unpacked {
        for (path, node) in nodes? {
            tree.insert(path, node)?;
        }
    }
    Ok(())
}

fn configuration(recipe: &Recipe, base: &BaseSystem, tree: &mut Tree) -> Result<()> {
    let has_resolved = tree
        .get(&"/usr/lib/systemd/systemd-resolved".parse()?)
        .is_some();
    let mut files = config::host::generate(recipe);
    for service in recipe.profile.services {
        files.extend(match service {
            Service::Kubelet => config::kubelet::generate(recipe, has_resolved)?,
            Service::KubeProxy => config::kube_proxy::generate(recipe)?,
        });
    }
    files.extend(config::credential_providers::generate(recipe)?);
    files.push(runtime(recipe, base, tree)?);
    let more = (recipe.runtime.more)(recipe).into_iter();
    files.extend(more.map(|(path, text)| Generated {
        path,
        text: text.to_owned(),
        link: None,
        key: "handlers",
    }));
    for Generated {
        path,
        text,
        link,
        key,
    } in files
    {
        let origin = Origin::Recipe(key.to_owned());
        if let Some(link) = link {
            tree.insert(link.parse()?, Node::symlink(path, origin.clone()))?;
        }
        tree.insert(
            path.parse()?,
            Node::file(Content::inline(text.into_bytes()), 0o644, origin),
        )?;
    }
    Ok(())
}

/// The container runtime's configuration.
fn runtime(recipe: &Recipe, base: &BaseSystem, tree: &Tree) -> Result<Generated> {
    let runtime = recipe.runtime;
    let program = runtime.program;
    let version = version_of_program(recipe, base, tree, program)?
        .with_context(|| format!("neither an artifact nor a package installs {program}"))?;
    Ok(Generated {
        path: runtime.config,
        text: (runtime.configure)(recipe, &version)?,
        link: None,
        key: runtime.shared.name,
    })
}

/// What the container runtime is told of registries, as first boot writes it, too.
pub fn registries(recipe: &Recipe, tree: &mut Tree) -> Result<()> {
    let hosts = recipe.registries.iter();
    let given = hosts
        .map(|(name, public)| (name.clone(), public.clone().into()))
        .collect();
    // The recipe's checks have told every fault by then.
    let Ok(checked) = registries::check(recipe.runtime.registries, &given) else {
        bail!("the recipe's registries have changed since they were checked");
    };
    for file in plan::registries::files(&checked) {
        let plan::Content::Bytes(bytes) = file.content else {
            continue;
        };
        let content = Content::inline(bytes.expose().to_vec());
        let origin = Origin::Recipe("registries".to_owned());
        tree.insert(file.path.parse()?, Node::file(content, file.mode, origin))?;
    }
    Ok(())
}

/// Of the artifact that installs it, or else of the base system's package.
fn version_of_program(
    recipe: &Recipe,
    base: &BaseSystem,
    tree: &Tree,
    program: &str,
) -> Result<Option<Version>> {
    let path: ImagePath = program.parse()?;
    if let Some(artifact) = recipe.artifact_of(&path) {
        return Ok(Some(recipe.runtime.version_in(artifact)));
    }
    let origin = tree.get(&path).map(|node| &node.origin);
    base.packages
        .iter()
        .find(|package| matches!(origin, Some(Origin::Package(name)) if *name == package.name))
        .map(setup::Package::upstream_version)
        .transpose()
}

/// Of the first of its programs that the image has.
fn version_of_kubernetes(
    recipe: &Recipe,
    base: &BaseSystem,
    tree: &Tree,
) -> Result<Option<Version>> {
    for program in KUBEADM.into_iter().chain(KUBELET) {
        if let Some(version) = version_of_program(recipe, base, tree, program)? {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// The tutorial leaves both out, and its pods resolve no Service.
fn missing_dns(recipe: &Recipe) -> Vec<String> {
    if !recipe.profile.has_service(Service::Kubelet) {
        return Vec::new();
    }
    let keys = [
        ("cluster_dns", recipe.cluster.cluster_dns.is_empty()),
        ("cluster_domain", recipe.cluster.cluster_domain.is_none()),
    ];
    let missing = keys.into_iter().filter(|(_, missing)| *missing);
    missing
        .map(|(key, _)| {
            format!("cluster.{key} is not set: pods will not resolve the names of Services")
        })
        .collect()
}

fn first_boot(inputs: &BuildInputs<'_>, base: &BaseSystem, tree: &mut Tree) -> Result<()> {
    let mut told = settings_of(inputs.recipe, inputs.epoch);
    if inputs.recipe.profile.joins == Join::Kubeadm {
        for program in KUBEADM {
            let version = version_of_program(inputs.recipe, base, tree, program)?;
            told.kubeadm = told
                .kubeadm
                .or_else(|| version.map(|version| version.to_string()));
        }
    }
    let binary = Node::file(inputs.firstboot.clone(), 0o755, Origin::FirstBoot);
    tree.insert(nodeimg_seed::contract::paths::BINARY_PATH.parse()?, binary)?;
    let json = Content::inline(told.to_json()?.into_bytes());
    tree.insert(
        settings::SETTINGS_PATH.parse()?,
        Node::file(json, 0o644, Origin::FirstBoot),
    )
}

fn container_images(inputs: &BuildInputs<'_>, tree: &mut Tree) -> Result<()> {
    let images = &inputs.fetched.images;
    let nodes = match &inputs.recipe.runtime.images {
        Baked::Imported(_) => {
            let all = images
                .iter()
                .map(|image| (image.asked.name.as_str(), &image.bytes));
            oci_image::refuse_devices(inputs.store, &all.collect::<Vec<_>>())?;
            let mut nodes = Vec::new();
            for image in images {
                let (name, names) = (
                    &image.asked.name,
                    image.asked.names(&image.bytes.top.digest),
                );
                nodes.extend(oci_image::nodes(name.as_str(), &image.bytes, &names)?);
            }
            nodes
        }
        Baked::Stored if images.is_empty() => Vec::new(),
        Baked::Stored => {
            let asked = images.iter().map(|image| oci_image::store::Asked {
                artifact: image.asked.name.as_str(),
                image: &image.bytes,
                names: image.asked.kept_names().collect(),
            });
            oci_image::store::nodes(inputs.store, &asked.collect::<Vec<_>>())?
        }
    };
    for (path, node) in nodes {
        tree.insert(path, node)?;
    }
    Ok(())
}

fn writable(recipe: &Recipe, tree: &mut Tree) -> Result<()> {
    for path in &recipe.writable {
        tree.insert(
            path.clone(),
            Node::directory(0o755, Origin::Recipe("writable".to_owned())),
        )?;
    }
    Ok(())
}

fn extra_files(brought: &Brought, tree: &mut Tree) -> Result<()> {
    for (path, node) in &brought.files {
        layers::lay_over(tree, path.clone(), node.clone())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
