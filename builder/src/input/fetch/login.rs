//! Logins of ordinary servers: in a mirror's URL, in `~/.netrc`, and in apt's `auth.conf`.
//!
//! ```text
//! machine mirror.example login me password secret      ~/.netrc or $NETRC
//! machine mirror.example:8443/debian login me password secret
//! default login me password secret                     of netrc: for who asks for one
//! ```
//! [curl's netrc](https://everything.curl.dev/usingcurl/netrc.html),
//! [apt_auth.conf(5)](https://manpages.debian.org/apt_auth.conf). The first entry that fits
//! counts, and `~/.netrc` comes before apt's files. As with curl, what names a server is sent
//! without being asked for: many servers have nothing, or a page, for who is not logged in.
//!
//! # Invariants
//! - An entry of apt's files that names no `http://` is for https alone.
//! - Neither passwords nor what is around them is in a message or in `Debug`.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nodeimg_seed::text::secret::Secret;
use nodeimg_values::regular;
use reqwest::Url;
use reqwest::header::HeaderValue;

use super::failure::Failure;

/// No file with logins is longer.
const MAX_FILE: u64 = 1024 * 1024;

/// A user's name and password.
#[derive(Clone)]
pub(super) struct Login {
    file: String,
    pair: Secret,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login of {}", self.file)
    }
}

impl Login {
    /// `pair` is `user:password`, `file` where it is from, for messages.
    pub(super) fn new(file: String, pair: Secret) -> Login {
        Login { file, pair }
    }

