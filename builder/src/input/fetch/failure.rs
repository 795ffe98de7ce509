//! Why a download failed, whether another try can help, and what the user can do.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use reqwest::{StatusCode, Url};

use super::note::Note;
use super::tls;
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
    /// Something came that HTTP does not know as an answer, or nothing at all.
    NoAnswer(String),
    /// The connection ended before the file did.
    Cut {
        had: u64,
        of: Option<u64>,
        why: String,
    },
    Status {
        code: StatusCode,
        retry_after: Option<Duration>,
        /// What the server says of it.
        note: Option<Note>,
    },
    /// A proxy does not let the request through; with the status that it answers.
    Proxy {
        code: Option<StatusCode>,
        why: String,
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
            Failure::Connect(_)
            | Failure::Timeout
            | Failure::Slow { .. }
            | Failure::NoAnswer(_)
            | Failure::Cut { .. } => true,
            Failure::Status { code, .. } => {
                code.is_server_error()
                    || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(code)
            }
            Failure::Proxy { code, .. } => code.is_none_or(|code| code.is_server_error()),
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

    /// Whether the file may be there under another path: registries refuse those who ask
    /// for what they do not have.
    pub(super) fn is_missing(&self) -> bool {
        self.is_absent() || matches!(self, Failure::Login(_))
    }

    /// Whether the server is well, and does not give this to us.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Failure::Status { .. } => !self.is_absent() && !self.is_transient(),
            Failure::Login(_) | Failure::Redirect(_) | Failure::Refused(_) => true,
            _ => false,
        }
    }

    /// Whether nobody answered at all.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Failure::Connect(_) | Failure::Timeout)
    }

    /// Whether another server, if there is one, is the better second try.
    pub(super) fn is_slow(&self) -> bool {
        matches!(self, Failure::Slow { .. } | Failure::Timeout)
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
            Failure::NoAnswer(why) => format!("the server's answer cannot be read: {why}"),
            Failure::Cut { had, of, why } => {
                let of = of.map_or_else(String::new, |of| format!(" of {of}"));
                format!("the connection was cut after {had}{of} bytes ({why})")
            }
            Failure::Status { code, note, .. } => {
                let note = note.as_ref().map_or("", |note| &note.text);
                format!("the server answers {code}{note}")
            }
            Failure::Proxy { why, .. }
            | Failure::BadResume(why)
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

    fn remedy(&self) -> Option<&str> {
        Some(match self {
            Failure::Status {
                note:
                    Some(Note {
                        remedy: Some(remedy),
                        ..
                    }),
                ..
            } => remedy,
            Failure::Proxy { code, .. } => of_proxy(*code),
            Failure::Connect(_) | Failure::Timeout => {
                "check the network and the proxy settings (HTTPS_PROXY, NO_PROXY), or name a \
                 mirror with --mirror FROM=TO"
            }
            Failure::Slow { .. } => {
                "the partial download is kept: run the command again to resume it, or name \
                 another mirror with --mirror FROM=TO"
            }
            Failure::NoAnswer(_) => {
                "check that this is the address of a web server, try again later, or name a \
                 mirror with --mirror FROM=TO"
            }
            Failure::Cut { had: 0, .. } => {
                "try again later, or name a mirror with --mirror FROM=TO"
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
    pub(super) fn of_send(error: reqwest::Error) -> Failure {
        // A URL may hold a login.
        let error = error.without_url();
        if let Some(error) = tls::error(&error) {
            return Failure::Tls(tls::text(error));
        }
        if error.is_timeout() {
            Failure::Timeout
        } else if error.is_connect() {
            Failure::Connect(deepest(&error))
        } else {
            Failure::NoAnswer(deepest(&error))
        }
    }

    /// The same of somebody else than who was asked: "HOST, after a redirect".
    pub(super) fn of(self, who: &str) -> Failure {
        match self {
            Failure::Connect(why) => Failure::Connect(format!("{who}: {why}")),
            Failure::Timeout => Failure::Connect(format!("{who}: no answer in time")),
            Failure::NoAnswer(why) => Failure::NoAnswer(format!("{who}: {why}")),
            Failure::Tls(why) => Failure::Tls(format!("{who}: {why}")),
            other => other,
        }
    }

    /// Of an answer that broke off; the counts are filled in by who counts.
    pub(super) fn of_body(error: reqwest::Error) -> Failure {
        let error = error.without_url();
        if error.is_timeout() {
            return Failure::Timeout;
        }
        Failure::Cut {
            had: 0,
            of: None,
            why: deepest(&error),
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

/// What to do about a proxy that answers with `code`.
fn of_proxy(code: Option<StatusCode>) -> &'static str {
    match code {
        Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => {
            "give it the right login: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT, with %XX for \
             special characters"
        }
        Some(code) if !code.is_server_error() => {
            "ask whoever runs the proxy to allow that host, name a mirror that it allows with \
             --mirror FROM=TO, or, if the host can be reached without it, add it to NO_PROXY"
        }
        _ => {
            "the proxy may not find or reach that host: check the host's name and HTTPS_PROXY, or \
             name a mirror with --mirror FROM=TO"
        }
    }
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

/// A server answered, and does not give it: what else it has, it may give.
/// Its text tells of everything that was tried.
#[derive(Debug)]
pub struct Denied(pub(super) String);

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Denied {}

/// The last cause: "Connection refused (os error 111)".
pub(super) fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// A URL fit for messages: without a login, since a token may stand in the place of the
/// user's name, and without a query or fragment, which may be a signature.
pub fn shown(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else {
        return hidden(url);
    };
    if url.cannot_be_a_base() {
        return hidden(url.as_str());
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Only a URL without a host refuses that, and it has no login either.
        let _ = url.set_password(None);
        let _ = url.set_username("***");
    }
    if url.query().is_some() {
        url.set_query(Some("..."));
    }
    url.set_fragment(None);
    url.to_string()
}

/// The same for a text that is not a URL, or may not be one.
pub(super) fn hidden(text: &str) -> String {
    let mut shown = text.to_owned();
    if let Some(at) = shown.rfind('@') {
        let start = shown[..at].find("://").map_or(0, |at| at + 3);
        shown.replace_range(start..at, "***");
    } else if let Some(start) = shown.find("://") {
        // What is not a port may be a password that lost its end.
        let end = shown[start + 3..].find(['/', '?', '#']);
        let end = end.map_or(shown.len(), |at| start + 3 + at);
        let colon = shown[start + 3..end].find(':');
        if let Some(colon) = colon.map(|at| start + 4 + at)
            && shown[colon..end].parse::<u16>().is_err()
            && !shown[..colon].contains('[')
        {
            shown.replace_range(colon.., "***");
        }
    }
    if let Some(at) = shown.find(['?', '#']) {
        shown.replace_range(at.., "?...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        for (url, wanted) in [
            ("https://h/x", "https://h/x"),
            ("https://me:s3cret@h/x?s3cret#s3cret", "https://***@h/x?..."),
            ("https://s3cret@h/x", "https://***@h/x"),
            ("https://:s3cret@h/x", "https://***@h/x"),
            ("https://me:s3/cr?et@h/x", "https://***@h/x"),
            ("https://me:s3cret@h@i:p/x", "https://***@i:p/x"),
            ("me:s3cret@h/x", "***@h/x"),
            ("//me:s3cret@h/x?s3cret", "***@h/x?..."),
            ("mailto:s3cret@h", "***@h"),
            ("x y", "x y"),
            ("https://me:s3cret", "https://me:***"),
            ("https://me:12/s3cret", "https://me:12/s3cret"),
            ("https://[::1/x", "https://[::1/x"),
        ] {
            assert_eq!(shown(url), wanted, "{url}");
        }
    }
}
