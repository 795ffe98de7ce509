//! One HTTP client for web servers and registries.
//!
//! # Invariants
//! - A request by https is never answered by http: redirects stay within https.
//! - A login goes to the host that asked for it, and to no other one by a redirect.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Error, ResponseExt};

use super::{Delivered, Failure, MAX_DOCUMENT, Sink, pass_on};

/// Of a document that is not a manifest, in bytes: a list of files, an index.
const MAX_LIST: u64 = 4 << 20;

/// How a node reaches others.
pub struct Client(Agent);

/// Where a request goes, with what login.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub url: &'a str,
    pub accept: &'a str,
    pub authorization: Option<&'a str>,
}

impl Client {
    /// `authorities` is a node's bundle of certificates in PEM. Proxies are those of the
    /// environment (`https_proxy`, `no_proxy`).
    ///
    /// # Errors
    /// The bundle is damaged.
    pub fn new(is_secure: bool, authorities: &[u8]) -> Result<Client> {
        let mut roots = Vec::new();
        for item in parse_pem(authorities) {
            if let PemItem::Certificate(one) = item.context("the node's CA certificates")? {
                roots.push(one);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let config = Agent::config_builder()
            .tls_config(tls)
            .https_only(is_secure)
            .http_status_as_error(false)
            .redirect_auth_headers(ureq::config::RedirectAuthHeaders::SameHost)
            .user_agent(concat!("nodeimg-update/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_resolve(seconds(20))
            .timeout_connect(seconds(20))
            .timeout_recv_response(seconds(60))
            .timeout_per_read(seconds(30))
            .build();
        Ok(Client(config.new_agent()))
    }

    /// The answer, whatever its status.
    ///
    /// # Errors
    /// There is none.
    pub fn send(
        &self,
        request: Request<'_>,
        range: Option<&Range<u64>>,
    ) -> Result<Response<Body>, Failure> {
        let mut call = self.0.get(request.url);
        if !request.accept.is_empty() {
            call = call.header("Accept", request.accept);
        }
        if let Some(login) = request.authorization {
            call = call.header("Authorization", login);
        }
        if let Some(range) = range {
            call = call.header("Range", format!("bytes={}-{}", range.start, range.end - 1));
        }
        call.call().map_err(|error| failure(error, request.url))
    }

    /// A document that fits into memory; none if there is no such one.
    ///
    /// # Errors
    /// The server does not give it.
    pub fn document(&self, request: Request<'_>) -> Result<Option<Vec<u8>>, Failure> {
        let mut answer = self.send(request, None)?;
        match answer.status().as_u16() {
            200 => body(&mut answer).map(Some),
            404 => Ok(None),
            status => Err(refused(status, &from(&answer))),
        }
    }
}

/// Where an answer came from, after redirects.
pub fn from(answer: &Response<Body>) -> String {
    answer.get_uri().to_string()
}

/// All of an answer.
///
/// # Errors
/// It is too long, or ends early.
pub fn body(answer: &mut Response<Body>) -> Result<Vec<u8>, Failure> {
    let url = &from(answer);
    let mut bytes = Vec::new();
    let reader = answer.body_mut().as_reader();
    let got = reader
        .take(MAX_LIST.max(MAX_DOCUMENT) + 1)
        .read_to_end(&mut bytes);
    got.map_err(|error| interrupted(error, url))?;
    if bytes.len() as u64 > MAX_LIST.max(MAX_DOCUMENT) {
        return Err(Failure::Final(anyhow!(
            "{} answers with more than {MAX_LIST} bytes",
            host(url)
        )));
    }
    Ok(bytes)
}

/// Gives the bytes of an answer to a sink: a range, or everything if the server has no ranges.
///
/// # Errors
/// The server gives something else, or the sink fails.
pub fn deliver(
    mut answer: Response<Body>,
    range: &Range<u64>,
    to: &mut Sink<'_>,
) -> Result<Delivered, Failure> {
    let url = &from(&answer);
    let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
    if let Some(encoding) = header("content-encoding").filter(|it| it != "identity") {
        return Err(Failure::Final(anyhow!(
            "{} answers with Content-Encoding `{}`, though nobody asked for that",
            host(url),
            encoding.escape_debug()
        )));
    }
    let (range, delivered) = match answer.status().as_u16() {
        206 => {
            let place = header("content-range").unwrap_or_default();
            let start = place
                .strip_prefix("bytes ")
                .and_then(|rest| rest.split('-').next());
            if start.and_then(|start| start.parse().ok()) != Some(range.start) {
                return Err(Failure::Final(anyhow!(
                    "{} answers with another range than was asked for (Content-Range `{}`)",
                    host(url),
                    place.escape_debug()
                )));
            }
            (range.clone(), Delivered::Range)
        }
        200 => (0..u64::MAX, Delivered::All),
        416 => {
            return Err(Failure::Final(anyhow!(
                "{} says that the file is shorter than its manifest says",
                host(url)
            )));
        }
        status => return Err(refused(status, url)),
    };
    let mut reader = answer.body_mut().with_config().limit(u64::MAX).reader();
    let read = |bytes: &mut [u8], _| reader.read(bytes);
    pass_on(range, read, |error| interrupted(error, url), to)?;
    Ok(delivered)
}

fn interrupted(error: io::Error, url: &str) -> Failure {
    Failure::Passing(anyhow!("{} stopped answering: {error}", host(url)))
}

/// A status that is not an answer.
pub fn refused(status: u16, url: &str) -> Failure {
    let what = match status {
        401 | 403 => "does not let this node in",
        404 | 410 => "does not have it",
        408 | 425 | 429 => "is busy",
        500.. => "has a fault",
        _ => "does not give it",
    };
    let error = anyhow!("{} {what}: status {status} for {}", host(url), shown(url));
    match status {
        408 | 425 | 429 | 500.. => Failure::Passing(error),
        _ => Failure::Final(error),
    }
}

fn failure(error: Error, url: &str) -> Failure {
    let host = host(url);
    let is_tls = match &error {
        Error::Tls(_) | Error::Rustls(_) | Error::Pem(_) | Error::RequireHttpsOnly(_) => true,
        Error::Io(error) => error.kind() == io::ErrorKind::InvalidData,
        _ => false,
    };
    let is_final = is_tls
        || matches!(
            error,
            Error::BadUri(_) | Error::Http(_) | Error::TooManyRedirects | Error::InvalidProxyUrl
        );
    let more = match &error {
        Error::RequireHttpsOnly(_) => {
            return Failure::Final(anyhow!(
                "{host} redirects from https to http, which anybody on the way could change"
            ));
        }
        _ if is_tls => {
            " (its certificate must be by an authority in the node's \
             /etc/ssl/certs/ca-certificates.crt)"
        }
        _ => "",
    };
    let error = anyhow!("{host} cannot be reached: {error}{more}");
    match is_final {
        true => Failure::Final(error),
        false => Failure::Passing(error),
    }
}

/// The host of a URL, with its port.
pub fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?']).next().unwrap_or(rest);
    host.rsplit_once('@').map_or(host, |(_, host)| host)
}

/// A URL without a login and without what follows a question mark, which may be one.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    let path = path.split('?').next().unwrap_or(path);
    format!("{scheme}://{}{path}", host(url))
}
