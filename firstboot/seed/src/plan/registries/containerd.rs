//! `hosts.toml` for each registry, and a drop-in of `config.toml` for logins.
//!
//! Logins are the one part that `hosts.toml` has no words for. A header of its own would
//! do only where a registry takes a password at every request, not where it hands out
//! tokens. containerd calls the table `registry.configs` deprecated, and keeps it until
//! there is another place for secrets.
use super::{CA, CERT, HEAD, KEY, PlannedFile, certificates, line};
use crate::check::registries::{Entry, Login, Mirror};
use crate::text::secret::Secret;
use crate::text::yaml::write::quoted;

const DIRECTORY: &str = "/etc/containerd/certs.d";
/// Version 2 of the configuration, which containerd 1 and 2 both read.
const LOGINS: &str = "/etc/containerd/conf.d/50-nodeimg-registries.toml";
const PLUGIN: &str = "io.containerd.grpc.v1.cri";

pub(super) fn files(all: &[Entry]) -> Vec<PlannedFile> {
    let mut files = Vec::new();
    for entry in all {
        if has_hosts(entry) {
            let path = format!("{DIRECTORY}/{}/hosts.toml", entry.name.host);
            files.push(PlannedFile::public(&path, &hosts(entry, all)));
        }
        files.extend(certificates(DIRECTORY, entry));
    }
    files.extend(logins(all));
    files
}

fn has_hosts(entry: &Entry) -> bool {
    let tls = entry.ca.is_some() || entry.client.is_some();
    !entry.mirrors.is_empty() || entry.plain_http || tls
}

fn hosts(entry: &Entry, all: &[Entry]) -> String {
    let mut text = HEAD.to_owned();
    // The last resort is containerd's `server`: the registry, or the last of its mirrors.
    let (mirrors, last) = match (entry.fallback, entry.mirrors.split_last()) {
        (false, Some((last, mirrors))) => (mirrors, Some(last)),
        _ => (entry.mirrors.as_slice(), None),
    };
    if let Some(last) = last {
        text.push_str(&line("server", &url(last)));
        text.push_str(&of_mirror(last, all));
    } else if !entry.name.is_all() {
        let scheme = scheme(entry.plain_http);
        text.push_str(&line(
            "server",
            &format!("{scheme}://{}", entry.name.server()),
        ));
        text.push_str(&tls(entry));
    }
    for mirror in mirrors {
        text.push_str(&format!("\n[host.{}]\n", quoted(&url(mirror))));
        text.push_str(&of_mirror(mirror, all));
    }
    text
}

fn scheme(plain_http: bool) -> &'static str {
    match plain_http {
        true => "http",
        false => "https",
    }
}

/// With a path, the whole beginning of the registry's requests.
fn url(mirror: &Mirror) -> String {
    let (scheme, host) = (scheme(mirror.plain_http), &mirror.host);
    match mirror.path.as_str() {
        "" => format!("{scheme}://{host}"),
        path => format!("{scheme}://{host}/v2/{path}"),
    }
}

/// The certificates of a mirror are those of its host's own entry.
fn of_mirror(mirror: &Mirror, all: &[Entry]) -> String {
    let mut text = "capabilities = [\"pull\", \"resolve\"]\n".to_owned();
    if !mirror.path.is_empty() {
        text.push_str("override_path = true\n");
    }
    let own = all.iter().find(|entry| entry.name.whole() == mirror.host);
    // With certificates, containerd would try TLS where the URL says plain http.
    if let Some(own) = own.filter(|_| !mirror.plain_http) {
        text.push_str(&tls(own));
    }
    text
}

fn tls(entry: &Entry) -> String {
    let at = |name: &str| format!("{DIRECTORY}/{}/{name}", entry.name.host);
    let mut text = String::new();
    if entry.ca.is_some() {
        text.push_str(&line("ca", &at(CA)));
    }
    if entry.client.is_some() {
        let pair = (quoted(&at(CERT)), quoted(&at(KEY)));
        text.push_str(&format!("client = [[{}, {}]]\n", pair.0, pair.1));
    }
    text
}

fn logins(all: &[Entry]) -> Option<PlannedFile> {
    let mut text = format!("{HEAD}version = 2\n");
    let before = text.len();
    for entry in all {
        let Some(login) = &entry.login else { continue };
        let host = quoted(entry.name.server());
        text.push_str(&format!(
            "\n[plugins.{}.registry.configs.{host}.auth]\n",
            quoted(PLUGIN)
        ));
        match login {
            Login::Password { user, password } => {
                text.push_str(&line("username", user));
                text.push_str(&line("password", password.expose()));
            }
            Login::Token(token) => text.push_str(&line("identitytoken", token.expose())),
        }
    }
    (text.len() > before).then(|| PlannedFile::private(LOGINS, Secret::new(text)))
}
