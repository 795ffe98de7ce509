//! One request to a registry, with its login, its redirects, and a watch over its body.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nodeimg_formats::oci::MAX_DOCUMENT;
use nodeimg_values::progress::Upload;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::super::client::{First, Get, How, answer, redirect};
use super::super::failure::Failure;
use super::super::head::{Head, text};
use super::super::mirrors::Candidate;
use super::super::note::{self, Note};
use super::super::pace::{Least, Pace, length};
use super::source::{Body, Sent, Source};
use super::{Repository, STORING, Target};

/// How often a body's way is looked at.
const TICK: Duration = Duration::from_millis(200);

/// A request that may change something.
#[derive(Clone, Debug)]
pub struct Push {
    method: Method,
    headers: HeaderMap,
    body: Option<Source>,
    sent: Arc<Sent>,
}

impl Push {
    /// As often as it is sent, to wherever it is redirected.
    pub fn request(&self, http: &reqwest::Client, url: &Url) -> RequestBuilder {
        let request = http
            .request(self.method.clone(), url.clone())
            .headers(self.headers.clone());
        match &self.body {
            Some(body) if body.size() > 0 => {
                request.body(reqwest::Body::wrap(Body::of(body, &self.sent)))
            }
            // Some want its length even so (RFC 9110, 8.6).
            Some(_) => request.header(header::CONTENT_LENGTH, 0),
            None => request,
        }
    }
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Ask<'b> {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) accept: &'static str,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Option<&'b Source>,
}

/// Anything.
pub(super) const ANY: &str = "*/*";

impl Ask<'_> {
    pub(super) fn new(method: Method, target: Target) -> Ask<'static> {
        Ask {
            method,
            target,
            accept: ANY,
            headers: Vec::new(),
            body: None,
        }
    }
}

/// What a registry's errors are called
/// ([codes](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes)).
#[derive(Deserialize)]
struct Errors {
    errors: Vec<Code>,
}

#[derive(Deserialize)]
struct Code {
    #[serde(default)]
    code: String,
}

/// What came back, whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Vec<u8>,
    /// Who answered.
    pub(super) url: Url,
    retry_after: Option<Duration>,
    note: Option<Note>,
}

impl Answer {
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        text(&self.headers, name)
    }

    /// Whether it gives this as its reason.
    pub(super) fn says(&self, code: &str) -> bool {
        let errors = serde_json::from_slice::<Errors>(&self.bytes);
        errors.is_ok_and(|said| said.errors.iter().any(|error| error.code == code))
    }

    /// That it is not what was wanted.
    pub(super) fn failure(self) -> Failure {
        let mut note = self.note.unwrap_or_default();
        note.remedy = note.remedy.or_else(|| remedy(self.code).map(str::to_owned));
        Failure::Status {
            code: self.code,
            retry_after: self.retry_after,
            note: Some(note),
        }
    }
}

/// What to do about a refusal of a push.
fn remedy(code: StatusCode) -> Option<&'static str> {
    Some(match code.as_u16() {
        404 => {
            "the registry has no such repository, or makes none for a push: check its name, or \
             create it there first"
        }
        405 | 501 => {
            "this takes no pushes: a pull-through cache, a registry that is read-only, or a \
             proxy before it; push to the registry itself"
        }
        409 | 412 => "the registry lets nobody change this: the tag may be immutable",
        413 => {
            "something on the way limits how large a request is (of nginx: \
             client_max_body_size): ask whoever runs it to raise the limit"
        }
        429 => "the registry limits how often it is asked: try again later",
        code if code >= 500 => {
            "the registry has a problem: run the command again later; what it has by now is not \
             sent a second time"
        }
        _ => "the registry refuses this push",
    })
}

