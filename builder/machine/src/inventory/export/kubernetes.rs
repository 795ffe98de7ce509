//! Objects of a cluster that manages machines:
//! [BareMetalHost](https://github.com/metal3-io/baremetal-operator/blob/main/docs/api.md) and
//! [Hardware](https://tinkerbell.org/docs/concepts/hardware/).

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::{Seeded, needed, pretty};
use crate::inventory::Row;
use crate::inventory::clashes::mac;

fn list(items: Vec<Value>) -> Result<BTreeMap<String, String>> {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    Ok([(String::new(), pretty(&list)?)].into())
}

fn named(row: &Row, name: &str) -> Value {
    let mut meta = Map::new();
    meta.insert("name".to_owned(), json!(name));
    if let Some(namespace) = row.one("namespace") {
        meta.insert("namespace".to_owned(), json!(namespace));
    }
    Value::Object(meta)
}

fn address(row: &Row, form: &str) -> Result<String> {
    let text = needed(row, "mac", form)?;
    mac(text).with_context(|| format!("{}: `{text}` is not a MAC address", row.place_of("mac")))
}

/// These carry user-data alone; a network of cloud-init's form would be lost on the way.
fn no_network(node: &Seeded<'_>, form: &str) -> Result<()> {
    if node.files.network.is_some() {
        bail!(
            "{}: {form} does not carry cloud-init's network-config: leave `network` out, or use \
             seeds on media or by HTTP",
            node.row.place_of("network")
        );
    }
    Ok(())
}

pub(super) fn metal3(nodes: &[Seeded<'_>]) -> Result<BTreeMap<String, String>> {
    let mut items = Vec::new();
    for node in nodes {
        no_network(node, "Metal3")?;
        let row = node.row;
        let secret = format!("{}-user-data", row.host_name());
        items.push(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": named(row, &secret),
            "type": "Opaque",
            "stringData": { "userData": node.files.user_data.expose() },
        }));
        items.push(json!({
            "apiVersion": "metal3.io/v1alpha1",
            "kind": "BareMetalHost",
            "metadata": named(row, row.host_name()),
            "spec": host(row, &secret)?,
        }));
    }
    list(items)
}

fn host(row: &Row, secret: &str) -> Result<Value> {
    let mut spec = json!({
        "online": true,
        "bootMACAddress": address(row, "a BareMetalHost")?,
        "userData": named(row, secret),
    });
    if let Some(bmc) = row.one("bmc-address") {
        spec["bmc"] = json!({
            "address": bmc,
            "credentialsName": needed(row, "bmc-secret", "a BareMetalHost with a BMC")?,
        });
    }
    if let Some(image) = row.one("image") {
        spec["image"] = image_of(row, image)?;
    }
    if let Some(disk) = row.one("root-device") {
        spec["rootDeviceHints"] = json!({ "deviceName": disk });
    }
    Ok(spec)
}

/// An image and its checksum, as `Image.GetChecksum` of metal3-io/baremetal-operator
/// (`apis/metal3.io/v1alpha1/baremetalhost_types.go`) takes them: none for a registry, whose
/// digest it is.
fn image_of(row: &Row, image: &str) -> Result<Value> {
    let of_registry = image.starts_with("oci://");
    let Some(sum) = row.one("image-checksum") else {
        if !of_registry {
            let form = "Ironic, for an image that is not in a registry,";
            needed(row, "image-checksum", form)?;
        }
        return Ok(json!({ "url": image }));
    };
    let place = row.place_of("image-checksum");
    if of_registry {
        bail!("{place}: Metal3 takes no image_checksum for an image of a registry: remove it");
    }
    let kind = checksum_kind(sum).with_context(|| {
        format!(
            "{place}: `{sum}` is not a checksum that Ironic takes: write the SHA-256 or SHA-512 \
             in hexadecimal, or the http:// or https:// address of a list of them, such as the \
             image's SHA256SUMS"
        )
    })?;
    Ok(json!({ "url": image, "checksum": sum, "checksumType": kind }))
}

/// What Ironic's agent would make of a checksum: it tells SHA-256 and SHA-512 apart by their
/// lengths, and reads a list at an address. It refuses MD5 unless its operator allows it
/// (`_get_algorithm_by_length`, `_is_checksum_url` of openstack/ironic-python-agent,
/// `ironic_python_agent/extensions/standby.py`).
fn checksum_kind(sum: &str) -> Option<&'static str> {
    if sum.starts_with("http://") || sum.starts_with("https://") {
        return Some("auto");
    }
    let is_hex = sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    match sum.len() {
        64 if is_hex => Some("sha256"),
        128 if is_hex => Some("sha512"),
        _ => None,
    }
}

pub(super) fn tinkerbell(nodes: &[Seeded<'_>]) -> Result<BTreeMap<String, String>> {
    let mut items = Vec::new();
    for node in nodes {
        no_network(node, "Tinkerbell")?;
        let row = node.row;
        let mut spec = json!({
            "interfaces": [{
                "dhcp": {
                    "mac": address(row, "a Hardware")?,
                    "hostname": row.host_name(),
                    "uefi": true,
                },
                "netboot": { "allowPXE": true, "allowWorkflow": true },
            }],
            "metadata": {
                "instance": { "id": node.files.instance_id, "hostname": row.host_name() },
            },
            "userData": node.files.user_data.expose(),
        });
        if let Some(disk) = row.one("root-device") {
            spec["disks"] = json!([{ "device": disk }]);
        }
        items.push(json!({
            "apiVersion": "tinkerbell.org/v1alpha1",
            "kind": "Hardware",
            "metadata": named(row, row.host_name()),
            "spec": spec,
        }));
    }
    list(items)
}
