//! How names are looked up: nsswitch.conf, hosts, networks, resolv.conf.
//!
//! Each database names only the modules whose library is in the tree.

use anyhow::Result;

use super::Base;
use crate::tree::Kind;

const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";
const NETWORKS: &str = "default 0.0.0.0\nloopback 127.0.0.0\nlink-local 169.254.0.0\n";
const STUB: &str = "../run/systemd/resolve/stub-resolv.conf";

pub fn write(base: &mut Base<'_>) -> Result<()> {
    let module = |base: &Base<'_>, name: &str| {
        let library = format!("libnss_{name}.so.2");
        base.tree
            .iter()
            .any(|(path, node)| path.name() == library && !matches!(node.kind, Kind::Directory))
    };
    let users = if module(base, "systemd") {
        "files systemd"
    } else {
        "files"
    };
    // As nss-resolve(8) and nss-myhostname(8) want it: /etc/hosts, which first
    // boot writes, before the machine's own name and the network.
    let mut hosts = "files".to_owned();
    for (name, text) in [
        ("myhostname", " myhostname"),
        ("resolve", " resolve [!UNAVAIL=return]"),
    ] {
        if module(base, name) {
            hosts.push_str(text);
        }
    }
    base.file(
        "/etc/nsswitch.conf",
        format!(
            "passwd: {users}\ngroup: {users}\nshadow: {users}\ngshadow: {users}\n\
             hosts: {hosts} dns\nnetworks: files\nprotocols: files\nservices: files\n\
             ethers: files\nrpc: files\n"
        ),
    )?;
    base.file("/etc/hosts", HOSTS)?;
    base.file("/etc/networks", NETWORKS)?;
    if base.has("/usr/lib/systemd/systemd-resolved")? {
        base.link("/etc/resolv.conf", STUB)?;
    }
    Ok(())
}
