//! A plain scalar of YAML, as programs of Kubernetes read it.

use serde_json::Value;

/// What go-yaml, the YAML library of Kubernetes' programs, takes a plain scalar for
/// (`sigs.k8s.io/yaml/goyaml.v2/resolve.go`).
pub fn value(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Value::from(text);
    }
    let plain = text.replace('_', "");
    let whole = integer(&plain);
    if let Some(number) = whole.and_then(|number| i64::try_from(number).ok()) {
        return Value::from(number);
    }
    if let Some(number) = whole.and_then(|number| u64::try_from(number).ok()) {
        return Value::from(number);
    }
    let number = plain.parse::<f64>().ok().filter(|_| is_fraction(&plain));
    match number.and_then(serde_json::Number::from_f64) {
        Some(number) => Value::Number(number),
        None => Value::from(text),
    }
}

/// `strconv.ParseInt` with the base that the text itself says.
fn integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let lower = digits.to_ascii_lowercase();
    let bases = [("0x", 16), ("0b", 2), ("0o", 8)];
    let based = bases
        .iter()
        .find_map(|(mark, base)| Some((lower.strip_prefix(mark)?, *base)));
    let (digits, base) = match based {
        Some(found) => found,
        None if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        None => (lower.as_str(), 10),
    };
    // `from_str_radix` alone would take another sign.
    let number = digits
        .chars()
        .all(|c| c.is_ascii_alphanumeric())
        .then(|| i128::from_str_radix(digits, base).ok())??;
    Some(if text.starts_with('-') {
        -number
    } else {
        number
    })
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_fraction(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (number, exponent) = match rest.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (rest, None),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = match number.split_once('.') {
        Some(("", after)) => !after.is_empty() && is_digits(after),
        Some((before, after)) => is_digits(before) && is_digits(after),
        None => !number.is_empty() && is_digits(number),
    };
    let is_exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !digits.is_empty() && is_digits(digits)
    });
    is_number && is_exponent
}
