//! Maintainer scripts that a recipe's author has read and accepts.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use nodeimg_values::digest::{Algorithm, Digest};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::PackageName;
use super::value::text_value;

/// `containerd/postinst sha256:...`: a package's script by what is left of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AcceptedScript {
    pub package: PackageName,
    /// `preinst`, `postinst` or `triggers`.
    pub script: String,
    pub digest: Digest,
}

text_value!(
    AcceptedScript,
    "^[a-z0-9][a-z0-9+.-]*/(preinst|postinst|triggers) sha256:[0-9a-f]{64}$",
    "PACKAGE/SCRIPT sha256:HEX, as the message about an unknown script says it"
);

impl FromStr for AcceptedScript {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<AcceptedScript> {
        let parts = || -> Option<(&str, &str, &str)> {
            let (place, digest) = text.split_once(' ')?;
            let (package, script) = place.split_once('/')?;
            Some((package, script, digest))
        };
        let wanted = "expected `PACKAGE/SCRIPT sha256:HEX`, with preinst, postinst or triggers as \
            the script";
        let Some((package, script, digest)) = parts() else {
            bail!("`{}`: {wanted}", text.escape_debug());
        };
        let digest: Digest = digest.parse()?;
        let known = ["preinst", "postinst", "triggers"].contains(&script);
        if !known || digest.algorithm() != Algorithm::Sha256 {
            bail!("`{}`: {wanted}", text.escape_debug());
        }
        Ok(AcceptedScript {
            package: package.parse()?,
            script: script.to_owned(),
            digest,
        })
    }
}

impl fmt::Display for AcceptedScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.package, self.script, self.digest)
    }
}
