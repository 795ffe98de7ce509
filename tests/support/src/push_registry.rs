//! A container registry for tests that is written to, with the faults of real ones.
//!
//! It keeps everything in memory and speaks
//! [OCI distribution](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use super::http_server::{Listener, Request};
use super::layout::digest;

/// How an upload's address is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Location {
    #[default]
    Absolute,
    Relative,
    /// With a query, as most have it.
    Query,
    /// At another server, which takes it.
    Elsewhere(SocketAddr),
    /// Not at all.
    Nowhere,
    /// At this very address.
    At(String),
}

/// What an answer is instead of the right one, once.
#[derive(Clone, Debug)]
pub enum Fault {
    Status(u16, &'static str),
    /// A status with a header, which is `NAME: VALUE`.
    With(u16, &'static str),
    /// So many bytes of the body are kept, then the connection ends.
    CutAfter(usize),
    /// As if the body had been another.
    Digest,
    /// The right answer but for its first byte.
    Lie,
}

/// What kind of a registry it is.
#[derive(Clone, Debug, Default)]
pub struct Kind {
    pub location: Location,
    /// Takes blobs from other repositories.
    pub mounts: bool,
    /// Keeps lists of referrers itself.
    pub referrers: bool,
    /// Takes no blob in one request.
    pub only_chunks: bool,
    /// No request is longer, in bytes.
    pub limit: Option<usize>,
    /// No chunk but the last is shorter, in bytes.
    pub least: Option<usize>,
    /// Forgets an upload that was cut.
    pub forgets: bool,
    /// The `Authorization` that is needed.
    pub basic: Option<String>,
    /// The digests of tags are not told.
    pub terse: bool,
}

/// A request as it was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub method: String,
    pub target: String,
    pub authorization: Option<String>,
    /// Of the body, as it was announced.
    pub length: usize,
}

#[derive(Default)]
struct Held {
    /// By repository and digest.
    blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and tag or digest: media type and bytes.
    documents: BTreeMap<(String, String), (String, Vec<u8>)>,
    uploads: HashMap<usize, Vec<u8>>,
    next: usize,
    /// By the beginning of `METHOD PATH`.
    faults: Vec<(String, VecDeque<Fault>)>,
    asked: Vec<Asked>,
}

struct State {
    kind: Kind,
    held: Mutex<Held>,
}

/// The registry; it ends when dropped.
pub struct Pushed {
    listener: Listener,
    state: Arc<State>,
}

impl Pushed {
    pub fn start(kind: Kind) -> Pushed {
        Pushed::start_at("127.0.0.1", kind)
    }

    pub fn start_at(ip: &str, kind: Kind) -> Pushed {
        let state = Arc::new(State {
            kind,
            held: Mutex::default(),
        });
        let served = Arc::clone(&state);
        let listener = Listener::start(ip, move |stream| talk(&served, stream));
        Pushed { listener, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The next answers to what begins so (`PUT /v2/x/manifests/`).
    pub fn faults(&self, begins: &str, faults: impl IntoIterator<Item = Fault>) {
        let mut held = self.state.held.lock().unwrap();
        held.faults
            .push((begins.to_owned(), faults.into_iter().collect()));
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.state.held.lock().unwrap().asked.clone()
    }

    /// Forgets what it was asked.
    pub fn forget(&self) {
        self.state.held.lock().unwrap().asked.clear();
    }

    pub fn blob(&self, repository: &str, digest: &str) -> Option<Vec<u8>> {
        let key = (repository.to_owned(), digest.to_owned());
        self.state.held.lock().unwrap().blobs.get(&key).cloned()
    }

    /// How many blobs a repository has.
    pub fn blobs(&self, repository: &str) -> usize {
        let held = self.state.held.lock().unwrap();
        held.blobs.keys().filter(|(at, _)| at == repository).count()
    }

    pub fn put_blob(&self, repository: &str, bytes: &[u8]) {
        let key = (repository.to_owned(), digest(bytes));
        let mut held = self.state.held.lock().unwrap();
        held.blobs.insert(key, bytes.to_vec());
    }

    /// What a tag or a digest names.
    pub fn document(&self, repository: &str, by: &str) -> Option<serde_json::Value> {
        let key = (repository.to_owned(), by.to_owned());
        let held = self.state.held.lock().unwrap();
        let (_, bytes) = held.documents.get(&key)?;
        serde_json::from_slice(bytes).ok()
    }

    /// The digest of what a tag names.
    pub fn digest(&self, repository: &str, tag: &str) -> Option<String> {
        let key = (repository.to_owned(), tag.to_owned());
        let held = self.state.held.lock().unwrap();
        held.documents.get(&key).map(|(_, bytes)| digest(bytes))
    }

    pub fn put_document(&self, repository: &str, by: &str, kind: &str, bytes: &[u8]) {
        let mut held = self.state.held.lock().unwrap();
        let value = (kind.to_owned(), bytes.to_vec());
        held.documents
            .insert((repository.to_owned(), by.to_owned()), value);
    }

    /// Tags and digests of a repository.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let held = self.state.held.lock().unwrap();
        let keys = held.documents.keys().filter(|(at, _)| at == repository);
        keys.map(|(_, by)| by.clone())
            .filter(|by| !by.starts_with("sha256:"))
            .collect()
    }
}

/// An answer.
struct Reply {
    status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
}

fn reply(status: u16) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body: Vec::new(),
    }
}

