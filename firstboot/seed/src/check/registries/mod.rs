//! Whether what is said of registries makes sense, alone and to the container runtime of
//! the image: the same for a recipe and for a seed, which tell it at their own places.
//!
//! Specs: containerd's
//! [hosts.toml](https://github.com/containerd/containerd/blob/main/docs/hosts.md),
//! [containers-registries.conf(5)](https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md),
//! [containers-certs.d(5)](https://github.com/containers/image/blob/main/docs/containers-certs.d.5.md).
mod name;
mod seed;

pub use name::{Mirror, Name};
pub(super) use seed::check as check_seed;

use crate::contract::registries::{Format, Private, Public, Registries, Registry};
use crate::text::pem;
use crate::text::secret::Secret;
use crate::text::x509::{self, Certificate};

/// What is wrong, and with which key of which entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub name: String,
    /// `None` for the entry as a whole.
    pub key: Option<&'static str>,
    /// Of a list, from 0.
    pub item: Option<usize>,
    /// Of text of several lines, from 1.
    pub line: Option<usize>,
    pub reason: String,
    pub remedy: String,
}

/// An entry that makes sense.
pub struct Entry {
    pub name: Name,
    /// The first is tried first.
    pub mirrors: Vec<Mirror>,
    pub fallback: bool,
    pub plain_http: bool,
    pub ca: Option<String>,
    /// Certificate and key.
    pub client: Option<(String, Secret)>,
    pub login: Option<Login>,
}

pub enum Login {
    Password {
        user: String,
        password: Secret,
    },
    /// Exchanged for access by the registry's token service.
    Token(Secret),
}

/// What is said of registries, for the runtime that reads it in this form.
pub struct Checked {
    pub format: Format,
    pub entries: Vec<Entry>,
}

/// Every entry, or all that is wrong.
pub fn check(format: Format, given: &Registries) -> Result<Checked, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut entries = Vec::new();
    for (name, registry) in given {
        let mut checker = Checker {
            name,
            faults: &mut faults,
        };
        entries.extend(checker.entry(format, registry));
    }
    match faults.is_empty() {
        true => Ok(Checked { format, entries }),
        false => Err(faults),
    }
}

/// Checks one entry.
struct Checker<'a> {
    name: &'a str,
    faults: &'a mut Vec<Fault>,
}

