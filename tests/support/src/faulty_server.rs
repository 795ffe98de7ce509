//! An HTTP server with every fault that a download can meet, for tests.
//!
//! Each path has a script: the first request gets the first [`Answer`], the second
//! the second, and the last answer is for all that follow. Without a fault an
//! answer is a good one, with ranges, entity tags and `If-Range`
//! ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110)).
//!
//! As a proxy it takes `GET http://host/path` and answers it itself.

use std::collections::HashMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::http_server::{Listener, Request};

/// What goes wrong with one answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Fault {
    #[default]
    None,
    /// The connection ends after so many bytes of this answer's body.
    Cut(usize),
    /// `Content-Length` says so much, whatever is sent.
    Length(u64),
    /// No `Content-Length`: the end of the connection is the end of the body.
    Unframed,
    /// `Unframed`, and it ends after so many bytes.
    UnframedCut(usize),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// `Content-Encoding`, though nobody asked for that.
    Encoded(&'static str),
    /// Status 200 and everything, though a range was asked for.
    IgnoreRange,
    /// Status 206 with this `Content-Range`, and the right bytes.
    ContentRange(String),
    /// Only so many bytes of the range that was asked for, as is allowed.
    ShortRange(usize),
    /// Status 206 though no range was asked for.
    UnaskedRange,
    Status(u16),
    /// Status 429 with `Retry-After`.
    RetryAfter(u64),
    /// Status 302 with this `Location`.
    Redirect(String),
    /// So many bytes at a time, with a pause before each piece.
    Slow(usize, Duration),
    /// After so many bytes nothing more comes, but the connection stays.
    Stall(usize),
    /// Bytes that are no HTTP.
    Garbage,
}

/// One answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub body: Arc<Vec<u8>>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// How it says that the body is packed.
    pub encoding: Option<String>,
    pub fault: Fault,
}

#[derive(Default)]
struct State {
    scripts: Mutex<HashMap<String, (usize, Vec<Answer>)>>,
    /// By path and a part of the request's body.
    posts: Mutex<Vec<(String, String, Answer)>>,
    seen: Mutex<Vec<Request>>,
    busy: AtomicUsize,
    most_busy: AtomicUsize,
}

/// A request under way, until its last piece is about to be sent: after that
/// the client may already be at its next one.
struct Busy<'a>(&'a State);

