//! A directory in one of the two seed layouts; shared by several sources.
//!
//! # Invariants
//! A directory that is nearly a seed is never ignored silently: the near miss is named
//! together with the name that was expected ([`near`]).
use std::convert::Infallible;

use nodeimg_seed::contract::stamp::Origin;
use nodeimg_seed::read::near;
use nodeimg_seed::read::seed::{Layout, MAX_SEED_FILE, Seed, SeedFile};
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
        for miss in near::misses(&listing(root, base)) {
            reason.push_str(&format!("; {miss}"));
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
    let mut seen: Vec<String> = near::misses(&listing(root, base))
        .into_iter()
        .map(|miss| format!("{place}: {miss}"))
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
    if let Some(seed) = &mut seed {
        let shown = |name: String| root.shown(&format!("{}/{name}", base.trim_end_matches('/')));
        let near = near::beside(layout, &listing(root, base)).into_iter();
        seed.near = near.map(|(found, wanted)| (shown(found), wanted)).collect();
    }
    let place = root.shown(base);
    match seed {
        Some(mut seed) if !problems.has_errors() => {
            seed.told = problems;
            Found::Seed(Box::new(Sought {
                place,
                seed,
                home: Home::Directory(base.to_owned()),
                origin: Origin::default(),
            }))
        }
        _ => Found::Broken { place, problems },
    }
}

/// What is in a directory of the seed.
fn listing<'a>(root: &'a Root, base: &'a str) -> impl Fn(&str) -> Vec<(String, bool)> + 'a {
    move |inside| {
        let path = format!("{}/{inside}", base.trim_end_matches('/'));
        let path = match path.trim_end_matches('/') {
            "" => "/",
            path => path,
        };
        root.list(path).unwrap_or_default()
    }
}
