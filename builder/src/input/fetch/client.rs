//! HTTP: one GET, its redirects, and its body in pieces.
//!
//! Follows [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110) sections 13.1.5
//! (If-Range), 14 (ranges) and 15.4 (redirects). Trust is the system's CA store
//! (`SSL_CERT_FILE` and `SSL_CERT_DIR` win), proxies are the environment's.
//!
//! The body is read by the runtime and passed on through a short queue, so
//! that the network goes on while the other side hashes and writes.
//!
//! # Invariants
//! - https only, except for URLs that a mirror rule made, a registry on this machine,
//!   and redirects to a mirror's own host or the very same server.
//! - No more pieces are in memory than the queue holds.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::Options;
use super::failure::{Failure, shown};
use super::mirrors::{Candidate, Mirrors};
use super::pace::{Least, Pace, length};
use super::registry::{self, Logins};

const MAX_REDIRECTS: usize = 10;

/// Pieces on their way; one is at most some hundred KiB.
const QUEUE: usize = 8;

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Get {
    pub(super) from: Candidate,
    /// Only the bytes from here on, if the file still is the one with this
    /// validator.
    pub(super) resume: Option<(u64, String)>,
    /// Of a container registry: the media types to accept.
    pub(super) accept: Option<&'static str>,
}

/// What comes back, in this order: a head, data, the end; or a failure at any
/// time, as the last.
#[derive(Debug)]
pub(super) enum Piece {
    Head(Head),
    Data(Bytes),
    End,
    Failed(Failure),
}

/// The part of an answer's head that matters here.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) code: StatusCode,
    /// Of the body.
    pub(super) length: Option<u64>,
    pub(super) range: Option<ContentRange>,
    /// For a later If-Range.
    pub(super) validator: Option<String>,
    pub(super) retry_after: Option<Duration>,
    /// How the body is packed on its way, though nobody asked for that.
    pub(super) encoding: Option<String>,
    /// Whether the end of the body can be told from a cut.
    pub(super) is_framed: bool,
}

/// `Content-Range: bytes FIRST-LAST/TOTAL`, or `bytes */TOTAL`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ContentRange {
    pub(super) part: Option<(u64, u64)>,
    pub(super) total: Option<u64>,
}

/// A connection pool with the runtime that drives it.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    mirrors: Arc<Mirrors>,
    logins: Arc<Logins>,
    least: Least,
    /// Always there until dropped.
    runtime: Option<Runtime>,
}

impl Client {
    pub(super) fn new(options: &Options) -> Result<Client> {
        // An error says that one is installed already, which is as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("nodeimg/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(options.connect_timeout)
                .read_timeout(options.idle_timeout)
        };
        let http = builder().build().or_else(|_| {
            // Without any CA certificate on the system plain mirrors still
            // work, and https fails with a message that says what to install.
            builder().tls_certs_only([]).build()
        });
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("nodeimg-net")
            .enable_all()
            .build()
            .context("starting the network threads")?;
        Ok(Client {
            http: http.context("setting up HTTPS")?,
            mirrors: Arc::new(options.mirrors.clone()),
            logins: Arc::new(Logins::default()),
            least: options.least,
            runtime: Some(runtime),
        })
    }

    /// Begins; dropping the receiver ends it.
    pub(super) fn get(&self, get: Get) -> Receiver<Piece> {
        let (pieces, receiver) = mpsc::channel(QUEUE);
        let ways = Ways {
            http: self.http.clone(),
            mirrors: Arc::clone(&self.mirrors),
            logins: Arc::clone(&self.logins),
            least: self.least,
        };
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async move {
                let last = match pump(&ways, &get, &pieces).await {
                    Ok(()) => Piece::End,
                    Err(failure) => Piece::Failed(failure),
                };
                // Nobody listens any more: then nobody wants to know.
                let _ = pieces.send(last).await;
            });
        }
        receiver
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A name look-up under way cannot be stopped: do not wait for it.
            runtime.shutdown_background();
        }
    }
}

/// What a request is made with.
struct Ways {
    http: reqwest::Client,
    mirrors: Arc<Mirrors>,
    logins: Arc<Logins>,
    least: Least,
}

async fn pump(ways: &Ways, get: &Get, pieces: &Sender<Piece>) -> Result<(), Failure> {
    let mut response = answer(ways, get).await?;
    let head = Head::of(&response);
    let wanted = head.code.is_success();
    if pieces.send(Piece::Head(head)).await.is_err() || !wanted {
        return Ok(());
    }
    let mut pace = Pace::new(ways.least);
    loop {
        let piece = match pace.wait(response.chunk(), length).await? {
            Ok(Some(data)) => Piece::Data(data),
            Ok(None) => return Ok(()),
            Err(e) => return Err(Failure::of_body(&e)),
        };
        if pieces.send(piece).await.is_err() {
            return Ok(());
        }
    }
}

/// The first answer that is not a redirect; a registry may want a login before.
async fn answer(ways: &Ways, get: &Get) -> Result<Response, Failure> {
    let first = first_url(get)?;
    if get.accept.is_none() {
        return follow(ways, get, &first, None).await;
    }
    let place = ways.logins.of(&first);
    let mut given = place.lock().await.clone();
    loop {
        let response = follow(ways, get, &first, given.as_ref()).await?;
        if !wants_login(&response, &first)? {
            return Ok(response);
        }
        let mut kept = place.lock().await;
        if kept.is_some() && *kept != given {
            // Another request has renewed it meanwhile.
            given.clone_from(&kept);
            continue;
        }
        // Used here before any other request has it: a registry that refuses it
        // refuses the login, and not a token that is used up.
        *kept = None;
        let headers = response.headers();
        let fresh = registry::login(&ways.http, &first, headers).await?;
        let response = follow(ways, get, &first, Some(&fresh)).await?;
        if wants_login(&response, &first)? {
            return Err(registry::refused(&first));
        }
        *kept = Some(fresh);
        return Ok(response);
    }
}

