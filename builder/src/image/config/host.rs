//! Host settings: kernel parameters, modules, writable directories, presets.
//!
//! The formats are systemd's: sysctl.d(5), modules-load.d(5), tmpfiles.d(5),
//! systemd.preset(5).

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Generated;
use crate::input::recipe::Recipe;
use crate::input::recipe::file::SysctlValue;
use crate::input::recipe::network::Cidrs;

/// Every host settings file of the recipe.
pub fn generate(recipe: &Recipe) -> Vec<Generated> {
    let made = [
        ("/etc/sysctl.d/99-kubernetes.conf", sysctl(recipe), "sysctl"),
        (
            "/etc/modules-load.d/kubernetes.conf",
            modules(recipe),
            "modules",
        ),
        (
            "/usr/lib/tmpfiles.d/nodeimg-writable.conf",
            writable(recipe),
            "writable",
        ),
        (
            "/usr/lib/systemd/system-preset/10-nodeimg.preset",
            preset(recipe),
            "units",
        ),
    ];
    made.map(|(path, text, key)| Generated {
        path,
        text,
        link: None,
        key,
    })
    .into()
}

/// Lines of the same shape, under a comment; writing to a String cannot fail.
fn lines(comment: &str, items: impl Iterator<Item = String>) -> String {
    items.fold(format!("# {comment}\n"), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}

fn sysctl(recipe: &Recipe) -> String {
    let mut values: BTreeMap<&str, String> = BTreeMap::new();
    let dual_stack = recipe
        .cluster
        .cluster_cidr
        .as_ref()
        .is_some_and(Cidrs::has_ipv6);
    if dual_stack {
        values.insert("net.ipv6.conf.all.forwarding", "1".to_owned());
    }
    for (key, value) in &recipe.sysctl {
        let text = match value {
            SysctlValue::Number(number) => number.to_string(),
            SysctlValue::Text(text) => text.clone(),
        };
        values.insert(key, text);
    }
    lines(
        "From the recipe.",
        values
            .into_iter()
            .map(|(key, value)| format!("{key} = {value}")),
    )
}

fn modules(recipe: &Recipe) -> String {
    lines(
        "From the recipe.",
        recipe.modules.iter().map(ToString::to_string),
    )
}

fn writable(recipe: &Recipe) -> String {
    lines(
        "The directories that stay writable, from the recipe.",
        recipe
            .writable
            .iter()
            .map(|path| format!("d {} 0755 root root -", path.as_str().replace('%', "%%"))),
    )
}

fn preset(recipe: &Recipe) -> String {
    let enable = recipe.enable.iter().map(|unit| format!("enable {unit}"));
    let mask = recipe.mask.iter().map(|unit| format!("disable {unit}"));
    lines("From the recipe.", enable.chain(mask))
}
