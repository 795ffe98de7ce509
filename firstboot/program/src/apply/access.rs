//! Files that let somebody in, or make somebody root.
//!
//! If one of them is gone, somebody may have meant it, so no repair brings it back: only a new
//! instance does, or the operator's word.
use nodeimg_seed::contract::paths::{SSH_KEYS, is_below};

/// Tables of accounts. Without them a node hardly works: if one is lost, the image's takes its
/// place.
pub(crate) const TABLES: [&str; 4] = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"];

/// Whatever is in these directories.
const DIRECTORIES: [&str; 5] = [
    SSH_KEYS,
    "/etc/sudoers.d",
    "/etc/pam.d",
    "/etc/security",
    "/etc/polkit-1",
];

/// Whether a file gives anybody access: keys, rules, accounts, passwords. Seeds choose the
/// paths of some.
pub(crate) fn grants(path: &str) -> bool {
    let parts = || path.split('/');
    TABLES.contains(&path)
        || [
            "/etc/sudoers",
            "/etc/doas.conf",
            "/etc/subuid",
            "/etc/subgid",
        ]
        .contains(&path)
        || DIRECTORIES
            .iter()
            .any(|directory| is_below(path, directory))
        || parts().any(|part| part == ".ssh")
        || parts()
            .next_back()
            .is_some_and(|name| ["authorized_keys", "authorized_keys2"].contains(&name))
}

#[cfg(test)]
mod tests {
    use super::grants;

    #[test]
    fn keys_rules_accounts_and_passwords() {
        for path in [
            "/etc/ssh/authorized_keys.d/alice",
            "/root/.ssh/authorized_keys",
            "/home/alice/.ssh/authorized_keys2",
            "/etc/ssh/authorized_keys",
            "/etc/sudoers.d/90-nodeimg-users",
            "/etc/sudoers.d/mine",
            "/etc/sudoers",
            "/etc/passwd",
            "/etc/shadow",
        ] {
            assert!(grants(path), "{path}");
        }
        for path in [
            "/etc/hosts",
            "/etc/ssh/sshd_config.d/50-nodeimg-keys.conf",
            "/etc/ssh/authorized_keys.d",
            "/var/lib/kubelet/kubeconfig",
            "/etc/passwd.txt",
        ] {
            assert!(!grants(path), "{path}");
        }
    }
}
