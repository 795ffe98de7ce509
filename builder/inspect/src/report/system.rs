//! What runs and how: identity, boot, units, users, what can be written to.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::{Boot, BootUki, Identity, Initrd, Package, SMALL, Section, User, Writable};
use crate::boot::Uki;
use crate::image::Image;
use crate::root::{Kind, Root};

/// Directories with links to units, the last one counts most.
const UNIT_DIRECTORIES: [&str; 2] = ["/usr/lib/systemd/system", "/etc/systemd/system"];

pub fn identity(root: &Root, packages: &[Package]) -> Result<Identity> {
    let text = root
        .small_text("/etc/os-release", SMALL)?
        .unwrap_or_default();
    let field = |name: &str| {
        let value = text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key == name).then(|| value.trim_matches(['"', '\'']).to_owned())
        });
        value.filter(|value| !value.is_empty())
    };
    let architecture = packages
        .iter()
        .map(|package| &package.architecture)
        .find(|name| *name != "all");
    Ok(Identity {
        id: field("IMAGE_ID").or_else(|| field("ID")),
        version: field("IMAGE_VERSION").or_else(|| field("VERSION_ID")),
        system: field("PRETTY_NAME"),
        architecture: architecture.cloned(),
    })
}

pub fn boot(image: &Image) -> Result<Option<Boot>> {
    let Some(esp) = &image.esp else {
        return Ok(None);
    };
    let uki = image
        .uki
        .as_ref()
        .map(|(path, uki)| boot_uki(image, path, uki).with_context(|| format!("reading `{path}`")));
    Ok(Some(Boot {
        esp: esp.files.clone(),
        uki: uki.transpose()?,
    }))
}

fn boot_uki(image: &Image, path: &str, uki: &Uki) -> Result<BootUki> {
    let initrd = uki.initrd()?;
    let module = |path: &String| {
        let name = path.rsplit('/').next()?;
        let name = name.split_once(".ko")?.0;
        Some(name.to_owned())
    };
    let mut modules: Vec<String> = initrd.files.keys().filter_map(module).collect();
    modules.sort();
    let command_line = uki.text(".cmdline");
    let hash = command_line.as_deref().and_then(|line| {
        let mut words = line.split_ascii_whitespace();
        words.find_map(|word| word.strip_prefix("roothash="))
    });
    Ok(BootUki {
        path: path.to_owned(),
        sections: uki
            .sections
            .iter()
            .map(|(name, size)| Section {
                name: name.clone(),
                size: *size,
            })
            .collect(),
        kernel: uki.text(".uname"),
        root_hash: hash.filter(|hash| carried(image, hash)).map(str::to_owned),
        command_line,
        initrd: Initrd {
            size: initrd.files.values().sum(),
            files: initrd.files.len(),
            modules,
        },
    })
}

/// Two partitions have the halves of the root hash as their GUIDs.
fn carried(image: &Image, hash: &str) -> bool {
    let table = image.table.iter().flat_map(|table| &table.partitions);
    let guids: Vec<String> = table
        .map(|entry| entry.unique.to_string().replace('-', ""))
        .collect();
    hash.is_ascii()
        && hash.len() == 64
        && guids.iter().any(|guid| guid == &hash[..32])
        && guids.iter().any(|guid| guid == &hash[32..])
}

/// Enabled units by name, with the units that want or require them.
pub fn units(root: &Root) -> BTreeMap<String, Vec<String>> {
    let mut units: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for directory in UNIT_DIRECTORIES {
        for (wanting, node) in root.list(directory) {
            let target = wanting
                .strip_suffix(".wants")
                .or_else(|| wanting.strip_suffix(".requires"));
            let (Some(target), Kind::Directory) = (target, &node.kind) else {
                continue;
            };
            for (name, _) in root.list(&format!("{directory}/{wanting}")) {
                let by = units.entry(name.to_owned()).or_default();
                if !by.iter().any(|other| other == target) {
                    by.push(target.to_owned());
                }
            }
        }
    }
    units.retain(|name, _| !is_masked(root, name));
    units
}

fn is_masked(root: &Root, name: &str) -> bool {
    let node = root.node(&format!("/etc/systemd/system/{name}"));
    node.is_some_and(|node| node.kind == Kind::Symlink("/dev/null".to_owned()))
}

pub fn users(root: &Root) -> Result<Vec<User>> {
    let text = root.small_text("/etc/passwd", SMALL)?.unwrap_or_default();
    let user = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1)?.to_owned();
        let shell = fields.next()?.to_owned();
        Some(User {
            name,
            uid,
            gid,
            home,
            shell,
        })
    };
    let mut users: Vec<User> = text.lines().filter_map(user).collect();
    users.sort_by_key(|user| user.uid);
    Ok(users)
}

/// As the initrd's plan has it; the rest is the same in every image with a disk.
pub fn writable(image: &Image) -> Result<Vec<Writable>> {
    let Some((path, uki)) = &image.uki else {
        return Ok(Vec::new());
    };
    let initrd = uki.initrd().with_context(|| format!("reading `{path}`"))?;
    let mut writable: Vec<Writable> = [("/run", "memory"), ("/tmp", "memory"), ("/var", "state")]
        .map(|(path, backing)| Writable {
            path: path.to_owned(),
            backing: backing.to_owned(),
        })
        .into();
    for overlay in initrd.plan.iter().flat_map(|plan| &plan.overlays) {
        let backing = "overlay".to_owned();
        writable.push(Writable {
            path: overlay.path.clone(),
            backing,
        });
    }
    writable.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(writable)
}
