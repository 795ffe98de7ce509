//! HTTP: one GET (or a POST of JSON), its redirects, and its body in pieces; and what is
//! changed at a registry.
//!
//! Follows [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110) sections 13.1.5
//! (If-Range), 14 (ranges) and 15.4 (redirects). Trust is the system's CA store
//! (`SSL_CERT_FILE` and `SSL_CERT_DIR` win), on a system that has none Mozilla's as they are
//! inside nodeimg; proxies are the environment's.
//!
//! The body is read by the runtime and passed on through a short queue, so
//! that the network goes on while the other side hashes and writes.
//!
//! # Invariants
//! - https only, except for URLs that a mirror rule made, a registry on this machine,
//!   and redirects to a mirror's own host or the very same server.
//! - No more pieces are in memory than the queue holds.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Response, Url};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::Options;
use super::answer;
use super::failure::{Failure, hidden, shown};
use super::head::{Head, text};
use super::login::{Login, Netrc};
use super::mirrors::{Candidate, Mirrors};
use super::note;
use super::pace::{Least, Pace, length};
use super::proxy::Proxies;
use super::push::Push;
use super::registry::{self, Logins};
use super::tls;

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
    pub(super) how: How,
}

/// What kind of a request it is.
#[derive(Clone, Debug)]
pub(super) enum How {
    Get,
    /// Of JSON.
    Post(Arc<str>),
    Push(Push),
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

/// A connection pool with the runtime that drives it.
#[derive(Debug)]
pub(super) struct Client {
    ways: Ways,
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
            // The system has no CA certificate.
            builder().tls_certs_only(tls::own_roots()).build()
        });
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("nodeimg-net")
            .enable_all()
            .build()
            .context("starting the network threads")?;
        Ok(Client {
            ways: Ways {
                http: http.context("setting up HTTPS")?,
                mirrors: Arc::new(options.mirrors.clone()),
                logins: Arc::new(Logins::default()),
                netrc: Arc::new(Netrc::of_environment()),
                proxies: Arc::new(Proxies::of_environment()?),
                least: options.least,
                led: Arc::default(),
            },
            runtime: Some(runtime),
        })
    }

    /// Each redirect to another server that was followed, as `HOST redirects to HOST`.
    pub(super) fn redirects(&self) -> Vec<String> {
        let led = self.ways.led.lock().unwrap_or_else(PoisonError::into_inner);
        led.iter().cloned().collect()
    }

    /// Does `work`, which is of these ways.
    pub(super) fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => Err(Failure::NoAnswer(
                "the network threads have ended".to_owned(),
            )),
        }
    }

    pub(super) fn ways(&self) -> &Ways {
        &self.ways
    }

    /// Begins; dropping the receiver ends it.
    pub(super) fn get(&self, get: Get) -> Receiver<Piece> {
        let (pieces, receiver) = mpsc::channel(QUEUE);
        let ways = self.ways.clone();
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
#[derive(Clone, Debug)]
pub(super) struct Ways {
    pub(super) http: reqwest::Client,
    pub(super) mirrors: Arc<Mirrors>,
    logins: Arc<Logins>,
    pub(super) netrc: Arc<Netrc>,
    pub(super) proxies: Arc<Proxies>,
    least: Least,
    /// The redirects to other hosts that were followed.
    led: Arc<Mutex<BTreeSet<String>>>,
}

/// Where a file is asked for first, and with which login.
pub(super) struct First {
    pub(super) url: Url,
    /// What is known of its server from the beginning.
    pub(super) login: Option<Login>,
}

async fn pump(ways: &Ways, get: &Get, pieces: &Sender<Piece>) -> Result<(), Failure> {
    let first = first(ways, get)?;
    let mut response = answer(ways, get, &first).await?;
    let mut head = Head::of(&response);
    let wanted = head.code.is_success();
    if !wanted {
        head.note = note::of(ways, &first.url, first.login.as_ref(), &mut response).await;
    }
    if pieces.send(Piece::Head(head)).await.is_err() || !wanted {
        return Ok(());
    }
    let mut pace = Pace::new(ways.least);
    // A page without that name; of a layer's bytes nobody knows what they begin with.
    let mut is_document = get.accept.is_some_and(|types| types.contains("manifest"));
    loop {
        let piece = match pace.wait(response.chunk(), length).await? {
            Ok(Some(data)) if is_document && data.trim_ascii_start().starts_with(b"<") => {
                return Err(answer::page());
            }
            Ok(Some(data)) => {
                is_document = false;
                Piece::Data(data)
            }
            Ok(None) => return Ok(()),
            Err(e) => return Err(Failure::of_body(e)),
        };
        if pieces.send(piece).await.is_err() {
            return Ok(());
        }
    }
}

/// The first answer that is not a redirect; a server may want a login before.
pub(super) async fn answer(ways: &Ways, get: &Get, first: &First) -> Result<Response, Failure> {
    let login = first.login.as_ref().map(Login::header).transpose()?;
    if get.accept.is_none() {
        let response = follow(ways, get, &first.url, login.as_ref()).await?;
        let wants = response.status() == 401 && response.url().origin() == first.url.origin();
        // An entry for every server is for those alone that ask.
        return match ways.netrc.for_all() {
            Some(entry) if wants && login.is_none() => {
                follow(ways, get, &first.url, Some(&entry.header()?)).await
            }
            _ => Ok(response),
        };
    }
    let place = ways.logins.of(&first.url);
    let mut given = place.lock().await.clone().or(login);
    loop {
        let mut response = follow(ways, get, &first.url, given.as_ref()).await?;
        if !wants_login(ways, &mut response, first).await? {
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
        let own = first.login.as_ref();
        let pushes = matches!(get.how, How::Push(_));
        let fresh = registry::login(ways, &first.url, own, pushes, &mut response).await?;
        let mut response = follow(ways, get, &first.url, Some(&fresh)).await?;
        if wants_login(ways, &mut response, first).await? {
            return Err(refused(ways, &mut response, first).await);
        }
        *kept = Some(fresh);
        return Ok(response);
    }
}

/// Whether the registry itself asks for a login; what it forbids, no login gives.
async fn wants_login(ways: &Ways, response: &mut Response, first: &First) -> Result<bool, Failure> {
    match response.status().as_u16() {
        _ if response.url().origin() != first.url.origin() => Ok(false),
        401 => Ok(true),
        403 => Err(refused(ways, response, first).await),
        _ => Ok(false),
    }
}

async fn refused(ways: &Ways, response: &mut Response, first: &First) -> Failure {
    let said = note::said(response, first.login.as_ref()).await;
    registry::refused(ways, &first.url, first.login.as_ref(), said)
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
        // Nobody but the server that it is for gets a login.
        if let Some(login) = login.filter(|_| url.origin() == first.origin()) {
            request = request.header(header::AUTHORIZATION, login);
        }
        let sent = ways.proxies.send(&url, request).await;
        let response = sent.map_err(|failure| match url.host_str() {
            Some(host) if url.origin() != first.origin() => {
                failure.of(&format!("{host}, after a redirect"))
            }
            _ => failure,
        })?;
        match response.status().as_u16() {
            301 | 302 | 303 | 307 | 308 => {
                let to = redirect(&ways.mirrors, &url, response.headers())?;
                if to.origin() != url.origin() {
                    let origin = |url: &Url| url.origin().ascii_serialization();
                    let said = format!("{} redirects to {}", origin(&url), origin(&to));
                    let mut led = ways.led.lock().unwrap_or_else(PoisonError::into_inner);
                    led.insert(said);
                }
                url = to;
                if url.origin() == first.origin() && login.is_some() {
                    Login::take(&mut url);
                }
            }
            _ => return Ok(response),
        }
    }
    Err(Failure::Redirect(format!(
        "more than {MAX_REDIRECTS} redirects, the last to {}",
        shown(url.as_str())
    )))
}

/// A mirror's URL may hold a login; files of this user name others.
fn first(ways: &Ways, get: &Get) -> Result<First, Failure> {
    let mut url = first_url(get)?;
    let own = Login::take(&mut url);
    let login = own.or_else(|| match get.accept {
        // Registries have files of their own for them, and are asked first.
        Some(_) => None,
        None => ways.netrc.of(&url).cloned(),
    });
    Ok(First { url, login })
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
    let mut request = match &get.how {
        How::Get => http.get(url.clone()),
        How::Push(push) => push.request(http, url),
        How::Post(body) => http
            .post(url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(body.to_string()),
    }
    .header(header::ACCEPT_ENCODING, "identity");
    if let Some(types) = get.accept {
        request = request.header(header::ACCEPT, types);
    }
    if let Some((at, validator)) = &get.resume {
        request = request.header(header::RANGE, format!("bytes={at}-"));
        // Without one, what is at the URL never changes.
        if !validator.is_empty() {
            request = request.header(header::IF_RANGE, validator);
        }
    }
    request
}

pub(super) fn redirect(mirrors: &Mirrors, from: &Url, headers: &HeaderMap) -> Result<Url, Failure> {
    let location = text(headers, &header::LOCATION).unwrap_or_default();
    let to = from.join(location).ok().filter(|_| !location.is_empty());
    let Some(to) = to else {
        return Err(Failure::Redirect(format!(
            "{} redirects to nowhere (Location: `{}`)",
            shown(from.as_str()),
            hidden(location).escape_debug()
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

#[cfg(test)]
mod tests;
