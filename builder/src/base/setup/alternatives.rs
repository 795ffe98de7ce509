//! update-alternatives' links: which of several programs a name stands for.

use anyhow::Result;

use super::Base;

/// Names that packages provide only as alternatives, and what each becomes.
/// The nftables back-end is Debian's own choice, and the kernel's only one.
const FAMILIES: [(&str, &str); 4] = [
    ("arptables", "arptables-nft"),
    ("ebtables", "ebtables-nft"),
    ("ip6tables", "ip6tables-nft"),
    ("iptables", "iptables-nft"),
];

pub fn choose(base: &mut Base<'_>) -> Result<()> {
    for (name, chosen) in FAMILIES {
        for suffix in ["", "-restore", "-save"] {
            let program = format!("/usr/sbin/{chosen}{suffix}");
            if !base.has(&program)? {
                continue;
            }
            let alternative = format!("/etc/alternatives/{name}{suffix}");
            base.link(&alternative, &program)?;
            base.link(&format!("/usr/sbin/{name}{suffix}"), &alternative)?;
        }
    }
    Ok(())
}
