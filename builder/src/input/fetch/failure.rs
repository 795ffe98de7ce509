//! Why a download failed, whether another try can help, and what the user can do.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use reqwest::{StatusCode, Url};

use crate::store::Rejected;

/// Why one candidate gave no bytes, or the wrong ones.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection: name look-up, refused, unreachable.
    Connect(String),
    /// Nothing came for as long as the options allow.
    Timeout,
    /// Less came than the options want.
    Slow { came: u64, window: Duration },
    /// The connection ended before the file did.
    Cut {
        had: u64,
        of: Option<u64>,
        why: String,
    },
    Status {
        code: StatusCode,
        retry_after: Option<Duration>,
    },
    /// The answer to a resume does not match the partial file: start over.
    BadResume(String),
    /// No trust in the server, or no TLS at all.
    Tls(String),
    /// A container registry lets nobody in, or not this one.
    Login(String),
    /// A redirect that is not followed.
    Redirect(String),
    /// Against a rule of ours: size limits, plain http.
    Refused(String),
    /// A mirror that is a directory has no such file.
    NoFile(String),
    /// All bytes arrived, but their digest is wrong.
    Mismatch(Rejected),
    /// The store's disk, or a mirror's directory.
    Local(anyhow::Error),
}

impl Failure {
    /// Whether the same request may work a little later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Failure::Connect(_) | Failure::Timeout | Failure::Slow { .. } | Failure::Cut { .. } => {
                true
            }
            Failure::Status { code, .. } => {
                code.is_server_error()
                    || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(code)
            }
            _ => false,
        }
    }

    /// Whether the server says that there is no such file.
    pub(super) fn is_absent(&self) -> bool {
        match self {
            Failure::Status { code, .. } => {
                [StatusCode::NOT_FOUND, StatusCode::GONE].contains(code)
            }
            Failure::NoFile(_) => true,
            _ => false,
        }
    }

    /// Whether nobody answered at all.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Failure::Connect(_) | Failure::Timeout)
    }

    /// Whether another server, if there is one, is the better second try.
    pub(super) fn is_slow(&self) -> bool {
        matches!(self, Failure::Slow { .. })
    }

    /// Whether somebody answered whom nobody should believe.
    pub(super) fn is_suspect(&self) -> bool {
        matches!(self, Failure::Mismatch(_) | Failure::Tls(_))
    }

    /// How long the server asks us to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Failure::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The short form for "again in 2 s".
    pub(super) fn reason(&self) -> String {
        match self {
            Failure::Connect(why) => format!("cannot connect: {why}"),
            Failure::Timeout => "no answer in time".to_owned(),
            Failure::Slow { came, window } => format!(
                "too slow: {came} bytes in {} s",
                window.as_secs_f32().ceil()
            ),
            Failure::Cut { had, of, why } => {
                let of = of.map_or_else(String::new, |of| format!(" of {of}"));
                format!("the connection was cut after {had}{of} bytes ({why})")
            }
            Failure::Status { code, .. } => format!("the server answers {code}"),
            Failure::BadResume(why)
            | Failure::Tls(why)
            | Failure::Login(why)
            | Failure::Redirect(why)
            | Failure::Refused(why)
            | Failure::NoFile(why) => why.clone(),
            Failure::Mismatch(Rejected { expected, got }) => {
                format!("expected {expected}, got {got}")
            }
            Failure::Local(error) => format!("{error:#}"),
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Failure::Connect(_) | Failure::Timeout => {
                "check the network and the proxy settings (HTTPS_PROXY, NO_PROXY), or name a \
                 mirror with --mirror FROM=TO"
            }
            Failure::Slow { .. } => {
                "the partial download is kept: run the command again to resume it, or name \
                 another mirror with --mirror FROM=TO"
            }
            Failure::Cut { .. } => {
                "the partial download is kept: run the command again to resume \
                it"
            }
            Failure::Status { .. } if self.is_absent() => {
                "there is no such file: check the version and the URL in the recipe"
            }
            Failure::Status { .. } if self.is_transient() => {
                "the server has a problem: try again later, or name a mirror with --mirror FROM=TO"
            }
            Failure::Status { .. } => {
                "the server refuses to send this file: check the URL, and whether it requires a \
                 login or a proxy"
            }
            Failure::Mismatch(_) => {
                "the bytes were dropped; if the publisher really changed the file, accept the new \
                 digest with `nodeimg lock --update`, otherwise do not trust the server or the \
                 network path to it"
            }
            Failure::BadResume(_)
            | Failure::Tls(_)
            | Failure::Login(_)
            | Failure::Redirect(_)
            | Failure::Refused(_)
            | Failure::NoFile(_)
            | Failure::Local(_) => return None,
        })
    }

    /// Of a request that got no answer.
    pub(super) fn of_send(error: &reqwest::Error) -> Failure {
        if let Some(tls) = rustls_error(error) {
            return Failure::Tls(tls_text(tls));
        }
        if error.is_timeout() {
            Failure::Timeout
        } else if error.is_connect() {
            Failure::Connect(deepest(error))
        } else {
            Failure::Cut {
                had: 0,
                of: None,
                why: deepest(error),
            }
        }
    }

    /// Of an answer that broke off; the counts are filled in by who counts.
    pub(super) fn of_body(error: &reqwest::Error) -> Failure {
        if error.is_timeout() {
            return Failure::Timeout;
        }
        Failure::Cut {
            had: 0,
            of: None,
            why: deepest(error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason())?;
        match self.remedy() {
            Some(remedy) => write!(f, " ({remedy})"),
            None => Ok(()),
        }
    }
}

fn tls_text(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is signed by a CA that this machine does not know (install \
             ca-certificates, or name the CA's PEM file in SSL_CERT_FILE)"
                .to_owned()
        }
        Error::InvalidCertificate(why) => {
            format!(
                "the server's certificate is rejected: {why} (check the URL and this machine's \
                 clock)"
            )
        }
        Error::InvalidMessage(why) => {
            format!("the server does not speak TLS on this port ({why:?})")
        }
        other => format!("no TLS connection: {other}"),
    }
}

/// The TLS library's own error somewhere below `error`.
fn rustls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // io::Error's source() is its payload's source: look at the payload too.
        let payload = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match payload {
            Some(payload) => Some(payload),
            None => error.source(),
        };
    }
    None
}

/// Some files are gone: servers answered, and say that they have no such thing.
/// Its text tells of each with everything that was tried.
#[derive(Debug)]
pub struct Gone(pub(super) String);

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Gone {}

/// The last cause: "Connection refused (os error 111)".
fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// A URL fit for messages: without a password and without a query, which may
/// be a signature.
pub(super) fn shown(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else {
        return url.to_owned();
    };
    if url.password().is_some() {
        let _ = url.set_password(Some("***"));
    }
    if url.query().is_some() {
        url.set_query(Some("..."));
    }
    url.to_string()
}
