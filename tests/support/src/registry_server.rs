//! A container registry for tests: manifests and blobs by path, with or without
//! a login, and blobs elsewhere by a redirect.
//!
//! It serves `/v2/NAME/manifests/...` and `/v2/NAME/blobs/...`
//! ([OCI distribution](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md)).

use std::collections::HashMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::http_server::{Listener, Request};

/// How the registry lets anyone in.
#[derive(Clone, Debug, PartialEq)]
pub enum Auth {
    Open,
    /// With this `Authorization`.
    Basic(String),
    /// With a token, which the service gives to this `Authorization`, or to
    /// everyone.
    Token(Option<String>),
    /// Names this as its token service.
    Realm(String),
}

/// A request as it was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub target: String,
    pub authorization: Option<String>,
    pub accept: Option<String>,
}

struct State {
    auth: Auth,
    /// Where blobs are, if not here: the beginning of their URLs.
    elsewhere: Option<String>,
    files: Mutex<HashMap<String, Vec<u8>>>,
    asked: Mutex<Vec<Asked>>,
    /// Tokens given so far, and how often each was used.
    tokens: Mutex<Vec<u32>>,
    /// How often each is good.
    uses: AtomicU32,
}

/// The registry; it ends when dropped.
pub struct Registry {
    listener: Listener,
    state: Arc<State>,
}

impl Registry {
    pub fn start(auth: Auth) -> Registry {
        Registry::start_with(auth, None)
    }

    /// Blobs are served by a redirect to `elsewhere` and their own path.
    pub fn start_with(auth: Auth, elsewhere: Option<String>) -> Registry {
        let state = Arc::new(State {
            auth,
            elsewhere,
            files: Mutex::default(),
            asked: Mutex::default(),
            tokens: Mutex::default(),
            uses: AtomicU32::new(u32::MAX),
        });
        let served = Arc::clone(&state);
        let listener = Listener::start("127.0.0.1", move |stream| talk(&served, stream));
        Registry { listener, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves `bytes` at this path.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        let mut files = self.state.files.lock().unwrap();
        files.insert(path.to_owned(), bytes.to_vec());
    }

    /// Every blob as both, below this name, and `tag` for the one called `top`.
    pub fn serve<'b>(
        &self,
        name: &str,
        blobs: impl IntoIterator<Item = (&'b String, &'b Vec<u8>)>,
        tag: &str,
        top: &str,
    ) {
        for (digest, bytes) in blobs {
            self.put(&format!("/v2/{name}/manifests/{digest}"), bytes);
            self.put(&format!("/v2/{name}/blobs/{digest}"), bytes);
            if digest == top {
                self.put(&format!("/v2/{name}/manifests/{tag}"), bytes);
            }
        }
    }

    /// Every token is good for so many requests from here on.
    pub fn tokens_for(&self, uses: u32) {
        self.state.uses.store(uses, Ordering::SeqCst);
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }
}

fn talk(state: &State, mut stream: TcpStream) -> std::io::Result<()> {
    let address = stream.local_addr()?;
    let Request {
        target,
        mut headers,
        ..
    } = Request::read(&stream)?;
    let asked = Asked {
        target,
        authorization: headers.remove("authorization"),
        accept: headers.remove("accept"),
    };
    state.asked.lock().unwrap().push(asked.clone());
    stream.write_all(&answer(state, &asked, address))
}

fn answer(state: &State, asked: &Asked, address: SocketAddr) -> Vec<u8> {
    let given = asked.authorization.as_deref();
    if asked.target.starts_with("/token?") {
        return match &state.auth {
            Auth::Token(None) => token(state),
            Auth::Token(Some(wanted)) if Some(wanted.as_str()) == given => token(state),
            _ => reply(401, "", b""),
        };
    }
    let challenge = match &state.auth {
        Auth::Open => None,
        Auth::Basic(wanted) if Some(wanted.as_str()) == given => None,
        Auth::Basic(_) => Some("Basic realm=\"test\"".to_owned()),
        Auth::Token(_) if is_good(state, given) => None,
        Auth::Token(_) => Some(bearer(&format!("http://{address}/token"))),
        Auth::Realm(realm) => Some(bearer(realm)),
    };
    if let Some(challenge) = challenge {
        return reply(401, &format!("WWW-Authenticate: {challenge}\r\n"), b"");
    }
    if let Some(elsewhere) = &state.elsewhere
        && asked.target.contains("/blobs/")
    {
        return reply(
            307,
            &format!("Location: {elsewhere}{}\r\n", asked.target),
            b"",
        );
    }
    // A mirror is told which registry it stands for, as `?ns=docker.io`.
    let path = asked.target.split('?').next().unwrap_or_default();
    match state.files.lock().unwrap().get(path) {
        Some(bytes) => reply(200, &content_type(bytes), bytes),
        None => reply(404, "", b""),
    }
}

/// A document says itself what it is.
fn content_type(bytes: &[u8]) -> String {
    let document: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let named = document
        .as_ref()
        .and_then(|found| found["mediaType"].as_str());
    named.map_or_else(String::new, |name| format!("Content-Type: {name}\r\n"))
}

fn bearer(realm: &str) -> String {
    format!("Bearer realm=\"{realm}\",service=\"test\",scope=\"repository:x:pull\"")
}

fn token(state: &State) -> Vec<u8> {
    let mut tokens = state.tokens.lock().unwrap();
    tokens.push(0);
    let token = format!("{{\"token\":\"{}\"}}", tokens.len() - 1);
    reply(200, "", token.as_bytes())
}

fn is_good(state: &State, given: Option<&str>) -> bool {
    let number = given.and_then(|given| given.strip_prefix("Bearer ")?.parse::<usize>().ok());
    let mut tokens = state.tokens.lock().unwrap();
    let Some(used) = number.and_then(|number| tokens.get_mut(number)) else {
        return false;
    };
    *used += 1;
    *used <= state.uses.load(Ordering::SeqCst)
}

fn reply(status: u16, more: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} Test\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
