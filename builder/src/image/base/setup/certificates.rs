//! The CA certificates as programs look for them: one file of all.
//!
//! Go and curl read the bundle, OpenSSL the link `/usr/lib/ssl/cert.pem`; the
//! links by hash of `c_rehash` serve no program that those do not.

use std::io::Read;

use anyhow::{Context, Result};

use super::Base;
use crate::tree::Kind;

const SOURCE: &str = "/usr/share/ca-certificates/mozilla";
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

pub fn bundle(base: &mut Base<'_>) -> Result<()> {
    let certificates = base.list(SOURCE, ".crt")?;
    if certificates.is_empty() {
        return Ok(());
    }
    let mut all = Vec::new();
    let mut names = String::new();
    for path in &certificates {
        let Some(Kind::File(content)) = base.tree.get(path).map(|node| &node.kind) else {
            continue;
        };
        let before = all.len();
        content
            .reader()
            .read_to_end(&mut all)
            .with_context(|| format!("reading {path}"))?;
        if all.len() > before && !all.ends_with(b"\n") {
            all.push(b'\n');
        }
        names.push_str(&format!("mozilla/{}\n", path.name()));
    }
    base.file(BUNDLE, all)?;
    base.file("/etc/ca-certificates.conf", names)?;
    base.link("/usr/lib/ssl/cert.pem", BUNDLE)
}
