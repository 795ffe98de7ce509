//! `ds=nocloud;s=PLACE` on the kernel's command line or in the SMBIOS serial number, as
//! in cloud-init: the place of a seed, which is a directory (`/path/`, `file:///path/`)
//! or an address (`http://10.0.0.1:8000/path/`).
//!
//! `__dmi.NAME__` in a place stands for a value of the machine's firmware, so that one
//! server can tell its machines apart. `i=` and `h=` are the instance-id and the
//! local-hostname, and take precedence over those of the seed's `meta-data`, as in
//! cloud-init; without a place they would have to be merged with another source, and
//! sources are never merged.
use std::fs;
use std::path::Path;

use nodeimg_seed::read::seed::Named;
use nodeimg_seed::text::problem::{Place, Problems};

use super::{Found, Search, directory, remote};
use crate::media::System;
use crate::source::http::Url;

/// cloud-init's names for the files of `/sys/class/dmi/id`.
const DMI: [(&str, &str); 11] = [
    ("baseboard-asset-tag", "board_asset_tag"),
    ("baseboard-product-name", "board_name"),
    ("baseboard-serial-number", "board_serial"),
    ("chassis-asset-tag", "chassis_asset_tag"),
    ("chassis-serial-number", "chassis_serial"),
    ("system-manufacturer", "sys_vendor"),
    ("system-product-name", "product_name"),
    ("system-serial-number", "product_serial"),
    ("system-sku-number", "product_sku"),
    ("system-uuid", "product_uuid"),
    ("system-version", "product_version"),
];

pub(super) fn find(search: &Search<'_>) -> Found {
    let Some(system) = search.system else {
        return Found::Absent(Vec::new());
    };
    for (origin, text) in [
        ("the kernel command line", system.proc.join("cmdline")),
        (
            "the SMBIOS serial number",
            system.sys.join("class/dmi/id/product_serial"),
        ),
    ] {
        let text = fs::read_to_string(text).unwrap_or_default();
        let mut words = text.split_whitespace();
        if let Some(word) = words.find(|word| is_ours(word)) {
            return follow(search, system, origin, word);
        }
    }
    Found::Absent(Vec::new())
}

fn is_ours(word: &str) -> bool {
    let rest = word
        .strip_prefix("ds=nocloud-net")
        .or_else(|| word.strip_prefix("ds=nocloud"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(';'))
}

fn follow(search: &Search<'_>, system: &System, origin: &str, word: &str) -> Found {
    let place = Place::file(origin).key("ds");
    let mut problems = Problems::new();
    let mut seed = None;
    let mut named = Named::default();
    for part in word.split(';').skip(1).filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("s" | "seedfrom", value)) => seed = Some(expanded(value, system)),
            Some(("i" | "instance-id", value)) => named.instance_id = Some(value.to_owned()),
            Some(("h" | "local-hostname", value)) => named.local_hostname = Some(value.to_owned()),
            _ => {
                let reason = format!("`{part}` is not supported");
                problems.error(&place, reason, "write `ds=nocloud;s=http://ADDRESS/PATH/`");
            }
        }
    }
    let broken = |problems: Problems| Found::Broken {
        place: origin.to_owned(),
        problems,
    };
    let Some(seed) = seed else {
        if named.instance_id.is_some() || named.local_hostname.is_some() {
            let reason =
                "names the machine but not where its seed is, and sources are never merged";
            problems.error(&place, reason, "add `s=PLACE`, or write it in `meta-data`");
        }
        if problems.has_errors() {
            return broken(problems);
        }
        // It says that there is a NoCloud seed, but not where: the other sources are tried.
        return Found::Absent(vec![format!(
            "{origin}: `{word}` does not say where the seed is"
        )]);
    };
    let from = seed.and_then(|seed| from(search, &seed));
    match from {
        _ if problems.has_errors() => broken(problems),
        Ok(Found::Seed(mut sought)) => {
            sought.seed.named = named;
            Found::Seed(sought)
        }
        Ok(found) => found,
        Err(reason) => {
            problems.error(&place, reason, "write `ds=nocloud;s=http://ADDRESS/PATH/`");
            broken(problems)
        }
    }
}

fn from(search: &Search<'_>, seed: &str) -> Result<Found, String> {
    let path = seed.strip_prefix("file://").unwrap_or(seed);
    if path.starts_with('/') {
        return Ok(match directory::read(search.root, path) {
            Found::Absent(seen) => {
                return Err(seen.join("; "));
            }
            found => found,
        });
    }
    let url = Url::parse(seed).map_err(|reason| format!("`{seed}` {reason}"))?;
    Ok(remote::no_cloud(search, &url))
}

/// Fills in the firmware's values.
fn expanded(text: &str, system: &System) -> Result<String, String> {
    let mut rest = text;
    let mut done = String::new();
    while let Some((before, after)) = rest.split_once("__dmi.") {
        let Some((name, behind)) = after.split_once("__") else {
            break;
        };
        let known = DMI.iter().find(|(known, _)| *known == name);
        let (_, file) = known.ok_or_else(|| format!("`__dmi.{name}__` is not supported"))?;
        let path = system.sys.join("class/dmi/id").join(file);
        let value = read(&path).ok_or_else(|| format!("this machine's firmware has no {name}"))?;
        done.push_str(before);
        done.push_str(&value);
        rest = behind;
    }
    Ok(done + rest)
}

fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '?' | '#');
    (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
