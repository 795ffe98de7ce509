//! What the table `[crio]` of a recipe may not say: keys that CRI-O would ignore, and keys
//! that the rest of the image decides.

use super::{CRIO_PROGRAM, NEWEST, OLDEST};
use crate::input::recipe::file::{ArtifactKind, RecipeFile};
use crate::input::recipe::problems::Problems;
use crate::input::recipe::runtime::keys::List;
use crate::input::recipe::source::Step;
use crate::input::recipe::{Artifact, handler};
use crate::tree::ImagePath;

pub const KEYS: List = List {
    lines: include_str!("../../../../../data/crio-keys.txt"),
    program: "CRI-O 1",
};

/// Keys that must fit the rest of the image, and what to do instead.
const OWNED: [(&[&str], &str); 9] = [
    (
        &["api", "listen"],
        "the kubelet of this image looks for it at `/var/run/crio/crio.sock`",
    ),
    (
        &["runtime", "cgroup_manager"],
        "it is `systemd` on both sides: kubelet and container runtime must agree",
    ),
    (
        &["runtime", "default_runtime"],
        "set `crio.default_runtime`",
    ),
    (&["image", "pause_image"], "set `sandbox_image`"),
    (
        &["storage_driver"],
        "it is `overlay`: without it CRI-O would copy every image for every container",
    ),
    (
        &["root"],
        "this image keeps it at `/var/lib/containers/storage`, on the state partition",
    ),
    (
        &["runroot"],
        "this image keeps it at `/run/containers/storage`, in memory",
    ),
    (
        &["imagestore"],
        "this image keeps pulled images at `/var/lib/containers/storage`",
    ),
    (
        &["image", "signature_policy"],
        "the policy is `/etc/containers/policy.json`: with this key CRI-O would judge the \
         signatures of baked images, which have none, at every container",
    ),
];

pub fn check(file: &RecipeFile, artifacts: &[Artifact], problems: &mut Problems<'_>) {
    handler::age_of_crun(file, artifacts, problems);
    let Some(part) = &file.crio else { return };
    let mut add = |way: &[&str], message: &str| {
        let start = [Step::Key("crio"), Step::Key("config")];
        let way = start
            .into_iter()
            .chain(way.iter().map(|key| Step::Key(key)));
        problems.add(&way.collect::<Vec<_>>(), message);
    };
    for bad in KEYS.bad_of(&part.config, minor(artifacts)) {
        let way: Vec<&str> = bad.way.iter().map(String::as_str).collect();
        add(&way, &bad.message);
    }
    let is_set = |way: &[&str]| {
        let (last, tables) = way.split_last()?;
        let mut table = &part.config;
        for name in tables {
            table = table.get(*name)?.as_table()?;
        }
        table.get(*last)
    };
    for (way, remedy) in OWNED {
        if is_set(way).is_some() {
            add(way, &format!("not set here: {remedy}"));
        }
    }
    let bakes = file
        .artifact
        .iter()
        .any(|part| part.kind == Some(ArtifactKind::OciImage));
    if bakes && is_set(&["internal_repair"]).is_some_and(|value| value.as_bool() == Some(true)) {
        add(
            &["internal_repair"],
            "not with baked images: after a crash this CRI-O takes its layers for damaged, and \
             removes all images that were pulled",
        );
    }
}

/// Of the CRI-O that the recipe installs, as far as nodeimg knows its keys.
fn minor(artifacts: &[Artifact]) -> u64 {
    let program = CRIO_PROGRAM.parse::<ImagePath>().ok();
    let installs = |artifact: &&Artifact| {
        program
            .as_ref()
            .is_some_and(|program| artifact.provides(program))
    };
    let artifact = artifacts.iter().find(installs);
    artifact.map_or(NEWEST, |artifact| {
        artifact.version.major_minor().1.clamp(OLDEST, NEWEST)
    })
}
