//! Names of kernel modules, wherever they stand: [modules-load.d(5)](https://manpages.debian.org/trixie/systemd/modules-load.d.5.en.html),
//! [modprobe.d(5)](https://manpages.debian.org/trixie/kmod/modprobe.d.5.en.html), the
//! kernel's command line.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{Findings, Judged, at, is_given, near};
use crate::image::units::text_at;
use crate::input::recipe::Recipe;
use crate::tree::{ImagePath, Origin, Tree};

/// The first one that has a file of a name wins.
const LOAD: [&str; 3] = [
    "/etc/modules-load.d",
    "/usr/local/lib/modules-load.d",
    "/usr/lib/modules-load.d",
];
const MODPROBE: [&str; 3] = [
    "/etc/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
];
/// The one that the recipe's `modules` become.
const OF_RECIPE: &str = "modules";

/// So many files of firmware are named.
const FIRMWARE_SHOWN: usize = 5;

/// Modules that other ones have taken over, with the kernel's version.
const RENAMED: [(&str, &str, &str); 9] = [
    ("ip_conntrack", "nf_conntrack", "2.6.20"),
    ("ip_tables_nat", "iptable_nat", "2.6.20"),
    ("nf_conntrack_ipv4", "nf_conntrack", "4.19"),
    ("nf_conntrack_ipv6", "nf_conntrack", "4.19"),
    ("nf_nat_ipv4", "nf_nat", "5.1"),
    ("nf_nat_ipv6", "nf_nat", "5.1"),
    ("nf_nat_masquerade_ipv4", "nf_nat", "5.1"),
    ("overlayfs", "overlay", "3.18"),
    ("aufs", "overlay", "3.18"),
];

/// A name and where it stands.
struct Named {
    name: String,
    place: String,
    weight: Weight,
}

/// What an absent module means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// A unit fails at every boot.
    Fails,
    /// What a package asks for: it fails as well, but nobody here wrote it.
    OfPackage,
    /// The line does nothing.
    Idle,
    /// Hardening lists what no kernel here has: only a slip of the pen is told.
    Slip,
}

pub fn judge(judged: &Judged<'_>, found: &mut Findings) -> Result<()> {
    if judged.kernels.is_empty() {
        return Ok(());
    }
    let mut named = of_recipe(judged.recipe);
    for (path, origin, text) in effective(judged.tree, &LOAD)? {
        if !matches!(&origin, Origin::Recipe(key) if key == OF_RECIPE) {
            named.extend(loaded(&path, &origin, &text));
        }
    }
    for (path, origin, text) in effective(judged.tree, &MODPROBE)? {
        if is_given(&origin) {
            named.extend(configured(&path, &origin, &text));
        }
    }
    firmware(judged, found);
    for kernel in judged.kernels {
        for entry in &named {
            if kernel.lacking(&[entry.name.as_str()]).is_empty() {
                continue;
            }
            let hint = hint(&entry.name, kernel.names());
            let text = format!(
                "{}: the kernel {} has no module `{}`, neither loadable nor built in{}",
                entry.place,
                kernel.release,
                entry.name,
                hint.as_deref().unwrap_or_default()
            );
            match (entry.weight, hint) {
                (Weight::Fails, Some(_)) => found.problems.push(text),
                (Weight::Fails, None) => found.problems.push(format!(
                    "{text}: leave it out, or choose another kernel in `base.packages`"
                )),
                (Weight::OfPackage, _) => found.warnings.push(format!(
                    "{text}: loading it fails at every boot; a file of the same name in \
                     /etc/modules-load.d takes its place"
                )),
                (Weight::Idle, _) => found.warnings.push(text),
                (Weight::Slip, Some(_)) => found.warnings.push(text),
                (Weight::Slip, None) => {}
            }
        }
    }
    Ok(())
}