impl Repository<'_> {
    /// Sends it once, whatever the answer is.
    pub(super) fn ask(
        &self,
        ask: &Ask<'_>,
        upload: Option<&Upload<'_>>,
    ) -> Result<Answer, Failure> {
        let mut headers = HeaderMap::new();
        for (name, value) in &ask.headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| Failure::Refused(format!("`{value}` cannot be sent in a header")))?;
            headers.insert(name, value);
        }
        let sent = Arc::new(Sent::default());
        let get = Get {
            from: Candidate {
                url: ask.target.url.to_string(),
                by_mirror: ask.target.by_mirror,
            },
            resume: None,
            accept: Some(ask.accept),
            how: How::Push(Push {
                method: ask.method.clone(),
                headers,
                body: ask.body.cloned(),
                sent: Arc::clone(&sent),
            }),
        };
        let first = First {
            url: ask.target.url.clone(),
            login: ask.target.login.clone(),
        };
        let size = ask.body.map_or(0, Source::size);
        let watch = Watch {
            sent: &sent,
            size,
            idle: self.idle,
            upload,
        };
        let result = self.client.wait(watch.over(self.whole(&get, &first)));
        match sent.broken() {
            Some(why) if result.is_err() => Err(Failure::Local(anyhow::anyhow!(why))),
            _ => result,
        }
    }

    async fn whole(&self, get: &Get, first: &First) -> Result<Answer, Failure> {
        let ways = self.client.ways();
        let mut response = answer(ways, get, first).await?;
        let bytes = body(&mut response).await?;
        let head = Head::of(&response);
        let note = match head.code.is_success() {
            true => None,
            false => {
                let said = note::quoted(&bytes, false, first.login.as_ref());
                note::with(ways, &first.url, first.login.as_ref(), &response, said)
            }
        };
        Ok(Answer {
            code: head.code,
            headers: response.headers().clone(),
            url: response.url().clone(),
            retry_after: head.retry_after,
            bytes,
            note,
        })
    }

    /// Where an answer says that things go on; a registry behind a proxy that ends TLS may
    /// take itself for one without.
    pub(super) fn location(&self, answer: &Answer, from: &Target) -> Result<Target, Failure> {
        if answer
            .header(&header::LOCATION)
            .unwrap_or_default()
            .is_empty()
        {
            return Err(Failure::Refused(format!(
                "the registry answers {} without the address to send to (Location)",
                answer.code
            )));
        }
        let mut headers = answer.headers.clone();
        let said = answer.header(&header::LOCATION).unwrap_or_default();
        if let Ok(to) = answer.url.join(said)
            && answer.url.scheme() == "https"
            && let Some(rest) = to.as_str().strip_prefix("http://")
            && to.host_str() == answer.url.host_str()
            && to.port().is_none_or(|port| answer.url.port() == Some(port))
            && let Ok(safe) = Url::parse(&format!("https://{rest}"))
        {
            let mut safe = safe;
            // Only a URL without a host refuses that.
            let _ = safe.set_port(answer.url.port());
            if let Ok(value) = HeaderValue::from_str(safe.as_str()) {
                headers.insert(header::LOCATION, value);
            }
        }
        let ways = self.client.ways();
        let url = redirect(&ways.mirrors, &answer.url, &headers)?;
        let same = url.origin() == from.url.origin();
        Ok(Target {
            login: from.login.clone().filter(|_| same),
            by_mirror: from.by_mirror,
            url,
        })
    }
}

/// All of a small body.
async fn body(response: &mut Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut pace = Pace::new(Least::default());
    loop {
        let piece = pace.wait(response.chunk(), length).await?;
        let Some(piece) = piece.map_err(Failure::of_body)? else {
            return Ok(bytes);
        };
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(Failure::Refused(format!(
                "the registry's answer is longer than {MAX_DOCUMENT} bytes"
            )));
        }
    }
}

/// Sees that a body goes on.
struct Watch<'w> {
    sent: &'w Sent,
    size: u64,
    idle: Duration,
    upload: Option<&'w Upload<'w>>,
}

impl Watch<'_> {
    async fn over<T>(self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let mut work = pin!(work);
        let (mut known, mut since) = (0, Instant::now());
        loop {
            let ended = timeout(TICK, &mut work).await;
            let sent = self.sent.bytes.load(Ordering::Relaxed);
            if sent != known {
                if let Some(upload) = self.upload {
                    upload.advance(sent - known);
                }
                (known, since) = (sent, Instant::now());
            }
            if let Ok(ended) = ended {
                return ended;
            }
            let limit = match self.size > 0 && sent >= self.size {
                true => self.idle * STORING,
                false => self.idle,
            };
            if since.elapsed() > limit {
                return Err(Failure::Timeout);
            }
        }
    }
}
