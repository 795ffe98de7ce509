//! Values of a network configuration: addresses, names, numbers.
//!
//! Nothing here is secret, so messages quote the values they refuse.
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use crate::text::field::Field;
use crate::text::problem::{Located, Problems};
use crate::text::yaml::{Kind as YamlKind, Scalar};

/// Whether there is a value; OpenStack writes `null` for none.
pub(super) fn given(field: &Field<'_>) -> bool {
    !field.node.scalar().is_some_and(Scalar::is_null)
}

/// A name that the kernel accepts for an interface.
pub(super) fn is_interface(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 15
        && !matches!(name, "." | ".." | "all" | "default")
        && name
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '/' | ':' | '%' | '*' | '?' | '[' | ']'))
}

/// A name that can stand in the name of a file.
pub(super) fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && !id.starts_with('.')
        && id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+' | ':'))
}

pub(super) fn interface(field: &Field<'_>, problems: &mut Problems) -> Option<String> {
    let text = field.text(problems)?;
    if is_interface(&text.value) {
        return Some(text.value);
    }
    let reason = format!("`{}` cannot be the name of an interface", text.value);
    let remedy = "give up to 15 letters, digits, `-`, `_` or dots";
    problems.error(&text.place, reason, remedy);
    None
}

/// An IP address, without a length.
pub(super) fn address(field: &Field<'_>, problems: &mut Problems) -> Option<IpAddr> {
    let text = field.text(problems)?;
    let found = text.value.parse().ok();
    if found.is_none() {
        let reason = format!("`{}` is not an IP address", text.value);
        problems.error(
            &text.place,
            reason,
            "write an address without a prefix length",
        );
    }
    found
}

/// One address, a list, or several with blanks or commas between them.
pub(super) fn addresses(field: &Field<'_>, problems: &mut Problems) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for word in words(field, problems) {
        match word.parse() {
            Ok(address) => found.push(address),
            Err(_) => {
                let reason = format!("`{word}` is not an IP address");
                problems.error(
                    &field.place,
                    reason,
                    "write an address without a prefix length",
                );
            }
        }
    }
    found
}

/// Whether a value, or an item of a list, is empty.
fn blank(field: &Field<'_>) -> bool {
    let scalar = field.node.scalar();
    scalar.is_some_and(|scalar| scalar.is_null() || scalar.text().trim().is_empty())
}

/// One text or a list of them; empty items ask for nothing.
pub(super) fn filled(field: &Field<'_>, problems: &mut Problems) -> Vec<Located<String>> {
    match &field.node.kind {
        YamlKind::Sequence(_) => {
            let items = field.items().into_iter().filter(|item| !blank(item));
            items.filter_map(|item| item.text(problems)).collect()
        }
        _ if blank(field) => Vec::new(),
        _ => field.text(problems).into_iter().collect(),
    }
}

/// Texts, each of which may be several with blanks or commas between them.
pub(super) fn words(field: &Field<'_>, problems: &mut Problems) -> Vec<String> {
    let texts = filled(field, problems);
    let split = texts
        .iter()
        .flat_map(|text| text.value.split([' ', ',', '\t']))
        .filter(|word| !word.is_empty());
    split.map(str::to_owned).collect()
}

/// `address/length`.
pub(super) fn net(field: &Field<'_>, problems: &mut Problems) -> Option<IpNet> {
    let text = field.text(problems)?;
    let found = text.value.parse::<IpNet>().ok();
    if found.is_none() {
        let (reason, remedy) = match text.value.parse::<IpAddr>() {
            Ok(_) => (
                "has no prefix length",
                "write it with one, such as 192.168.4.21/24",
            ),
            Err(_) => (
                "is not an address with a prefix length",
                "write it as 192.168.4.21/24",
            ),
        };
        problems.error(&text.place, format!("`{}` {reason}", text.value), remedy);
    }
    found
}

