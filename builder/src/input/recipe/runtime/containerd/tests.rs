#![allow(clippy::unwrap_used)]
mod handlers;
mod judged;
mod names;
mod node;
mod pulls;

use super::config;
use crate::input::recipe::Recipe;
use crate::input::recipe::tests::{disk_recipe, recipe, refusal};

fn containerd(more: &str, at: &str) -> anyhow::Result<toml::Table> {
    Ok(toml::from_str(&config::generate(
        &recipe(more),
        &at.parse()?,
    )?)?)
}

/// The value at dotted `way`, plugin names in one piece.
fn at<'a>(table: &'a toml::Table, way: &[&str]) -> Option<&'a toml::Value> {
    let (last, tables) = way.split_last()?;
    tables
        .iter()
        .try_fold(table, |table, key| table.get(*key)?.as_table())?
        .get(*last)
}

#[test]
fn containerd_1_has_one_plugin_for_all_of_cri() {
    let one = containerd("", "1.7.24").unwrap();
    let cri = ["plugins", "io.containerd.grpc.v1.cri"];
    assert_eq!(at(&one, &["version"]).unwrap().as_integer(), Some(2));
    assert_eq!(
        at(&one, &[&cri[..], &["sandbox_image"]].concat())
            .unwrap()
            .as_str(),
        Some("registry.k8s.io/pause:3.10.2")
    );
    assert_eq!(
        at(&one, &[&cri[..], &["containerd", "snapshotter"]].concat())
            .unwrap()
            .as_str(),
        Some("overlayfs")
    );
    let options = &[
        &cri[..],
        &["containerd", "runtimes", "runc", "options", "SystemdCgroup"],
    ]
    .concat();
    assert_eq!(at(&one, options).unwrap().as_bool(), Some(true));
    assert_eq!(
        at(&one, &[&cri[..], &["cni", "bin_dir"]].concat())
            .unwrap()
            .as_str(),
        Some("/opt/cni/bin")
    );
}

#[test]
fn containerd_2_has_a_plugin_for_images_and_one_for_the_runtime() {
    let two = containerd("", "2.3.4").unwrap();
    let (images, runtime) = (
        ["plugins", "io.containerd.cri.v1.images"],
        ["plugins", "io.containerd.cri.v1.runtime"],
    );
    // What containerd reads without having to migrate it.
    assert_eq!(at(&two, &["version"]).unwrap().as_integer(), Some(4));
    let older = containerd("", "2.2.9").unwrap();
    assert_eq!(at(&older, &["version"]).unwrap().as_integer(), Some(3));
    // containerd starts to measure by itself with 2.3.
    let period = &[&runtime[..], &["stats_collect_period"]].concat();
    assert_eq!(at(&two, period).unwrap().as_str(), Some("10s"));
    assert!(at(&older, period).is_none());
    assert_eq!(
        at(&two, &[&images[..], &["pinned_images", "sandbox"]].concat())
            .unwrap()
            .as_str(),
        Some("registry.k8s.io/pause:3.10.2")
    );
    let options = &[
        &runtime[..],
        &["containerd", "runtimes", "runc", "options", "SystemdCgroup"],
    ]
    .concat();
    assert_eq!(at(&two, options).unwrap().as_bool(), Some(true));
    assert!(
        at(&two, &[&runtime[..], &["cni", "bin_dirs"]].concat())
            .unwrap()
            .is_array()
    );
    assert!(at(&two, &["plugins", "io.containerd.grpc.v1.cri"]).is_none());
    let zero = containerd("", "2.0.5").unwrap();
    assert!(
        at(&zero, &[&runtime[..], &["cni", "bin_dir"]].concat())
            .unwrap()
            .is_str()
    );
}

#[test]
fn containerd_3_is_refused() {
    assert!(containerd("", "3.0.0").is_err());
}

#[test]
fn a_cgroup_driver_mismatch_is_a_build_error() {
    let more = "[containerd.config.plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes.runc.options]\nSystemdCgroup = false\n";
    let error = refusal(more);
    assert!(error.contains("both must agree"), "{error}");
}

#[test]
fn runc_is_named_where_the_recipe_installs_it() {
    let name = |recipe: &Recipe| {
        let text = config::generate(recipe, &"1.7.24".parse().unwrap()).unwrap();
        let table: toml::Table = toml::from_str(&text).unwrap();
        let way = ["plugins", "io.containerd.grpc.v1.cri", "containerd"];
        let way = [&way[..], &["runtimes", "runc", "options", "BinaryName"]].concat();
        at(&table, &way).map(|name| name.as_str().unwrap().to_owned())
    };
    assert_eq!(name(&recipe("")).as_deref(), Some("/usr/local/bin/runc"));
    // Debian's is somewhere else; containerd finds it on its PATH.
    assert_eq!(name(&disk_recipe("")), None);
}
