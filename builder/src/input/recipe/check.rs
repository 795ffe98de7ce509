//! From a merged file to a [`Recipe`], with every problem reported at once and
//! at its place.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::base::Base;
use super::file::{ArtifactKind, ArtifactPart, RecipeFile};
use super::image;
use super::network::Cidrs;
use super::output::{self, Kinds};
use super::problems::Problems;
use super::runtime::{self, Runtime};
use super::source::Step;
use super::value::{ArtifactVersion, Version, Word};
use super::{
    Artifact, Recipe, component, credential_provider, disk, extra, first_boot, handler, kubernetes,
    profile, registries, services, update, verify,
};
use crate::input::artifact::Kind;
use crate::input::fetch::Mirrors;
use crate::tree::ImagePath;

const DEFAULT_MAX_UNPACKED: u64 = 2 << 30;
const KUBELET_UNIT: &str = "kubelet.service";

/// Checks and completes.
pub fn recipe(mut file: RecipeFile, kinds: &Kinds, mut problems: Problems<'_>) -> Result<Recipe> {
    let runtime = runtime::of(&file);
    runtime::choose(runtime, &mut file);
    cluster(&file, &mut problems);
    services::check(&file, &mut problems);
    sysctl(&file, &mut problems);
    mirrors(&file, &mut problems);
    let base = file
        .base
        .as_ref()
        .and_then(|part| Base::checked(part, &mut problems));
    sysext(&file, &mut problems);
    disk::kernel_args(&file, &mut problems);
    disk::slot_size(&file, &mut problems);
    first_boot::check(&file, &mut problems);
    let artifacts = artifacts(&file, &mut problems);
    let images = image::images(&file.artifact, &mut problems);
    let mut files = extra::files(&file, &mut problems);
    verify::check(&file, &mut problems);
    required(&file, &mut problems);
    let handlers = handler::check(&file, runtime, &artifacts, &mut problems);
    credential_provider::check(&file, &artifacts, &files, &mut problems);
    profile::needs(&file, runtime, &artifacts, &mut problems);
    runtime::check(runtime, &file, &artifacts, &mut problems);
    let registries = registries::check(&file, runtime.registries, &mut problems);
    component::check(&file, &artifacts, &mut problems);
    kubernetes::versions(&file, runtime, &artifacts, &mut problems);
    let outputs = output::outputs(&file, kinds, &mut problems);
    extra::health_needs_a_disk(&file, &outputs, &mut problems);
    disk::identity(&file, &outputs, &mut problems);
    let updates = update::check(&file, &outputs, &mut files, &mut problems);
    let module_places = module_places(&file, &problems);
    let enable_places = places_of(&file.units.enable, &ENABLE, &problems);
    let warnings = problems.done()?;
    let (Some(name), Some(version), Some(profile)) =
        (file.name.clone(), image_version(&file), file.profile)
    else {
        bail!("the recipe lacks a name, version or profile");
    };
    Ok(Recipe {
        name,
        version,
        kubernetes: file.kubernetes.clone(),
        description: file.description.clone(),
        profile,
        runtime,
        sandbox_image: file.sandbox_image.clone(),
        outputs,
        sysext: file.sysext.clone(),
        disk: file.disk.clone(),
        first_boot: file.first_boot.clone(),
        modules: profile::modules(&file),
        module_places,
        enable_places,
        writable: writable(&file, runtime),
        overlays: overlays(&file),
        base,
        cluster: file.cluster.clone(),
        kubelet: file.kubelet.clone(),
        kube_proxy: file.kube_proxy.clone(),
        handlers,
        credential_providers: file.credential_provider.clone(),
        registries,
        enable: enabled(&file, runtime, !images.is_empty(), updates.units),
        mask: file.units.mask.clone(),
        sysctl: file.sysctl.clone(),
        mirrors: file.mirrors.clone(),
        trust: file.trust.clone(),
        has_updater: updates.has_program,
        rollout: updates.rollout,
        artifacts,
        images,
        files,
        warnings,
        effective: file,
    })
}

