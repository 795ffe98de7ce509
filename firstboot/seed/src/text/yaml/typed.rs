//! What YAML 1.1, which cloud-init reads, takes a plain scalar for.
//!
//! Spec: <https://yaml.org/type/>, as PyYAML's resolver implements it.
use super::Scalar;

/// A plain scalar that is not text, and neither nothing nor a boolean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typed {
    /// For messages.
    pub what: &'static str,
    /// Whether python shows the value as it is written.
    pub as_written: bool,
}

impl Scalar {
    /// `None` for text, nothing and booleans.
    pub fn typed(&self) -> Option<Typed> {
        if !self.plain || self.tag.is_some() {
            return None;
        }
        let text = self.text.expose();
        let found = |what, as_written| Some(Typed { what, as_written });
        if matches!(text, "=" | "<<") {
            return found("a special word", false);
        }
        if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
            return None;
        }
        if is_integer(text) {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit());
            return found(
                "a number",
                text == "0" || (is_decimal && !digits.starts_with('0')),
            );
        }
        if is_fraction(text) {
            return found("a number", is_shortest(text));
        }
        if is_date(text) {
            return found("a date", true);
        }
        is_time(text).then_some(Typed {
            what: "a time",
            as_written: false,
        })
    }

    /// The number that a template gets; `None` for anything else, and beyond 64 bits.
    pub fn integer(&self) -> Option<i64> {
        let text = self.text.expose();
        if !self.plain || self.tag.is_some() || !is_integer(text) {
            return None;
        }
        let plain = text.replace('_', "");
        let digits = plain.trim_start_matches(['-', '+']);
        let number = if let Some(binary) = digits.strip_prefix("0b") {
            i64::from_str_radix(binary, 2).ok()?
        } else if let Some(hexadecimal) = digits.strip_prefix("0x") {
            i64::from_str_radix(hexadecimal, 16).ok()?
        } else if digits.len() > 1 && digits.starts_with('0') {
            i64::from_str_radix(digits, 8).ok()?
        } else {
            digits.split(':').try_fold(0_i64, |whole, part| {
                whole.checked_mul(60)?.checked_add(part.parse().ok()?)
            })?
        };
        Some(if plain.starts_with('-') {
            -number
        } else {
            number
        })
    }
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

fn all(text: &str, inside: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(inside)
}

fn is_digits(text: &str) -> bool {
    all(text, |byte| byte.is_ascii_digit() || byte == b'_')
}

/// With `:` between groups of base 60 behind the first.
fn is_sexagesimal<'a>(mut groups: impl Iterator<Item = &'a str>) -> bool {
    groups.all(|group| match group.as_bytes() {
        [b'0'..=b'5', low] => low.is_ascii_digit(),
        [low] => low.is_ascii_digit(),
        _ => false,
    })
}

fn is_integer(text: &str) -> bool {
    let text = unsigned(text);
    if let Some(binary) = text.strip_prefix("0b") {
        return all(binary, |byte| matches!(byte, b'0' | b'1' | b'_'));
    }
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return all(hexadecimal, |byte| byte.is_ascii_hexdigit() || byte == b'_');
    }
    if let Some(octal) = text.strip_prefix('0') {
        return octal.bytes().all(|byte| matches!(byte, b'0'..=b'7' | b'_'));
    }
    let mut groups = text.split(':');
    let first = groups.next().unwrap_or_default();
    first.starts_with(|c: char| c.is_ascii_digit()) && is_digits(first) && is_sexagesimal(groups)
}

fn is_fraction(text: &str) -> bool {
    if matches!(unsigned(text), ".inf" | ".Inf" | ".INF")
        || matches!(text, ".nan" | ".NaN" | ".NAN")
    {
        return true;
    }
    let Some((whole, rest)) = unsigned(text).split_once('.') else {
        return false;
    };
    let (fraction, has_exponent) = match rest.split_once(['e', 'E']) {
        Some((fraction, exponent)) => {
            let signed = exponent.strip_prefix(['-', '+']);
            let good = signed.is_some_and(|digits| all(digits, |byte| byte.is_ascii_digit()));
            if !good {
                return false;
            }
            (fraction, true)
        }
        None => (rest, false),
    };
    let begins = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    if !fraction.is_empty() && !is_digits(fraction) {
        return false;
    }
    if whole.is_empty() {
        return begins(fraction) && text.starts_with('.');
    }
    let mut groups = whole.split(':');
    let first = groups.next().unwrap_or_default();
    let is_sixties = whole.contains(':');
    begins(first) && is_digits(first) && is_sexagesimal(groups) && !(is_sixties && has_exponent)
}

