//! The part of HTTP that a metadata service needs: one request, one response.
//!
//! Plain `http` to an address, HTTP/1.1 (<https://www.rfc-editor.org/rfc/rfc9112>).
//! There is no name service before the node has its network, and a certificate
//! could not be checked on a machine that does not know the time.
//!
//! # Invariants
//! Time is limited by a deadline, and the size of header and body is limited; redirects
//! are not followed.
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nodeimg_seed::read::seed::MAX_SEED_FILE;
use zeroize::Zeroizing;

const MAX_HEAD: usize = 16 << 10;
/// The line in front of a chunk.
const MAX_CHUNK_HEAD: usize = 4 << 10;
const HEAD_END: &[u8] = b"\r\n\r\n";
/// A reachable host answers sooner; an unreachable one is asked again.
const CONNECT: Duration = Duration::from_secs(2);

/// `http://ADDRESS[:PORT]/PATH`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    host: String,
    address: SocketAddr,
    path: String,
}

impl Url {
    /// The error is the end of a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("https:") {
            return Err("uses https, which first boot does not support".to_owned());
        }
        let rest = text
            .strip_prefix("http://")
            .ok_or("does not begin with `http://`")?;
        let (host, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let address = host
            .parse::<SocketAddr>()
            .ok()
            .or_else(|| Some(SocketAddr::new(bare.parse::<IpAddr>().ok()?, 80)))
            .ok_or_else(|| {
                format!("names the host `{host}`; first boot only connects to IP addresses")
            })?;
        if !path.chars().all(|c| c.is_ascii_graphic()) {
            return Err("has a path with spaces or non-ASCII characters".to_owned());
        }
        Ok(Self {
            host: host.to_owned(),
            address,
            path: path.to_owned(),
        })
    }

    /// A file below this address.
    pub(crate) fn join(&self, name: &str) -> Self {
        let base = self.path.trim_end_matches('/');
        Self {
            path: format!("{base}/{name}"),
            ..self.clone()
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "http://{}{}", self.host, self.path)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It may be reachable later.
    Unreachable(String),
    /// Trying again will not help.
    Wrong(String),
}

/// A body; `None` if the server says that there is nothing.
pub(crate) type Answer = Result<Option<Zeroizing<Vec<u8>>>, Trouble>;