    /// The value of `Authorization`.
    pub(super) fn header(&self) -> Result<HeaderValue, Failure> {
        secret(&format!("Basic {}", STANDARD.encode(self.pair.expose())))
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn pair(&self) -> &str {
        self.pair.expose()
    }

    /// The one in `url`, which has none after that.
    pub(super) fn take(url: &mut Url) -> Option<Login> {
        let user = decoded(url.username());
        let password = url.password().map(decoded);
        if user.is_empty() && password.is_none() {
            return None;
        }
        let pair = format!("{user}:{}", password.unwrap_or_default());
        // Only a URL without a host refuses that, and it has no login either.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Some(Login::new("the mirror's URL".to_owned(), Secret::new(pair)))
    }
}

/// A header's value that no log shows.
pub(super) fn secret(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Failure::Login("a login holds bytes that HTTP cannot send".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Without `%XX`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A server as an entry names it.
#[derive(Debug)]
struct Machine {
    scheme: Option<String>,
    host: String,
    port: Option<u16>,
    /// With a slash at its beginning, or empty.
    path: String,
    /// Of apt's: a path is a beginning, and http has to be named.
    of_apt: bool,
}

/// Where a file with logins is from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// `$NETRC`, which has to exist.
    Named,
    /// `~/.netrc`
    Own,
    Apt,
}

/// The entries of all files.
#[derive(Debug, Default)]
pub(super) struct Netrc {
    entries: Vec<(Machine, Login)>,
    default: Option<Login>,
    /// Those that exist and cannot be read, each with the reason.
    unread: Vec<String>,
}

impl Netrc {
    /// `$NETRC` or `~/.netrc`, then apt's files.
    pub(super) fn of_environment() -> Netrc {
        let variable = |name: &str| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        let mut netrc = Netrc::default();
        match (variable("NETRC"), variable("HOME")) {
            (Some(file), _) => netrc.read(&file, Kind::Named),
            (None, Some(home)) => netrc.read(&home.join(".netrc"), Kind::Own),
            (None, None) => {}
        }
        netrc.read_apt(Path::new("/etc/apt"));
        netrc
    }

    fn read_apt(&mut self, apt: &Path) {
        self.read(&apt.join("auth.conf"), Kind::Apt);
        let parts = fs::read_dir(apt.join("auth.conf.d")).into_iter().flatten();
        let parts = parts.filter_map(|entry| Some(entry.ok()?.path()));
        // As apt does: others are an editor's or dpkg's.
        let is_part = |path: &PathBuf| path.extension().is_none_or(|end| end == "conf");
        let mut parts: Vec<PathBuf> = parts.filter(is_part).collect();
        parts.sort();
        for part in parts {
            self.read(&part, Kind::Apt);
        }
    }

    fn read(&mut self, file: &Path, kind: Kind) {
        match regular::read(file, MAX_FILE) {
            Ok(bytes) => self.parse(&String::from_utf8_lossy(&bytes), file, kind == Kind::Apt),
            Err(e)
                if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
                    && kind != Kind::Named => {}
            Err(e) => self.unread.push(format!("{}: {e}", file.display())),
        }
    }

    fn parse(&mut self, text: &str, file: &Path, of_apt: bool) {
        let text = text.trim_start_matches('\u{feff}');
        let mut words = words(text).into_iter().peekable();
        while let Some(word) = words.next() {
            let machine = match word.as_str() {
                "machine" => words.next(),
                "default" => None,
                _ => continue,
            };
            let (mut user, mut password) = (None, None);
            while let Some(key) = words.next_if(|w| !["machine", "default"].contains(&w.as_str())) {
                match key.as_str() {
                    "login" => user = words.next(),
                    "password" => password = words.next(),
                    "account" => drop(words.next()),
                    _ => {}
                }
            }
            if user.is_none() && password.is_none() {
                continue;
            }
            let pair = [user, password].map(Option::unwrap_or_default).join(":");
            let login = Login::new(file.display().to_string(), Secret::new(pair));
            match machine {
                Some(machine) => self.entries.push((Machine::parse(&machine, of_apt), login)),
                None if !of_apt && self.default.is_none() => self.default = Some(login),
                None => {}
            }
        }
    }

    /// The login that is named for the server of `url`.
    pub(super) fn of(&self, url: &Url) -> Option<&Login> {
        let fits = self.entries.iter().find(|(machine, _)| machine.has(url));
        fits.map(|(_, login)| login)
    }

    /// The file of apt that names the server of `url`, which is not https, without `http://`.
    pub(super) fn kept_for_https(&self, url: &Url) -> Option<&str> {
        let mut kept = self.entries.iter().filter(|(machine, _)| {
            machine.of_apt && machine.scheme.is_none() && machine.names(url)
        });
        let (_, login) = kept.next().filter(|_| url.scheme() == "http")?;
        Some(login.file())
    }

    /// The one for every server that asks.
    pub(super) fn for_all(&self) -> Option<&Login> {
        self.default.as_ref()
    }

    /// Files that may have had one.
    pub(super) fn unread(&self) -> &[String] {
        &self.unread
    }
}

impl Machine {
    /// `[SCHEME://]HOST[:PORT][/PATH]`
    fn parse(text: &str, of_apt: bool) -> Machine {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        let (server, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let split = server.rsplit_once(':');
        let port = split.and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = match port {
            // The colons of an IPv6 address stand in brackets, or there is no port.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
            _ => (server, None),
        };
        Machine {
            scheme,
            host: bare(host),
            port,
            path: path.to_owned(),
            of_apt,
        }
    }

    fn has(&self, url: &Url) -> bool {
        let scheme = match &self.scheme {
            Some(scheme) => scheme == url.scheme(),
            None => !self.of_apt || url.scheme() == "https",
        };
        scheme && self.names(url)
    }

    /// Whatever the scheme is.
    fn names(&self, url: &Url) -> bool {
        let port = self.port.is_none() || self.port == url.port_or_known_default();
        port && self.host == bare(url.host_str().unwrap_or_default())
            && url.path().starts_with(&self.path)
    }
}

/// A host's name in lower case, an IPv6 address without brackets.
fn bare(host: &str) -> String {
    host.trim_matches(['[', ']']).to_ascii_lowercase()
}

/// Without comments and macros; a word in quotes may hold blanks.
fn words(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut is_macro = false;
    for line in text.lines() {
        if is_macro {
            // Up to an empty line.
            is_macro = !line.trim().is_empty();
            continue;
        }
        let mut rest = line.trim();
        while !rest.is_empty() {
            let is_value = all
                .last()
                .is_some_and(|word| ["login", "password", "account"].contains(&word.as_str()));
            // A password may begin with it.
            if rest.starts_with('#') && !is_value {
                break;
            }
            let (word, after) = word(rest);
            is_macro |= word == "macdef" && !is_value;
            if is_macro {
                break;
            }
            all.push(word);
            rest = after.trim_start();
        }
    }
    all
}

/// The first word of `text`, and what follows it.
fn word(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut word = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (word, &quoted[at + 1..]),
            '\\' => word.extend(chars.next().map(|(_, c)| c)),
            c => word.push(c),
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests;
