//! Networks of a cluster.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::value::text_value;

/// A network in CIDR notation with no host bits set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr(IpNet);

text_value!(
    Cidr,
    "^[0-9a-fA-F.:]+/[0-9]+$",
    "a network in CIDR notation, `10.200.0.0/16`"
);

impl Cidr {
    pub fn net(self) -> IpNet {
        self.0
    }

    pub fn overlaps(self, other: Cidr) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }
}

impl FromStr for Cidr {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Cidr> {
        let Ok(net) = text.parse::<IpNet>() else {
            bail!(
                "`{}` is not a network in CIDR notation (`10.200.0.0/16`)",
                text.escape_debug()
            );
        };
        if net.addr() != net.network() {
            bail!(
                "`{text}` has host bits set: the network is `{}`",
                net.trunc()
            );
        }
        Ok(Cidr(net))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One network, or two for dual-stack: one of each family.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Cidrs {
    One(Cidr),
    Two(Vec<Cidr>),
}

impl Cidrs {
    pub fn as_slice(&self) -> &[Cidr] {
        match self {
            Cidrs::One(cidr) => std::slice::from_ref(cidr),
            Cidrs::Two(cidrs) => cidrs,
        }
    }

    pub fn has_ipv6(&self) -> bool {
        self.as_slice().iter().any(|cidr| cidr.0.addr().is_ipv6())
    }
}

/// By hand: serde's own for untagged types swallows what is wrong with a network.
impl<'de> Deserialize<'de> for Cidrs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cidrs, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Cidrs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string: a network, or a list of an IPv4 and an IPv6 network")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Cidrs, E> {
                text.parse().map(Cidrs::One).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Cidrs, A::Error> {
                let cidrs: Vec<Cidr> = Deserialize::deserialize(SeqAccessDeserializer::new(seq))?;
                match cidrs.as_slice() {
                    [a, b] if a.0.addr().is_ipv4() != b.0.addr().is_ipv4() => Ok(Cidrs::Two(cidrs)),
                    _ => Err(de::Error::custom(
                        "a list holds one IPv4 and one IPv6 network",
                    )),
                }
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// As Kubernetes writes two networks: with a comma.
impl fmt::Display for Cidrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, cidr) in self.as_slice().iter().enumerate() {
            write!(f, "{}{cidr}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}
