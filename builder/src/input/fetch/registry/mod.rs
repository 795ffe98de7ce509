//! Logging in at container registries.
//!
//! ```text
//! GET /v2/NAME/manifests/... ──▶ 401, WWW-Authenticate: Bearer realm=...,service=...,scope=...
//! GET realm?service=...&scope=...  [Authorization: Basic]  ──▶ {"token": ...}
//! GET /v2/NAME/manifests/...  Authorization: Bearer ...    ──▶ 200
//! ```
//! [Token authentication](https://distribution.github.io/distribution/spec/auth/token/),
//! [RFC 7617](https://www.rfc-editor.org/rfc/rfc7617) for Basic. Nothing is sent
//! before a registry asks for it; what it then gave is kept for the run, by
//! registry and image, and shared by all requests for that image. The first that
//! is refused with it gets the next one, once for all of them.
//!
//! # Invariants
//! - A password goes to the registry that its file names it for, and to the token
//!   service which that one names, over https wherever the registry is spoken to
//!   by https; after a redirect to another host nothing goes along.
//! - Neither passwords nor tokens are in a message or in `Debug`.

mod challenge;
mod credentials;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{self, HeaderValue};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;

use super::client::Ways;
use super::failure::Failure;
use super::head::Head;
use super::login::{Login, secret};
use super::note::{self, Note};
use super::pace::{Least, Pace, length};
use challenge::Challenge;
use credentials::{Files, Found};

/// No token is longer.
const MAX_ANSWER: usize = 1024 * 1024;

/// What a registry has let us in with for one image: an `Authorization`. Who
/// gets a new one holds the lock, so that all others wait for it and share it.
pub(super) type Given = Arc<tokio::sync::Mutex<Option<HeaderValue>>>;

/// Those of a run.
#[derive(Default)]
pub(super) struct Logins {
    /// By registry and image.
    known: Mutex<HashMap<String, Given>>,
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logins")
    }
}

/// What a token service answers.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Logins {
    /// The place of the login for the image of `url`.
    pub(super) fn of(&self, url: &Url) -> Given {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(image_of(url)).or_default())
    }
}

/// Answers the challenge of `refusal`, a 401 for `url`. `own` is the login of the mirror's
/// URL; who `pushes` asks for more than the first question needs.
pub(super) async fn login(
    ways: &Ways,
    url: &Url,
    own: Option<&Login>,
    pushes: bool,
    refusal: &mut Response,
) -> Result<HeaderValue, Failure> {
    let host = host_of(url);
    let found = find(ways, url, own).map_err(Failure::Refused)?;
    match Challenge::of(refusal.headers()) {
        Some(Challenge::Bearer {
            realm,
            service,
            scope,
        }) => {
            let realm = service_url(&realm, url)?;
            let scope = match pushes {
                true => Some(scope_of_push(scope.as_deref(), &repository_of(url))),
                false => scope,
            };
            let realm = with_query(realm, service, scope);
            let token = token(ways, realm, &host, &found).await?;
            secret(&format!("Bearer {token}"))
        }
        Some(Challenge::Basic) => match &found {
            Found::Login(login) => login.header(),
            other => Err(Failure::Login(wants(&host, other))),
        },
        None => {
            let said = it_says(note::said(refusal, found.login()).await);
            Err(Failure::Login(format!(
                "the registry {host} requires a kind of login that nodeimg does not support (it \
                 supports Bearer and Basic){said}"
            )))
        }
    }
}

/// The URL's own login, then those that `docker login` wrote, then ~/.netrc.
fn find(ways: &Ways, url: &Url, own: Option<&Login>) -> Result<Found, String> {
    if let Some(own) = own {
        return Ok(Found::Login(own.clone()));
    }
    let found = Files::of_environment().find(&host_of(url), &repository_of(url))?;
    Ok(match (found, ways.netrc.of(url)) {
        (Found::Nothing { .. }, Some(login)) => Found::Login(login.clone()),
        (found, _) => found,
    })
}

