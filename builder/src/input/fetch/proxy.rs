//! The proxies of the environment, and who answered if one stands between.
//!
//! reqwest finds and uses them; its error says neither which one it was nor what it
//! answered. So the same rules are asked here, and a proxy that refuses to connect is asked
//! once more for its status. What it refuses for good is not tried again.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::{RequestBuilder, Response, StatusCode, Url};

use super::clock;
use super::failure::{Failure, deepest, hidden};

/// In lowercase.
const VARIABLES: [&str; 3] = ["https_proxy", "http_proxy", "all_proxy"];

/// For a proxy that is asked for its status.
const WAIT: Duration = Duration::from_secs(10);

/// What is known of a proxy's way to one server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Door {
    #[default]
    Untried,
    Tried,
    /// With this status; its connection is not made.
    Shut(StatusCode),
}

/// The door to one server. Who comes first holds the lock until an answer is there, so
/// that a proxy that refuses is not asked by all at once.
type Shared = Arc<tokio::sync::Mutex<Door>>;

/// Those of a run.
pub(super) struct Proxies {
    matcher: Matcher,
    doors: Mutex<HashMap<String, Shared>>,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxies")
    }
}

/// The proxy for one URL.
struct Proxy {
    intercept: Intercept,
    /// `HOST:PORT`, without a login.
    name: String,
    /// The server, as `HOST:PORT`.
    target: String,
}

impl Proxies {
    /// Errors for a variable that names nothing of use: reqwest would go without a proxy,
    /// where there may be no way without one.
    pub(super) fn of_environment() -> Result<Proxies> {
        for name in VARIABLES {
            let upper = name.to_uppercase();
            for name in [name, &upper] {
                check(name, &std::env::var(name).unwrap_or_default())?;
            }
        }
        Ok(Proxies {
            matcher: Matcher::from_system(),
            doors: Mutex::default(),
        })
    }

    /// What the proxy for `url` is called, if there is one.
    pub(super) fn name(&self, url: &Url) -> Option<String> {
        self.of(url).map(|proxy| proxy.name)
    }

    fn of(&self, url: &Url) -> Option<Proxy> {
        let intercept = self.matcher.intercept(&url.as_str().parse().ok()?)?;
        let uri = intercept.uri();
        let port = uri.port_u16().or(match uri.scheme_str() {
            Some("https") => Some(443),
            Some("http") | None => Some(80),
            _ => Some(1080),
        });
        let name = format!("{}:{}", uri.host()?, port?);
        let target = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
        Some(Proxy {
            intercept,
            name,
            target,
        })
    }

    /// Sends `request`, which is for `url`.
    pub(super) async fn send(
        &self,
        url: &Url,
        request: RequestBuilder,
    ) -> std::result::Result<Response, Failure> {
        let Some(proxy) = self.of(url) else {
            return match request.send().await {
                Ok(response) => Ok(response),
                Err(error) => Err(clock::of_send(error, url).await),
            };
        };
        let door = self.door(&proxy, url);
        let first = door.lock().await;
        if let Door::Shut(code) = *first
            && is_final(code)
        {
            return Err(proxy.refusal(code));
        }
        let known = *first;
        let held = (known == Door::Untried).then_some(first);
        let result = match request.send().await {
            Ok(response) if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err((
                    proxy.refusal(response.status()),
                    Door::Shut(response.status()),
                ))
            }
            Ok(response) => Ok(response),
            Err(error) => Err(proxy.failure(error, url, known).await),
        };
        let (result, state) = match result {
            Ok(response) => (Ok(response), Door::Tried),
            Err((failure, state)) => (Err(failure), state),
        };
        let mut door = match held {
            Some(held) => held,
            None => door.lock().await,
        };
        *door = state;
        result
    }

    fn door(&self, proxy: &Proxy, url: &Url) -> Shared {
        let key = format!("{} {} {}", proxy.name, url.scheme(), proxy.target);
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(doors.entry(key).or_default())
    }
}

fn check(name: &str, value: &str) -> Result<()> {
    let matcher = Matcher::builder().all(value).build();
    let any = "https://any.example/".parse().ok();
    if !value.is_empty() && any.and_then(|any| matcher.intercept(&any)).is_none() {
        bail!(
            "{name} is set to `{}`, which is not a proxy that nodeimg can use: give it as \
             http://HOST:PORT, with https, socks4, socks4a, socks5 or socks5h in the place of http",
            hidden(value)
        );
    }
    Ok(())
}

/// What another try does not change.
fn is_final(code: StatusCode) -> bool {
    !code.is_server_error()
}

impl Proxy {
    fn refusal(&self, code: StatusCode) -> Failure {
        Failure::Proxy {
            code: Some(code),
            why: format!(
                "the proxy {} answers {code} and does not connect to {}",
                self.name, self.target
            ),
        }
    }