/// What the recipe's own modules may ask for; that other ones go without is known to who
/// needs them.
fn firmware(judged: &Judged<'_>, found: &mut Findings) {
    for kernel in judged.kernels {
        for (name, place) in &judged.recipe.module_places {
            let lacking = kernel.lacking_firmware(judged.tree, name.as_str());
            if lacking.is_empty() {
                continue;
            }
            let shown = lacking
                .iter()
                .take(FIRMWARE_SHOWN)
                .copied()
                .collect::<Vec<_>>();
            let more = match lacking.len().saturating_sub(FIRMWARE_SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            found.warnings.push(format!(
                "{place}: the kernel module `{name}` may ask for firmware, of which the image \
                 has none ({}{more}): add the package that has it, such as a `firmware-*` of \
                 Debian's component non-free-firmware",
                shown.join(", ")
            ));
        }
    }
}

/// What is meant instead.
fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let plain = name.replace('-', "_");
    if let Some((_, now, since)) = RENAMED.iter().find(|(old, _, _)| *old == plain) {
        return Some(format!("; since Linux {since} it is part of `{now}`"));
    }
    if let Some((start, _)) = plain.split_once(".ko") {
        return Some(format!("; modules are named without `.ko`: `{start}`"));
    }
    near(&plain, known).map(|name| format!("; did you mean `{name}`?"))
}

/// The recipe's `modules`, and its words for the kernel.
fn of_recipe(recipe: &Recipe) -> Vec<Named> {
    let modules = recipe.module_places.iter();
    let mut named: Vec<Named> = modules
        .map(|(name, place)| Named {
            name: name.to_string(),
            place: place.clone(),
            weight: Weight::Fails,
        })
        .collect();
    for arg in &recipe.disk.kernel_args {
        let Some((key, value)) = arg.split_once('=') else {
            continue;
        };
        let weight = match key.replace('-', "_").as_str() {
            "modules_load" | "rd.modules_load" => Weight::Fails,
            "module_blacklist" | "modprobe.blacklist" | "rd.driver.blacklist" => Weight::Slip,
            _ => continue,
        };
        let names = value.split(',').filter(|name| !name.is_empty());
        named.extend(names.map(|name| Named {
            name: name.to_owned(),
            place: format!("disk.kernel_args: `{arg}`"),
            weight,
        }));
    }
    named
}

/// The files of `directories` that count, in order of their names.
fn effective(tree: &Tree, directories: &[&str]) -> Result<Vec<(ImagePath, Origin, String)>> {
    let mut files = BTreeMap::new();
    for directory in directories {
        let directory: ImagePath = directory.parse()?;
        for (path, node) in tree.below(&directory) {
            if path.parent().as_ref() == Some(&directory) && path.name().ends_with(".conf") {
                files
                    .entry(path.name().to_owned())
                    .or_insert_with(|| (path.clone(), node.origin.clone()));
            }
        }
    }
    let mut all = Vec::new();
    for (path, origin) in files.into_values() {
        // A link to /dev/null takes a file of the same name away.
        if let Some(text) = text_at(tree, &path)? {
            all.push((path, origin, text));
        }
    }
    Ok(all)
}

fn loaded(path: &ImagePath, origin: &Origin, text: &str) -> Vec<Named> {
    let is_given = is_given(origin);
    let lines = text.lines().enumerate();
    lines
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', ';']))
        .map(|(line, name)| Named {
            name: name.to_owned(),
            place: at(path, line, origin),
            weight: if is_given {
                Weight::Fails
            } else {
                Weight::OfPackage
            },
        })
        .collect()
}

/// The names in `options`, `softdep`, `weakdep`, `alias`, `blacklist`, `install` and
/// `remove`.
fn configured(path: &ImagePath, origin: &Origin, text: &str) -> Vec<Named> {
    let mut named = Vec::new();
    let mut pending = String::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(start) = line.trim_end().strip_suffix('\\') {
            pending.push_str(start);
            pending.push(' ');
            continue;
        }
        let whole = std::mem::take(&mut pending) + line;
        let words: Vec<&str> = whole.split_whitespace().collect();
        let (names, weight): (Vec<&str>, Weight) = match words.as_slice() {
            ["options", name, ..] => (vec![name], Weight::Idle),
            ["softdep" | "weakdep", rest @ ..] => {
                let names = rest
                    .iter()
                    .filter(|word| !matches!(**word, "pre:" | "post:"));
                (names.copied().collect(), Weight::Idle)
            }
            ["alias", _, name] => (vec![name], Weight::Idle),
            ["blacklist" | "install" | "remove", name, ..] => (vec![name], Weight::Slip),
            _ => continue,
        };
        named.extend(names.into_iter().map(|name| Named {
            name: name.to_owned(),
            place: at(path, index + 1, origin),
            weight,
        }));
    }
    named
}
