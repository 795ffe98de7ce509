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

/// Single programs: the link's place and what Debian's priorities choose there.
const SINGLE: [(&str, &str); 3] = [
    ("/usr/bin/pager", "/usr/bin/more"),
    ("/usr/bin/which", "/usr/bin/which.debianutils"),
    ("/usr/sbin/rmt", "/usr/sbin/rmt-tar"),
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
    for (place, program) in SINGLE {
        if let Some((_, name)) = place.rsplit_once('/')
            && base.has(program)?
        {
            let alternative = format!("/etc/alternatives/{name}");
            base.link(&alternative, program)?;
            base.link(place, &alternative)?;
        }
    }
    Ok(())
}
