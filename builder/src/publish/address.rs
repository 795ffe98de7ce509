//! `oci://HOST[:PORT]/REPO[:TAG][@DIGEST]` of the command line.

use std::ffi::OsStr;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use nodeimg_formats::oci::Reference;

const SCHEME: &str = "oci://";

/// Where something is in a registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// Its tag means nothing unless it was named.
    pub reference: Reference,
    /// The tag that was named.
    pub tag: Option<String>,
}

impl FromStr for Address {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Address> {
        let shown = text.escape_debug();
        let Some(rest) = text.strip_prefix(SCHEME) else {
            bail!("`{shown}` is not an address in a registry: write oci://HOST/REPOSITORY:TAG");
        };
        // A login would end up in lists of processes and in histories.
        if let Some((before, _)) = rest.split_once('@')
            && !before.contains('/')
        {
            bail!(
                "the address holds a login: leave it out, and log in with `podman login HOST` or \
                 `docker login HOST`"
            );
        }
        let host = rest.split_once('/').map(|(host, _)| host);
        if !host.is_some_and(|host| host.contains(['.', ':']) || host == "localhost") {
            bail!(
                "`{shown}` does not name a registry: write oci://HOST/REPOSITORY:TAG, of Docker \
                 Hub oci://docker.io/REPOSITORY:TAG"
            );
        }
        let reference: Reference = rest.parse().with_context(|| format!("`{shown}`"))?;
        let name = rest.split('@').next().unwrap_or_default();
        let last = name.rsplit('/').next().unwrap_or_default();
        let tag = last.split_once(':').map(|(_, tag)| tag.to_owned());
        Ok(Address { reference, tag })
    }
}

impl Address {
    /// A repository alone.
    ///
    /// # Errors
    /// There is a tag or a digest.
    pub fn repository(text: &str) -> Result<Address> {
        let address: Address = text.parse()?;
        if address.tag.is_some() || address.reference.digest().is_some() {
            bail!(
                "`{}` names a tag or a digest: write the repository alone",
                text.escape_debug()
            );
        }
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.reference.repository())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match self.reference.digest() {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// An address in which `{name}` may stand for an image's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place(String);

const NAME: &str = "{name}";

impl FromStr for Place {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Place> {
        let place = Place(text.to_owned());
        let address = place.of("name")?;
        if address.reference.digest().is_some() {
            bail!(
                "{address} names a digest, but the registry computes digests: name a tag, or neither"
            );
        }
        Ok(place)
    }
}

impl Place {
    /// The address of the image called `name`: names of repositories are lowercase.
    pub fn of(&self, name: &str) -> Result<Address> {
        self.0.replace(NAME, &name.to_lowercase()).parse()
    }
}

/// Reads addresses of the command line; what is refused may hold a password, and is not shown.
#[derive(Clone, Debug)]
pub struct Parser<T>(pub fn(&str) -> Result<T>);

/// Any address, that of a repository alone, and one for images by name.
pub const ANY: Parser<Address> = Parser(<Address as FromStr>::from_str);
pub const REPOSITORY: Parser<Address> = Parser(Address::repository);
pub const PLACE: Parser<Place> = Parser(<Place as FromStr>::from_str);

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Parser<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> std::result::Result<T, clap::Error> {
        self.0(&value.to_string_lossy()).map_err(|error| {
            let name = argument.map(ToString::to_string).unwrap_or_default();
            let message = format!("{name}: {error:#}");
            command.clone().error(ErrorKind::ValueValidation, message)
        })
    }
}

/// The tag of a version: what no tag can hold becomes `_`, as Helm has it.
pub fn tag_of(version: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    version
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_names_its_registry() {
        for (text, tag, shown) in [
            ("oci://a.b/x", None, "oci://a.b/x"),
            (
                "oci://a.b:5000/x/y:1.0",
                Some("1.0"),
                "oci://a.b:5000/x/y:1.0",
            ),
            ("oci://localhost/x", None, "oci://localhost/x"),
            ("oci://[::1]:5000/x:t", Some("t"), "oci://[::1]:5000/x:t"),
            ("oci://docker.io/x", None, "oci://docker.io/library/x"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.tag.as_deref(), tag, "{text}");
            assert_eq!(address.to_string(), shown);
        }
    }

    #[test]
    fn a_place_is_an_address_for_each_name() {
        let place: Place = "oci://a.b/nodes/{name}:1".parse().unwrap();
        assert_eq!(
            place.of("Web").unwrap().to_string(),
            "oci://a.b/nodes/web:1"
        );
        let same: Place = "oci://a.b/nodes".parse().unwrap();
        assert_eq!(same.of("web").unwrap().to_string(), "oci://a.b/nodes");
        for bad in ["a.b/{name}", "oci://{name}", "oci://a.b/{nam}"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_address_is_told() {
        for (text, wanted) in [
            ("a.b/x", "oci://HOST"),
            ("https://a.b/x", "oci://HOST"),
            ("docker://a.b/x", "oci://HOST"),
            ("oci://x", "name a registry"),
            ("oci://team/x", "name a registry"),
            ("oci://a.b/", "lowercase"),
            ("oci://a.b/X", "lowercase"),
            ("oci://a.b/x:", "valid tag"),
            ("oci://a.b/x:a b", "valid tag"),
            ("oci://a.b/x@sha256:12", "`oci://a.b/x@sha256:12`"),
            ("oci://me:hunter2@a.b/x", "podman login"),
        ] {
            let error = format!("{:#}", text.parse::<Address>().unwrap_err());
            assert!(error.contains(wanted), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(Address::repository("oci://a.b/x:1").is_err());
        assert_eq!(tag_of("1.36.0+k3s1~rc1"), "1.36.0_k3s1_rc1");
    }
}