impl Checker<'_> {
    fn fault(&self, key: Option<&'static str>, reason: &str, remedy: &str) -> Fault {
        Fault {
            name: self.name.to_owned(),
            key,
            item: None,
            line: None,
            reason: reason.to_owned(),
            remedy: remedy.to_owned(),
        }
    }

    fn add(&mut self, key: Option<&'static str>, reason: &str, remedy: &str) {
        self.faults.push(self.fault(key, reason, remedy));
    }

    /// `None` only after a fault.
    fn entry(&mut self, format: Format, registry: &Registry) -> Option<Entry> {
        let Registry { public, private } = registry;
        let name = match name::name(self.name) {
            Ok(name) => name,
            Err(reason) => {
                let remedy = "write `HOST`, `HOST:PORT`, `HOST/PATH`, or `_default` for all others";
                self.add(None, reason, remedy);
                return None;
            }
        };
        self.expressible(format, &name);
        self.place_of_tls(&name, public, private);
        let entry = Entry {
            mirrors: self.mirrors(&public.mirrors),
            fallback: public.fallback.unwrap_or(true),
            plain_http: public.plain_http.unwrap_or(false),
            ca: self.certificates("ca", public.ca.as_deref()),
            client: self.client(private),
            login: self.login(private),
            name,
        };
        if !entry.fallback && public.mirrors.is_empty() {
            let reason = "leaves no place to pull from: there are no `mirrors`";
            self.add(Some("fallback"), reason, "add some, or remove this key");
        }
        Some(entry)
    }

    /// What one of the two runtimes has no words for.
    fn expressible(&mut self, format: Format, name: &Name) {
        match format {
            Format::Containerd if !name.path.is_empty() => {
                let reason = "is a part of a registry, and containerd has settings for whole \
                    registries only";
                self.add(
                    None,
                    reason,
                    "remove the path, or build with the runtime crio",
                );
            }
            Format::Crio if name.is_all() => {
                let reason = "is for all registries, and CRI-O has settings for registries by \
                    name only";
                self.add(None, reason, "name each registry");
            }
            Format::Containerd | Format::Crio => {}
        }
    }

    /// Certificates and logins belong to a host, and plain http has no certificates.
    fn place_of_tls(&mut self, name: &Name, public: &Public, private: &Private) {
        let tls = [
            ("ca", public.ca.is_some()),
            ("cert", private.cert.is_some()),
            ("key", private.key.is_some()),
        ];
        let others = [
            ("username", private.username.is_some()),
            ("password", private.password.is_some()),
            ("token", private.token.is_some()),
            ("plain_http", public.plain_http.is_some()),
        ];
        let first = |keys: &[(&'static str, bool)]| {
            let given = keys.iter().find(|(_, is_given)| *is_given);
            given.map(|(key, _)| *key)
        };
        if name.is_all() {
            if let Some(key) = first(&tls).or(first(&others)) {
                let reason = "belongs to one registry, and this entry is for all others";
                self.add(Some(key), reason, "move it to an entry of that host's name");
            }
        } else if !name.path.is_empty() {
            if let Some(key) = first(&tls) {
                let reason = "belongs to a whole host, and this entry is for a part of it";
                self.add(Some(key), reason, "move it to an entry of the host's name");
            }
        } else if public.plain_http == Some(true)
            && let Some(key) = first(&tls)
        {
            let reason = "has no effect with `plain_http`: there is no TLS";
            self.add(Some(key), reason, "remove one of the two");
        }
    }

    fn mirrors(&mut self, urls: &[String]) -> Vec<Mirror> {
        let mut mirrors = Vec::new();
        for (item, url) in urls.iter().enumerate() {
            match name::mirror(url) {
                Ok(mirror) => mirrors.push(mirror),
                Err(reason) => {
                    let remedy = "write it like `https://mirror.example:5000/path`";
                    self.faults.push(Fault {
                        item: Some(item),
                        ..self.fault(Some("mirrors"), reason, remedy)
                    });
                }
            }
        }
        mirrors
    }

    fn pem(&mut self, key: &'static str, checked: Result<(), pem::PemError>) -> bool {
        let Err(error) = checked else { return true };
        self.faults.push(Fault {
            line: Some(error.line),
            ..self.fault(Some(key), &error.reason, "give the whole PEM file")
        });
        false
    }

    fn certificates(&mut self, key: &'static str, text: Option<&str>) -> Option<String> {
        let text = text?;
        self.pem(key, pem::check_certificates(text))
            .then(|| pem::normalised(text))
    }

    fn client(&mut self, private: &Private) -> Option<(String, Secret)> {
        let (cert, key) = match (&private.cert, &private.key) {
            (Some(cert), Some(key)) => (cert, key),
            (Some(_), None) => {
                self.add(
                    Some("cert"),
                    "has no `key` beside it",
                    "add the private key",
                );
                return None;
            }
            (None, Some(_)) => {
                self.add(
                    Some("key"),
                    "has no `cert` beside it",
                    "add the certificate",
                );
                return None;
            }
            (None, None) => return None,
        };
        let text = self.certificates("cert", Some(cert));
        if !self.pem("key", pem::check_private_key(key.expose())) {
            return None;
        }
        let text = text?;
        if !belongs(&text, key.expose()) {
            let reason = "does not belong to the certificate beside it";
            let remedy = "give the key that the certificate was made for";
            self.add(Some("key"), reason, remedy);
        }
        Some((text, Secret::new(pem::normalised(key.expose()))))
    }

    fn login(&mut self, private: &Private) -> Option<Login> {
        let odd = |text: &str| text.chars().any(char::is_control);
        let secrets = [("password", &private.password), ("token", &private.token)];
        for (key, secret) in secrets {
            if secret.as_ref().is_some_and(|secret| odd(secret.expose())) {
                let reason = "holds a line break or another control character";
                self.add(Some(key), reason, "write it in one line");
                return None;
            }
        }
        match (&private.username, &private.password, &private.token) {
            (None, None, None) => None,
            (None, None, Some(token)) => Some(Login::Token(token.clone())),
            (Some(user), Some(password), None) => {
                if user.contains(':') || odd(user) {
                    let reason = "holds a colon or a control character";
                    self.add(Some("username"), reason, "correct it");
                }
                Some(Login::Password {
                    user: user.clone(),
                    password: password.clone(),
                })
            }
            (_, _, Some(_)) => {
                let reason = "stands in place of `username` and `password`";
                self.add(Some("token"), reason, "remove either");
                None
            }
            (Some(_), None, None) => {
                self.add(Some("username"), "has no `password` beside it", "add it");
                None
            }
            (None, Some(_), None) => {
                self.add(Some("password"), "has no `username` beside it", "add it");
                None
            }
        }
    }
}

/// Whether a key is that of the first certificate, as far as both can be read.
fn belongs(cert: &str, key: &str) -> bool {
    let first = pem::certificates(cert).into_iter().next();
    let leaf = first.and_then(|(_, der)| Certificate::read(&der));
    let own = pem::private_key(key).and_then(|der| x509::public_part(&der));
    match (leaf, own) {
        (Some(leaf), Some(own)) => leaf.key == own,
        _ => false,
    }
}