    /// What `error` of a request for `url` is.
    async fn failure(&self, error: reqwest::Error, url: &Url, known: Door) -> (Failure, Door) {
        let why = chain(&error);
        let is = |text: &str| why.iter().any(|why| why.contains(text));
        if is("tunnel error: proxy authorization required") {
            let code = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
            return (self.refusal(code), Door::Shut(code));
        }
        if is("tunnel error: unsuccessful") {
            let code = match known {
                Door::Shut(code) => Some(code),
                _ => self.status().await,
            };
            return match code {
                Some(code) => (self.refusal(code), Door::Shut(code)),
                None => (self.broken("refuses to connect"), Door::Tried),
            };
        }
        let plain = url.scheme() == "http" && error.is_connect();
        let failure = if error.is_timeout() {
            let (name, target) = (&self.name, &self.target);
            Failure::Connect(format!(
                "no answer in time through the proxy {name} (for {target})"
            ))
        } else if is("failed to create underlying connection") || plain || is("socks") {
            Failure::Connect(format!(
                "the proxy {} (for {}): {}",
                self.name,
                self.target,
                deepest(&error)
            ))
        } else if is("tunnel error: ") {
            self.broken(&deepest(&error).replace("tunnel error: ", "breaks off: "))
        } else {
            let failure = clock::of_send(error, url).await;
            failure.of(&format!("through the proxy {}", self.name))
        };
        (failure, Door::Tried)
    }

    fn broken(&self, how: &str) -> Failure {
        Failure::Proxy {
            code: None,
            why: format!("the proxy {} for {} {how}", self.name, self.target),
        }
    }

    /// The status that it answers with, if it says so in clear text.
    async fn status(&self) -> Option<StatusCode> {
        if self.intercept.uri().scheme_str() == Some("https") {
            return None;
        }
        let login = self.intercept.basic_auth();
        let login = login.map_or_else(Vec::new, |login| {
            [b"Proxy-Authorization: ", login.as_bytes(), b"\r\n"].concat()
        });
        let (name, target) = (self.name.clone(), self.target.clone());
        let asked = tokio::task::spawn_blocking(move || ask(&name, &target, &login));
        asked.await.ok().flatten()
    }
}

/// The status of an answer to CONNECT.
fn ask(proxy: &str, target: &str, login: &[u8]) -> Option<StatusCode> {
    let address = proxy.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, WAIT).ok()?;
    stream.set_read_timeout(Some(WAIT)).ok()?;
    stream.set_write_timeout(Some(WAIT)).ok()?;
    let head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    let request = [head.as_bytes(), login, b"\r\n"].concat();
    stream.write_all(&request).ok()?;
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream.take(1024));
    reader.read_until(b'\n', &mut line).ok()?;
    status_of(&String::from_utf8_lossy(&line))
}

/// `HTTP/1.1 403 Forbidden`
fn status_of(line: &str) -> Option<StatusCode> {
    let mut words = line.split_ascii_whitespace();
    let code = words.next().filter(|word| word.starts_with("HTTP/"));
    let code = code.and(words.next())?;
    let code = StatusCode::from_bytes(code.as_bytes()).ok()?;
    // This time it would have worked.
    (!code.is_success()).then_some(code)
}

/// The texts of an error and of all its causes.
fn chain(error: &reqwest::Error) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(error) = next {
        texts.push(error.to_string());
        next = error.source();
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_names_no_proxy_is_an_error() {
        for value in [
            "",
            "http://h:1",
            "me:pw@h:1",
            "socks5h://h",
            "socks4://h",
            "h",
            "127.0.0.1:8",
        ] {
            assert!(check("all_proxy", value).is_ok(), "{value}");
        }
        for value in [
            "ftp://me:s3cret@h",
            "socks6://s3cret@h:1",
            "http://me:s3 cret@h:1",
        ] {
            let error = check("all_proxy", value).err();
            let error = error.map_or_else(String::new, |e| e.to_string());
            assert!(
                error.starts_with("all_proxy is set to `"),
                "{value}: {error}"
            );
            assert!(!error.contains("cret"), "{error}");
        }
    }

    #[test]
    fn a_status_line_has_a_status() {
        for (line, wanted) in [
            ("HTTP/1.1 403 Forbidden\r\n", Some(403)),
            ("HTTP/1.0 503\r\n", Some(503)),
            ("HTTP/1.1 200 OK", None),
            ("HTTP/1.1 x", None),
            ("SSH-2.0 403", None),
            ("", None),
        ] {
            assert_eq!(status_of(line).map(|code| code.as_u16()), wanted, "{line}");
        }
    }
}
