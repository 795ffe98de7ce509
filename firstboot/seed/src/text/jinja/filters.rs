//! Filters, tests and the methods of strings, by name.
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

/// Applies a filter to a value that is defined; `default` sees undefined ones before.
pub(super) fn filter(name: &str, value: &Value, arguments: &[Value]) -> Result<Value, Failure> {
    let text = || text_of(name, value);
    let argument = |index: usize| arguments.get(index);
    Ok(match name {
        "default" | "d" => {
            // The second argument makes empty values count as missing too.
            let empty_too = argument(1).is_some_and(Value::truth);
            match argument(0) {
                Some(other) if empty_too && !value.truth() => other.clone(),
                _ => value.clone(),
            }
        }
        "lower" => Value::Text(text()?.to_lowercase()),
        "upper" => Value::Text(text()?.to_uppercase()),
        "title" => Value::Text(titled(&text()?)),
        "capitalize" => Value::Text(capitalised(&text()?)),
        "trim" => Value::Text(text()?.trim().to_owned()),
        "string" => Value::Text(value.shown()),
        "replace" => replace(name, &text()?, argument(0), argument(1))?,
        "split" => split(name, &text()?, argument(0))?,
        "int" => int(value, argument(0)),
        "first" => end(value, true),
        "last" => end(value, false),
        "length" | "count" => Value::Int(length(name, value)?),
        "join" => join(name, value, argument(0))?,
        _ => return Err(unknown("filter", name, &FILTERS)),
    })
}

pub(super) fn test(name: &str, value: &Value) -> Result<bool, Failure> {
    Ok(match name {
        "defined" => !matches!(value, Value::Undefined { .. }),
        "undefined" => matches!(value, Value::Undefined { .. }),
        "none" => *value == Value::None,
        "string" => matches!(value, Value::Text(_)),
        "number" => matches!(value, Value::Int(_)),
        "mapping" => matches!(value, Value::Map(_)),
        _ => return Err(unknown("test", name, &TESTS)),
    })
}

/// `value.name(arguments)`.
pub(super) fn method(name: &str, value: &Value, arguments: &[Value]) -> Result<Value, Failure> {
    if !METHODS.contains(&name) {
        return Err(unknown("method", name, &METHODS));
    }
    if name == "get" {
        let (Value::Map(members), Some(Value::Text(wanted))) = (value, arguments.first()) else {
            return Err(misfit(name, value));
        };
        let found = members.iter().rev().find(|(member, _)| member == wanted);
        let other = arguments.get(1).cloned().unwrap_or(Value::None);
        return Ok(found.map_or(other, |(_, value)| value.clone()));
    }
    let Value::Text(text) = value else {
        return Err(misfit(name, value));
    };
    let first = arguments.first();
    Ok(match name {
        "startswith" | "endswith" => {
            let Some(Value::Text(part)) = first else {
                return Err(misfit(name, first.unwrap_or(&Value::None)));
            };
            Value::Bool(if name == "startswith" {
                text.starts_with(part)
            } else {
                text.ends_with(part)
            })
        }
        "strip" => match first {
            Some(Value::Text(set)) => Value::text(text.trim_matches(|c| set.contains(c))),
            _ => Value::text(text.trim()),
        },
        "split" => split(name, text, first)?,
        "replace" => replace(name, text, first, arguments.get(1))?,
        _ => filter(name, value, arguments)?,
    })
}

fn replace(
    name: &str,
    text: &str,
    from: Option<&Value>,
    to: Option<&Value>,
) -> Result<Value, Failure> {
    let (Some(from), Some(to)) = (from, to) else {
        let reason = "has `replace` without the two texts that it takes".to_owned();
        return Err((reason, "write `replace('old', 'new')`".to_owned()));
    };
    let (from, to) = (text_of(name, from)?, text_of(name, to)?);
    if from.is_empty() {
        return Ok(Value::text(text));
    }
    let found = text.matches(from.as_ref()).count();
    if text.len().saturating_add(found.saturating_mul(to.len())) > MAX_VALUE {
        return Err(too_large());
    }
    Ok(Value::Text(text.replace(from.as_ref(), &to)))
}

pub(super) fn too_large() -> Failure {
    let reason = "produces a value that is too large".to_owned();
    (reason, "make it smaller".to_owned())
}

fn split(name: &str, text: &str, by: Option<&Value>) -> Result<Value, Failure> {
    let parts: Vec<&str> = match by {
        None | Some(Value::None) => text.split_whitespace().collect(),
        Some(by) => {
            let by = text_of(name, by)?;
            if by.is_empty() {
                return Err(misfit(name, &Value::None));
            }
            text.split(by.as_ref()).collect()
        }
    };
    Ok(Value::List(parts.into_iter().map(Value::text).collect()))
}

/// As in jinja: anything that is not a number becomes the argument, or 0.
fn int(value: &Value, other: Option<&Value>) -> Value {
    let number = match value {
        Value::Int(number) => Some(*number),
        Value::Bool(value) => Some(i64::from(*value)),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    match (number, other) {
        (Some(number), _) => Value::Int(number),
        (None, Some(other)) => other.clone(),
        (None, None) => Value::Int(0),
    }
}

fn end(value: &Value, first: bool) -> Value {
    let missing = || Value::Undefined {
        asked: (if first { "first" } else { "last" }).to_owned(),
        near: None,
    };
    match value {
        Value::List(items) => {
            let found = if first { items.first() } else { items.last() };
            found.cloned().unwrap_or_else(missing)
        }
        Value::Text(text) => {
            let found = if first {
                text.chars().next()
            } else {
                text.chars().next_back()
            };
            found.map_or_else(missing, |c| Value::Text(c.to_string()))
        }
        _ => missing(),
    }
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

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first
        .chain(characters.as_str().to_lowercase().chars())
        .collect()
}

fn titled(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_alphanumeric());
    words.map(capitalised).collect()
}
