//! From a recipe and its bytes to a [`Tree`]: the one ordered list of steps.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nodeimg_firstboot::plan::TemplateFile;
use nodeimg_firstboot::settings::{self, ImageSettings};
use nodeimg_firstboot::template::Template;
use nodeimg_values::arch::Arch;
use nodeimg_values::epoch::Epoch;
use nodeimg_values::parallel::in_parallel;

use crate::image::base::{self, setup};
use crate::image::boot;
use crate::image::config::{self, Generated};
use crate::image::lint;
use crate::image::modules;
use crate::image::units;
use crate::input::artifact::oci_image::{self, Image};
use crate::input::artifact::{self, Spec};
use crate::input::bring::Fetched;
use crate::input::debian::scripts;
use crate::input::recipe::file::{MetadataService, Profile};
use crate::input::recipe::value::Version;
use crate::input::recipe::{Artifact, BUILT_IN_OVERLAY, ContainerImage, ExtraContent, Recipe};
use crate::store::{Store, VerifiedBlob};
use crate::tree::overlay::{self, Overlay, Source};
use crate::tree::{Content, ImagePath, Kind, Node, Origin, Tree};

/// All that an image is made of.
pub struct Inputs<'a> {
    pub recipe: &'a Recipe,
    pub arch: Arch,
    pub epoch: Epoch,
    pub store: &'a Store,
    pub fetched: Fetched<'a>,
    /// Whether the packages were locked while nobody was looking.
    pub unattended: bool,
    pub firstboot: Content,
}

/// What came of it.
#[derive(Default)]
pub struct Assembled {
    pub tree: Tree,
    /// What lies over the base system, as another one would get it.
    pub overlay: Option<Tree>,
    /// What is in the base system; none where the recipe has none.
    pub packages: Vec<setup::Package>,
    /// What boots the tree, where an output is a disk.
    pub boot: Option<boot::Parts>,
    /// What a person should know, though it is no error.
    pub warnings: Vec<String>,
}