fn error(status: u16, code: &str) -> Reply {
    let body =
        format!(r#"{{"errors":[{{"code":"{code}","message":"the registry says {code}"}}]}}"#);
    Reply {
        body: body.into_bytes(),
        ..reply(status)
    }
}

impl Reply {
    fn with(mut self, name: &str, value: impl std::fmt::Display) -> Reply {
        self.headers.push(format!("{name}: {value}"));
        self
    }
}

fn talk(state: &State, mut stream: TcpStream) -> io::Result<()> {
    let own = stream.local_addr()?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut request, length) = Request::head(&mut reader)?;
    let fault = noted(state, &request, length);
    // Clients of containers begin so.
    if request.target == "/v2/" && state.kind.basic.is_none() {
        return send(&mut stream, &request, reply(200));
    }
    if state.kind.limit.is_some_and(|limit| length > limit) {
        return send(&mut stream, &request, error(413, "SIZE_INVALID"));
    }
    if let Some(Fault::CutAfter(most)) = fault {
        let mut body = vec![0; most.min(length)];
        reader.read_exact(&mut body)?;
        if let Some(id) = upload_id(&request.target).filter(|_| !state.kind.forgets) {
            let mut held = state.held.lock().unwrap();
            if let Some(had) = held.uploads.get_mut(&id) {
                had.extend(body);
            }
        }
        return Ok(());
    }
    request.body = vec![0; length];
    reader.read_exact(&mut request.body)?;
    let answered = match fault {
        Some(Fault::Status(status, code)) => error(status, code),
        Some(Fault::With(status, header)) => Reply {
            headers: vec![header.to_owned()],
            ..reply(status)
        },
        Some(Fault::Digest) => error(400, "DIGEST_INVALID"),
        lie => {
            let mut right = answer(state, &request, own);
            if let (Some(_), Some(first)) = (lie, right.body.first_mut()) {
                *first ^= 1;
            }
            right
        }
    };
    send(&mut stream, &request, answered)
}

/// Remembers the request; the fault that is due.
fn noted(state: &State, request: &Request, length: usize) -> Option<Fault> {
    let mut held = state.held.lock().unwrap();
    held.asked.push(Asked {
        method: request.method.clone(),
        target: request.target.clone(),
        authorization: request.header("authorization").map(str::to_owned),
        length,
    });
    let line = format!("{} {}", request.method, request.target);
    let due = held
        .faults
        .iter_mut()
        .find(|(begins, faults)| line.starts_with(begins.as_str()) && !faults.is_empty());
    due.and_then(|(_, faults)| faults.pop_front())
}

