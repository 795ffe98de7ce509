//! In what a lock does not fit a recipe.

use nodeimg_values::arch::Arch;

use super::pin::{Pin, find};
use super::{Lock, Packages};
use crate::input::fetch::shown;
use crate::input::recipe::request::{LockRequest, requests};
use crate::input::recipe::value::{Name, Version};
use crate::input::recipe::{Base, Deb, PackageName, Recipe};

/// Every way in which `lock` does not fit `recipe`, by key.
pub fn differences(lock: &Lock, recipe: &Recipe) -> Vec<String> {
    let mut found = Vec::new();
    let artifacts = requests(&recipe.artifacts);
    let images = requests(&recipe.images);
    let moved = other_kubernetes(lock, recipe);
    if let Some((asked, locked)) = &moved {
        found.push(format!(
            "kubernetes: the recipe says `{asked}`, the lock has {locked}"
        ));
    }
    // Said once for all of them.
    let said = |name| moved.is_some() && recipe.follows_kubernetes(name);
    let unsaid = artifacts.iter().filter(|request| !said(&request.name));
    found.extend(unanswered(&lock.pins.artifacts, unsaid));
    found.extend(stray(&lock.pins.artifacts, &artifacts));
    found.extend(unanswered(&lock.pins.images, images.iter()));
    found.extend(stray(&lock.pins.images, &images));
    found.extend(of_base(&lock.pins.packages, recipe.base.as_ref()));
    if found.is_empty() && lock.recipe != recipe.digest() {
        found.push(format!(
            "recipe: the recipe's digest is `{}`, the lock says `{}`",
            recipe.digest(),
            lock.recipe
        ));
    }
    found
}

/// The version of Kubernetes that `recipe` asks for and what is locked instead,
/// if that is all that is wrong with those artifacts.
fn other_kubernetes(lock: &Lock, recipe: &Recipe) -> Option<(Version, String)> {
    let asked = recipe.kubernetes.clone()?;
    let locked = lock.pins.artifacts.iter().map(|pin| &pin.request);
    let locked = locked.filter(|artifact| recipe.follows_kubernetes(&artifact.name));
    let others = locked.filter(|artifact| artifact.version != asked);
    let mut versions: Vec<_> = others.map(|other| format!("`{}`", other.version)).collect();
    versions.sort();
    versions.dedup();
    (!versions.is_empty()).then(|| (asked, versions.join(", ")))
}

/// The first key of each request in which its pin is another.
fn unanswered<'a, R: LockRequest + 'a, B>(
    pins: &[Pin<R, B>],
    requests: impl Iterator<Item = &'a R>,
) -> Vec<String> {
    let of = |request: &R| {
        let (name, arch) = request.key();
        let Some(pin) = find(pins, request) else {
            return Some(format!("artifact.{name}: not in the lock for {arch}"));
        };
        let (asked, locked) = (request.values(), pin.request.values());
        let mut pairs = asked.into_iter().zip(locked);
        let ((key, asked), (_, locked)) = pairs.find(|(asked, locked)| asked != locked)?;
        Some(format!(
            "artifact.{name}.{key} ({arch}): the recipe says `{asked}`, the lock `{locked}`"
        ))
    };
    requests.filter_map(of).collect()
}

/// The pins that nothing asks for.
fn stray<R: LockRequest, B>(pins: &[Pin<R, B>], requests: &[R]) -> Vec<String> {
    let asked = |pin: &&Pin<R, B>| requests.iter().any(|r| r.key() == pin.request.key());
    let stray = pins.iter().filter(|pin| !asked(pin));
    let said = |pin: &Pin<R, B>| {
        let (name, arch) = pin.request.key();
        format!("artifact.{name}: in the lock for {arch}, not in the recipe")
    };
    stray.map(said).collect()
}

fn of_base(packages: &Packages, base: Option<&Base>) -> Vec<String> {
    let one = |text: &str| vec![text.to_owned()];
    let base = match (base, &packages.base) {
        (None, None) => return Vec::new(),
        (None, Some(_)) => return one("base: in the lock, not in the recipe"),
        (Some(_), None) => return one("base: in the recipe, not in the lock"),
        (Some(base), Some(_)) if packages.answer(base) => return Vec::new(),
        (Some(base), Some(_)) => base,
    };
    let moved = moved(packages, base);
    if !moved.is_empty() {
        return moved;
    }
    let has = |arch: Arch, name: &PackageName| {
        let mut packages = packages.packages.iter();
        packages.any(|package| package.arch == arch && package.name == *name)
    };
    let mut missing = Vec::new();
    for (arch, names) in &base.packages {
        let lacking = names.iter().filter(|name| !has(*arch, name));
        missing.extend(
            lacking.map(|name| format!("base.packages: `{name}` is not in the lock for {arch}")),
        );
    }
    match missing.is_empty() {
        false => missing,
        true => one(
            "base: the lock was made for a different `[base]` of the recipe (its suite, components, \
             packages, provided, exclude, choices, pins, repositories or deb)",
        ),
    }
}

/// Every package with a URL that is locked from another place.
fn moved(packages: &Packages, base: &Base) -> Vec<String> {
    let of = |deb: &Deb| {
        let mut all = packages.packages.iter();
        let pin = all.find(|pin| pin.name == deb.name && pin.arch == deb.arch)?;
        let locked = match (pin.own_url(), pin.suite()) {
            (Some(url), _) if url == deb.url => return None,
            (Some(url), _) => format!("`{}`", shown(url)),
            (None, suite) => format!("takes it from {}", suite.map_or("Debian", Name::as_str)),
        };
        Some(format!(
            "base.deb.{}.url ({}): the recipe says `{}`, the lock {locked}",
            deb.name,
            deb.arch,
            shown(&deb.url)
        ))
    };
    base.debs.iter().filter_map(of).collect()
}
