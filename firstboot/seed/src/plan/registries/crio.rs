//! A drop-in of `registries.conf`, a folder of certificates for each host, and one file
//! with all logins, which a drop-in of `crio.conf` names.
//!
//! Specs: containers-registries.conf(5), containers-certs.d(5), containers-auth.json(5).
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{HEAD, PlannedFile, certificates, line};
use crate::check::registries::{Entry, Login};
use crate::text::secret::Secret;

const REGISTRIES: &str = "/etc/containers/registries.conf.d/50-nodeimg.conf";
const DIRECTORY: &str = "/etc/containers/certs.d";
const LOGINS: &str = "/etc/crio/registries-auth.json";
const CRIO: &str = "/etc/crio/crio.conf.d/50-nodeimg-registries.conf";

pub(super) fn files(all: &[Entry]) -> Vec<PlannedFile> {
    let mut files = Vec::new();
    let registries: String = all.iter().map(registry).collect();
    if !registries.is_empty() {
        let text = format!("{HEAD}{registries}");
        files.push(PlannedFile::public(REGISTRIES, &text));
    }
    for entry in all {
        files.extend(certificates(DIRECTORY, entry));
    }
    files.extend(logins(all));
    files
}

/// Nothing for an entry that has only certificates or a login.
fn registry(entry: &Entry) -> String {
    if entry.mirrors.is_empty() && !entry.plain_http {
        return String::new();
    }
    let name = entry.name.whole();
    // The last resort is the place of the registry itself: its own, or its last mirror's.
    let (mirrors, last) = match (entry.fallback, entry.mirrors.split_last()) {
        (false, Some((last, mirrors))) => (mirrors, Some(last)),
        _ => (entry.mirrors.as_slice(), None),
    };
    let mut text = format!("\n[[registry]]\n{}", line("prefix", &name));
    let own = last.map_or(name, |mirror| mirror.location());
    text.push_str(&line("location", &own));
    if last.map_or(entry.plain_http, |mirror| mirror.plain_http) {
        text.push_str(INSECURE);
    }
    for mirror in mirrors {
        text.push_str("\n[[registry.mirror]]\n");
        text.push_str(&line("location", &mirror.location()));
        if mirror.plain_http {
            text.push_str(INSECURE);
        }
    }
    text
}

/// The format cannot ask for plain http alone: with this, CRI-O tries TLS first and accepts
/// any certificate.
const INSECURE: &str = "insecure = true\n";

fn logins(all: &[Entry]) -> Vec<PlannedFile> {
    let login = |entry: &Entry| {
        let value = match entry.login.as_ref()? {
            Login::Password { user, password } => {
                let pair = Secret::new(format!("{user}:{}", password.expose()));
                json!({ "auth": STANDARD.encode(pair.expose()) })
            }
            // An entry without any `auth` is taken for one of a helper program.
            Login::Token(token) => {
                json!({ "auth": STANDARD.encode(":"), "identitytoken": token.expose() })
            }
        };
        Some((entry.name.whole(), value))
    };
    let logins: serde_json::Map<_, _> = all.iter().filter_map(login).collect();
    if logins.is_empty() {
        return Vec::new();
    }
    let text = Secret::new(format!("{:#}\n", json!({ "auths": logins })));
    let named = format!("{HEAD}[crio.image]\n{}", line("global_auth_file", LOGINS));
    vec![
        PlannedFile::private(LOGINS, text),
        PlannedFile::public(CRIO, &named),
    ]
}
