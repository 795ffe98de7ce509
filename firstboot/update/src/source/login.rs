//! How a registry lets a node in: anonymously, by name and password, by a token for those.

use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::HashMap;

use super::Failure;
use super::net::{self, Client, Request};

/// What a file for container runtimes has: `config.json` of Docker.
#[derive(Default, Deserialize)]
pub struct Logins {
    #[serde(default)]
    auths: HashMap<String, Entry>,
}

#[derive(Default, Deserialize)]
struct Entry {
    /// `name:password` in base64.
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
}

impl Logins {
    /// # Errors
    /// The file cannot be read, or is not one.
    pub fn read(path: &Path) -> Result<Logins> {
        let shown = || format!("reading the logins in {}", path.display());
        let text = std::fs::read(path).with_context(shown)?;
        // serde's error would quote a password.
        serde_json::from_slice(&text)
            .map_err(|error| anyhow!("line {}: not a Docker configuration", error.line()))
            .with_context(shown)
    }

    /// The header for a repository: that of the longest name before it.
    fn header(&self, repository: &str) -> Option<String> {
        let fits = |key: &str| {
            let key = key.strip_prefix("https://").unwrap_or(key);
            let key = key.trim_end_matches('/');
            let key = key
                .strip_suffix("/v1")
                .or(key.strip_suffix("/v2"))
                .unwrap_or(key);
            let key = if key == "index.docker.io" {
                "docker.io"
            } else {
                key
            };
            let rest = repository.strip_prefix(key)?;
            (rest.is_empty() || rest.starts_with('/')).then_some(key.len())
        };
        let found = self
            .auths
            .iter()
            .filter_map(|(key, entry)| Some((fits(key)?, entry)));
        let (_, entry) = found.max_by_key(|(length, _)| *length)?;
        let auth = match (&entry.auth, &entry.username, &entry.password) {
            (Some(auth), _, _) if !auth.is_empty() => auth.clone(),
            (_, Some(name), Some(password)) => STANDARD.encode(format!("{name}:{password}")),
            _ => return None,
        };
        Some(format!("Basic {auth}"))
    }
}

/// The login at one repository.
pub struct Login {
    basic: Option<String>,
    /// What is sent with each request.
    current: Mutex<Option<String>>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Login {
    pub fn new(logins: Logins, repository: &str) -> Login {
        Login {
            basic: logins.header(repository),
            current: Mutex::default(),
        }
    }

    pub fn current(&self) -> Option<String> {
        self.current.lock().ok()?.clone()
    }

    /// What a challenge asks for; `used` is what was refused.
    ///
    /// # Errors
    /// There is no such login, or the token service gives none.
    pub fn answer(
        &self,
        client: &Client,
        url: &str,
        challenges: &[&str],
        used: Option<&str>,
    ) -> Result<String, Failure> {
        // Another thread may have a new one already.
        if let Some(current) = self.current().filter(|it| Some(it.as_str()) != used) {
            return Ok(current);
        }
        let bearer = challenges
            .iter()
            .find_map(|value| parameters(value, "bearer"));
        let header = match (bearer, &self.basic) {
            (Some(parameters), basic) => self.token(client, url, &parameters, basic.as_deref())?,
            (None, Some(basic)) if used != Some(basic) => basic.clone(),
            (None, _) => return Err(net::refused(401, url)),
        };
        if let Ok(mut current) = self.current.lock() {
            *current = Some(header.clone());
        }
        Ok(header)
    }

    fn token(
        &self,
        client: &Client,
        url: &str,
        parameters: &HashMap<String, String>,
        basic: Option<&str>,
    ) -> Result<String, Failure> {
        let realm = parameters
            .get("realm")
            .context("the challenge has no realm")?;
        let is_secure = url.starts_with("https://");
        if !realm.starts_with("https://") && (is_secure || !realm.starts_with("http://")) {
            return Err(Failure::Final(anyhow!(
                "{} wants the login sent to {}, which is not https",
                net::host(url),
                net::shown(realm)
            )));
        }
        let mut service = realm.clone();
        for key in ["service", "scope"] {
            if let Some(value) = parameters.get(key) {
                service.push(if service.contains('?') { '&' } else { '?' });
                service.push_str(&format!("{key}={}", encoded(value)));
            }
        }
        let request = Request {
            url: &service,
            accept: "application/json",
            authorization: basic,
        };
        let bytes = client.document(request)?;
        let token = bytes.and_then(|bytes| serde_json::from_slice::<Token>(&bytes).ok());
        let token = token.and_then(|token| token.token.or(token.access_token));
        let token = token.with_context(|| format!("{} gives no token", net::host(realm)))?;
        Ok(format!("Bearer {token}"))
    }
}

/// The parameters of a challenge of this scheme.
fn parameters(value: &str, scheme: &str) -> Option<HashMap<String, String>> {
    let (first, mut rest) = value.trim().split_once(' ')?;
    if !first.eq_ignore_ascii_case(scheme) {
        return None;
    }
    let mut found = HashMap::new();
    while let Some((key, value)) = rest.split_once('=') {
        let key = key.trim_matches([' ', ',']).to_ascii_lowercase();
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_once(',').unwrap_or((value, "")),
        };
        found.insert(key, value.to_owned());
        rest = after;
    }
    Some(found)
}

/// A value of a query.
fn encoded(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b',' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// The files that may hold logins on a node, the best first.
///
/// # Errors
/// One that is there cannot be read, or the one that was asked for.
pub fn of_node(asked: Option<&Path>, usual: &[std::path::PathBuf]) -> Result<Logins> {
    if let Some(path) = asked {
        if !path.is_file() {
            bail!("{} is not a file with logins", path.display());
        }
        return Logins::read(path);
    }
    match usual.iter().find(|path| path.is_file()) {
        Some(path) => Logins::read(path),
        None => Ok(Logins::default()),
    }
}
