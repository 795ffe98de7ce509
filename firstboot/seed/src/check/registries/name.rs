//! The names of registries and the URLs of mirrors.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::check::names;
use crate::contract::registries::ALL;

/// Docker Hub, as images call it.
const DOCKER: &str = "docker.io";
/// The machine that it is.
const DOCKER_HOST: &str = "registry-1.docker.io";

/// Of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// `docker.io`, `registry.example:5000`; [`ALL`] for all others.
    pub host: String,
    /// `library`; empty for the whole host.
    pub path: String,
}

impl Name {
    pub fn is_all(&self) -> bool {
        self.host == ALL
    }

    /// As images begin with it.
    pub fn whole(&self) -> String {
        joined(&self.host, &self.path)
    }

    /// Where its host is reached.
    pub fn server(&self) -> &str {
        match self.host.as_str() {
            DOCKER => DOCKER_HOST,
            host => host,
        }
    }
}

/// Another place for images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    pub plain_http: bool,
    /// `mirror.example`, `10.0.0.5:5000`.
    pub host: String,
    /// `team/cache`; empty for none.
    pub path: String,
}

impl Mirror {
    /// Without its scheme.
    pub fn location(&self) -> String {
        joined(&self.host, &self.path)
    }
}

fn joined(host: &str, path: &str) -> String {
    match path {
        "" => host.to_owned(),
        path => format!("{host}/{path}"),
    }
}

pub(super) fn name(text: &str) -> Result<Name, &'static str> {
    if text.contains("://") {
        return Err("is a URL, not the name of a registry");
    }
    if text.ends_with('/') {
        return Err("ends with `/`");
    }
    let (host, path) = parts(text);
    if host != ALL {
        host_fits(host)?;
    } else if text != ALL {
        return Err("has a path, but stands for all other registries");
    }
    path_fits(path)?;
    Ok(Name {
        host: host.to_owned(),
        path: path.to_owned(),
    })
}

pub(super) fn mirror(url: &str) -> Result<Mirror, &'static str> {
    let (plain_http, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return Err("is not an http or https URL"),
    };
    if rest.contains('@') {
        return Err(
            "has a user name or password in it: a login is for an entry of the mirror's \
             host in the seed",
        );
    }
    let (host, path) = parts(rest.strip_suffix('/').unwrap_or(rest));
    host_fits(host)?;
    if path == "v2" || path.starts_with("v2/") {
        return Err("has the `/v2` of the registry's protocol in it, which is not a part of names");
    }
    path_fits(path)?;
    Ok(Mirror {
        plain_http,
        host: host.to_owned(),
        path: path.to_owned(),
    })
}

fn parts(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or((text, ""))
}

/// `host`, `host:port`, `[v6]:port`.
fn host_fits(text: &str) -> Result<(), &'static str> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').unwrap_or((rest, "?"));
        let port = rest.strip_prefix(':');
        if address.parse::<Ipv6Addr>().is_err() {
            return Err("has no IPv6 address in brackets");
        }
        if port.is_none() && !rest.is_empty() {
            return Err("has something other than a port behind its brackets");
        }
        return port_fits(port);
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if host != "localhost" && names::wrong_with(host).is_some() {
        return Err("has no valid host name: lowercase letters, digits, `-` and dots");
    }
    // A typo such as `10.0.0.300`.
    let is_numeric = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if is_numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err("has a host that is not a valid IPv4 address");
    }
    port_fits(port)
}

fn port_fits(port: Option<&str>) -> Result<(), &'static str> {
    // `parse` alone would take `+1`.
    let is_number = |port: &str| {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        digits && port.parse::<u16>().is_ok_and(|number| number > 0)
    };
    match port.is_none_or(is_number) {
        true => Ok(()),
        false => Err("has no valid port number"),
    }
}

/// As in the names of images
/// ([OCI distribution](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests)).
fn path_fits(path: &str) -> Result<(), &'static str> {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let fits = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.chars().all(inside)
    };
    match path.is_empty() || path.split('/').all(fits) {
        true => Ok(()),
        false => Err(
            "has a path that is not a part of an image's name: lowercase letters, \
             digits, `.`, `_`, `-` and `/`",
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{mirror, name};

    #[test]
    fn names_of_registries() {
        for (text, host, path) in [
            ("docker.io", "docker.io", ""),
            ("registry.example:5000", "registry.example:5000", ""),
            ("docker.io/library", "docker.io", "library"),
            ("10.0.0.5:5000/a/b", "10.0.0.5:5000", "a/b"),
            ("[fd00::1]:5000", "[fd00::1]:5000", ""),
            ("localhost:5000", "localhost:5000", ""),
            ("_default", "_default", ""),
        ] {
            let found = name(text).unwrap();
            assert_eq!((found.host.as_str(), found.path.as_str()), (host, path));
            assert_eq!(found.whole(), text);
        }
        for (text, expected) in [
            ("https://docker.io", "is a URL"),
            ("", "no valid host name"),
            ("Docker.io", "no valid host name"),
            ("docker.io:", "no valid port"),
            ("docker.io:+1", "no valid port"),
            ("docker.io:0", "no valid port"),
            ("10.0.0.300", "not a valid IPv4 address"),
            ("[::1", "behind its brackets"),
            ("[::1]5000", "behind its brackets"),
            ("[x]:1", "no IPv6 address"),
            ("*.example", "no valid host name"),
            ("_default/a", "stands for all"),
            ("docker.io/", "ends with `/`"),
            ("docker.io//a", "not a part of an image's name"),
            ("docker.io/A", "not a part of an image's name"),
            ("docker.io/..", "not a part of an image's name"),
        ] {
            let reason = name(text).unwrap_err();
            assert!(reason.contains(expected), "{text}: {reason}");
        }
    }

    #[test]
    fn urls_of_mirrors() {
        for (url, plain_http, location) in [
            ("https://m.example", false, "m.example"),
            ("https://m.example/", false, "m.example"),
            ("http://10.0.0.5:5000/a/b", true, "10.0.0.5:5000/a/b"),
        ] {
            let found = mirror(url).unwrap();
            assert_eq!(
                (found.plain_http, found.location().as_str()),
                (plain_http, location)
            );
        }
        for (url, expected) in [
            ("m.example", "not an http or https URL"),
            ("ftp://m.example", "not an http or https URL"),
            ("https://me:pw@m.example", "a user name or password"),
            ("https://m.example/v2", "`/v2`"),
            ("https://m.example/v2/a", "`/v2`"),
            ("https://m.example/a?b", "not a part of an image's name"),
            ("https://", "no valid host name"),
        ] {
            let reason = mirror(url).unwrap_err();
            assert!(reason.contains(expected), "{url}: {reason}");
        }
    }
}
