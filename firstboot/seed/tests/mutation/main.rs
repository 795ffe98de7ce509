//! Nothing is silently without effect: a change of any place of any document of a seed
//! changes the plan, or is refused by its name, or a warning names it. A warning that
//! counts what is not listed does not count.
//!
//! The documents are those of other projects (`NODEIMG_FIXTURES`, as in
//! `firstboot/program/tests/fixtures.rs`) and those of `generated.rs`, which have every key.
//! Networks have a test of their own.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod document;
mod generated;
mod judge;

use std::fs;
use std::path::Path;

use document::{Mutation, Tree};
use generated::CONFIG;
use judge::{Document, Role, Sample, fault};
use nodeimg_seed::read::cloud_config;
use nodeimg_seed::read::node_config;
use nodeimg_seed::read::seed::Layout;

/// Places that have no effect by their nature: the sample (`*` is any), the end of the
/// path or what is above it, the change (`*` is any), why.
const REASONS: &[(&str, &str, &str, &str)] = &[
    (
        "*",
        "instance-id",
        "*",
        "it says which instance this is, not what the node becomes",
    ),
    (
        "*",
        "uuid",
        "*",
        "it says which instance this is, not what the node becomes",
    ),
    (
        "*",
        "public-keys.*",
        "renamed",
        "the name of a key is for people",
    ),
    (
        "*",
        "public_keys.*",
        "renamed",
        "the name of a key is for people",
    ),
    (
        "*",
        "local-hostname",
        "removed",
        "user-data gives the same name",
    ),
    (
        "*",
        "hostname",
        "removed",
        "meta-data or `fqdn` gives the same name",
    ),
    ("*", "ntp.enabled", "removed", "a node does so anyway"),
    ("*", "lock_passwd", "removed", "a node does so anyway"),
    ("*", "manage_etc_hosts", "removed", "a node does so anyway"),
    ("*", "growpart", "removed", "a node does so anyway"),
    ("*", "growpart.mode", "removed", "a node does so anyway"),
    ("*", "growpart.devices", "removed", "a node does so anyway"),
    ("*", "resize_rootfs", "removed", "a node does so anyway"),
    (
        "*",
        "create_hostname_file",
        "removed",
        "a node does so anyway",
    ),
    ("*", "preserve_hostname", "removed", "a node does so anyway"),
    ("*", "chpasswd", "removed", "a node does so anyway"),
    ("*", "chpasswd.expire", "removed", "a node does so anyway"),
    ("*", "package_upgrade", "removed", "a node does so anyway"),
    ("*", "remove_defaults", "removed", "a node does so anyway"),
    (
        "*",
        "users.0",
        "removed",
        "the user of the key `user` is there anyway",
    ),
    (
        "*",
        "primary_group",
        "removed",
        "it is the name of the user",
    ),
    ("*", "shell", "removed", "a node does so anyway"),
    (
        "*",
        "defer",
        "*",
        "only the order of files of one path depends on it",
    ),
    ("*", "cluster_cidr", "removed", "the image has one"),
    ("archive", "type", "removed", "the content says what it is"),
    (
        "meta_data.json",
        "cloud-init",
        "*",
        "it is text of several lines, and the line inside is told",
    ),
    ("*", "fqdn", "removed", "meta-data gives the same name"),
    ("*", "files", "removed", "an empty list is as none"),
    (
        "*",
        "availability_zone",
        "*",
        "it is what the cloud writes for templates alone",
    ),
    (
        "*",
        "meta",
        "*",
        "it is what the cloud writes for templates alone",
    ),
    (
        "*",
        "meta.*",
        "*",
        "it is what the cloud writes for templates alone",
    ),
    (
        "*",
        "name",
        "*",
        "it is what the cloud writes for templates alone",
    ),
    (
        "*",
        "launch_index",
        "*",
        "it is what the cloud writes for templates alone",
    ),
    (
        "*",
        "project_id",
        "*",
        "it is what the cloud writes for templates alone",
    ),
    (
        "*",
        "random_seed",
        "*",
        "it is what the cloud writes for templates alone",
    ),
    (
        "*",
        "devices",
        "*",
        "it is what the cloud writes for templates alone",
    ),
    (
        "*",
        "keys",
        "*",
        "it is what the cloud writes for templates alone",
    ),
    (
        "*",
        "admin_pass",
        "*",
        "it is what the cloud writes for templates alone",
    ),
    (
        "bad-norway-booleans",
        "ntp",
        "removed",
        "it names no servers",
    ),
    (
        "bad-norway-booleans",
        "ntp.enabled",
        "*",
        "it names no servers",
    ),
];

/// Whether a path ends so; with `.*`, whether it is below.
fn is_at(path: &str, end: &str) -> bool {
    match end.strip_suffix(".*") {
        Some(above) => path.starts_with(&format!("{above}.")),
        None => path == end || path.ends_with(&format!(".{end}")),
    }
}

fn is_reasoned(sample: &str, mutation: &Mutation) -> bool {
    let path = mutation.path.join(".");
    REASONS.iter().any(|(of, end, what, _)| {
        (*of == "*" || *of == sample)
            && is_at(&path, end)
            && (*what == "*" || *what == mutation.what)
    })
}

