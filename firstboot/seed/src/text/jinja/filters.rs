//! Filters, tests and the methods of strings, by name.
use super::case::{capitalised, refuse_title_case, titled, titled_by_letters};
use super::expression::Arguments;
use super::value::Value;

/// Why a filter failed: reason and remedy.
pub(super) type Failure = (String, String);

pub(super) const FILTERS: [&str; 16] = [
    "capitalize",
    "count",
    "d",
    "default",
    "first",
    "int",
    "join",
    "last",
    "length",
    "lower",
    "replace",
    "split",
    "string",
    "title",
    "trim",
    "upper",
];

pub(super) const TESTS: [&str; 6] = [
    "defined",
    "undefined",
    "none",
    "string",
    "number",
    "mapping",
];

const METHODS: [&str; 9] = [
    "endswith",
    "get",
    "lower",
    "replace",
    "split",
    "startswith",
    "strip",
    "title",
    "upper",
];

/// No value may grow beyond this by one filter.
pub(super) const MAX_VALUE: usize = 4 << 20;

fn unknown(what: &str, name: &str, known: &[&str]) -> Failure {
    let remedy = match crate::text::suggest::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "there are {}",
            crate::text::suggest::list(known.iter().copied())
        ),
    };
    (format!("has an unknown {what} `{name}`"), remedy)
}

fn misfit(name: &str, value: &Value) -> Failure {
    let reason = format!(
        "passes {} to `{name}`, which does not accept it",
        value.what()
    );
    (reason, "correct the expression".to_owned())
}

fn text_of<'a>(name: &str, value: &'a Value) -> Result<std::borrow::Cow<'a, str>, Failure> {
    match value {
        Value::Text(text) => Ok(text.as_str().into()),
        Value::Int(_) | Value::Bool(_) => Ok(value.shown().into()),
        other => Err(misfit(name, other)),
    }
}

impl Arguments<Value> {
    /// The arguments of these names, in their order.
    fn named<const N: usize>(
        self,
        of: &str,
        names: [&str; N],
    ) -> Result<[Option<Value>; N], Failure> {
        let unknown = |what: &str| {
            let reason = format!("passes {what} to `{of}`, which is not supported");
            (reason, "correct the expression".to_owned())
        };
        let mut values = [const { None }; N];
        for (index, value) in self.by_place.into_iter().enumerate() {
            let place = values.get_mut(index);
            *place.ok_or_else(|| unknown("another argument"))? = Some(value);
        }
        for (name, value) in self.by_name {
            let index = names.iter().position(|known| *known == name);
            match index.map(|index| &mut values[index]) {
                Some(place @ None) => *place = Some(value),
                _ => return Err(unknown(&format!("`{name}`"))),
            }
        }
        Ok(values)
    }
}

/// In the place of names that only python knows: such arguments come by place alone.
const BY_PLACE: &str = "";

/// Applies a filter. Only `default` takes an undefined value.
pub(super) fn filter(
    name: &str,
    value: &Value,
    arguments: Arguments<Value>,
) -> Result<Value, Failure> {
    if !FILTERS.contains(&name) {
        return Err(unknown("filter", name, &FILTERS));
    }
    let text = || text_of(name, value);
    Ok(match name {
        "default" | "d" => {
            // The second argument makes empty values count as missing too.
            let [other, empty_too] = arguments.named(name, ["default_value", "boolean"])?;
            let empty_too = empty_too.is_some_and(|value| value.truth());
            match value {
                Value::Undefined { .. } => other.unwrap_or_else(|| Value::text("")),
                value if empty_too && !value.truth() => other.unwrap_or_else(|| Value::text("")),
                value => value.clone(),
            }
        }
        "replace" => {
            let [from, to, count] = arguments.named(name, ["old", "new", "count"])?;
            replace(name, &text()?, [from, to, count])?
        }
        "split" => {
            let [by, most] = arguments.named(name, ["sep", "maxsplit"])?;
            split(name, &text()?, by, most)?
        }
        "trim" => {
            let [characters] = arguments.named(name, ["chars"])?;
            trim(name, &text()?, characters)?
        }
        "int" => {
            let [other] = arguments.named(name, ["default"])?;
            int(value, other)?
        }
        "join" => {
            let [by] = arguments.named(name, ["d"])?;
            join(name, value, by.as_ref())?
        }
        _ => {
            let [] = arguments.named(name, [])?;
            match name {
                "lower" => Value::Text(text()?.to_lowercase()),
                "upper" => Value::Text(text()?.to_uppercase()),
                "title" => Value::Text(titled(&text()?)),
                "capitalize" => {
                    let text = text()?;
                    refuse_title_case(name, text.chars().next())?;
                    Value::Text(capitalised(&text))
                }
                "string" => Value::Text(value.shown()),
                "first" => end(name, value, true)?,
                "last" => end(name, value, false)?,
                _ => Value::Int(length(name, value)?),
            }
        }
    })
}

