//! Hardware addresses, and what is wrong with a text that is none.
use std::fmt;

use crate::text::field::Field;
use crate::text::problem::Problems;

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

pub(super) fn mac(field: &Field<'_>, problems: &mut Problems) -> Option<Mac> {
    let text = field.text(problems)?;
    let found = Mac::parse(&text.value);
    if found.is_none() {
        let plain = field.node.scalar().is_some_and(|scalar| scalar.plain);
        let (reason, remedy) = no_mac(&text.value, plain);
        problems.error(&text.place, format!("`{}` {reason}", text.value), remedy);
    }
    found
}

/// Why a text is not a MAC address, and what to write.
fn no_mac(text: &str, plain: bool) -> (String, String) {
    let usual = "write it as 52:54:00:12:34:56".to_owned();
    let groups: Vec<&str> = text.split([':', '-', '.']).collect();
    let hex = |group: &&str| group.chars().all(|c| c.is_ascii_hexdigit());
    if plain && text.chars().all(|c| c.is_ascii_digit()) {
        let reason = "is a number: a MAC address of digits only was written without quotes";
        return (reason.to_owned(), "write the address in quotes".to_owned());
    }
    // A byte of one digit has a zero in front of it.
    let bytes = groups.len() == 6 && groups.iter().all(|group| (1..=2).contains(&group.len()));
    let digits: String = if bytes {
        groups.iter().map(|group| format!("{group:0>2}")).collect()
    } else {
        groups.concat()
    };
    if !groups.iter().all(hex) || digits.is_empty() || digits.len() % 2 == 1 {
        return ("is not a MAC address of six bytes".to_owned(), usual);
    }
    match digits.len() / 2 {
        6 if digits.bytes().all(|digit| digit == b'0') => {
            let reason = "is all zeros, the address of no network interface";
            (reason.to_owned(), "give the interface's own".to_owned())
        }
        6 => {
            let pairs: Vec<&str> = (0..6)
                .filter_map(|at| digits.get(2 * at..2 * at + 2))
                .collect();
            let remedy = format!("write it as \"{}\"", pairs.join(":").to_ascii_lowercase());
            ("has six bytes, but in another notation".to_owned(), remedy)
        }
        20 => {
            let reason = "is an InfiniBand address of 20 bytes, and InfiniBand is not supported";
            (reason.to_owned(), "name an Ethernet interface".to_owned())
        }
        count => {
            let reason = format!("is not a MAC address of six bytes: it has {count}");
            (reason, usual)
        }
    }
}