/// A destination: `default`, a network, or one address. The outer `None` is an error.
pub(super) fn destination(field: &Field<'_>, problems: &mut Problems) -> Option<Option<IpNet>> {
    let text = field.text(problems)?;
    if text.value == "default" {
        return Some(None);
    }
    let net = text.value.parse::<IpNet>().ok();
    let net = net.or_else(|| text.value.parse::<IpAddr>().ok().map(IpNet::from));
    if net.is_none() {
        let reason = format!("`{}` is not a destination", text.value);
        let remedy = "write a network such as 10.0.0.0/8, or `default`";
        problems.error(&text.place, reason, remedy);
    }
    net.map(|net| Some(network(net, &text, problems)))
}

/// The network of a destination, with a warning if it was written as a host in it.
fn network(net: IpNet, text: &Located<String>, problems: &mut Problems) -> IpNet {
    let network = net.trunc();
    if network != net {
        let reason = format!(
            "`{}` is an address in a network; {network} is used",
            text.value
        );
        problems.warn(&text.place, reason, format!("write {network}"));
    }
    network
}

/// The length that a netmask stands for: `255.255.255.0`, `ffff:ffff::`, or `24`.
pub(super) fn mask_length(text: &str, v4: bool) -> Option<u8> {
    let most = if v4 { 32 } else { 128 };
    if let Ok(length) = text.parse::<u8>() {
        return (length <= most).then_some(length);
    }
    let (ones, zeros) = match text.parse::<IpAddr>().ok()? {
        IpAddr::V4(mask) if v4 => {
            let bits = mask.to_bits();
            (bits.leading_ones(), bits.trailing_zeros())
        }
        IpAddr::V6(mask) if !v4 => {
            let bits = mask.to_bits();
            (bits.leading_ones(), bits.trailing_zeros())
        }
        _ => return None,
    };
    (ones + zeros == u32::from(most))
        .then(|| u8::try_from(ones).ok())
        .flatten()
}

/// A destination whose length may stand in a netmask beside it.
pub(super) fn masked(
    to: &Field<'_>,
    mask: Option<&Field<'_>>,
    problems: &mut Problems,
) -> Option<Option<IpNet>> {
    let text = to.text(problems)?;
    let (Some(mask), Ok(ip)) = (mask, text.value.parse::<IpAddr>()) else {
        let found = destination(to, problems)?;
        if let (Some(mask), Some(net)) = (mask, found) {
            agrees(net, mask, problems)?;
        }
        return Some(found);
    };
    let net = IpNet::new(ip, length(ip, mask, problems)?).ok()?;
    Some(Some(network(net, &text, problems)))
}

/// The length that a netmask gives to an address.
fn length(ip: IpAddr, mask: &Field<'_>, problems: &mut Problems) -> Option<u8> {
    let written = mask.text(problems)?;
    let length = mask_length(&written.value, ip.is_ipv4());
    if length.is_none() {
        let reason = format!("`{}` is not a netmask for {ip}", written.value);
        problems.error(&mask.place, reason, "write it as 255.255.255.0 or 24");
    }
    length
}

/// Whether a netmask says the same as the length beside it.
fn agrees(net: IpNet, mask: &Field<'_>, problems: &mut Problems) -> Option<()> {
    let length = length(net.addr(), mask, problems)?;
    if length != net.prefix_len() {
        let reason = format!("is a length of {length}, but {net} has one of its own");
        problems.error(&mask.place, reason, "keep one of the two");
        return None;
    }
    Some(())
}

/// An address whose length may stand in it or in a netmask beside it.
pub(super) fn net_of(
    address: &Field<'_>,
    mask: Option<&Field<'_>>,
    problems: &mut Problems,
) -> Option<IpNet> {
    let text = address.text(problems)?;
    let mask = mask.filter(|mask| given(mask));
    if text.value.contains('/') {
        let found = net(address, problems)?;
        if let Some(mask) = mask {
            agrees(found, mask, problems)?;
        }
        return Some(found);
    }
    let Ok(ip) = text.value.parse::<IpAddr>() else {
        let reason = format!("`{}` is not an IP address", text.value);
        problems.error(&text.place, reason, "write it as 192.168.4.21/24");
        return None;
    };
    let Some(mask) = mask else {
        let reason = format!("`{}` has no prefix length and no `netmask`", text.value);
        problems.error(
            &text.place,
            reason,
            "write it with one, such as 192.168.4.21/24",
        );
        return None;
    };
    IpNet::new(ip, length(ip, mask, problems)?).ok()
}