pub(super) fn test(name: &str, value: &Value) -> Result<bool, Failure> {
    Ok(match name {
        "defined" => !matches!(value, Value::Undefined { .. }),
        "undefined" => matches!(value, Value::Undefined { .. }),
        "none" => *value == Value::None,
        "string" => matches!(value, Value::Text(_)),
        // To python, a boolean is a number.
        "number" => matches!(value, Value::Int(_) | Value::Bool(_)),
        "mapping" => matches!(value, Value::Map(_)),
        _ => return Err(unknown("test", name, &TESTS)),
    })
}

/// `value.name(arguments)`.
pub(super) fn method(
    name: &str,
    value: &Value,
    arguments: Arguments<Value>,
) -> Result<Value, Failure> {
    if !METHODS.contains(&name) {
        return Err(unknown("method", name, &METHODS));
    }
    if name == "get" {
        let [wanted, other] = arguments.named(name, [BY_PLACE; 2])?;
        let (Value::Map(members), Some(Value::Text(wanted))) = (value, wanted) else {
            return Err(misfit(name, value));
        };
        let found = members.iter().rev().find(|(member, _)| *member == wanted);
        return Ok(found.map_or(other.unwrap_or(Value::None), |(_, value)| value.clone()));
    }
    let Value::Text(text) = value else {
        return Err(misfit(name, value));
    };
    Ok(match name {
        "startswith" | "endswith" => {
            let [part] = arguments.named(name, [BY_PLACE])?;
            let Some(Value::Text(part)) = part else {
                return Err(misfit(name, &part.unwrap_or(Value::None)));
            };
            Value::Bool(match name {
                "startswith" => text.starts_with(&part),
                _ => text.ends_with(&part),
            })
        }
        "strip" => {
            let [characters] = arguments.named(name, [BY_PLACE])?;
            trim(name, text, characters)?
        }
        "replace" => replace(name, text, arguments.named(name, [BY_PLACE; 3])?)?,
        "title" => {
            let [] = arguments.named(name, [])?;
            refuse_title_case(name, text.chars())?;
            Value::Text(titled_by_letters(text))
        }
        _ => filter(name, value, arguments)?,
    })
}

fn trim(name: &str, text: &str, characters: Option<Value>) -> Result<Value, Failure> {
    match characters {
        None | Some(Value::None) => Ok(Value::text(text.trim())),
        Some(Value::Text(set)) => Ok(Value::text(text.trim_matches(|c| set.contains(c)))),
        Some(other) => Err(misfit(name, &other)),
    }
}

/// How many times at most; `None` if there is no limit.
fn limit(name: &str, count: Option<Value>) -> Result<Option<usize>, Failure> {
    match count {
        None => Ok(None),
        // Any negative number.
        Some(Value::Int(count)) => Ok(usize::try_from(count).ok()),
        Some(other) => Err(misfit(name, &other)),
    }
}

fn replace(
    name: &str,
    text: &str,
    [from, to, count]: [Option<Value>; 3],
) -> Result<Value, Failure> {
    let (Some(from), Some(to)) = (from, to) else {
        let reason = "has `replace` without the two texts that it takes".to_owned();
        return Err((reason, "write `replace('old', 'new')`".to_owned()));
    };
    let (from, to) = (text_of(name, &from)?, text_of(name, &to)?);
    let count = match count {
        Some(Value::None) => None,
        count => limit(name, count)?,
    };
    if from.is_empty() {
        let reason = "has `replace` of an empty text".to_owned();
        return Err((reason, "name the text to replace".to_owned()));
    }
    let found = text.matches(from.as_ref()).count();
    if text.len().saturating_add(found.saturating_mul(to.len())) > MAX_VALUE {
        return Err(too_large());
    }
    let count = count.unwrap_or(usize::MAX);
    Ok(Value::Text(text.replacen(from.as_ref(), &to, count)))
}

