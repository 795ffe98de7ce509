//! Applies the seed's network to this machine.
//!
//! The network's files belong to the plan, which is written when everything has been
//! checked; but the node's addresses can be checked only once its network is up. So the
//! same files are written below `/run` first, for this boot only: a seed that fails its
//! checks leaves nothing behind. Files below `/etc` take precedence over them.
//!
//! Network interfaces are renamed at once, by netlink; the `.link` files do it from the
//! next boot on.
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use nodeimg_seed::read::network::{DIRECTORY, Link, Mac, Network, render};

use crate::root::gate::Open;
use crate::root::{Access, Root};

/// Read by networkd and udev like the one in /etc, and gone with the next boot.
const STAGE: &str = "/run/systemd/network";
const PREFIXES: [&str; 2] = ["10-nodeimg-", "80-nodeimg-"];

/// Replaces the files of this boot with those of `network`; returns whether anything changed.
pub(crate) fn stage(root: &Root, network: Option<&Network>) -> io::Result<bool> {
    let files: BTreeMap<String, String> = network
        .map(render)
        .unwrap_or_default()
        .into_iter()
        .collect();
    let mut changed = false;
    for (name, _) in root.list(STAGE)? {
        let ours = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if ours && !files.contains_key(&name) {
            root.remove(&format!("{STAGE}/{name}"), &mut Open)?;
            changed = true;
        }
    }
    for (name, text) in &files {
        let same = |directory: &str| {
            let found = root.read(&format!("{directory}/{name}"), 1 << 20);
            found
                .ok()
                .flatten()
                .is_some_and(|bytes| *bytes == text.as_bytes())
        };
        if same(STAGE) || same(DIRECTORY) {
            continue;
        }
        root.replace(
            &format!("{STAGE}/{name}"),
            text.as_bytes(),
            Access::PUBLIC,
            &mut Open,
        )?;
        changed = true;
    }
    Ok(changed)
}

/// Makes a running networkd reload changed files.
pub(crate) fn reload() -> io::Result<()> {
    // networkd's own file, written as soon as it runs. Without it, networkctl would
    // wait for a networkd that is ordered after this very step.
    if !Path::new("/run/systemd/netif/state").exists() {
        return Ok(());
    }
    let output = Command::new("/usr/bin/networkctl").arg("reload").output()?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "networkctl reload: {}",
        reason.trim()
    )))
}

/// A network interface of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) mac: Mac,
    driver: Option<String>,
}

/// Physical interfaces, without bridges, bonds and those of containers.
pub(crate) fn all(sys: &Path) -> Vec<Interface> {
    let directory = sys.join("class/net");
    let Ok(entries) = fs::read_dir(&directory) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut interfaces: Vec<Interface> = names
        .filter_map(|name| interface(&directory, name))
        .collect();
    interfaces.sort_by_key(|interface| interface.index);
    interfaces
}

fn interface(directory: &Path, name: String) -> Option<Interface> {
    let place = directory.join(&name);
    let text = |file: &str| Some(fs::read_to_string(place.join(file)).ok()?.trim().to_owned());
    if !place.join("device").exists() {
        return None;
    }
    // A member of a bond has the bond's address, and its own here.
    let mac = text("bonding_slave/perm_hwaddr").or_else(|| text("address"))?;
    let driver = fs::read_link(place.join("device/driver")).ok();
    let driver = driver.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    Some(Interface {
        index: text("ifindex")?.parse().ok()?,
        mac: Mac::parse(&mac)?,
        name,
        driver,
    })
}

/// The interface that a link refers to, if there is one. A pattern may match any of several.
fn interface_of<'a>(link: &Link, interfaces: &'a [Interface]) -> Option<&'a Interface> {
    let matched = &link.matched;
    let by_id = matched.mac.is_none() && matched.drivers.is_empty() && matched.name.is_none();
    let fits = |name: &str, pattern: &String| pattern.contains(['*', '?', '[']) || name == pattern;
    interfaces.iter().find(|interface| {
        let named = link
            .set_name
            .as_ref()
            .is_some_and(|name| *name == interface.name);
        matched.mac.is_none_or(|mac| mac == interface.mac)
            && interface.driver.as_ref().is_none_or(|own| {
                let drivers = &matched.drivers;
                drivers.is_empty() || drivers.iter().any(|driver| fits(own, driver))
            })
            && matched
                .name
                .as_ref()
                .is_none_or(|name| named || fits(&interface.name, name))
            && (!by_id || interface.name == link.id || named)
    })
}