/// A registry that refuses what it was given; `said` is its own word.
pub(super) fn refused(
    ways: &Ways,
    url: &Url,
    own: Option<&Login>,
    said: Option<String>,
) -> Failure {
    let host = host_of(url);
    let why = match find(ways, url, own) {
        Ok(found) => wants(&host, &found),
        Err(why) => why,
    };
    Failure::Login(match said {
        Some(said) => format!("{why}; it says: {said}"),
        None => why,
    })
}

async fn token(ways: &Ways, realm: Url, host: &str, found: &Found) -> Result<String, Failure> {
    let service = format!(
        "the token service {} of the registry {host}",
        host_of(&realm)
    );
    let mut request = ways.http.get(realm.clone());
    if let Found::Login(login) = found {
        request = request.header(header::AUTHORIZATION, login.header()?);
    }
    let sent = ways.proxies.send(&realm, request).await;
    let mut response = sent.map_err(|failure| failure.of(&service))?;
    if response.status() != StatusCode::OK {
        return Err(no_token(&mut response, &service, host, found).await);
    }
    let mut bytes = Vec::new();
    let mut pace = Pace::new(Least::default());
    loop {
        let piece = pace.wait(response.chunk(), length).await?;
        let Some(piece) = piece.map_err(Failure::of_body)? else {
            break;
        };
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_ANSWER {
            break;
        }
    }
    let answer = serde_json::from_slice::<Answer>(&bytes).ok();
    let token = answer.and_then(|answer| answer.token.or(answer.access_token));
    token.ok_or_else(|| {
        let said = note::quoted(&bytes, false, found.login());
        Failure::Refused(format!(
            "{service} answers without a token{}",
            it_says(said)
        ))
    })
}

/// A token service's refusal.
async fn no_token(response: &mut Response, service: &str, host: &str, found: &Found) -> Failure {
    let code = response.status();
    let retry_after = Head::of(response).retry_after;
    let said = it_says(note::said(response, found.login()).await);
    if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&code) {
        let why = wants(host, found);
        return Failure::Login(format!("{why}; {service} answers {code}{said}"));
    }
    let failure = Failure::Status {
        code,
        retry_after,
        note: Some(Note {
            text: format!(", as {service}{said}"),
            remedy: None,
        }),
    };
    match failure.is_transient() {
        true => failure,
        // Not of the image: nobody has looked for that yet.
        false => Failure::Refused(format!("{service} answers {code}{said}")),
    }
}

fn it_says(said: Option<String>) -> String {
    said.map_or_else(String::new, |said| format!(", it says: {said}"))
}

/// What a person can do about a refusal.
fn wants(host: &str, found: &Found) -> String {
    match found {
        Found::Login(login) => format!(
            "the registry {host} denies this image to the user of {}: log in again, or check the \
             image's name",
            login.file()
        ),
        Found::Elsewhere { file, helper } => format!(
            "the registry {host} requires a login, which {file} leaves to the program `{helper}`; \
             nodeimg reads `auths` only: log in with another $REGISTRY_AUTH_FILE (`podman login \
             --authfile FILE {host}`)"
        ),
        Found::Nothing { looked } => format!(
            "the registry {host} requires a login, or has no such image: `podman login {host}` or \
             `docker login {host}` writes one ({looked})"
        ),
    }
}

/// A token service, which gets a password: never in clear text, unless the
/// registry itself is spoken to that way.
fn service_url(realm: &str, registry: &Url) -> Result<Url, Failure> {
    let url = Url::parse(realm).ok().filter(|url| {
        url.scheme() == "https" || (url.scheme() == "http" && registry.scheme() == "http")
    });
    url.ok_or_else(|| {
        Failure::Login(format!(
            "the registry {} names a token service that is not https: {}",
            host_of(registry),
            super::failure::shown(realm)
        ))
    })
}

