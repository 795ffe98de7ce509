//! Seeds for machines that ask a web server
//! ([NoCloud](https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html)): one
//! folder each, named by the machine's UUID, serial number or MAC address, so that one command
//! line is for all: `ds=nocloud;s=http://ADDRESS/__dmi.system-uuid__/`. And the groups of
//! [Matchbox](https://matchbox.psdn.io/matchbox/#groups).

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde_json::json;

use super::{Seeded, pretty};
use crate::inventory::Row;
use crate::inventory::clashes::mac;

/// How a machine is told from others: the key of Matchbox, and the name of its folder.
fn told(row: &Row) -> Result<(&'static str, String)> {
    if let Some(uuid) = row.one("uuid") {
        return Ok(("uuid", uuid.to_lowercase()));
    }
    if let Some(serial) = row.one("serial") {
        if serial.contains('/') || serial.starts_with('.') {
            bail!(
                "{}: `{serial}` cannot be the name of a folder",
                row.place_of("serial")
            );
        }
        return Ok(("serial", serial.to_owned()));
    }
    match row.one("mac") {
        Some(text) => match mac(text) {
            Some(mac) => Ok(("mac", mac)),
            None => bail!("{}: `{text}` is not a MAC address", row.place_of("mac")),
        },
        None => bail!(
            "{}: {} has no uuid, serial or mac, by which a server knows it",
            row.place,
            row.host_name()
        ),
    }
}

/// iPXE writes a MAC address in a path with hyphens (`${mac:hexhyp}`).
fn folder(row: &Row) -> Result<String> {
    told(row).map(|(_, text)| text.replace(':', "-"))
}

pub(super) fn tree(nodes: &[Seeded<'_>]) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for node in nodes {
        let folder = folder(node.row)?;
        for (name, text) in node.files.all() {
            files.insert(format!("{folder}/{name}"), text.to_owned());
        }
        // cloud-init asks for it, and some servers answer a page to what they do not have.
        files.insert(format!("{folder}/vendor-data"), String::new());
    }
    Ok(files)
}

pub(super) fn matchbox(nodes: &[Seeded<'_>]) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for (name, text) in tree(nodes)? {
        files.insert(format!("assets/nodeimg/{name}"), text);
    }
    for node in nodes {
        let row = node.row;
        let (key, value) = told(row)?;
        let name = row.host_name();
        let profile = row.one("profile").or(row.one("group")).unwrap_or("nodeimg");
        let group = json!({
            "id": name,
            "name": name,
            "profile": profile,
            "selector": { key: value },
            "metadata": { "seed": format!("/assets/nodeimg/{}/", folder(row)?) },
        });
        files.insert(format!("groups/{name}.json"), pretty(&group)?);
    }
    Ok(files)
}