/// Links of the seed that match no interface of this machine, as sentences.
pub(crate) fn missing<'a>(
    network: &'a Network,
    interfaces: &[Interface],
) -> Vec<(&'a Link, String)> {
    let wanted = network.links.iter().filter(|link| {
        link.is_physical() && !link.optional && link.matched.name.as_deref() != Some("lo")
    });
    wanted
        .filter(|link| interface_of(link, interfaces).is_none())
        .map(|link| {
            let matched = &link.matched;
            let what = match (matched.mac, &matched.name, matched.drivers.as_slice()) {
                (Some(mac), ..) => format!("the address {mac}"),
                (_, Some(name), _) => format!("the name `{name}`"),
                (_, _, []) => format!("the name `{}`", link.id),
                (_, _, drivers) => format!("the driver `{}`", drivers.join("` or `")),
            };
            (
                link,
                format!("no network interface of this machine has {what}"),
            )
        })
        .collect()
}

/// "ens3 (52:54:00:12:34:56), ..."
pub(crate) fn listed(interfaces: &[Interface]) -> String {
    if interfaces.is_empty() {
        return "no network interface".to_owned();
    }
    let each: Vec<String> = interfaces
        .iter()
        .map(|interface| format!("{} ({})", interface.name, interface.mac))
        .collect();
    each.join(", ")
}

/// Gives interfaces the names that the seed asks for. Each renamed interface first gets
/// a temporary name, so that two interfaces can swap names.
pub(crate) fn rename(network: &Network, interfaces: &[Interface]) -> Vec<(String, io::Error)> {
    let mut failed = Vec::new();
    let mut going: Vec<(&Interface, &String)> = Vec::new();
    for link in network.links.iter().filter(|link| link.is_physical()) {
        let (Some(name), Some(interface)) = (&link.set_name, interface_of(link, interfaces)) else {
            continue;
        };
        if interface.name != *name {
            going.push((interface, name));
        }
    }
    going.retain(|(interface, name)| {
        if !interfaces.iter().any(|other| other.name == **name) {
            return true;
        }
        let aside = set_name(interface.index, &format!("nodeimg{}", interface.index));
        aside
            .map_err(|error| failed.push(((*name).clone(), error)))
            .is_ok()
    });
    for (interface, name) in going {
        if let Err(error) = set_name(interface.index, name) {
            failed.push((name.clone(), error));
        }
    }
    failed
}

/// `ip link set INDEX name NAME` (<https://man7.org/linux/man-pages/man7/rtnetlink.7.html>).
fn set_name(index: u32, name: &str) -> io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const REQUEST_AND_ACKNOWLEDGE: u16 = 0x1 | 0x4;
    const IFLA_IFNAME: u16 = 3;
    let mut body: Vec<u8> = vec![0; 4];
    body.extend(index.to_ne_bytes());
    body.extend([0; 8]);
    let length = u16::try_from(4 + name.len() + 1).map_err(io::Error::other)?;
    body.extend(length.to_ne_bytes());
    body.extend(IFLA_IFNAME.to_ne_bytes());
    body.extend(name.as_bytes());
    body.push(0);
    body.resize(body.len().next_multiple_of(4), 0);
    let total = u32::try_from(16 + body.len()).map_err(io::Error::other)?;
    let mut message = total.to_ne_bytes().to_vec();
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(REQUEST_AND_ACKNOWLEDGE.to_ne_bytes());
    message.extend(1u32.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(body);
    let fd = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    sendto(
        fd.as_raw_fd(),
        &message,
        &NetlinkAddr::new(0, 0),
        MsgFlags::empty(),
    )?;
    let mut answer = [0; 4096];
    let length = recv(fd.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    // After the header of an NLMSG_ERROR: 0, or the negated error.
    let code = answer.get(16..20).filter(|_| length >= 20);
    let code = code
        .and_then(|bytes| bytes.try_into().ok())
        .map(i32::from_ne_bytes);
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::Error::other("the kernel gave no answer")),
    }
}

#[cfg(test)]
mod tests;