/// Whether the registry itself asks for a login; what it forbids, no login gives.
fn wants_login(response: &Response, first: &Url) -> Result<bool, Failure> {
    match response.status().as_u16() {
        _ if response.url().origin() != first.origin() => Ok(false),
        401 => Ok(true),
        403 => Err(registry::refused(first)),
        _ => Ok(false),
    }
}

/// The first answer that is not a redirect.
async fn follow(
    ways: &Ways,
    get: &Get,
    first: &Url,
    login: Option<&HeaderValue>,
) -> Result<Response, Failure> {
    let mut url = first.clone();
    for _ in 0..=MAX_REDIRECTS {
        let mut request = request(&ways.http, &url, get);
        // Nobody else gets the registry's credentials.
        if let Some(login) = login.filter(|_| url.origin() == first.origin()) {
            request = request.header(header::AUTHORIZATION, login);
        }
        let response = request.send().await.map_err(|e| Failure::of_send(&e))?;
        match response.status().as_u16() {
            301 | 302 | 303 | 307 | 308 => {
                url = redirect(&ways.mirrors, &url, response.headers())?;
            }
            _ => return Ok(response),
        }
    }
    Err(Failure::Redirect(format!(
        "more than {MAX_REDIRECTS} redirects, the last to {}",
        shown(url.as_str())
    )))
}

fn first_url(get: &Get) -> Result<Url, Failure> {
    let mut url = Url::parse(&get.from.url)
        .map_err(|e| Failure::Refused(format!("this is not a URL: {e}")))?;
    // Object stores read `+` as a blank, everybody else reads both alike: so does apt.
    if url.path().contains('+') {
        url.set_path(&url.path().replace('+', "%2B"));
    }
    match url.scheme() {
        "https" => Ok(url),
        // A registry's own URL is http on this machine alone.
        "http" if get.from.by_mirror || get.accept.is_some() => Ok(url),
        _ => Err(Failure::Refused(
            "only https:// is fetched (plain http:// is for mirrors: --mirror FROM=TO)".to_owned(),
        )),
    }
}

fn request(http: &reqwest::Client, url: &Url, get: &Get) -> RequestBuilder {
    // Compressed on the way, the bytes would not be the ones that were pinned.
    let mut request = http
        .get(url.clone())
        .header(header::ACCEPT_ENCODING, "identity");
    if let Some(types) = get.accept {
        request = request.header(header::ACCEPT, types);
    }
    if let Some((at, validator)) = &get.resume {
        request = request
            .header(header::RANGE, format!("bytes={at}-"))
            .header(header::IF_RANGE, validator);
    }
    request
}

fn redirect(mirrors: &Mirrors, from: &Url, headers: &HeaderMap) -> Result<Url, Failure> {
    let location = text(headers, &header::LOCATION).unwrap_or_default();
    let to = from.join(location).ok().filter(|_| !location.is_empty());
    let Some(to) = to else {
        return Err(Failure::Redirect(format!(
            "{} redirects to nowhere (Location: {location:?})",
            shown(from.as_str())
        )));
    };
    // A plain one that is asked at all may send to another of its own pages.
    if to.scheme() == "https" || to.origin() == from.origin() || mirrors.allow(&to) {
        return Ok(to);
    }
    Err(Failure::Redirect(format!(
        "{} redirects to {}, which is not https (to allow that host, make it a mirror with \
         --mirror FROM=TO)",
        shown(from.as_str()),
        shown(to.as_str())
    )))
}

impl Head {
    fn of(response: &Response) -> Head {
        let headers = response.headers();
        let encoding = text(headers, &header::CONTENT_ENCODING).map(str::trim);
        let encoding = encoding.filter(|name| !matches!(*name, "" | "identity"));
        let is_http1 = response.version() <= reqwest::Version::HTTP_11;
        let has_end = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING]
            .iter()
            .any(|name| headers.contains_key(name));
        let number = |name| text(headers, &name).and_then(|v: &str| v.trim().parse().ok());
        let length = number(header::CONTENT_LENGTH);
        Head {
            code: response.status(),
            length,
            range: text(headers, &header::CONTENT_RANGE).and_then(content_range),
            validator: validator(headers),
            // A date instead of seconds is rare: then our own waiting time holds.
            retry_after: number(header::RETRY_AFTER).map(Duration::from_secs),
            encoding: encoding.map(str::to_owned),
            is_framed: !is_http1 || has_end,
        }
    }
}

impl Head {
    /// That the body's bytes are the file's.
    pub(super) fn check_packing(&self) -> Result<(), Failure> {
        match &self.encoding {
            None => Ok(()),
            Some(encoding) => Err(Failure::Refused(format!(
                "the server sends the file packed (Content-Encoding: {}), though it was asked not \
                 to: these bytes are not the file's",
                encoding.escape_debug()
            ))),
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A strong entity tag, else a date of change: what If-Range may be given.
fn validator(headers: &HeaderMap) -> Option<String> {
    let tag = text(headers, &header::ETAG).filter(|tag| tag.starts_with('"'));
    tag.or_else(|| text(headers, &header::LAST_MODIFIED))
        .map(str::to_owned)
}

fn content_range(value: &str) -> Option<ContentRange> {
    let (part, total) = value.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let part = match part {
        "*" => None,
        _ => {
            let (first, last) = part.split_once('-')?;
            Some((first.parse().ok()?, last.parse().ok()?))
        }
    };
    let total = match total {
        "*" => None,
        _ => Some(total.parse().ok()?),
    };
    Some(ContentRange { part, total })
}

#[cfg(test)]
mod tests;
