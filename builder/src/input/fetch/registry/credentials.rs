//! The files that `podman login` and `docker login` write.
//!
//! ```json
//! {"auths": {"registry.example/team": {"auth": "BASE64 of user:password"}},
//!  "credsStore": "desktop", "credHelpers": {"gcr.io": "gcloud"}}
//! ```
//! [containers-auth.json](https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md),
//! [config.json](https://docs.docker.com/reference/cli/docker/login/#authentication-scope).
//! The first file that says something of a registry decides; in a file the
//! longest key does. Programs that keep passwords are not run, only named.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nodeimg_seed::text::secret::Secret;
use serde::Deserialize;

use crate::input::fetch::login::Login;

/// Docker's own registry, by every name that a login may stand under.
const DOCKER: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// The files in their order.
pub(super) struct Files(Vec<PathBuf>);

/// What the files say of a registry.
pub(super) enum Found {
    Login(Login),
    /// A program keeps it.
    Elsewhere {
        file: String,
        helper: String,
    },
    Nothing {
        /// The file that was read, for messages.
        looked: String,
    },
}

impl Found {
    pub(super) fn login(&self) -> Option<&Login> {
        match self {
            Found::Login(login) => Some(login),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    // `null` stands for none.
    auths: Option<BTreeMap<String, Entry>>,
    creds_store: Option<String>,
    cred_helpers: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl Files {
    pub(super) fn of_environment() -> Files {
        let variable = |name: &str| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        let below = |name: &str, path: &str| variable(name).map(|directory| directory.join(path));
        let docker =
            below("DOCKER_CONFIG", "config.json").or_else(|| below("HOME", ".docker/config.json"));
        let all = [
            variable("REGISTRY_AUTH_FILE"),
            below("XDG_RUNTIME_DIR", "containers/auth.json"),
            docker,
        ];
        Files(all.into_iter().flatten().collect())
    }

    /// What there is for `repository` of `host`.
    pub(super) fn find(&self, host: &str, repository: &str) -> Result<Found, String> {
        for file in &self.0 {
            let text = match fs::read(file) {
                Ok(text) => text,
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    continue;
                }
                Err(e) => return Err(format!("reading the logins in {}: {e}", file.display())),
            };
            let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
            if text.trim_ascii().is_empty() {
                continue;
            }
            // Not the parser's own message: it may quote what it met.
            let config: Config = serde_json::from_slice(text).map_err(|e| {
                format!(
                    "reading the logins in {}: line {}, column {} is not in the format that \
                     `docker login` writes",
                    file.display(),
                    e.line(),
                    e.column()
                )
            })?;
            if let Some(found) = of_file(&config, file, host, repository)? {
                return Ok(found);
            }
        }
        let names: Vec<String> = self.0.iter().map(|f| f.display().to_string()).collect();
        Ok(Found::Nothing {
            looked: match names.len() {
                0 => "no file with logins is known: set $REGISTRY_AUTH_FILE".to_owned(),
                _ => format!("none was found in {}", names.join(", ")),
            },
        })
    }
}

fn of_file(
    config: &Config,
    file: &std::path::Path,
    host: &str,
    repository: &str,
) -> Result<Option<Found>, String> {
    let names = names(host);
    let mut helpers = config.cred_helpers.iter().flatten();
    let keeper = helpers
        .find(|(key, _)| names.contains(&key_of(key)))
        .map(|(_, helper)| helper);
    let entry = config
        .auths
        .as_ref()
        .and_then(|auths| entry(auths, &names, repository));
    let pair = match entry {
        Some(entry) => pair(entry)
            .map_err(|why| format!("the login for {host} in {}: {why}", file.display()))?,
        None => None,
    };
    if let Some(pair) = pair {
        let file = file.display().to_string();
        return Ok(Some(Found::Login(Login::new(file, pair))));
    }
    // An empty entry beside a keeper says that the keeper has it.
    let keeper = keeper.or(config.creds_store.as_ref().filter(|_| entry.is_some()));
    Ok(keeper.map(|helper| Found::Elsewhere {
        file: file.display().to_string(),
        helper: format!("docker-credential-{helper}"),
    }))
}

/// Every name of a registry.
fn names(host: &str) -> Vec<String> {
    match DOCKER.contains(&host) {
        true => DOCKER.map(str::to_owned).to_vec(),
        false => vec![host.to_owned()],
    }
}

/// `https://index.docker.io/v1/` is `index.docker.io`.
fn key_of(key: &str) -> String {
    let key = key.strip_prefix("https://").unwrap_or(key);
    let key = key.strip_prefix("http://").unwrap_or(key);
    let key = key.trim_end_matches('/');
    let key = key.strip_suffix("/v1").unwrap_or(key);
    key.strip_suffix("/v2").unwrap_or(key).to_owned()
}

/// The entry whose key is the longest that fits.
fn entry<'a>(
    auths: &'a BTreeMap<String, Entry>,
    names: &[String],
    repository: &str,
) -> Option<&'a Entry> {
    let fits = |key: &str| {
        names.iter().any(|name| {
            let Some(rest) = key.strip_prefix(name.as_str()) else {
                return false;
            };
            let Some(path) = rest.strip_prefix('/') else {
                return rest.is_empty();
            };
            let after = repository.strip_prefix(path);
            after.is_some_and(|after| after.is_empty() || after.starts_with('/'))
        })
    };
    auths
        .iter()
        .map(|(key, entry)| (key_of(key), entry))
        .filter(|(key, _)| fits(key))
        .max_by_key(|(key, _)| key.matches('/').count())
        .map(|(_, entry)| entry)
}