fn send(stream: &mut TcpStream, request: &Request, reply: Reply) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Test\r\nConnection: close\r\n", reply.status);
    let has_length = reply
        .headers
        .iter()
        .any(|h| h.starts_with("Content-Length"));
    if !has_length {
        head += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    for header in &reply.headers {
        head += &format!("{header}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&reply.body)?;
    }
    Ok(())
}

fn upload_id(target: &str) -> Option<usize> {
    let (_, rest) = target.split_once("/blobs/uploads/")?;
    rest.split('?').next()?.parse().ok()
}

fn query<'t>(target: &'t str, key: &str) -> Option<String> {
    let (_, query): (&'t str, &'t str) = target.split_once('?')?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == key)?;
    Some(value.replace("%3A", ":").replace("%2F", "/"))
}

fn answer(state: &State, request: &Request, own: SocketAddr) -> Reply {
    let given = request.header("authorization");
    if let Some(wanted) = &state.kind.basic
        && given != Some(wanted.as_str())
    {
        return error(401, "UNAUTHORIZED").with("WWW-Authenticate", "Basic realm=\"test\"");
    }
    let path = request.target.split('?').next().unwrap_or_default();
    let path = path.strip_prefix("/v2/").unwrap_or_default();
    if let Some((repository, by)) = path.split_once("/manifests/") {
        return document(state, request, repository, by);
    }
    if let Some(repository) = path.strip_suffix("/tags/list") {
        return tags(state, repository);
    }
    match path.split_once("/blobs/") {
        Some((repository, "uploads/")) => begin(state, request, repository, own),
        Some((repository, upload)) if upload.starts_with("uploads/") => {
            go_on(state, request, repository, own)
        }
        Some((repository, digest)) => match blob(state, repository, digest) {
            whole if whole.status == 200 => in_range(whole, request.header("range")),
            refused => refused,
        },
        None => error(404, "UNSUPPORTED"),
    }
}

fn blob(state: &State, repository: &str, digest: &str) -> Reply {
    let held = state.held.lock().unwrap();
    match held.blobs.get(&(repository.to_owned(), digest.to_owned())) {
        Some(bytes) => Reply {
            body: bytes.clone(),
            ..reply(200)
        },
        None => error(404, "BLOB_UNKNOWN"),
    }
}

/// The part that was asked for, if one was.
fn in_range(mut whole: Reply, asked: Option<&str>) -> Reply {
    let asked = asked.and_then(|asked| asked.strip_prefix("bytes=")?.split_once('-'));
    let Some((first, last)) = asked else {
        return whole;
    };
    let size = whole.body.len();
    let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else {
        return whole;
    };
    if first > last || last >= size {
        return error(416, "RANGE_INVALID");
    }
    whole.body = whole.body[first..=last].to_vec();
    whole.status = 206;
    whole.with("Content-Range", format!("bytes {first}-{last}/{size}"))
}

/// All of them on one page.
fn tags(state: &State, repository: &str) -> Reply {
    let held = state.held.lock().unwrap();
    let names = held.documents.keys().filter(|(at, _)| at == repository);
    let names = names
        .map(|(_, by)| by)
        .filter(|by| !by.starts_with("sha256:"));
    let names: Vec<&String> = names.collect();
    Reply {
        body: serde_json::json!({"name": repository, "tags": names})
            .to_string()
            .into_bytes(),
        ..reply(200)
    }
}

fn document(state: &State, request: &Request, repository: &str, by: &str) -> Reply {
    let mut held = state.held.lock().unwrap();
    let key = |by: &str| (repository.to_owned(), by.to_owned());
    if request.method != "PUT" {
        let Some((kind, bytes)) = held.documents.get(&key(by)) else {
            return error(404, "MANIFEST_UNKNOWN");
        };
        let found = reply(200)
            .with("Content-Type", kind)
            .with("Content-Length", bytes.len());
        let found = Reply {
            body: bytes.clone(),
            ..found
        };
        return match state.kind.terse {
            true => found,
            false => found.with("Docker-Content-Digest", digest(bytes)),
        };
    }
    let bytes = &request.body;
    let own = digest(bytes);
    if by.starts_with("sha256:") && by != own {
        return error(400, "DIGEST_INVALID");
    }
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    // What it names must be there.
    for named in ["config", "layers", "manifests"] {
        let one_or_more = value[named].as_array().cloned();
        for part in one_or_more.unwrap_or_else(|| vec![value[named].clone()]) {
            let Some(digest) = part["digest"].as_str() else {
                continue;
            };
            let there = match named {
                "manifests" => held.documents.contains_key(&key(digest)),
                _ => held.blobs.contains_key(&key(digest)),
            };
            if !there {
                return error(400, "MANIFEST_BLOB_UNKNOWN");
            }
        }
    }
    let kind = request
        .header("content-type")
        .unwrap_or_default()
        .to_owned();
    held.documents
        .insert(key(&own), (kind.clone(), bytes.clone()));
    held.documents.insert(key(by), (kind, bytes.clone()));
    let stored = reply(201).with("Docker-Content-Digest", own);
    match value["subject"]["digest"].as_str() {
        Some(subject) if state.kind.referrers => stored.with("OCI-Subject", subject),
        _ => stored,
    }
}

