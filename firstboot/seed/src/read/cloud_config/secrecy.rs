//! Whether a part of user-data may hold a secret, by its key.
//!
//! # Invariants
//! Only keys known to be public count as public; an unknown key may hold anything.
use crate::text::yaml::{Entry, Kind, Node};

/// Keys whose values may be read by anyone, unless they contain a password.
const PUBLIC: [&str; 29] = [
    "apt",
    "apt_update",
    "apt_upgrade",
    "ca-certs",
    "ca_certs",
    "create_hostname_file",
    "fqdn",
    "groups",
    "growpart",
    "hostname",
    "locale",
    "manage_etc_hosts",
    "merge_how",
    "merge_type",
    "ntp",
    "package_reboot_if_required",
    "package_update",
    "package_upgrade",
    "packages",
    "prefer_fqdn_over_hostname",
    "preserve_hostname",
    "resize_rootfs",
    "ssh_authorized_keys",
    "ssh_pwauth",
    "timezone",
    "user",
    "users",
    "vendor_data",
    "vendor_data2",
];

/// Keys of `nodeimg:` that hold private keys and tokens, or may.
const PRIVATE: [&str; 6] = [
    "bootstrap_token",
    "certificate_key",
    "kube_proxy",
    "kubeadm",
    "kubelet",
    "registries",
];

pub(super) fn may_be_secret(entry: &Entry) -> bool {
    match entry.key.expose() {
        "nodeimg" => entry.value.entries().is_none_or(|entries| {
            entries
                .iter()
                .any(|entry| PRIVATE.contains(&entry.key.expose()))
        }),
        // Proxmox writes it into every seed.
        "chpasswd" => entry
            .value
            .entries()
            .is_none_or(|entries| entries.iter().any(|entry| entry.key.expose() != "expire")),
        name => !PUBLIC.contains(&name) || names_password(&entry.value),
    }
}

fn names_password(node: &Node) -> bool {
    match &node.kind {
        Kind::Scalar(_) => false,
        Kind::Sequence(items) => items.iter().any(names_password),
        Kind::Mapping(entries) => entries.iter().any(|entry| {
            // Not `lock_passwd`, which says that there is no password.
            let name = entry.key.expose();
            (name.contains("passw") && name != "lock_passwd") || names_password(&entry.value)
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::may_be_secret;
    use crate::text::yaml;

    #[test]
    fn what_may_be_read_by_anyone() {
        for (text, secret) in [
            ("hostname: n", false),
            (
                "users: [{name: a, lock_passwd: true, ssh_authorized_keys: [k]}]",
                false,
            ),
            ("users: [{name: a, hashed_passwd: x}]", true),
            ("password: x", true),
            ("chpasswd: {expire: false}", false),
            ("chpasswd: {users: []}", true),
            ("write_files: []", true),
            ("runcmd: [a]", true),
            ("bootcmd: [a]", true),
            ("wireguard: {}", true),
            ("nodeimg: {node_ip: 10.0.0.1, ca: x}", false),
            ("nodeimg: {bootstrap_token: x}", true),
            ("nodeimg: {kubelet: {}}", true),
            ("nodeimg: {registries: {a.example: {token: x}}}", true),
            ("apt: {sources: {a: {password: x}}}", true),
        ] {
            let root = yaml::parse(text).unwrap().unwrap();
            let entry = &root.entries().unwrap()[0];
            assert_eq!(may_be_secret(entry), secret, "{text}");
        }
    }
}