type Step = fn(&Inputs<'_>, &mut Assembled) -> Result<()>;

/// In order: what the recipe's author says last wins, the lints see it all.
const STEPS: [(&str, Step); 15] = [
    ("unpacking the base system", base_system),
    ("configuring the base system", configure_base),
    ("unpacking the artifacts", artifacts),
    ("writing the configuration", configuration),
    ("adding first boot", first_boot),
    ("laying in the overlay", built_in_overlay),
    ("baking the container images", container_images),
    ("making the writable directories", writable),
    ("laying in the recipe's overlays", user_overlays),
    ("adding the recipe's files", extra_files),
    ("enabling the units", enable_units),
    (modules::STEP, index_modules),
    ("making the tree into a disk's root", root_of_disk),
    ("sealing the base system", seal_base),
    ("checking the tree", lint::check),
];

/// Runs every step.
pub fn assemble(inputs: &Inputs<'_>) -> Result<Assembled> {
    let mut image = Assembled::default();
    for (name, step) in STEPS {
        step(inputs, &mut image).context(name)?;
    }
    Ok(image)
}

fn base_system(inputs: &Inputs<'_>, image: &mut Assembled) -> Result<()> {
    let packages = base::unpack(inputs.store, inputs.arch, &inputs.fetched.packages)?;
    if let Some(base) = &inputs.recipe.base {
        let controls = packages.iter().map(|p| (p.name.as_str(), &p.control));
        match scripts::check(controls, &base.accept_scripts) {
            Err(unread) if inputs.unattended => image.warnings.push(format!("{unread:#}")),
            checked => checked?,
        }
    }
    image.packages = base::lay_in(packages, &mut image.tree)?;
    Ok(())
}

fn configure_base(inputs: &Inputs<'_>, image: &mut Assembled) -> Result<()> {
    with_base(inputs, image, setup::configure)
}

fn index_modules(inputs: &Inputs<'_>, image: &mut Assembled) -> Result<()> {
    if !inputs.recipe.needs_base() {
        return Ok(());
    }
    modules::index_all(&mut image.tree, inputs.store)
}

fn root_of_disk(inputs: &Inputs<'_>, image: &mut Assembled) -> Result<()> {
    image.boot = boot::prepare(&mut image.tree, inputs.recipe, inputs.arch)?;
    Ok(())
}

fn seal_base(inputs: &Inputs<'_>, image: &mut Assembled) -> Result<()> {
    let above = || image.tree.above_base();
    image.overlay = inputs.recipe.needs_base().then(above);
    with_base(inputs, image, setup::seal)
}

/// Nothing where there is no base system in the image.
fn with_base(
    inputs: &Inputs<'_>,
    image: &mut Assembled,
    run: fn(&mut Tree, setup::Facts<'_>) -> Result<()>,
) -> Result<()> {
    if !inputs.recipe.needs_base() {
        return Ok(());
    }
    let directory = std::env::current_dir().context("finding the directory of the build")?;
    // The root directory or one that every system has would be found in any file.
    let telling = directory.components().count() > 3;
    let facts = setup::Facts {
        arch: inputs.arch,
        epoch: inputs.epoch,
        packages: &image.packages,
        enable: &inputs.recipe.enable,
        build_directory: directory.to_str().filter(|_| telling),
    };
    run(&mut image.tree, facts)
}

fn artifacts(inputs: &Inputs<'_>, image: &mut Assembled) -> Result<()> {
    let artifacts = &inputs.fetched.artifacts;
    // Unpacking is CPU work, an archive a thread; laying in is in the recipe's order.
    let unpacked = in_parallel(artifacts.len(), artifacts.len(), |at| {
        let (artifact, blob) = &artifacts[at];
        let spec = Spec {
            name: artifact.name.as_str(),
            version: artifact.version.as_str(),
            arch: inputs.arch,
            kind: artifact.kind,
            rules: &artifact.rules,
            max_unpacked: artifact.max_unpacked,
            allow_setuid: artifact.allow_setuid,
        };
        artifact::unpack(inputs.store, Arc::clone(blob), &spec)
    });
    for nodes in unpacked {
        for (path, node) in nodes? {
            image.tree.insert(path, node)?;
        }
    }
    Ok(())
}

fn configuration(inputs: &Inputs<'_>, image: &mut Assembled) -> Result<()> {
    let recipe = inputs.recipe;
    let containerd = containerd_version(recipe, image)?;
    let mut files = config::host::generate(recipe);
    match recipe.profile {
        Profile::HardWay | Profile::Bootstrap => {
            files.extend(config::kubelet::generate(recipe)?);
            files.extend(config::kube_proxy::generate(recipe)?);
            missing_dns(recipe, image);
        }
        Profile::Kubeadm | Profile::ContainerHost => {}
    }
    files.push(config::containerd::generate(recipe, &containerd)?);
    for Generated {
        path,
        text,
        link,
        key,
    } in files
    {
        let origin = Origin::Recipe(key.to_owned());
        if let Some(link) = link {
            image
                .tree
                .insert(link.parse()?, Node::symlink(path, origin.clone()))?;
        }
        image.tree.insert(
            path.parse()?,
            Node::file(Content::inline(text.into_bytes()), 0o644, origin),
        )?;
    }
    Ok(())
}

fn containerd_version(recipe: &Recipe, image: &Assembled) -> Result<Version> {
    const PROGRAM: &str = "/usr/bin/containerd";
    version_of_program(recipe, image, PROGRAM)?
        .with_context(|| format!("neither an artifact nor a package installs {PROGRAM}"))
}

/// Of the artifact that installs it, or else of the base system's package.
fn version_of_program(
    recipe: &Recipe,
    image: &Assembled,
    program: &str,
) -> Result<Option<Version>> {
    let path: ImagePath = program.parse()?;
    if let Some(version) = recipe.version_of(&path) {
        return Ok(Some(version.clone()));
    }
    let origin = image.tree.get(&path).map(|node| &node.origin);
    image
        .packages
        .iter()
        .find(|package| matches!(origin, Some(Origin::Package(name)) if *name == package.name))
        .map(setup::Package::upstream_version)
        .transpose()
}

/// The places where kubeadm is looked for; the first is upstream's packages' own.
const KUBEADM: [&str; 2] = ["/usr/bin/kubeadm", "/usr/local/bin/kubeadm"];

const KUBELET: [&str; 2] = ["/usr/bin/kubelet", "/usr/local/bin/kubelet"];

/// The version of a program, as far as the recipe itself says it.
fn of_recipe(recipe: &Recipe, places: [&str; 2]) -> Option<String> {
    let mut paths = places.iter().filter_map(|path| path.parse().ok());
    paths.find_map(|path| recipe.version_of(&path).map(ToString::to_string))
}

/// The tutorial leaves both out, and its pods resolve no Service.
fn missing_dns(recipe: &Recipe, image: &mut Assembled) {
    for (key, missing) in [
        ("cluster_dns", recipe.cluster.cluster_dns.is_empty()),
        ("cluster_domain", recipe.cluster.cluster_domain.is_none()),
    ] {
        if missing {
            image.warnings.push(format!(
                "cluster.{key} is not set: pods will not resolve the names of Services"
            ));
        }
    }
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

/// What first boot is told of the image.
pub fn settings_of(recipe: &Recipe, epoch: Epoch) -> ImageSettings {
    ImageSettings {
        version: settings::SETTINGS_VERSION,
        profile: match recipe.profile {
            Profile::HardWay => settings::Profile::HardWay,
            Profile::Bootstrap => settings::Profile::Bootstrap,
            Profile::Kubeadm => settings::Profile::Kubeadm,
            Profile::ContainerHost => settings::Profile::ContainerHost,
        },
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
        kubeadm: of_recipe(recipe, KUBEADM).filter(|_| recipe.profile == Profile::Kubeadm),
        kubelet: of_recipe(recipe, KUBELET).filter(|_| recipe.profile == Profile::Kubeadm),
        keep_seed: recipe.first_boot.scrub == Some(false),
        seed_wait: recipe.first_boot.wait.unwrap_or(settings::SEED_WAIT),
        epoch: epoch.0,
    }
}

fn first_boot(inputs: &Inputs<'_>, image: &mut Assembled) -> Result<()> {
    let mut settings = settings_of(inputs.recipe, inputs.epoch);
    if inputs.recipe.profile == Profile::Kubeadm {
        for program in KUBEADM {
            let version = version_of_program(inputs.recipe, image, program)?;
            settings.kubeadm = settings
                .kubeadm
                .or_else(|| version.map(|version| version.to_string()));
        }
    }
    let binary = Node::file(inputs.firstboot.clone(), 0o755, Origin::FirstBoot);
    image
        .tree
        .insert(nodeimg_firstboot::BINARY_PATH.parse()?, binary)?;
    let json = Content::inline(settings.to_json()?.into_bytes());
    image.tree.insert(
        settings::SETTINGS_PATH.parse()?,
        Node::file(json, 0o644, Origin::FirstBoot),
    )
}

/// nodeimg's own overlays of a profile, the lowest first.
fn built_in_layers(profile: Profile) -> &'static [&'static str] {
    match profile {
        Profile::HardWay => &["common", "hard-way"],
        Profile::Bootstrap => &["common", "hard-way", "bootstrap"],
        Profile::Kubeadm => &["common", "kubeadm"],
        Profile::ContainerHost => &["common"],
    }
}

fn load_built_in(layer: &str) -> Result<Overlay> {
    let directory = BUILT_IN_OVERLAY
        .get_dir(layer)
        .with_context(|| format!("no overlay `{layer}` in this nodeimg"))?;
    overlay::load(Source::Embedded(directory), layer)
}

/// The templates that first boot will find in an image of this recipe, by the
/// paths that they render to.
pub fn templates_of(recipe: &Recipe) -> Result<Vec<TemplateFile>> {
    let mut texts = BTreeMap::new();
    for layer in built_in_layers(recipe.profile) {
        texts.extend(load_built_in(layer)?.templates);
    }
    for (name, place) in &recipe.overlays {
        texts.extend(overlay::load(Source::Disk(place), name)?.templates);
    }
    let file = |(path, text): (ImagePath, String)| TemplateFile {
        path: path.to_string(),
        text,
    };
    Ok(texts.into_iter().map(file).collect())
}

fn built_in_overlay(inputs: &Inputs<'_>, image: &mut Assembled) -> Result<()> {
    let of_profile = built_in_layers(inputs.recipe.profile);
    let of_images = (!inputs.fetched.images.is_empty()).then_some("images");
    for layer in of_profile.iter().copied().chain(of_images) {
        let overlay = load_built_in(layer)?;
        for (path, node) in overlay.root {
            image.tree.insert(path, node)?;
        }
        templates(overlay.templates, layer, image, Tree::insert)?;
    }
    Ok(())
}

fn container_images(inputs: &Inputs<'_>, image: &mut Assembled) -> Result<()> {
    for (asked, baked) in &inputs.fetched.images {
        let names = asked.names(&baked.top.digest);
        for (path, node) in oci_image::nodes(asked.name.as_str(), baked, &names)? {
            image.tree.insert(path, node)?;
        }
    }
    Ok(())
}

fn writable(inputs: &Inputs<'_>, image: &mut Assembled) -> Result<()> {
    for path in &inputs.recipe.writable {
        image.tree.insert(
            path.clone(),
            Node::directory(0o755, Origin::Recipe("writable".to_owned())),
        )?;
    }
    Ok(())
}

fn user_overlays(inputs: &Inputs<'_>, image: &mut Assembled) -> Result<()> {
    for (name, place) in &inputs.recipe.overlays {
        let Overlay {
            root,
            templates: texts,
        } = overlay::load(Source::Disk(place), name)?;
        for (path, node) in root {
            lay_over(&mut image.tree, path, node)?;
        }
        templates(texts, name, image, lay_over)?;
    }
    Ok(())
}

/// The user's files win over nodeimg's, directories are shared.
fn lay_over(tree: &mut Tree, path: ImagePath, node: Node) -> Result<()> {
    let shared = matches!(node.kind, Kind::Directory)
        && tree
            .get(&path)
            .is_some_and(|there| matches!(there.kind, Kind::Directory));
    if shared {
        Ok(())
    } else {
        tree.replace(path, node)
    }
}

/// A template is checked here, with the very code that renders it on the node.
fn templates(
    texts: Vec<(ImagePath, String)>,
    overlay: &str,
    image: &mut Assembled,
    put: impl Fn(&mut Tree, ImagePath, Node) -> Result<()>,
) -> Result<()> {
    for (path, text) in texts {
        let origin = Origin::Overlay(overlay.to_owned());
        if let Err(error) = Template::parse(&text).and_then(|template| template.check_supplied()) {
            bail!("{origin}: templates{path}: {error}");
        }
        let node = Node::file(Content::inline(text.into_bytes()), 0o644, origin);
        put(&mut image.tree, overlay::template_path(&path)?, node)?;
    }
    Ok(())
}

fn extra_files(inputs: &Inputs<'_>, image: &mut Assembled) -> Result<()> {
    for file in &inputs.recipe.files {
        let bytes = match &file.content {
            ExtraContent::Text(text) => text.clone().into_bytes(),
            ExtraContent::Source(source) => fs::read(source).with_context(|| {
                format!(
                    "reading `file.{}.source` from {}",
                    file.path,
                    source.display()
                )
            })?,
        };
        let node = Node::file(
            Content::inline(bytes),
            file.mode,
            Origin::Recipe("file".to_owned()),
        );
        lay_over(&mut image.tree, file.path.clone(), node)?;
    }
    Ok(())
}

fn enable_units(inputs: &Inputs<'_>, image: &mut Assembled) -> Result<()> {
    for unit in &inputs.recipe.mask {
        let origin = Origin::Recipe("units.mask".to_owned());
        units::mask(&mut image.tree, unit.as_str(), origin)?;
    }
    for unit in &inputs.recipe.enable {
        if !units::enable(&mut image.tree, unit.as_str())? {
            image.warnings.push(format!(
                "units.enable: `{unit}` is not in this image: a preset will enable it where the base system has it"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "rootfs_tests.rs"]
mod tests;