/// Sends one request. Headers are lines without their end.
pub(crate) fn ask(method: &str, url: &Url, headers: &[String], deadline: Instant) -> Answer {
    let connect = left(deadline).map_err(later)?.min(CONNECT);
    let mut stream = TcpStream::connect_timeout(&url.address, connect).map_err(later)?;
    let mut request = format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: nodeimg-firstboot\r\nAccept: */*\r\nConnection: close\r\nContent-Length: 0\r\n",
        url.path, url.host
    );
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let timed = stream
        .set_write_timeout(left(deadline).ok())
        .and_then(|()| stream.write_all(request.as_bytes()));
    timed.map_err(later)?;
    read(&mut Timed { stream, deadline })
}

fn left(deadline: Instant) -> io::Result<Duration> {
    deadline
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
        .ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "timed out"))
}

/// A stream that ends at the deadline, however slow the server is.
struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)?))?;
        self.stream.read(out)
    }
}

/// Reads a response to its end.
fn read(stream: &mut impl Read) -> Answer {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_HEAD));
    let end = read_head(stream, &mut bytes)?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    bytes.drain(..end + HEAD_END.len());
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = status(first).ok_or_else(|| wrong("the response is not HTTP"))?;
    if !has_body(status)? {
        return Ok(None);
    }
    match Framing::of(first, lines)? {
        Framing::Chunked => chunks(stream, &mut bytes).map(Some),
        Framing::Length(length) => {
            read_body(stream, &mut bytes, Some(length), MAX_SEED_FILE)?;
            if bytes.len() < length {
                return Err(cut_off());
            }
            bytes.truncate(length);
            Ok(Some(bytes))
        }
        Framing::Close => {
            read_body(stream, &mut bytes, None, MAX_SEED_FILE)?;
            Ok(Some(bytes))
        }
    }
}

fn later(error: io::Error) -> Trouble {
    Trouble::Unreachable(error.to_string())
}

fn wrong(reason: &str) -> Trouble {
    Trouble::Wrong(reason.to_owned())
}

fn too_large() -> Trouble {
    wrong("the response is larger than 4 MiB")
}

fn cut_off() -> Trouble {
    Trouble::Unreachable("the response was cut off".to_owned())
}

/// Reads until the header is complete; returns where it ends.
fn read_head(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Result<usize, Trouble> {
    loop {
        if let Some(end) = find(bytes, HEAD_END) {
            return Ok(end);
        }
        if bytes.len() >= MAX_HEAD {
            return Err(wrong("the response header does not end"));
        }
        if fill(stream, bytes).map_err(later)? == 0 {
            return Err(cut_off());
        }
    }
}

/// Whether the server has what it was asked for.
fn has_body(status: u16) -> Result<bool, Trouble> {
    let answers = format!("the server answers {status}");
    match status {
        200 => Ok(true),
        404 | 410 => Ok(false),
        408 | 425 | 429 | 500..=599 => Err(Trouble::Unreachable(answers)),
        300..=399 => Err(Trouble::Wrong(format!(
            "{answers}, a redirect, which first boot does not follow"
        ))),
        _ => Err(Trouble::Wrong(answers)),
    }
}

/// How a response marks the end of its body.
enum Framing {
    Chunked,
    Length(usize),
    /// The end of the connection, which a server of HTTP/1.0 or one that says `Connection:
    /// close` means so. Of any other it may as well be an accident, which would leave half a
    /// seed that looks whole.
    Close,
}

impl Framing {
    fn of<'a>(status_line: &str, headers: impl Iterator<Item = &'a str>) -> Result<Self, Trouble> {
        let (mut length, mut chunked) = (None, false);
        let mut closes = status_line.starts_with("HTTP/1.0");
        for (name, value) in headers.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    let found = length_of(value)?;
                    if length.is_some_and(|length| length != found) {
                        return Err(wrong("the response has two lengths"));
                    }
                    length = Some(found);
                }
                "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => chunked = true,
                "transfer-encoding" if value.eq_ignore_ascii_case("identity") => {}
                "transfer-encoding" => {
                    return Err(wrong("the response is encoded in an unknown way"));
                }
                "connection" => closes |= value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        match length {
            _ if chunked => Ok(Self::Chunked),
            Some(length) => Ok(Self::Length(length)),
            None if closes => Ok(Self::Close),
            None => Err(wrong(
                "the response does not say how long it is, so one that was cut off would look whole",
            )),
        }
    }
}

/// More digits than fit are a length that is too large, as any other of that size.
fn length_of(value: &str) -> Result<usize, Trouble> {
    if value.is_empty() || !value.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong("the response has a length that is not a number"));
    }
    value.parse().map_err(|_| too_large())
}

/// Reads until there are `wanted` bytes, or to the end of the connection.
fn read_body(
    stream: &mut impl Read,
    bytes: &mut Vec<u8>,
    wanted: Option<usize>,
    most: usize,
) -> Result<(), Trouble> {
    if wanted.is_some_and(|wanted| wanted > most) {
        return Err(too_large());
    }
    while wanted.is_none_or(|wanted| bytes.len() < wanted) {
        if bytes.len() > most {
            return Err(too_large());
        }
        if fill(stream, bytes).map_err(later)? == 0 {
            break;
        }
    }
    Ok(())
}

fn fill(stream: &mut impl Read, into: &mut Vec<u8>) -> io::Result<usize> {
    let mut piece = Zeroizing::new([0; 4096]);
    let length = loop {
        match stream.read(&mut *piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    into.extend_from_slice(piece.get(..length).unwrap_or_default());
    Ok(length)
}

/// `HTTP/1.1 200 OK`
fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?;
    rest.split(' ').nth(1)?.parse().ok()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Reads chunks, each preceded by its length in hexadecimal digits, up to the one of length
/// 0: the server need not close the connection then. `bytes` are those that came with the
/// header.
fn chunks(
    stream: &mut impl Read,
    bytes: &mut Zeroizing<Vec<u8>>,
) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let mut body = Zeroizing::new(Vec::new());
    loop {
        let end = loop {
            match find(bytes, b"\r\n") {
                Some(end) => break end,
                None if bytes.len() > MAX_CHUNK_HEAD => {
                    return Err(wrong("the response is not HTTP"));
                }
                None => more(stream, bytes)?,
            }
        };
        let digits = String::from_utf8_lossy(&bytes[..end]);
        let digits = digits.split(';').next().unwrap_or_default().trim();
        let length = usize::from_str_radix(digits, 16).ok();
        let length = length.filter(|_| !digits.starts_with('+'));
        let length = length.ok_or_else(|| wrong("the response is not HTTP"))?;
        bytes.drain(..end + 2);
        if length == 0 {
            return Ok(body);
        }
        if length > MAX_SEED_FILE - body.len() {
            return Err(too_large());
        }
        while bytes.len() < length + 2 {
            more(stream, bytes)?;
        }
        body.extend_from_slice(&bytes[..length]);
        if !bytes[length..].starts_with(b"\r\n") {
            return Err(wrong("the response is not HTTP"));
        }
        bytes.drain(..length + 2);
    }
}

/// Of a server that has not come to its end.
fn more(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Result<(), Trouble> {
    match fill(stream, bytes).map_err(later)? {
        0 => Err(cut_off()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
