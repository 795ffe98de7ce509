//! Values of a network configuration: addresses, names, numbers.
//!
//! Nothing here is secret, so messages quote the values they refuse.
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use crate::text::field::Field;
use crate::text::problem::Problems;
use crate::text::yaml::Scalar;

/// A hardware address of Ethernet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl Mac {
    /// `aa:bb:cc:dd:ee:ff`, or with dashes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next()?;
            let hex = part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
            *byte = u8::from_str_radix(part, 16).ok().filter(|_| hex)?;
        }
        (parts.next().is_none() && bytes != [0; 6]).then_some(Self(bytes))
    }
}

/// Whether there is a value; OpenStack writes `null` for none.
pub(super) fn given(field: &Field<'_>) -> bool {
    !field.node.scalar().is_some_and(Scalar::is_null)
}

pub(super) fn mac(field: &Field<'_>, problems: &mut Problems) -> Option<Mac> {
    let text = field.text(problems)?;
    let found = Mac::parse(&text.value);
    if found.is_none() {
        let digits = text.value.chars().all(|c| c.is_ascii_digit());
        let (reason, remedy) = if digits {
            (
                "is a number: a MAC address of digits only was written without quotes",
                "write the address in quotes",
            )
        } else {
            (
                "is not a MAC address of six bytes",
                "write it as 52:54:00:12:34:56",
            )
        };
        problems.error(&text.place, format!("`{}` {reason}", text.value), remedy);
    }
    found
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

/// Texts, each of which may be several with blanks or commas between them.
pub(super) fn words(field: &Field<'_>, problems: &mut Problems) -> Vec<String> {
    let empty =
        matches!(&field.node.kind, crate::text::yaml::Kind::Sequence(items) if items.is_empty());
    if !given(field) || empty {
        return Vec::new();
    }
    let texts = field.texts(problems);
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
    net.map(|net| Some(net.trunc()))
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
        return destination(to, problems);
    };
    let written = mask.text(problems)?;
    match mask_length(&written.value, ip.is_ipv4()) {
        Some(length) => Some(IpNet::new(ip, length).ok().map(|net| net.trunc())),
        None => {
            let reason = format!("`{}` is not a netmask for {ip}", written.value);
            problems.error(&mask.place, reason, "write it as 255.255.255.0 or 24");
            None
        }
    }
}

/// An address whose length may stand in it or in a netmask beside it.
pub(super) fn net_of(
    address: &Field<'_>,
    mask: Option<&Field<'_>>,
    problems: &mut Problems,
) -> Option<IpNet> {
    let text = address.text(problems)?;
    if text.value.contains('/') {
        return net(address, problems);
    }
    let mask = mask.filter(|mask| given(mask));
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
    let written = mask.text(problems)?;
    let length = mask_length(&written.value, ip.is_ipv4());
    if length.is_none() {
        let reason = format!("`{}` is not a netmask for {ip}", written.value);
        problems.error(&mask.place, reason, "write it as 255.255.255.0 or 24");
    }
    IpNet::new(ip, length?).ok()
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
    let reason = "is not supported in a network configuration";
    let remedy = match crate::text::suggest::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "remove the key".to_owned(),
    };
    problems.error(&field.place, reason, remedy);
}
