//! Where things are on the node: paths that checks, the plan and the program
//! name, each once.

/// Where the builder puts the binary in the image.
pub const BINARY_PATH: &str = "/usr/bin/nodeimg-firstboot";

/// Templates lie below this directory under the path that they render to.
pub const TEMPLATE_DIR: &str = "/usr/lib/nodeimg/templates";

/// Programs of the image that say whether a new version of it is healthy.
pub const HEALTH_CHECKS: &str = "/usr/lib/nodeimg/health.d";

pub const HOSTNAME: &str = "/etc/hostname";
pub const HOSTS: &str = "/etc/hosts";
pub const KUBELET_CA: &str = "/var/lib/kubelet/ca.crt";
pub const KUBELET_CERT: &str = "/var/lib/kubelet/kubelet.crt";
pub const KUBELET_KEY: &str = "/var/lib/kubelet/kubelet.key";
pub const KUBELET_BOOTSTRAP: &str = "/var/lib/kubelet/bootstrap-kubeconfig";
/// Where a kubelet keeps the certificate that it has asked for.
pub const KUBELET_CLIENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
pub const KUBELET_KUBECONFIG: &str = "/var/lib/kubelet/kubeconfig";
pub const KUBE_PROXY_KUBECONFIG: &str = "/var/lib/kube-proxy/kubeconfig";
/// The program that updates a node, on an image that has it; what a node says to it over its
/// image, and the key of a seed.
pub const UPDATER: &str = "/usr/lib/nodeimg/nodeimg-update";
pub const UPDATE_CONFIG: &str = "/etc/nodeimg/update.toml";
pub const UPDATE_KEY: &str = "/etc/nodeimg/update.pub";
/// For `kubeadm --config`, until it has succeeded.
pub const KUBEADM_CONFIG: &str = "/var/lib/nodeimg/kubeadm.yaml";

pub const SSH_KEYS: &str = "/etc/ssh/authorized_keys.d";
pub const SSH_CONFIG: &str = "/etc/ssh/sshd_config.d/50-nodeimg-keys.conf";
pub const SUDO_RULES: &str = "/etc/sudoers.d/90-nodeimg-users";
pub const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
pub const TIME_SERVERS: &str = "/etc/systemd/timesyncd.conf.d/50-nodeimg.conf";
/// The same for chrony, on images that have that.
pub const CHRONY_SOURCES: &str = "/etc/chrony/sources.d/50-nodeimg.sources";
pub const LOCALTIME: &str = "/etc/localtime";
pub const TIMEZONE: &str = "/etc/timezone";
pub const ZONES: &str = "/usr/share/zoneinfo";

pub const BOOTCMD: &str = "/var/lib/nodeimg/bootcmd";
pub const SCRIPTS: &str = "/var/lib/nodeimg/scripts";
/// Which instance's scripts have all succeeded.
pub const COMMANDS_DONE: &str = "/var/lib/nodeimg/commands.json";

/// Always writable: they are file systems of their own in memory.
pub const VOLATILE: [&str; 4] = ["/run", "/tmp", "/var/run", "/dev/shm"];

/// Whether a path is lost at every boot.
pub fn is_volatile(path: &str) -> bool {
    VOLATILE.iter().any(|directory| is_below(path, directory))
}

/// NAME_MAX of Linux, less what a file's name has more while the file is being made.
pub const MAX_NAME: usize = 255 - 1 - TEMPORARY.len();

/// Far below PATH_MAX, since copies of originals lie deeper.
pub const MAX_PATH: usize = 1024;

pub const OTHER_PATH: &str = "choose another path";

/// Directories in which first boot keeps files of its own.
pub const OWN_DIRECTORIES: [&str; 2] = ["/run/nodeimg", "/var/lib/nodeimg"];

/// Ends the name of a file until it is complete; the name begins with `.` as long.
pub const TEMPORARY: &str = ".nodeimg-tmp";

/// Whether a path is first boot's own state, by any of its names.
pub fn is_own_state(path: &str) -> bool {
    let own = |directory: &str| path == directory || is_below(path, directory);
    OWN_DIRECTORIES.into_iter().any(own) || own("/var/run/nodeimg")
}

/// Whether a path is absolute and has nothing that makes another path of it: no empty
/// parts, no `.` or `..`, and no control characters.
pub fn is_plain(path: &str) -> bool {
    let odd = |part: &str| matches!(part, "" | "." | "..");
    path.strip_prefix('/')
        .is_some_and(|rest| !rest.split('/').any(odd))
        && !path.chars().any(char::is_control)
}

/// What is wrong with a path alone, and what to do about it.
pub fn flaw(path: &str) -> Option<(String, String)> {
    if !path.starts_with('/') {
        return Some((
            "is a relative path".to_owned(),
            "start it with `/`".to_owned(),
        ));
    }
    if !is_plain(path) {
        let reason = "is not the path of a file or a directory: it has `.` or `..` as a part, a \
                      doubled or trailing `/`, or control characters";
        return Some((reason.to_owned(), "write the whole path".to_owned()));
    }
    if path.len() > MAX_PATH {
        let reason = format!("is a path of {} bytes", path.len());
        return Some((reason, format!("use at most {MAX_PATH}")));
    }
    if let Some(long) = path.split('/').find(|name| name.len() > MAX_NAME) {
        let reason = format!("is a path with a name of {} bytes", long.len());
        return Some((reason, format!("use at most {MAX_NAME} for each name")));
    }
    if path.split('/').any(is_temporary) {
        let reason = format!(
            "has a name that ends in `{TEMPORARY}`, which files of first boot have until they are complete"
        );
        return Some((reason, OTHER_PATH.to_owned()));
    }
    None
}

fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(TEMPORARY)
}

/// A path for a message; text that does not look like a path is not shown.
pub fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    if path.len() <= 200 && path.chars().all(plain) {
        format!("`{path}`")
    } else {
        "a path".to_owned()
    }
}

pub fn is_below(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{MAX_NAME, flaw};

    #[test]
    fn a_path_alone() {
        let name = |length: usize| format!("/etc/{}", "n".repeat(length));
        for good in ["/etc/x", "/a", "/etc/a-b/..c", "/etc/é", &name(MAX_NAME)] {
            assert_eq!(flaw(good), None, "{good}");
        }
        let deep = "/etc".to_owned() + &"/nnnnnnnnn".repeat(103);
        for (bad, reason) in [
            ("etc/x", "is a relative"),
            ("", "is a relative"),
            ("/", "doubled or trailing"),
            ("/etc//x", "doubled or trailing"),
            ("//etc/x", "doubled or trailing"),
            ("/etc/x/", "doubled or trailing"),
            ("/etc/./x", "doubled or trailing"),
            ("/etc/../x", "doubled or trailing"),
            ("/etc/x\n", "control characters"),
            ("/etc/.x.nodeimg-tmp", "until they are complete"),
            (&name(MAX_NAME + 1), "a name of 243 bytes"),
            (&name(255), "a name of 255 bytes"),
            (&deep, "a path of 1034 bytes"),
        ] {
            let (found, _) = flaw(bad).expect(bad);
            assert!(found.contains(reason), "{bad}: {found}");
        }
    }
}