fn with_query(mut realm: Url, service: Option<String>, scope: Option<String>) -> Url {
    if let Some(service) = service {
        realm.query_pairs_mut().append_pair("service", &service);
    }
    // Several are separate parameters.
    for scope in scope.iter().flat_map(|scope| scope.split_whitespace()) {
        realm.query_pairs_mut().append_pair("scope", scope);
    }
    realm
}

/// What the challenge asks for, and to push to `repository`: the question whether something is
/// there needs less, and some registries refuse a token of that later as if nothing helped.
fn scope_of_push(asked: Option<&str>, repository: &str) -> String {
    let mut all: Vec<String> = asked
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let name = |scope: &&mut String| scope.starts_with("repository:");
    match all.iter_mut().find(name) {
        // A mirror's is called otherwise. The first is the one that is pushed to.
        Some(own) => {
            let end = own.rfind(':').unwrap_or(own.len());
            own.replace_range(end.., ":pull,push");
        }
        None => all.push(format!("repository:{repository}:pull,push")),
    }
    all.join(" ")
}

/// With its port, if that is an unusual one.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// `pause` of `/v2/pause/manifests/3.10`; a mirror may have folders before it.
fn repository_of(url: &Url) -> String {
    let path = url.path();
    let end = ["/manifests/", "/blobs/"]
        .iter()
        .filter_map(|part| path.rfind(part))
        .max();
    let before = &path[..end.unwrap_or(path.len())];
    let start = before.find("/v2/").map_or(0, |at| at + 4);
    before[start..].to_owned()
}

fn image_of(url: &Url) -> String {
    format!(
        "{} {}",
        url.origin().ascii_serialization(),
        repository_of(url)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_image_is_known_by_registry_and_path() {
        let url = |text: &str| Url::parse(text).unwrap();
        for (text, host, repository) in [
            ("https://a.b/v2/pause/manifests/3.10", "a.b", "pause"),
            ("http://a.b:5000/v2/x/y/blobs/sha256:12", "a.b:5000", "x/y"),
            (
                "http://127.0.0.1:1/a.b/v2/x/manifests/t",
                "127.0.0.1:1",
                "x",
            ),
            ("https://a.b/v2/blobs/manifests/t", "a.b", "blobs"),
        ] {
            assert_eq!(host_of(&url(text)), host, "{text}");
            assert_eq!(repository_of(&url(text)), repository, "{text}");
        }
    }

    #[test]
    fn who_pushes_asks_for_all_of_it_at_once() {
        for (asked, wanted) in [
            (None, "repository:x/y:pull,push"),
            (Some("repository:x/y:pull"), "repository:x/y:pull,push"),
            (Some("repository:p/x/y:pull"), "repository:p/x/y:pull,push"),
            (
                Some("repository:x/y:pull,push repository:z:pull"),
                "repository:x/y:pull,push repository:z:pull",
            ),
        ] {
            assert_eq!(scope_of_push(asked, "x/y"), wanted);
        }
        let realm = Url::parse("https://a.b/token").unwrap();
        let url = with_query(realm, Some("s".to_owned()), Some("a b".to_owned()));
        assert_eq!(url.as_str(), "https://a.b/token?service=s&scope=a&scope=b");
    }

    #[test]
    fn a_token_service_gets_nothing_in_clear_text() {
        let (https, http) = (
            Url::parse("https://a.b/v2/").unwrap(),
            Url::parse("http://127.0.0.1:5000/v2/").unwrap(),
        );
        assert!(service_url("https://auth.example/token", &https).is_ok());
        assert!(service_url("http://127.0.0.1:1/token", &http).is_ok());
        for realm in [
            "http://auth.example/token",
            "file:///etc/passwd",
            "",
            "token",
        ] {
            let failure = service_url(realm, &https).unwrap_err();
            assert!(failure.to_string().contains("not https"), "{failure}");
        }
    }
}
