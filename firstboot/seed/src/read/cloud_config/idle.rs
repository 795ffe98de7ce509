//! Top-level keys without an effect: reported, or refused if going on without them would be wrong.
use super::{KEYS, not_read};
use crate::text::field::{Field, Member};
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
        for field in passwords(name, field, &says) {
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
        done_anyway(name, field, &says, problems);
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

/// What asks for passwords. `chpasswd: {expire: false}` and `ssh_pwauth: false` do not; Proxmox
/// writes the former always.
fn passwords<'a>(name: &str, field: &Field<'a>, says: &Says) -> Vec<Field<'a>> {
    // The kind has just been looked at, so nothing is reported.
    let members = field.members(&mut Problems::new());
    match (name, members) {
        ("chpasswd", Some(members)) => {
            let asks = |member: &Member<'_>| !is_no_expiry(member);
            let fields = members.into_iter().filter(asks);
            fields.map(|member| member.field).collect()
        }
        ("ssh_pwauth", _) if says.boolean == Some(false) => Vec::new(),
        _ => vec![field.clone()],
    }
}

fn is_no_expiry(member: &Member<'_>) -> bool {
    let says = member.field.node.scalar().and_then(Scalar::boolean);
    member.name == "expire" && says == Some(false)
}

const ALWAYS: &str = "cannot be switched off: a node image always does it";

/// What else than a plain yes has no effect: `manage_etc_hosts: false`,
/// `growpart: {mode: off}`.
fn done_anyway(name: &str, field: &Field<'_>, says: &Says, problems: &mut Problems) {
    let text = |field: &Field<'_>| field.node.scalar().map(|text| text.text().to_owned());
    let written = text(field);
    let also = match name {
        // Read and applied earlier.
        "vendor_data" | "vendor_data2" => return,
        "growpart" if !says.nothing => {
            for member in field.members(problems).unwrap_or_default() {
                growth(&member, problems);
            }
            return;
        }
        "manage_etc_hosts" => "localhost",
        "resize_rootfs" => "noblock",
        _ => "",
    };
    if says.boolean == Some(false) {
        problems.warn(&field.place, ALWAYS, "");
    } else if says.boolean.is_none() && !says.nothing && written.as_deref() != Some(also) {
        problems.warn(
            &field.place,
            "has no effect: a node image knows only `true`",
            "",
        );
    }
}

/// A key of `growpart`.
fn growth(member: &Member<'_>, problems: &mut Problems) {
    let field = &member.field;
    let scalar = field.node.scalar();
    let root = |items: &[yaml::Node]| match items {
        [only] => only.scalar().is_some_and(|text| text.text() == "/"),
        _ => false,
    };
    let usual = match (member.name, &field.node.kind) {
        ("mode", Kind::Scalar(mode)) => matches!(mode.text(), "auto" | "growpart"),
        ("devices", Kind::Sequence(items)) => root(items),
        ("ignore_growroot_disabled", Kind::Scalar(says)) => says.boolean() == Some(false),
        _ => false,
    };
    let is_off = member.name == "mode" && scalar.and_then(Scalar::boolean) == Some(false);
    if is_off {
        problems.warn(&field.place, ALWAYS, "");
    } else if !usual {
        let reason = "has no effect: the state partition always grows to fill the disk";
        problems.warn(&field.place, reason, "");
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