pub(super) fn too_large() -> Failure {
    let reason = "produces a value that is too large".to_owned();
    (reason, "make it smaller".to_owned())
}

fn split(name: &str, text: &str, by: Option<Value>, most: Option<Value>) -> Result<Value, Failure> {
    let most = limit(name, most)?;
    let parts: Vec<&str> = match (by, most) {
        (None | Some(Value::None), None) => text.split_whitespace().collect(),
        (None | Some(Value::None), Some(_)) => {
            let reason = "has `split` at blanks with a limit, which is not supported".to_owned();
            return Err((reason, "name the separator".to_owned()));
        }
        (Some(by), most) => {
            let by = text_of(name, &by)?;
            if by.is_empty() {
                return Err(misfit(name, &Value::None));
            }
            let most = most.map_or(usize::MAX, |most| most.saturating_add(1));
            text.splitn(most, by.as_ref()).collect()
        }
    };
    Ok(Value::List(parts.into_iter().map(Value::text).collect()))
}

/// As in jinja: a fraction is cut off, and anything that is not a number becomes the
/// argument, or 0.
fn int(value: &Value, other: Option<Value>) -> Result<Value, Failure> {
    let number = match value {
        Value::Int(number) => Some(*number),
        Value::Bool(value) => Some(i64::from(*value)),
        Value::Text(text) => number(text.trim())?,
        _ => None,
    };
    Ok(number.map_or_else(|| other.unwrap_or(Value::Int(0)), Value::Int))
}

/// A number as python reads it, which allows `_` between two digits.
fn number(text: &str) -> Result<Option<i64>, Failure> {
    if text.contains(|c: char| c.is_numeric() && !c.is_ascii()) {
        let reason = "passes digits other than 0 to 9 to `int`, which is not supported";
        return Err((reason.to_owned(), "write 0 to 9".to_owned()));
    }
    let is_digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let is_between = |(at, _)| at > 0 && is_digit(at - 1) && is_digit(at + 1);
    if !text.match_indices('_').all(is_between) {
        return Ok(None);
    }
    let plain = text.replace('_', "");
    if let Ok(number) = plain.parse() {
        return Ok(Some(number));
    }
    let number = plain
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite());
    number.map(whole).transpose()
}

/// Without its fraction. Not by its digits: what prints floats is 10 KiB of the binary.
#[allow(clippy::cast_possible_truncation)]
fn whole(number: f64) -> Result<i64, Failure> {
    /// The first one that is too large; the smallest number is its negative.
    const END: f64 = 9_223_372_036_854_775_808.0;
    let whole = number.trunc();
    match (-END..END).contains(&whole) {
        true => Ok(whole as i64),
        false => Err(too_large()),
    }
}

fn end(name: &str, value: &Value, first: bool) -> Result<Value, Failure> {
    fn one<T>(mut all: impl DoubleEndedIterator<Item = T>, first: bool) -> Option<T> {
        if first { all.next() } else { all.next_back() }
    }
    let found = match value {
        Value::List(items) => one(items.iter(), first).cloned(),
        Value::Text(text) => one(text.chars(), first).map(|c| Value::Text(c.to_string())),
        other => return Err(misfit(name, other)),
    };
    Ok(found.unwrap_or_else(|| Value::Undefined {
        asked: name.to_owned(),
        near: None,
    }))
}

fn length(name: &str, value: &Value) -> Result<i64, Failure> {
    let length = match value {
        Value::Text(text) => text.chars().count(),
        Value::List(items) => items.len(),
        Value::Map(members) => members.len(),
        other => return Err(misfit(name, other)),
    };
    Ok(i64::try_from(length).unwrap_or(i64::MAX))
}

fn join(name: &str, value: &Value, by: Option<&Value>) -> Result<Value, Failure> {
    let Value::List(items) = value else {
        return Err(misfit(name, value));
    };
    let by = match by {
        Some(by) => text_of(name, by)?.into_owned(),
        None => String::new(),
    };
    let size = value
        .size()
        .saturating_add(by.len().saturating_mul(items.len()));
    if size > MAX_VALUE {
        return Err(too_large());
    }
    let items: Vec<String> = items.iter().map(Value::shown).collect();
    Ok(Value::Text(items.join(&by)))
}