impl<'a> Busy<'a> {
    fn new(state: &'a State) -> Busy<'a> {
        let now = state.busy.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_busy.fetch_max(now, Ordering::SeqCst);
        Busy(state)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The server; it ends when dropped.
pub struct Server {
    listener: Listener,
    state: Arc<State>,
}

/// A good answer with an entity tag.
pub fn good(body: &[u8]) -> Answer {
    Answer {
        body: Arc::new(body.to_vec()),
        etag: Some("\"one\"".to_owned()),
        ..Answer::default()
    }
}

/// The same with a fault.
pub fn faulty(body: &[u8], fault: Fault) -> Answer {
    Answer {
        fault,
        ..good(body)
    }
}

impl Server {
    /// Begins to serve on a free port of 127.0.0.1.
    pub fn start() -> Server {
        Server::start_at("127.0.0.1")
    }

    /// The same at another loopback address: another host for a client.
    pub fn start_at(ip: &str) -> Server {
        let state = Arc::new(State::default());
        let served = Arc::clone(&state);
        let listener = Listener::start(ip, move |stream| talk(&served, stream));
        Server { listener, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// `path` begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Sets what `path` answers; the last one is for ever.
    pub fn script(&self, path: &str, answers: Vec<Answer>) {
        assert!(!answers.is_empty());
        let mut scripts = self.state.scripts.lock().unwrap();
        scripts.insert(path.to_owned(), (0, answers));
    }

    pub fn serve(&self, path: &str, body: &[u8]) {
        self.script(path, vec![good(body)]);
    }

    /// What `path` answers to a body with `part` in it; the last one set counts.
    pub fn serve_post(&self, path: &str, part: &str, body: &[u8]) {
        let mut posts = self.state.posts.lock().unwrap();
        posts.insert(0, (path.to_owned(), part.to_owned(), good(body)));
    }

    /// Every request so far, in order.
    pub fn seen(&self) -> Vec<Request> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The most requests that were under way at one time.
    pub fn most_busy(&self) -> usize {
        self.state.most_busy.load(Ordering::SeqCst)
    }
}

fn talk(state: &State, stream: TcpStream) -> std::io::Result<()> {
    let busy = Busy::new(state);
    let seen = Request::read(&stream)?;
    state.seen.lock().unwrap().push(seen.clone());
    let answer = match seen.body.is_empty() {
        true => next_answer(state, &seen.target),
        false => post_answer(state, &seen),
    };
    send(stream, answer.as_ref(), &seen, busy)
}

fn post_answer(state: &State, seen: &Request) -> Option<Answer> {
    let body = String::from_utf8_lossy(&seen.body);
    let posts = state.posts.lock().unwrap();
    let mut posts = posts.iter();
    let found = posts.find(|(path, part, _)| *path == seen.target && body.contains(part));
    found.map(|(_, _, answer)| answer.clone())
}

fn next_answer(state: &State, target: &str) -> Option<Answer> {
    let path = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let mut scripts = state.scripts.lock().unwrap();
    let (at, answers) = scripts.get_mut(path)?;
    let answer = answers[(*at).min(answers.len() - 1)].clone();
    *at += 1;
    Some(answer)
}

fn send(
    mut stream: TcpStream,
    answer: Option<&Answer>,
    seen: &Request,
    busy: Busy<'_>,
) -> std::io::Result<()> {
    let simple = |status: u16, more: &str| {
        format!(
            "HTTP/1.1 {status} Test\r\nContent-Length: 5\r\nConnection: close\r\n{more}\r\nfault"
        )
    };
    let Some(answer) = answer else {
        return stream.write_all(simple(404, "").as_bytes());
    };
    match &answer.fault {
        Fault::Status(status) => return stream.write_all(simple(*status, "").as_bytes()),
        Fault::RetryAfter(seconds) => {
            let more = format!("Retry-After: {seconds}\r\n");
            return stream.write_all(simple(429, &more).as_bytes());
        }
        Fault::Redirect(to) => {
            let more = format!("Location: {to}\r\n");
            return stream.write_all(simple(302, &more).as_bytes());
        }
        Fault::Garbage => return stream.write_all(b"\x00\x01 no http at all \xff\r\n\r\n"),
        _ => {}
    }
    let (head, body) = head(answer, seen);
    stream.write_all(head.as_bytes())?;
    send_body(&mut stream, &answer.fault, body, busy)
}

/// The head, and the part of the body that goes with it.
fn head<'a>(answer: &'a Answer, seen: &Request) -> (String, &'a [u8]) {
    let whole = answer.body.as_slice();
    let from = wanted_range(answer, seen);
    let mut head = String::new();
    let mut body = whole;
    match (&answer.fault, from) {
        (Fault::UnaskedRange, _) => {
            body = &whole[1..];
            head += &format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1-{}/{}\r\n",
                whole.len() - 1,
                whole.len()
            );
        }
        (Fault::IgnoreRange, _) | (_, None) => head += "HTTP/1.1 200 OK\r\n",
        (_, Some((from, _))) if from >= whole.len() => {
            body = &[];
            head += &format!(
                "HTTP/1.1 416 Test\r\nContent-Range: bytes */{}\r\n",
                whole.len()
            );
        }
        (fault, Some((from, end))) => {
            body = &whole[from..end.clamp(from + 1, whole.len())];
            if let Fault::ShortRange(most) = fault {
                body = &body[..body.len().min(*most)];
            }
            let range = match fault {
                Fault::ContentRange(range) => range.clone(),
                _ => format!("bytes {from}-{}/{}", from + body.len() - 1, whole.len()),
            };
            head += &format!("HTTP/1.1 206 Partial Content\r\nContent-Range: {range}\r\n");
        }
    }
    match &answer.fault {
        Fault::Length(length) => head += &format!("Content-Length: {length}\r\n"),
        Fault::Unframed | Fault::UnframedCut(_) => {}
        Fault::Chunked => head += "Transfer-Encoding: chunked\r\n",
        _ => head += &format!("Content-Length: {}\r\n", body.len()),
    }
    if let Fault::Encoded(name) = &answer.fault {
        head += &format!("Content-Encoding: {name}\r\n");
    }
    for (name, value) in [
        ("ETag", &answer.etag),
        ("Last-Modified", &answer.last_modified),
        ("Content-Encoding", &answer.encoding),
    ] {
        if let Some(value) = value {
            head += &format!("{name}: {value}\r\n");
        }
    }
    (head + "Connection: close\r\n\r\n", body)
}

/// The first byte of the range that was asked for, and the one behind its last.
fn wanted_range(answer: &Answer, seen: &Request) -> Option<(usize, usize)> {
    let range = seen.header("range")?.strip_prefix("bytes=")?;
    let (from, last) = range.split_once('-')?;
    let from = from.parse().ok()?;
    let end = match last {
        "" => usize::MAX,
        last => last.parse::<usize>().ok()?.saturating_add(1),
    };
    let fits = match seen.header("if-range") {
        None => true,
        some => some == answer.etag.as_deref() || some == answer.last_modified.as_deref(),
    };
    fits.then_some((from, end))
}

fn send_body(
    stream: &mut TcpStream,
    fault: &Fault,
    body: &[u8],
    busy: Busy<'_>,
) -> std::io::Result<()> {
    match fault {
        Fault::Cut(at) | Fault::UnframedCut(at) => stream.write_all(&body[..body.len().min(*at)]),
        Fault::Chunked => {
            for piece in body.chunks(1000) {
                write!(stream, "{:x}\r\n", piece.len())?;
                stream.write_all(piece)?;
                stream.write_all(b"\r\n")?;
            }
            stream.write_all(b"0\r\n\r\n")
        }
        Fault::Slow(size, pause) => {
            let mut pieces = body.chunks(*size).peekable();
            let mut busy = Some(busy);
            while let Some(piece) = pieces.next() {
                thread::sleep(*pause);
                if pieces.peek().is_none() {
                    busy.take();
                }
                stream.write_all(piece)?;
            }
            Ok(())
        }
        Fault::Stall(at) => {
            stream.write_all(&body[..body.len().min(*at)])?;
            thread::sleep(Duration::from_secs(20));
            Ok(())
        }
        _ => {
            drop(busy);
            stream.write_all(body)
        }
    }
}