fn begin(state: &State, request: &Request, repository: &str, own: SocketAddr) -> Reply {
    let mut held = state.held.lock().unwrap();
    let (mount, from) = (
        query(&request.target, "mount"),
        query(&request.target, "from"),
    );
    if let (Some(mount), Some(from), true) = (mount, from, state.kind.mounts)
        && let Some(bytes) = held.blobs.get(&(from, mount.clone())).cloned()
    {
        held.blobs.insert((repository.to_owned(), mount), bytes);
        return reply(201);
    }
    let id = held.next;
    held.next += 1;
    held.uploads.insert(id, Vec::new());
    located(state, reply(202), repository, id, own)
}

fn located(state: &State, reply: Reply, repository: &str, id: usize, own: SocketAddr) -> Reply {
    let path = format!("/v2/{repository}/blobs/uploads/{id}");
    let location = match &state.kind.location {
        Location::Absolute => format!("http://{own}{path}"),
        Location::Relative => path,
        Location::Query => format!("http://{own}{path}?_state=a%2Bb%3D&x=1"),
        Location::Elsewhere(other) => format!("http://{other}{path}"),
        Location::At(url) => url.clone(),
        Location::Nowhere => return reply,
    };
    let reply = reply.with("Location", location);
    match state.kind.least {
        Some(least) => reply.with("OCI-Chunk-Min-Length", least),
        None => reply,
    }
}

fn go_on(state: &State, request: &Request, repository: &str, own: SocketAddr) -> Reply {
    let Some(id) = upload_id(&request.target) else {
        return error(404, "BLOB_UPLOAD_UNKNOWN");
    };
    let mut held = state.held.lock().unwrap();
    // Uploads of another server come without a beginning.
    if let Location::Absolute = state.kind.location {
        held.uploads.entry(id).or_default();
    }
    let Some(mut had) = held.uploads.remove(&id) else {
        return error(404, "BLOB_UPLOAD_UNKNOWN");
    };
    let end = |had: &[u8]| format!("0-{}", had.len().saturating_sub(1));
    let whole = request.method == "PUT" && !request.body.is_empty();
    if whole && state.kind.only_chunks {
        return error(400, "UNSUPPORTED");
    }
    if let Some(range) = request.header("content-range") {
        let start = range.split('-').next().and_then(|start| start.parse().ok());
        if start != Some(had.len()) {
            let range = end(&had);
            held.uploads.insert(id, had);
            return error(416, "BLOB_UPLOAD_INVALID").with("Range", range);
        }
    }
    if request.method == "GET" {
        let range = end(&had);
        held.uploads.insert(id, had);
        return located(state, reply(204), repository, id, own).with("Range", range);
    }
    had.extend(&request.body);
    if request.method == "PATCH" {
        let range = end(&had);
        held.uploads.insert(id, had);
        return located(state, reply(202), repository, id, own).with("Range", range);
    }
    let wanted = query(&request.target, "digest").unwrap_or_default();
    if digest(&had) != wanted {
        return error(400, "DIGEST_INVALID");
    }
    held.blobs
        .insert((repository.to_owned(), wanted.clone()), had);
    reply(201).with("Docker-Content-Digest", wanted)
}