/// The recipe's modules, those of the initrd last, each with its place: what the kernel
/// says of them comes later.
fn module_places(file: &RecipeFile, problems: &Problems<'_>) -> Vec<(Word, String)> {
    let initrd = [Step::Key("disk"), Step::Key("initrd_modules")];
    let modules = profile::modules(file);
    let lists: [(&[Word], &[Step<'_>]); 2] = [
        (&modules, &[Step::Key("modules")]),
        (&file.disk.initrd_modules, &initrd),
    ];
    let places = lists.into_iter();
    places
        .flat_map(|(names, way)| places_of(names, way, problems))
        .collect()
}

const ENABLE: [Step<'static>; 2] = [Step::Key("units"), Step::Key("enable")];

/// Words of the array at `way`, each with its place.
fn places_of(words: &[Word], way: &[Step<'_>], problems: &Problems<'_>) -> Vec<(Word, String)> {
    let place = |word: &Word| (word.clone(), problems.place_of_word(way, word.as_str()));
    words.iter().map(place).collect()
}

fn required(file: &RecipeFile, problems: &mut Problems<'_>) {
    for (key, missing) in [
        ("name", file.name.is_none()),
        ("version", image_version(file).is_none()),
        ("profile", file.profile.is_none()),
    ] {
        if missing {
            problems.add(&[Step::Key(key)], "missing: every recipe has one");
        }
    }
}

/// Of the image: its own, or that of Kubernetes in it.
fn image_version(file: &RecipeFile) -> Option<Version> {
    file.version.clone().or_else(|| file.kubernetes.clone())
}

/// The recipe's directories, and those of its runtime's state and of its profile at their
/// places by name.
fn writable(file: &RecipeFile, runtime: &Runtime) -> Vec<ImagePath> {
    let mut all: Vec<ImagePath> = file.writable.iter().map(|path| path.0.clone()).collect();
    let of_profile = file.profile.iter().flat_map(|profile| profile.writable);
    let more = runtime.shared.state.iter().chain(of_profile);
    for path in more.filter_map(|path| path.parse::<ImagePath>().ok()) {
        if !all.contains(&path) {
            let at = all.iter().position(|there| *there > path);
            all.insert(at.unwrap_or(all.len()), path);
        }
    }
    all
}

/// The runtime's unit is enabled unless the recipe masks it, before the kubelet's; the one
/// that imports baked images comes with them.
fn enabled(
    file: &RecipeFile,
    runtime: &Runtime,
    has_images: bool,
    of_updates: Vec<Word>,
) -> Vec<Word> {
    let mut all = file.units.enable.clone();
    let is_new = |all: &[Word], unit: &Word| !all.contains(unit) && !file.units.mask.contains(unit);
    if let Ok(unit) = runtime.shared.unit.parse()
        && is_new(&all, &unit)
    {
        let kubelet = all.iter().position(|unit| unit.as_str() == KUBELET_UNIT);
        all.insert(kubelet.unwrap_or(all.len()), unit);
    }
    let importer = runtime.importer().filter(|_| has_images);
    let own = importer.and_then(|importer| importer.unit.parse().ok());
    let more = own.into_iter().chain(of_updates);
    all.extend(more.filter(|unit| is_new(&file.units.enable, unit)));
    all
}

/// Folders by name.
fn overlays(file: &RecipeFile) -> Vec<(String, PathBuf)> {
    let folders = file.overlay.iter();
    folders
        .map(|path| (overlay_name(path), PathBuf::from(path)))
        .collect()
}

/// The folder's own name: a manifest has no path of the host in it.
fn overlay_name(path: &str) -> String {
    let name = PathBuf::from(path)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| path.to_owned())
}

fn cluster(file: &RecipeFile, problems: &mut Problems<'_>) {
    let part = &file.cluster;
    let of = |cidrs: &Option<Cidrs>| cidrs.as_ref().map(|cidrs| cidrs.as_slice().to_vec());
    let pods = of(&part.cluster_cidr).unwrap_or_default();
    let services = of(&part.service_cidr).unwrap_or_default();
    for service in &services {
        if let Some(pod) = pods.iter().find(|pod| pod.overlaps(*service)) {
            let message = format!(
                "`{service}` overlaps cluster_cidr `{pod}`: pods and Services need networks of their own"
            );
            problems.add(&[Step::Key("cluster"), Step::Key("service_cidr")], &message);
        }
    }
    for (index, dns) in part.cluster_dns.iter().enumerate() {
        let way = [
            Step::Key("cluster"),
            Step::Key("cluster_dns"),
            Step::Index(index),
        ];
        if !services.is_empty() && !services.iter().any(|services| services.net().contains(dns)) {
            problems.add(&way, &format!("`{dns}` is not inside service_cidr"));
        }
    }
}

fn sysctl(file: &RecipeFile, problems: &mut Problems<'_>) {
    for (key, value) in &file.sysctl {
        let way = [Step::Key("sysctl"), Step::Key(key)];
        if !key.contains(['.', '/'])
            || key.contains(|c: char| c.is_whitespace() || c == '=' || c.is_control())
        {
            problems.add(
                &way,
                "not a kernel parameter: `net.ipv4.ip_forward = 1`, the name in quotes",
            );
        }
        if let super::file::SysctlValue::Text(text) = value
            && text.contains(char::is_control)
        {
            problems.add(&way, "the value holds a control character");
        }
    }
}

/// systemd compares versions of one system only.
fn sysext(file: &RecipeFile, problems: &mut Problems<'_>) {
    if file.sysext.version_id.is_some() && file.sysext.id.is_none() {
        problems.add(
            &[Step::Key("sysext"), Step::Key("version_id")],
            "a version without a system: set `id` as well, `id = \"debian\"`",
        );
    }
}

fn mirrors(file: &RecipeFile, problems: &mut Problems<'_>) {
    for (from, to) in &file.mirrors {
        if let Err(error) = Mirrors::new(&[], None, &[format!("{from}={to}")]) {
            problems.add(
                &[Step::Key("mirrors"), Step::Key(from)],
                &format!("{error:#}"),
            );
        }
    }
}

fn artifacts(file: &RecipeFile, problems: &mut Problems<'_>) -> Vec<Artifact> {
    let parts = file.artifact.iter();
    parts
        .filter_map(|part| artifact(file, part, problems))
        .collect()
}

fn artifact(
    file: &RecipeFile,
    part: &ArtifactPart,
    problems: &mut Problems<'_>,
) -> Option<Artifact> {
    let table = [Step::Key("artifact"), Step::Named(part.name.as_str())];
    image::keys(part, problems);
    if part.name.as_str() == "base" {
        problems.add(
            &table,
            "`base` is the base system: give the artifact another name",
        );
    }
    let kind = match part.kind {
        Some(ArtifactKind::OciImage) => return None,
        Some(ArtifactKind::Binary) => Some(Kind::Binary),
        Some(ArtifactKind::Archive) => Some(Kind::Archive),
        None => None,
    };
    for (key, missing) in [
        ("kind", kind.is_none()),
        ("version", part.version.is_none()),
        ("url", part.url.is_none()),
    ] {
        if missing {
            problems.add(&table, &format!("`{key}` is missing"));
        }
    }
    if part.files.is_empty() {
        problems.add(
            &table,
            "`files` is missing: list what to install, and where",
        );
    }
    let (kind, written, url) = (kind?, part.version.as_ref()?, part.url.clone()?);
    let follows_kubernetes = *written == ArtifactVersion::Kubernetes;
    let version = kubernetes::resolve(file, part, written, problems)?;
    members(kind, part, problems);
    Some(Artifact {
        name: part.name.clone(),
        kind,
        version,
        follows_kubernetes,
        url,
        checksum: part.checksum.clone(),
        arch_names: part.arch_names.clone(),
        rules: part.files.clone(),
        max_unpacked: part
            .max_unpacked
            .map_or(DEFAULT_MAX_UNPACKED, |size| size.0),
        allow_setuid: part.allow_setuid.unwrap_or(false),
        verify: part.verify.clone(),
    })
}

/// Checks that the rules of an archive name members, and that no others do.
fn members(kind: Kind, part: &ArtifactPart, problems: &mut Problems<'_>) {
    for (index, rule) in part.files.iter().enumerate() {
        let message = match (kind, &rule.from) {
            (Kind::Binary, Some(_)) => "a binary has no members: leave `from` out",
            (Kind::Archive, None) => "`from` is missing: name the member of the archive",
            _ => continue,
        };
        let way = [
            Step::Key("artifact"),
            Step::Named(part.name.as_str()),
            Step::Key("files"),
            Step::Index(index),
        ];
        problems.add(&way, message);
    }
}
