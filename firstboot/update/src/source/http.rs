//! A directory of a web server. `SHA256SUMS` in it lists the versions, as for systemd-sysupdate.

use std::ops::Range;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nodeimg_formats::update::Manifest;

use super::net::{self, Client, Request};
use super::{Delivered, Document, Failure, Image, Patience, Piece, Sink, Source};

/// The list of a directory's files.
const LIST: &str = "SHA256SUMS";

pub struct Http {
    client: Client,
    /// Ends with a slash; without a login.
    base: String,
    login: Option<String>,
    patience: Patience,
}

impl Http {
    /// `url` is that of the directory.
    ///
    /// # Errors
    /// It is not one.
    pub fn open(url: &str, authorities: &[u8], patience: Patience) -> Result<Http> {
        let (scheme, rest) = url.split_once("://").context("it is not a URL")?;
        if rest.contains(['?', '#']) {
            bail!(
                "the source {} must be the URL of a directory",
                net::shown(url)
            );
        }
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = match host.rsplit_once('@') {
            Some((user, host)) => (Some(decoded(user)), host),
            None => (None, host),
        };
        if host.is_empty() {
            bail!("the source {} has no host", net::shown(url));
        }
        Ok(Http {
            client: Client::new(scheme == "https", authorities)?,
            base: match path.trim_end_matches('/') {
                "" => format!("{scheme}://{host}/"),
                path => format!("{scheme}://{host}/{path}/"),
            },
            login: user.map(|user| format!("Basic {}", STANDARD.encode(user))),
            patience,
        })
    }

    fn url(&self, file: &str) -> String {
        format!("{}{}", self.base, encoded(file))
    }

    fn document(&self, file: &str) -> Result<Option<Vec<u8>>> {
        let url = self.url(file);
        let request = self.request(&url);
        let mut found = None;
        self.patience.run(
            || {
                found = self.client.document(request)?;
                Ok(())
            },
            || 0,
        )?;
        Ok(found)
    }

    fn request<'a>(&'a self, url: &'a str) -> Request<'a> {
        Request {
            url,
            accept: "",
            authorization: self.login.as_deref(),
        }
    }
}

impl Source for Http {
    fn name(&self) -> String {
        self.base.clone()
    }

    fn versions(&self, image: Image<'_>) -> Result<Vec<String>> {
        let Some(list) = self.document(LIST)? else {
            bail!(
                "{} has no {LIST}: it lists the versions that are there",
                self.base
            );
        };
        let list = String::from_utf8_lossy(&list);
        let names = list.lines().filter_map(|line| {
            let (_, name) = line.split_once(char::is_whitespace)?;
            Some(name.trim_start().trim_start_matches('*'))
        });
        Ok(image.versions_in(names))
    }

    fn manifest(&self, image: Image<'_>, version: &str) -> Result<Document> {
        Document::of_files(image, version, |name| self.document(name))
    }

    fn read(
        &self,
        manifest: &Manifest,
        piece: Piece,
        range: Range<u64>,
        to: &mut Sink<'_>,
    ) -> Result<Delivered, Failure> {
        let url = self.url(piece.file(manifest));
        let answer = self.client.send(self.request(&url), Some(&range))?;
        net::deliver(answer, &range, to)
    }
}

/// A name as a part of a path.
fn encoded(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// A login of a URL, without its `%` signs.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let hex = more.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = hex.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    bytes
}
