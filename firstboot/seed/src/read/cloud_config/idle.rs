//! Top-level keys without an effect: reported, or refused if going on without them would be wrong.
use super::{KEYS, not_read};
use crate::text::field::Field;
use crate::text::problem::Problems;
use crate::text::yaml::{self, Kind, Scalar};

/// Keys that set or allow passwords: a node has none, and goes on without.
const PASSWORDS: &[&str] = &[
    "chpasswd",
    "hashed_passwd",
    "passwd",
    "password",
    "plain_text_passwd",
    "ssh_pwauth",
];

/// Keys that would change disks: without its disk, the node is not the one that was
/// asked for.
const DISKS: &[&str] = &["disk_setup", "fs_setup", "mounts", "swap"];

/// Keys that ask for packages or programs, which a sealed image either has or lacks.
const PACKAGES: &[&str] = &[
    "apt",
    "apt_update",
    "apt_upgrade",
    "package_reboot_if_required",
    "package_update",
    "package_upgrade",
    "packages",
    "snap",
    "yum_repos",
    "zypper",
];

/// Keys that ask only for what a node does anyway.
const DONE_ANYWAY: &[&str] = &[
    "create_hostname_file",
    "growpart",
    "manage_etc_hosts",
    "resize_rootfs",
    // Read earlier.
    "vendor_data",
    "vendor_data2",
];

pub(super) fn report(name: &str, field: &Field<'_>, problems: &mut Problems) {
    let says = Says::of(field);
    if PASSWORDS.contains(&name) {
        if gives_password(name, field, &says) {
            let reason =
                "is not applied: a node image sets no passwords and allows no password logins";
            problems.warn(&field.place, reason, "use SSH keys");
        }
    } else if DISKS.contains(&name) {
        if !says.nothing {
            let reason = "would change disks, and a node image keeps its own partitions";
            let remedy = "remove it; the state partition grows to fill the disk on its own";
            problems.error(&field.place, reason, remedy);
        }
    } else if PACKAGES.contains(&name) {
        if !says.nothing && says.boolean != Some(false) {
            let reason = "has no effect: no packages can be installed on a sealed image";
            problems.warn(&field.place, reason, "add them to the recipe");
        }
    } else if name == "preserve_hostname" {
        if says.boolean != Some(false) {
            let reason = "has no effect: a node always takes its host name from the seed";
            problems.warn(&field.place, reason, "");
        }
    } else if DONE_ANYWAY.contains(&name) {
        if declines(name, field, &says) {
            let reason = "cannot be switched off: a node image always does it";
            problems.warn(&field.place, reason, "");
        }
    } else if !matches!(name, "merge_how" | "merge_type") {
        unknown(name, field, problems);
    }
}

struct Says {
    nothing: bool,
    boolean: Option<bool>,
}

impl Says {
    fn of(field: &Field<'_>) -> Self {
        let nothing = match &field.node.kind {
            Kind::Scalar(scalar) => scalar.is_null(),
            Kind::Sequence(items) => items.is_empty(),
            Kind::Mapping(entries) => entries.is_empty(),
        };
        let boolean = field.node.scalar().and_then(Scalar::boolean);
        Self { nothing, boolean }
    }
}

/// `chpasswd: {expire: false}` and `ssh_pwauth: false` set nothing; Proxmox writes the former always.
fn gives_password(name: &str, field: &Field<'_>, says: &Says) -> bool {
    match name {
        "chpasswd" => field
            .node
            .entries()
            .is_none_or(|entries| entries.iter().any(|entry| entry.key.expose() != "expire")),
        "ssh_pwauth" => says.boolean != Some(false),
        _ => true,
    }
}

/// Whether a key asks that what a node does anyway be left: `manage_etc_hosts: false`,
/// `growpart: {mode: off}`.
fn declines(name: &str, field: &Field<'_>, says: &Says) -> bool {
    match name {
        // Read and applied earlier.
        "vendor_data" | "vendor_data2" => false,
        "growpart" => {
            let mode = field.node.get("mode").and_then(yaml::Node::scalar);
            mode.and_then(Scalar::boolean) == Some(false)
        }
        _ => says.boolean == Some(false),
    }
}

/// To a person, `write-files` means `write_files`, and its author relies on it.
fn unknown(name: &str, field: &Field<'_>, problems: &mut Problems) {
    let same = KEYS
        .iter()
        .find(|key| name.replace('-', "_").eq_ignore_ascii_case(key.name));
    if let Some(key) = same {
        let remedy = format!("write `{}`", key.name);
        problems.error(&field.place, "is not a cloud-config key", remedy);
        return;
    }
    let known: Vec<&'static str> = super::key_names().collect();
    not_read(field, name, &known, problems);
    // Everything below an unknown key is unknown.
}