/// A whole number in a range.
pub(super) fn number(
    field: &Field<'_>,
    range: RangeInclusive<u32>,
    problems: &mut Problems,
) -> Option<u32> {
    let text = field.text(problems)?;
    let found = text.value.parse().ok().filter(|n| range.contains(n));
    if found.is_none() {
        let reason = format!(
            "`{}` is not a number from {} to {}",
            text.value,
            range.start(),
            range.end()
        );
        problems.error(&text.place, reason, "correct the number");
    }
    found
}

/// A boolean, in quotes as well: `bridge_stp: 'off'` is cloud-init's own example.
pub(super) fn boolean(field: &Field<'_>, problems: &mut Problems) -> Option<bool> {
    let quoted = field.node.scalar().and_then(|scalar| {
        match scalar.text.expose().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    });
    if quoted.is_none() {
        field.expected("`true` or `false`", problems);
    }
    quoted
}

pub(super) fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// One of the words of a list.
pub(super) fn one_of(
    field: &Field<'_>,
    words: &[&'static str],
    problems: &mut Problems,
) -> Option<&'static str> {
    let text = field.text(problems)?;
    let found = words.iter().find(|word| **word == text.value).copied();
    if found.is_none() {
        let reason = format!("`{}` is not a valid value", text.value);
        let remedy = format!("write one of: {}", words.join(", "));
        problems.error(&text.place, reason, remedy);
    }
    found
}

/// An MTU; the smallest is IPv4's.
pub(super) fn mtu(field: &Field<'_>, problems: &mut Problems) -> Option<u32> {
    number(field, 68..=65535, problems)
}

/// A domain for the search list.
pub(super) fn domains(field: &Field<'_>, problems: &mut Problems) -> Vec<String> {
    let words = words(field, problems);
    let good = |word: &String| {
        word.len() <= 253
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~'))
    };
    for word in words.iter().filter(|word| !good(word)) {
        let reason = format!("`{word}` is not a domain");
        problems.error(&field.place, reason, "write domains such as example.org");
    }
    words.into_iter().filter(good).collect()
}

/// Refuses a key by name, and suggests a similar one.
pub(super) fn unknown(field: &Field<'_>, name: &str, known: &[&str], problems: &mut Problems) {
    if known.contains(&name) {
        let reason = "is not supported for this kind of device";
        return problems.error(&field.place, reason, "remove the key");
    }
    let reason = "is not supported in a network configuration";
    let remedy = match crate::text::suggest::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "remove the key".to_owned(),
    };
    problems.error(&field.place, reason, remedy);
}

/// Names a key that is known and asks for something that is not done.
pub(super) fn idle(field: &Field<'_>, why: &str, problems: &mut Problems) {
    problems.warn(&field.place, format!("has no effect: {why}"), "");
}

/// Which program applies the network: always networkd.
pub(super) fn renderer(field: &Field<'_>, problems: &mut Problems) {
    if let Some("NetworkManager") = one_of(field, &["networkd", "NetworkManager"], problems) {
        let why = "an image has no NetworkManager, and systemd-networkd applies the network";
        idle(field, why, problems);
    }
}

/// Keeps a value that has several names; a second one is an error.
pub(super) fn once<'f, 'a>(
    found: &mut Option<&'f Field<'a>>,
    field: &'f Field<'a>,
    problems: &mut Problems,
) {
    if found.replace(field).is_some() {
        let reason = "is given twice, under another name as well";
        problems.error(&field.place, reason, "keep one of them");
    }
}

/// The value must be a list; its items are read by the caller.
pub(super) fn list(field: &Field<'_>, problems: &mut Problems) {
    if !matches!(field.node.kind, YamlKind::Sequence(_)) {
        field.expected("a list", problems);
    }
}