/// Whether python shows the fraction so.
fn is_shortest(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let Some((whole, fraction)) = digits.split_once('.') else {
        return false;
    };
    let is_plain = |text: &str| all(text, |byte| byte.is_ascii_digit());
    is_plain(whole)
        && is_plain(fraction)
        && (whole == "0" || !whole.starts_with('0'))
        && (fraction == "0" || !fraction.ends_with('0'))
        && !(whole == "0" && fraction.starts_with("0000"))
        && whole.len() + fraction.len() <= 15
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// `2024-1-1T0:00:00Z` and the like.
fn is_time(text: &str) -> bool {
    let Some((date, time)) = text.split_once(['T', 't', ' ', '\t']) else {
        return false;
    };
    let numbers = |text: &str, mark: char, longest: &[usize]| {
        let parts: Vec<&str> = text.split(mark).collect();
        parts.len() == longest.len()
            && parts.iter().zip(longest).all(|(part, longest)| {
                part.len() <= *longest && all(part, |byte| byte.is_ascii_digit())
            })
    };
    let time = time.trim_start_matches([' ', '\t']);
    let end = time
        .find(|c: char| !c.is_ascii_digit() && c != ':')
        .unwrap_or(time.len());
    let rest = time[end..].strip_prefix('.').unwrap_or(&time[end..]);
    let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let zone = zone.trim_start_matches([' ', '\t']);
    let offset = zone.strip_prefix(['-', '+']);
    numbers(date, '-', &[4, 2, 2])
        && numbers(&time[..end], ':', &[2, 2, 2])
        && (matches!(zone, "" | "Z")
            || offset.is_some_and(|text| numbers(text, ':', &[2, 2]) || numbers(text, ':', &[2])))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use crate::text::yaml::parse;

    /// What PyYAML makes of each: text, or a value that `str` shows so.
    #[test]
    fn as_pyyaml_types_them() {
        for (written, shown) in [
            ("a", None),
            ("0644", Some("420")),
            ("0o17", None),
            ("1.0", Some("1.0")),
            ("1e3", None),
            ("1.5e3", None),
            ("1.5e+3", Some("1500.0")),
            ("0x1F", Some("31")),
            ("0b11", Some("3")),
            ("1_000", Some("1000")),
            ("190:20:30", Some("685230")),
            ("1:30", Some("90")),
            ("1:60", None),
            ("01:30", None),
            ("52:54:00:12:34:56", Some("41135085296")),
            ("2024-01-01", Some("2024-01-01")),
            ("2024-01-01T00:00:00Z", Some("2024-01-01 00:00:00+00:00")),
            ("2024-1-1 0:00:00.5 +1", Some("")),
            ("2024-1-1", None),
            ("y", None),
            ("=", Some("")),
            (".inf", Some("inf")),
            ("+.INF", Some("inf")),
            (".nan", Some("nan")),
            ("-.nan", None),
            ("-1", Some("-1")),
            ("+1", Some("1")),
            ("-0", Some("0")),
            ("0", Some("0")),
            ("00", Some("0")),
            ("08", None),
            ("0.1.2", None),
            ("1.", Some("1.0")),
            (".5", Some("0.5")),
            ("-.5", None),
            (".", None),
            ("_1", None),
            ("1.50", Some("1.5")),
            ("-12.25", Some("-12.25")),
            ("0.00001", Some("1e-05")),
            ("10.0.0.1", None),
            ("12345678901234567890", Some("12345678901234567890")),
            ("'1'", None),
            ("!!str 1", None),
        ] {
            let root = parse(&format!("k: {written}\n")).unwrap().unwrap();
            let scalar = root.get("k").unwrap().scalar().unwrap();
            let typed = scalar.typed();
            assert_eq!(typed.is_some(), shown.is_some(), "{written}");
            if let (Some(typed), Some(shown)) = (typed, shown) {
                assert_eq!(typed.as_written, written == shown, "{written}");
            }
            let number = shown.and_then(|shown| shown.parse::<i64>().ok());
            assert_eq!(scalar.integer(), number, "{written}");
        }
    }
}