/// `user:password`; `None` of an empty entry.
fn pair(entry: &Entry) -> Result<Option<Secret>, String> {
    if entry.identitytoken.as_ref().is_some_and(|t| !t.is_empty()) {
        return Err(
            "it is an identity token, which nodeimg does not use: log in with a user name and a password or access token"
                .to_owned(),
        );
    }
    if let (Some(user), Some(password)) = (&entry.username, &entry.password) {
        return Ok(Some(Secret::new(format!("{user}:{password}"))));
    }
    let Some(auth) = entry.auth.as_ref().filter(|auth| !auth.is_empty()) else {
        return Ok(None);
    };
    let decoded = STANDARD.decode(auth.trim()).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    // Docker pads with NULs.
    let text = text.map(|text| text.trim_end_matches('\0').to_owned());
    match text.filter(|text| text.contains(':')) {
        Some(text) => Ok(Some(Secret::new(text))),
        None => Err("its `auth` is not the base64 of `user:password`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// `u:p` of the login that is found, or the message.
    fn found(files: &[&str], host: &str, repository: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let mut paths = vec![dir.path().join("absent/auth.json")];
        for (n, text) in files.iter().enumerate() {
            let path = dir.path().join(n.to_string());
            fs::write(&path, text).unwrap();
            paths.push(path);
        }
        match Files(paths).find(host, repository) {
            Ok(Found::Login(login)) => login.pair().to_owned(),
            Ok(Found::Elsewhere { helper, .. }) => helper,
            Ok(Found::Nothing { looked }) => looked.split(' ').next().unwrap().to_owned(),
            Err(why) => why,
        }
    }

    fn auth(pair: &str) -> String {
        format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(pair))
    }

    #[test]
    fn the_longest_key_of_the_first_file_decides() {
        let file = format!(
            r#"{{"auths":{{"a.b":{},"a.b/team":{},"https://index.docker.io/v1/":{},"c.d:5000":{{"username":"n","password":"x:y"}}}}}}"#,
            auth("all:1"),
            auth("team:2"),
            auth("dock:3")
        );
        let second = format!(
            r#"{{"auths":{{"e.f":{},"a.b":{}}}}}"#,
            auth("two:4"),
            auth("not:5")
        );
        let files = [file.as_str(), second.as_str()];
        for (host, repository, wanted) in [
            ("a.b", "x", "all:1"),
            ("a.b", "team/x", "team:2"),
            ("a.b", "teams/x", "all:1"),
            ("registry-1.docker.io", "library/busybox", "dock:3"),
            ("c.d:5000", "x", "n:x:y"),
            ("c.d", "x", "none"),
            ("e.f", "x", "two:4"),
            ("a.b.evil.example", "x", "none"),
        ] {
            assert_eq!(
                found(&files, host, repository),
                wanted,
                "{host}/{repository}"
            );
        }
    }

    #[test]
    fn what_a_program_keeps_is_told_only_where_it_has_something() {
        let file =
            r#"{"auths":{"a.b":{}},"credsStore":"desktop","credHelpers":{"gcr.io":"gcloud"}}"#;
        for (host, wanted) in [
            ("a.b", "docker-credential-desktop"),
            ("gcr.io", "docker-credential-gcloud"),
            ("registry.k8s.io", "none"),
        ] {
            assert_eq!(found(&[file], host, "x"), wanted, "{host}");
        }
    }

    #[test]
    fn a_file_may_be_empty_or_of_an_editor() {
        let login = format!(
            "\u{feff}{{\"auths\":{{\"a.b\":{}}},\"credHelpers\":null}}",
            auth("me:1")
        );
        for empty in ["", " \n", "\u{feff}", "{\"auths\":null}", "{}"] {
            assert_eq!(found(&[empty, &login], "a.b", "x"), "me:1", "{empty:?}");
        }
    }

    #[test]
    fn a_bad_file_is_told_without_its_secrets() {
        for (text, wanted) in [
            ("{", "line 1"),
            (r#"{"auths":{"a.b":"hunter2"}}"#, "line 1"),
            (r#"{"auths":{"a.b":{"auth":"hunter2"}}}"#, "base64"),
            (r#"{"auths":{"a.b":{"auth":"aHVudGVyMg=="}}}"#, "base64"),
            (
                r#"{"auths":{"a.b":{"identitytoken":"hunter2"}}}"#,
                "identity token",
            ),
        ] {
            let told = found(&[text], "a.b", "x");
            assert!(told.contains(wanted), "{text}: {told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
