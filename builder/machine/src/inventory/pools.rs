//! Numbers counted up: every node gets the first one that is free.
//!
//! ```text
//! 10.200.0.0/16 by /24             networks, for `pod_subnet`
//! 192.168.10.100-192.168.10.199    addresses, for `node_ip`
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use ipnet::IpNet;

use super::ledger::Ledger;
use super::{Cell, Row};

/// Keys whose values may be pools.
pub const COUNTED: [&str; 2] = ["pod-subnet", "node-ip"];

/// What nodes get their own part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pool {
    Networks { whole: IpNet, length: u8 },
    Addresses { first: IpAddr, last: IpAddr },
}

impl Pool {
    /// `None` for a plain value.
    fn parse(text: &str) -> Result<Option<Pool>> {
        if let Some((whole, length)) = text.split_once(" by ") {
            return Self::networks(whole.trim(), length.trim()).map(Some);
        }
        let Some((first, last)) = text.split_once('-') else {
            return Ok(None);
        };
        let (Ok(first), Ok(last)) = (first.trim().parse(), last.trim().parse()) else {
            return Ok(None);
        };
        let pool = Pool::Addresses { first, last };
        match (first, last) {
            (IpAddr::V4(a), IpAddr::V4(b)) if a <= b => Ok(Some(pool)),
            (IpAddr::V6(a), IpAddr::V6(b)) if a <= b => Ok(Some(pool)),
            _ => bail!("`{text}` does not count up from its first address to its last"),
        }
    }

    fn networks(whole: &str, length: &str) -> Result<Pool> {
        let net: IpNet = whole
            .parse()
            .with_context(|| format!("`{whole}` is not a network"))?;
        if net.trunc() != net {
            bail!(
                "`{whole}` is an address in a network: write `{}`",
                net.trunc()
            );
        }
        let length = length
            .strip_prefix('/')
            .and_then(|length| length.parse::<u8>().ok());
        let length = length.with_context(|| format!("write `{whole} by /24`"))?;
        if length < net.prefix_len() || length > net.max_prefix_len() {
            bail!("{whole} cannot be divided into networks of /{length}");
        }
        Ok(Pool::Networks { whole: net, length })
    }

    /// One text for each pool, however it was written.
    fn name(self) -> String {
        match self {
            Pool::Networks { whole, length } => format!("{whole} by /{length}"),
            Pool::Addresses { first, last } => format!("{first}-{last}"),
        }
    }

    /// The part of that number; `None` after the last.
    fn part(self, number: u128) -> Option<Part> {
        let (from, size) = match self {
            Pool::Networks { whole, length } => (Part::of(whole)?, {
                let host = u32::from(whole.max_prefix_len() - length);
                1_u128.checked_shl(host)?
            }),
            Pool::Addresses { first, last } => {
                let (first, last) = (Part::of(first.into())?, Part::of(last.into())?);
                (
                    Part {
                        last: last.last,
                        ..first
                    },
                    1,
                )
            }
        };
        let first = from.first.checked_add(number.checked_mul(size)?)?;
        let last = first.checked_add(size - 1)?;
        (last <= from.last).then_some(Part {
            first,
            last,
            ..from
        })
    }

    fn text(self, part: Part) -> String {
        let address = part.address();
        match self {
            Pool::Networks { length, .. } => format!("{address}/{length}"),
            Pool::Addresses { .. } => address.to_string(),
        }
    }
}

/// Addresses from one to another, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    v6: bool,
    first: u128,
    last: u128,
}

impl Part {
    fn of(net: IpNet) -> Option<Part> {
        let number = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        Some(Part {
            v6: matches!(net, IpNet::V6(_)),
            first: number(net.network()),
            last: number(net.broadcast()),
        })
    }

    /// Of a value as nodes have it: an address or a network.
    fn read(text: &str) -> Option<Part> {
        let net = text.parse::<IpNet>().ok();
        Part::of(net.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?)
    }

    fn address(self) -> IpAddr {
        match self.v6 {
            true => IpAddr::V6(self.first.into()),
            false => IpAddr::V4(u32::try_from(self.first).unwrap_or_default().into()),
        }
    }
}

/// Addresses in use; overlapping parts are one.
#[derive(Default)]
struct Used(BTreeMap<(bool, u128), u128>);

impl Used {
    /// The end of what lies in the way of a part.
    fn in_the_way(&self, part: Part) -> Option<u128> {
        let below = self.0.range(..=(part.v6, part.last)).next_back();
        let (&(v6, _), &last) = below?;
        (v6 == part.v6 && last >= part.first).then_some(last)
    }

    fn add(&mut self, mut part: Part) {
        while let Some((&(v6, first), &last)) = self.0.range(..=(part.v6, part.last)).next_back()
            && v6 == part.v6
            && last >= part.first
        {
            self.0.remove(&(v6, first));
            part.first = part.first.min(first);
            part.last = part.last.max(last);
        }
        self.0.insert((part.v6, part.first), part.last);
    }
}

/// Replaces every pool by the node's own part of it, and writes new ones into the ledger.
///
/// # Errors
/// A pool that is used up or badly written, with its line; a ledger that gives one part twice.
pub fn count_up(rows: &mut [Row], ledger: &mut Ledger) -> Result<()> {
    let mut used = Used::default();
    for row in rows.iter() {
        for key in COUNTED {
            // A network of node_ip says where the node's own address lies.
            let plain = row
                .all(key)
                .iter()
                .filter(|text| key != "node-ip" || !text.contains('/'));
            plain
                .filter_map(|text| Part::read(text))
                .for_each(|part| used.add(part));
        }
    }
    for (place, part) in ledger.given() {
        let Some(part) = Part::read(part) else {
            bail!(
                "{place}: `{}` is not a network nor an address",
                part.escape_debug()
            );
        };
        used.add(part);
    }
    let mut next = BTreeMap::new();
    for row in rows {
        let name = row.host_name().to_owned();
        for key in COUNTED {
            if let Some(cell) = row.cells.get_mut(key) {
                count_cell(cell, &name, ledger, &mut used, &mut next)?;
            }
        }
    }
    Ok(())
}

fn count_cell(
    cell: &mut Cell,
    node: &str,
    ledger: &mut Ledger,
    used: &mut Used,
    next: &mut BTreeMap<String, u128>,
) -> Result<()> {
    let Cell { place, values } = cell;
    for value in values {
        let pool = Pool::parse(value).with_context(|| place.clone())?;
        let Some(pool) = pool else { continue };
        let name = pool.name();
        if let Some(given) = ledger.part(&name, node) {
            *value = given.to_owned();
            continue;
        }
        let number = next.entry(name.clone()).or_default();
        let part = loop {
            let Some(part) = pool.part(*number) else {
                bail!("{place}: nothing of {name} is left for {node}");
            };
            *number += 1;
            if used.in_the_way(part).is_none() {
                break part;
            }
        };
        used.add(part);
        *value = pool.text(part);
        ledger.give(&name, node, value);
    }
    Ok(())
}