/// The changes that do not show, and how many were tried.
fn faults(sample: &Sample) -> (Vec<String>, usize) {
    let before = sample.outcome(&sample.documents);
    let said: Vec<String> = before.problems.iter().map(ToString::to_string).collect();
    assert!(before.plan.is_some(), "{}: {said:#?}", sample.name);
    let mut found = Vec::new();
    let mut tried = 0;
    for (index, old) in sample.documents.iter().enumerate() {
        for mutation in old.tree.mutations() {
            let is_network = old.role == Role::Meta && mutation.path[0].starts_with("network");
            if is_network || is_reasoned(&sample.name, &mutation) {
                continue;
            }
            tried += 1;
            let mut documents = sample.documents.clone();
            documents[index].tree = mutation.tree.clone();
            let after = sample.outcome(&documents);
            if let Some(why) = fault(&before, &after, old, &documents[index], &mutation.path) {
                let path = mutation.path.join(".");
                found.push(format!("{}: {path} ({}) {why}", sample.name, mutation.what));
            }
        }
    }
    (found, tried)
}

fn check(samples: &[Sample], least: usize) {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for sample in samples {
        let (found, count) = faults(sample);
        wrong.extend(found);
        tried += count;
    }
    assert!(
        wrong.is_empty(),
        "{} of {tried} changes do not show:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(tried >= least, "only {tried} changes were tried");
    println!("{tried} changes");
}

#[test]
fn every_place_of_generated_seeds_counts() {
    check(&generated::all(), 800);
}

/// A new key belongs into `generated.rs`.
#[test]
fn generated_seeds_have_every_key() {
    let mut text = String::new();
    for sample in generated::all() {
        for document in &sample.documents {
            document.tree.write(&mut text);
        }
    }
    let keys = cloud_config::key_names().chain(node_config::key_names());
    let missing: Vec<&str> = keys
        .filter(|key| *key != "ca-certs" && !text.contains(&format!("\"{key}\":")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_place_of_foreign_seeds_counts() {
    let Some(base) = std::env::var_os("NODEIMG_FIXTURES") else {
        println!("skipped: NODEIMG_FIXTURES does not name the directory of the fixtures");
        return;
    };
    let base = Path::new(&base).join("first-boot");
    let mut samples = Vec::new();
    for entry in fs::read_dir(&base).unwrap() {
        samples.extend(fixture(&entry.unwrap().path()));
    }
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(samples.len() >= 30, "only {} seeds", samples.len());
    check(&samples, 500);
}

/// A fixture as a sample, without what is refused in it; `None` if nothing is left.
fn fixture(directory: &Path) -> Option<Sample> {
    let name = directory.file_name().unwrap().to_str().unwrap().to_owned();
    let (folder, layout) = match directory.join("cidata").exists() {
        true => ("cidata", Layout::NoCloud),
        false => ("config-2", Layout::ConfigDrive),
    };
    let names = layout.names();
    let read = |name: &str| fs::read(directory.join(folder).join(name)).ok();
    let mut sample = generated::sample(&name, layout, "container-host", Vec::new());
    let files = [
        (Role::Meta, names.meta_data),
        (Role::User, names.user_data),
        (Role::Vendor, names.vendor_data),
    ];
    for (role, name) in files {
        let Some(bytes) = read(name) else { continue };
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        let is_config = text.starts_with(CONFIG) || role == Role::Meta || layout != Layout::NoCloud;
        let head = match text.starts_with(CONFIG) {
            true => CONFIG,
            false => "",
        };
        match Tree::of(text).filter(|tree| is_config && matches!(tree, Tree::Map(_))) {
            Some(tree) => sample.documents.push(Document {
                role,
                head: head.to_owned(),
                tree,
            }),
            None => sample.others.push((role, bytes)),
        }
    }
    sample.network = read(names.network);
    without_refused(sample)
}

fn without_refused(mut sample: Sample) -> Option<Sample> {
    for _ in 0..20 {
        let outcome = sample.outcome(&sample.documents);
        if outcome.plan.is_some() {
            return Some(sample).filter(|sample| !sample.documents.is_empty());
        }
        let said = outcome.problems.iter();
        let errors: Vec<_> = said
            .filter(|problem| problem.severity == nodeimg_seed::text::problem::Severity::Error)
            .collect();
        let names = sample.layout.names();
        for error in errors {
            let top = error.key.as_deref().and_then(|key| key.split('.').next());
            if error.reason.starts_with("no host name") {
                let tree = Tree::of("{instance-id: i, local-hostname: n}");
                sample
                    .documents
                    .retain(|document| document.role != Role::Meta);
                sample.others.retain(|(role, _)| *role != Role::Meta);
                let (role, head) = (Role::Meta, String::new());
                let tree = tree?;
                sample.documents.push(Document { role, head, tree });
            } else if error.file == names.network {
                sample.network = None;
            } else {
                let key = top?;
                for document in &mut sample.documents {
                    document.tree.without(key);
                }
            }
        }
    }
    None
}
