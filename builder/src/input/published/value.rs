//! Single values, as Go reads them.

use nodeimg_seed::text::suggest::{list, nearest};
use nodeimg_seed::text::yaml::{Entry, Kind, Node};
use serde_json::Value;

use super::check::named;
use super::plain;

/// What is wrong with a value of one of the basic types of `builder/data/kubernetes`.
pub fn misfit(wanted: &str, value: &Value) -> Option<String> {
    if let Some(words) = wanted.strip_prefix("enum ") {
        return not_one_of(words, value);
    }
    let (fits, must) = match wanted {
        "bool" => (value.is_boolean(), "`true` or `false`"),
        "float" => (value.is_number(), "a number"),
        "string" => (value.is_string(), "a string"),
        "duration" => (
            value.as_str().is_some_and(|text| seconds(text).is_some()),
            "a duration such as \"1h30m\" or \"10s\"",
        ),
        // Nanoseconds.
        "duration or int" if value.is_i64() => (true, ""),
        "duration or int" => return misfit("duration", value),
        "quantity" => (
            value.is_number() || value.as_str().is_some_and(is_quantity),
            "a quantity such as \"500m\" or \"2Gi\"",
        ),
        _ => match whole(wanted) {
            Some((least, most)) => return not_whole(value, least, most),
            // A type that this program does not judge.
            None => return None,
        },
    };
    (!fits).then(|| format!("must be {must}, not {}", shown(value)))
}

/// Durations and quantities are strings too: which one tells more.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() <= 40 => format!("{text:?}"),
        _ => named(value),
    }
}

fn not_one_of(words: &str, value: &Value) -> Option<String> {
    let words = || words.split('|');
    let Some(text) = value.as_str() else {
        return Some(format!("must be a string, not {}", named(value)));
    };
    // The default of its program.
    if text.is_empty() || words().any(|word| word == text) {
        return None;
    }
    let near = nearest(text, words());
    let near = near.map(|near| format!("; did you mean `{near}`?"));
    let all = list(words());
    Some(format!("must be one of {all}{}", near.unwrap_or_default()))
}

/// The range of one of Go's types for whole numbers.
fn whole(wanted: &str) -> Option<(i128, i128)> {
    let (bits, is_signed) = match wanted.strip_prefix("uint") {
        Some(bits) => (bits, false),
        None => (wanted.strip_prefix("int")?, true),
    };
    let bits: u32 = match bits {
        "" => 64,
        bits => bits.parse().ok().filter(|bits| *bits <= 64)?,
    };
    Some(match is_signed {
        true => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        false => (0, (1 << bits) - 1),
    })
}

fn not_whole(value: &Value, least: i128, most: i128) -> Option<String> {
    let number = value
        .as_i64()
        .map(i128::from)
        .or_else(|| value.as_u64().map(i128::from))
        // YAML's 5.0 is JSON's 5 to programs of Kubernetes.
        .or_else(|| value.as_f64().and_then(whole_of));
    match number {
        Some(number) if (least..=most).contains(&number) => None,
        Some(number) => Some(format!("must be between {least} and {most}, not {number}")),
        None => Some(format!("must be a whole number, not {}", named(value))),
    }
}

fn whole_of(number: f64) -> Option<i128> {
    (number.fract() == 0.0).then(|| format!("{number:.0}").parse().ok())?
}

/// How long a duration is that Go's `time.ParseDuration` takes: `15m`, `1h30m0.5s`, `-1s`.
pub fn seconds(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) if text.starts_with('-') => (-1.0, rest),
        Some(rest) => (1.0, rest),
        None => (1.0, text),
    };
    if rest == "0" {
        return Some(0.0);
    }
    let mut sum = 0.0;
    let mut is_empty = true;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let number: f64 = number.parse().ok()?;
        // The longer of two that start alike is first.
        let units = [
            ("ms", 1e-3),
            ("us", 1e-6),
            ("\u{b5}s", 1e-6),
            ("\u{3bc}s", 1e-6),
            ("ns", 1e-9),
            ("h", 3600.0),
            ("m", 60.0),
            ("s", 1.0),
        ];
        let (after, unit) = units
            .iter()
            .find_map(|(name, unit)| Some((after.strip_prefix(name)?, unit)))?;
        sum += number * unit;
        rest = after;
        is_empty = false;
    }
    (!is_empty).then_some(sign * sum)
}

/// As k8s.io/apimachinery's `resource.ParseQuantity` takes it: `500m`, `2Gi`, `1e3`.
pub fn is_quantity(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let is_number =
        number.contains(|c: char| c.is_ascii_digit()) && number.matches('.').count() <= 1;
    let exponent = |text: &str| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
    };
    let is_suffix = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ]
    .contains(&suffix)
        || suffix.strip_prefix(['e', 'E']).is_some_and(exponent);
    is_number && is_suffix
}

/// A document of YAML 1.1, which is what Kubernetes reads, as JSON.
pub fn of_yaml(node: &Node) -> Value {
    match &node.kind {
        Kind::Mapping(entries) => {
            let entry = |entry: &Entry| (entry.key.expose().to_owned(), of_yaml(&entry.value));
            entries.iter().map(entry).collect()
        }
        Kind::Sequence(items) => items.iter().map(of_yaml).collect(),
        Kind::Scalar(scalar) if scalar.plain => plain::value(scalar.text()),
        Kind::Scalar(scalar) => Value::from(scalar.text()),
    }
}
