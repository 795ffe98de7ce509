//! Where the network of a seed is: a file of its own, or the meta-data.
//!
//! ```yaml
//! network: {version: 2, ethernets: {...}}      # VMware
//! network-config: {version: 1, config: [...]}  # Hetzner
//! network: dmVyc2lvbjogMgo=                    # VMware, with
//! network.encoding: base64                     # or gzip+base64
//! network-interfaces: |                        # NoCloud's oldest form
//!   auto eth0
//! ```
//! - <https://cloudinit.readthedocs.io/en/latest/reference/datasources/vmware.html>
//! - <https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html>
//!
//! # Invariants
//! One of them counts, as with cloud-init the file; each other one is named.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::value::{given, idle, unknown};
use super::{Draft, eni, no_cloud, openstack};
use crate::read::seed::{Layout, MAX_SEED_FILE, Seed, SeedFile};
use crate::read::user_data::gunzip;
use crate::text::field::{Field, shown};
use crate::text::problem::{Place, Problems};

/// Keys of NoCloud's meta-data, the first of which counts.
const KEYS: [&str; 4] = [
    "network-config",
    "network_config",
    "network",
    "network-interfaces",
];

/// How the text of a key is packed.
const ENCODINGS: [&str; 2] = ["network-config.encoding", "network.encoding"];

/// Whether a key of NoCloud's meta-data is of its network.
pub fn is_of_network(key: &str) -> bool {
    KEYS.contains(&key) || ENCODINGS.contains(&key)
}

pub(super) fn draft(seed: &Seed, problems: &mut Problems) -> Option<Draft> {
    let file = seed.network.as_ref().filter(|file| !file.says_nothing());
    if seed.layout == Layout::NoCloud {
        let inside = no_cloud_meta_data(&seed.meta_data, file, problems);
        return match file {
            Some(file) => no_cloud(&file.name, &file.yaml(problems)??, problems),
            None => inside,
        };
    }
    match (file, &seed.interfaces) {
        (Some(file), interfaces) => {
            if interfaces.is_some() {
                let place = Place::file(&seed.meta_data.name).key("network_config");
                let reason = format!("has no effect: `{}` takes precedence", file.name);
                problems.warn(&place, reason, "");
            }
            openstack::read(file, &file.yaml(problems)??, problems)
        }
        (None, Some(interfaces)) => eni::read(interfaces, problems),
        (None, None) => None,
    }
}

/// The network in the meta-data, if no file takes precedence.
fn no_cloud_meta_data(
    meta: &SeedFile,
    file: Option<&SeedFile>,
    problems: &mut Problems,
) -> Option<Draft> {
    const NAME: &[u8] = b"network";
    if !meta.bytes.windows(NAME.len()).any(|bytes| bytes == NAME) {
        return None;
    }
    // What is wrong with the file itself, the reader of the identity says.
    let root = meta.yaml(&mut Problems::new())??;
    let entries = root.entries()?;
    let find = |name: &str| {
        let entry = entries.iter().find(|entry| entry.key.expose() == name)?;
        let field = Field::top(&meta.name, shown(name), entry.line, &entry.value);
        given(&field).then_some(field)
    };
    let mut used = file.map(|file| file.name.as_str());
    let mut draft = None;
    for key in KEYS {
        let Some(field) = find(key) else { continue };
        let encoding = find(&format!("{key}.encoding"));
        if let Some(used) = used {
            for field in [Some(&field), encoding.as_ref()].into_iter().flatten() {
                idle(field, &format!("`{used}` takes precedence"), problems);
            }
            continue;
        }
        used = Some(key);
        draft = if key == "network-interfaces" {
            packed(&field, None, problems).and_then(|text| eni::read(&text, problems))
        } else {
            one(meta, &field, encoding.as_ref(), problems)
        };
    }
    for name in ENCODINGS {
        let key = name.trim_end_matches(".encoding");
        if let Some(field) = find(name).filter(|_| find(key).is_none()) {
            idle(&field, &format!("there is no `{key}`"), problems);
        }
    }
    draft
}

/// A network as a mapping, as text, or as `{config: ..., encoding: ...}`.
fn one(
    meta: &SeedFile,
    field: &Field<'_>,
    encoding: Option<&Field<'_>>,
    problems: &mut Problems,
) -> Option<Draft> {
    let node = field.node;
    if node.scalar().is_some() {
        let text = packed(field, encoding, problems)?;
        return no_cloud(&text.name, &text.yaml(problems)??, problems);
    }
    if let Some(encoding) = encoding {
        idle(encoding, "the network is not packed", problems);
    }
    let config = node.get("config").filter(|config| {
        let text = config
            .scalar()
            .is_some_and(|config| config.text() != "disabled");
        node.get("version").is_none() && (text || config.entries().is_some())
    });
    let Some(config) = config else {
        return no_cloud(&meta.name, node, problems);
    };
    let (mut inner, mut packing) = (None, None);
    for member in field.members(problems)? {
        match member.name {
            "config" => inner = Some(member.field),
            "encoding" => packing = given(&member.field).then_some(member.field),
            name => unknown(&member.field, name, &["config", "encoding"], problems),
        }
    }
    if config.entries().is_some() && packing.is_none() {
        return no_cloud(&meta.name, config, problems);
    }
    let text = packed(&inner?, packing.as_ref(), problems)?;
    no_cloud(&text.name, &text.yaml(problems)??, problems)
}

/// The text of a key, unpacked, as a file whose name says where it comes from.
fn packed(
    field: &Field<'_>,
    encoding: Option<&Field<'_>>,
    problems: &mut Problems,
) -> Option<SeedFile> {
    let secret = field.secret(problems)?;
    let text = secret.value.expose();
    let key = field.place.key.as_deref().unwrap_or_default();
    let name = format!("{}, key `{key}`", field.place.file);
    let encoding = match encoding {
        Some(encoding) => Some(encoding.text(problems)?),
        None => None,
    };
    let zipped = match encoding.as_ref().map(|encoding| encoding.value.as_str()) {
        None => return Some(SeedFile::new(name, text)),
        Some("base64" | "b64") => false,
        Some("gzip+base64" | "gz+b64" | "gz+base64" | "gzip+b64") => true,
        Some(other) => {
            let reason = format!("`{other}` is not a supported encoding");
            let place = encoding
                .as_ref()
                .map_or(&field.place, |encoding| &encoding.place);
            problems.error(place, reason, "write `base64` or `gzip+base64`");
            return None;
        }
    };
    let plain: String = text.split_ascii_whitespace().collect();
    let Ok(bytes) = STANDARD.decode(plain) else {
        problems.error(&field.place, "is not valid base64", "encode it again");
        return None;
    };
    if !zipped {
        return Some(SeedFile::new(name, bytes));
    }
    match gunzip(&bytes, MAX_SEED_FILE) {
        Ok(unpacked) => Some(SeedFile {
            name,
            bytes: unpacked,
        }),
        Err(reason) => {
            problems.error(&field.place, reason, "pack it again");
            None
        }
    }
}
