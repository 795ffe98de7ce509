//! This machine: its addresses, its name, its consoles.
pub(crate) mod interfaces;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ipnet::IpNet;
use nix::ifaddrs::{InterfaceAddress as Found, getifaddrs};
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::{SockaddrLike, SockaddrStorage};
use nodeimg_seed::check::InterfaceAddress;

use crate::root::Root;

/// The machine that the root belongs to. A copy of a root, as an installer has one, has
/// none: the running machine is then another one, and is left alone.
#[derive(Clone, Copy)]
pub(crate) struct Machine(());

impl Machine {
    /// `None` for a copy.
    pub(crate) fn of(root: &Root) -> Option<Self> {
        root.is_real().then_some(Self(()))
    }

    /// Addresses of interfaces that are up, in the kernel's order, without those that
    /// cannot be a node's: loopback and link-local ones, and those in a VRF, in which
    /// the kubelet does not run.
    pub(crate) fn addresses(&self) -> Vec<InterfaceAddress> {
        let Ok(all) = getifaddrs() else {
            return Vec::new();
        };
        all.filter(|found| {
            let flags = found.flags;
            flags.contains(InterfaceFlags::IFF_UP)
                && !flags.contains(InterfaceFlags::IFF_LOOPBACK)
                && !in_vrf(Path::new("/sys"), &found.interface_name)
        })
        .filter_map(|found| {
            let net = net_of(&found)?;
            let usable = match net.addr() {
                IpAddr::V4(v4) => !v4.is_link_local(),
                IpAddr::V6(v6) => !v6.is_unicast_link_local(),
            };
            usable.then_some(InterfaceAddress {
                interface: found.interface_name,
                net,
            })
        })
        .collect()
    }

    /// Sets the host name of the running system; `/etc/hostname` alone takes effect at the next
    /// boot.
    pub(crate) fn set_host_name(&self, name: &str) -> std::io::Result<()> {
        let current = nix::unistd::gethostname()?;
        if current.to_str() == Some(name) {
            return Ok(());
        }
        Ok(nix::unistd::sethostname(name)?)
    }

    /// Sends a request to systemd.
    pub(crate) fn systemctl(&self, arguments: &[&str]) -> std::io::Result<()> {
        let status = std::process::Command::new("systemctl")
            .arg("--quiet")
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err(std::io::Error::other(format!(
                "systemctl {} failed",
                arguments.join(" ")
            )))
        }
    }
}

/// Whether an interface belongs to a routing table of its own.
fn in_vrf(sys: &Path, interface: &str) -> bool {
    let master = sys.join("class/net").join(interface).join("master");
    let told = fs::read_to_string(master.join("uevent")).unwrap_or_default();
    told.lines().any(|line| line == "DEVTYPE=vrf")
}

fn net_of(found: &Found) -> Option<IpNet> {
    let address = ip_of(found.address.as_ref()?)?;
    let length = match ip_of(found.netmask.as_ref()?)? {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    };
    IpNet::new(address, u8::try_from(length).ok()?).ok()
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    address.family()?;
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

/// The clock, in seconds since 1970; an earlier clock counts as 0.
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |duration| duration.as_secs())
}

/// Shows text on every active console. Best effort: a console may be gone.
pub(crate) fn tell_consoles(text: &str) {
    let active = fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    let mut consoles: Vec<&str> = active.split_whitespace().collect();
    if consoles.is_empty() {
        consoles.push("console");
    }
    for name in consoles {
        let flags = nix::libc::O_NOCTTY | nix::libc::O_NONBLOCK;
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(flags)
            .open(format!("/dev/{name}"));
        if let Ok(mut console) = opened {
            // A raw terminal needs the carriage return as well.
            let _best_effort =
                console.write_all(format!("\r\n{}", text.replace('\n', "\r\n")).as_bytes());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::in_vrf;

    #[test]
    fn an_interface_of_a_vrf_is_told_by_its_master() {
        let sys = tempfile::tempdir().unwrap();
        let net = sys.path().join("class/net");
        for (name, kind) in [("blue", "DEVTYPE=vrf\n"), ("bond0", "DEVTYPE=bond\n")] {
            fs::create_dir_all(net.join(name)).unwrap();
            fs::write(
                net.join(name).join("uevent"),
                format!("{kind}INTERFACE={name}\n"),
            )
            .unwrap();
        }
        for (name, master) in [("eth0", "blue"), ("eth1", "bond0")] {
            fs::create_dir_all(net.join(name)).unwrap();
            symlink(net.join(master), net.join(name).join("master")).unwrap();
        }
        fs::create_dir_all(net.join("eth2")).unwrap();
        for (name, expected) in [("eth0", true), ("eth1", false), ("eth2", false)] {
            assert_eq!(in_vrf(sys.path(), name), expected, "{name}");
        }
    }
}
