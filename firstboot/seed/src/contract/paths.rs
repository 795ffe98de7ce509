//! Where things are on the node: paths that checks, the plan and the program
//! name, each once.

/// Where the builder puts the binary in the image.
pub const BINARY_PATH: &str = "/usr/bin/nodeimg-firstboot";

/// Templates lie below this directory under the path that they render to.
pub const TEMPLATE_DIR: &str = "/usr/lib/nodeimg/templates";

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
/// For `kubeadm --config`, until it has succeeded.
pub const KUBEADM_CONFIG: &str = "/var/lib/nodeimg/kubeadm.yaml";

pub const SSH_KEYS: &str = "/etc/ssh/authorized_keys.d";
pub const SSH_CONFIG: &str = "/etc/ssh/sshd_config.d/50-nodeimg-keys.conf";
pub const SUDO_RULES: &str = "/etc/sudoers.d/90-nodeimg-users";
pub const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
pub const TIME_SERVERS: &str = "/etc/systemd/timesyncd.conf.d/50-nodeimg.conf";
pub const LOCALTIME: &str = "/etc/localtime";
pub const TIMEZONE: &str = "/etc/timezone";
pub const ZONES: &str = "/usr/share/zoneinfo";

pub const BOOTCMD: &str = "/var/lib/nodeimg/bootcmd";
pub const SCRIPTS: &str = "/var/lib/nodeimg/scripts";

/// Always writable: they are file systems of their own in memory.
pub const VOLATILE: [&str; 4] = ["/run", "/tmp", "/var/run", "/dev/shm"];

/// Whether a path is lost at every boot.
pub fn is_volatile(path: &str) -> bool {
    VOLATILE.iter().any(|directory| is_below(path, directory))
}

pub fn is_below(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.starts_with('/'))
}
