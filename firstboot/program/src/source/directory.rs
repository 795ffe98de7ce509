//! A directory in one of the two seed layouts; shared by several sources.
//!
//! # Invariants
//! A directory that is nearly a seed is never ignored silently: the near miss is named
//! together with the name that was expected.
use std::convert::Infallible;

use nodeimg_seed::contract::stamp::Origin;
use nodeimg_seed::read::seed::{Layout, MAX_SEED_FILE, Seed, SeedFile, fold, near_miss};
use nodeimg_seed::text::problem::{Place, Problems};

use super::{Found, Home, Sought};
use crate::root::Root;

pub(super) fn read(root: &Root, base: &str) -> Found {
    let place = root.shown(base);
    let at = |name: &str| format!("{}/{name}", base.trim_end_matches('/'));
    let no_cloud = Layout::NoCloud.names();
    let drive = Layout::ConfigDrive.names();
    let has_meta = root.exists(&at(no_cloud.meta_data));
    let has_user = root.exists(&at(no_cloud.user_data));
    if has_meta && has_user {
        return read_layout(root, base, Layout::NoCloud);
    }
    if has_meta || has_user {
        let (has, lacks) = if has_meta {
            (no_cloud.meta_data, no_cloud.user_data)
        } else {
            (no_cloud.user_data, no_cloud.meta_data)
        };
        let mut problems = Problems::new();
        let mut reason = format!("holds `{has}` but no `{lacks}`, and NoCloud needs both");
        for near in near_misses(root, base) {
            reason.push_str(&format!("; {near}"));
        }
        problems.error(
            &Place::file(&place),
            reason,
            format!("add `{lacks}`; it may be empty"),
        );
        return Found::Broken { place, problems };
    }
    if root.exists(&at(drive.meta_data)) {
        return read_layout(root, base, Layout::ConfigDrive);
    }
    let mut seen: Vec<String> = near_misses(root, base)
        .into_iter()
        .map(|near| format!("{place}: {near}"))
        .collect();
    if seen.is_empty() {
        seen.push(format!(
            "{place}: holds neither `meta-data` and `user-data` nor `{}`",
            drive.meta_data
        ));
    }
    Found::Absent(seen)
}

fn read_layout(root: &Root, base: &str, layout: Layout) -> Found {
    let names = layout.names();
    let mut problems = Problems::new();
    let mut take = |name: &str| {
        let path = format!("{}/{name}", base.trim_end_matches('/'));
        match root.read(&path, MAX_SEED_FILE) {
            Ok(bytes) => bytes.map(|bytes| SeedFile {
                name: root.shown(&path),
                bytes,
            }),
            Err(error) => {
                let place = Place::file(root.shown(&path));
                problems.error(
                    &place,
                    format!("cannot be read: {error}"),
                    "replace the file",
                );
                None
            }
        }
    };
    let meta_data = take(names.meta_data);
    let user_data = take(names.user_data);
    let vendor_data = take(names.vendor_data);
    let vendor_data2 = names.vendor_data2.and_then(&mut take);
    let network = take(names.network);
    let mut seed = meta_data.map(|meta_data| Seed {
        user_data,
        vendor_data,
        vendor_data2,
        network,
        ..Seed::new(layout, meta_data)
    });
    if let Some(seed) = &mut seed {
        let mut listed = Problems::new();
        let read = seed.inject(|name| Ok::<_, Infallible>(take(name)), &mut listed);
        let Ok(()) = read;
        problems.append(listed);
    }
    if let Some(seed) = seed.as_mut().filter(|_| layout == Layout::NoCloud) {
        let names = root.list(base).unwrap_or_default().into_iter();
        let near = names.filter_map(|(name, _)| {
            let found = root.shown(&format!("{}/{name}", base.trim_end_matches('/')));
            Some((found, near_miss(&name)?))
        });
        seed.near = near.collect();
    }
    let place = root.shown(base);
    match seed {
        Some(seed) if !problems.has_errors() => Found::Seed(Box::new(Sought {
            place,
            seed,
            home: Home::Directory(base.to_owned()),
            origin: Origin::default(),
        })),
        _ => Found::Broken { place, problems },
    }
}

/// Names that someone probably meant to be ours.
fn near_misses(root: &Root, base: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, is_directory) in root.list(base).unwrap_or_default() {
        let inside = format!("{}/{name}", base.trim_end_matches('/'));
        let shown: String = name.chars().filter(|c| !c.is_control()).collect();
        if let Some(expected) = near_miss(&name) {
            lines.push(format!("found `{shown}`, expected `{expected}`"));
        } else if is_directory && name.eq_ignore_ascii_case("openstack") {
            lines.extend(openstack_misses(root, &inside, &shown));
        } else if is_directory && name == "ec2" {
            lines.push(
                "found an EC2 tree `ec2/`, expected `openstack/latest/meta_data.json`".to_owned(),
            );
        } else if is_directory && looks_like_a_seed(root, &inside) {
            lines.push(format!(
                "found a seed one level down in `{shown}/`, expected it at the top level"
            ));
        }
    }
    lines
}

fn openstack_misses(root: &Root, inside: &str, shown: &str) -> Vec<String> {
    if shown != "openstack" {
        return vec![format!("found `{shown}/`, expected `openstack/`")];
    }
    let below = root.list(inside).unwrap_or_default();
    if below.iter().any(|(name, _)| name == "latest") {
        let inside = root.list(&format!("{inside}/latest")).unwrap_or_default();
        let near = inside.iter().find(|(name, _)| fold(name) == "metadata");
        return match near {
            Some((name, _)) => {
                vec![format!(
                    "found `openstack/latest/{name}`, expected `openstack/latest/meta_data.json`"
                )]
            }
            None => vec!["found `openstack/latest/` without `meta_data.json`".to_owned()],
        };
    }
    let versions: Vec<&str> = below.iter().map(|(name, _)| name.as_str()).collect();
    vec![format!(
        "found `openstack/` with {:?} only, expected `openstack/latest/`",
        versions
    )]
}

fn looks_like_a_seed(root: &Root, directory: &str) -> bool {
    let names = Layout::NoCloud.names();
    [names.user_data, Layout::ConfigDrive.names().meta_data]
        .iter()
        .any(|name| root.exists(&format!("{directory}/{name}")))
}
