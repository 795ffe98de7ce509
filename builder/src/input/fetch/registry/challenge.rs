//! `WWW-Authenticate`: how a registry wants to be logged in at
//! ([RFC 9110 section 11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1)).

use reqwest::header::{self, HeaderMap};

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Challenge {
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
    Basic,
}

impl Challenge {
    /// The best of those offered: a token is good for one image only.
    pub(super) fn of(headers: &HeaderMap) -> Option<Challenge> {
        let values = headers.get_all(header::WWW_AUTHENTICATE);
        let all: Vec<Challenge> = values
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(challenges)
            .collect();
        let bearer = all.iter().find(|c| matches!(c, Challenge::Bearer { .. }));
        bearer.or(all.first()).cloned()
    }
}

/// Those of one header.
fn challenges(value: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for item in split(value) {
        // `Scheme key=value` begins one, `key=value` belongs to the last.
        let (first, rest) = item.split_once(' ').unwrap_or((&item, ""));
        let (scheme, parameter) = match first.contains('=') {
            true => (None, item.as_str()),
            false => (Some(first), rest.trim()),
        };
        if let Some(scheme) = scheme {
            found.push((scheme.to_ascii_lowercase(), Vec::new()));
        }
        if let (Some((key, value)), Some((_, parameters))) =
            (parameter.split_once('='), found.last_mut())
        {
            parameters.push((key.trim().to_ascii_lowercase(), unquoted(value.trim())));
        }
    }
    found
        .into_iter()
        .filter_map(|(scheme, parameters)| challenge(&scheme, &parameters))
        .collect()
}

fn challenge(scheme: &str, parameters: &[(String, String)]) -> Option<Challenge> {
    let get = |wanted: &str| {
        let found = parameters.iter().find(|(key, _)| key == wanted);
        found.map(|(_, value)| value.clone())
    };
    match scheme {
        "bearer" => Some(Challenge::Bearer {
            realm: get("realm")?,
            service: get("service"),
            scope: get("scope"),
        }),
        "basic" => Some(Challenge::Basic),
        _ => None,
    }
}

/// At commas that are not within quotes.
fn split(value: &str) -> Vec<String> {
    let (mut items, mut item) = (Vec::new(), String::new());
    let (mut quoted, mut escaped) = (false, false);
    for c in value.chars() {
        match c {
            ',' if !quoted => items.push(std::mem::take(&mut item)),
            _ => item.push(c),
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    items.push(item);
    let trimmed = items.iter().map(|item| item.trim().to_owned());
    trimmed.filter(|item| !item.is_empty()).collect()
}

fn unquoted(value: &str) -> String {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    let Some(inner) = inner else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
            continue;
        }
        escaped = false;
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::of(&headers)
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
                scope: scope.map(str::to_owned),
            })
        };
        let docker = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let wanted = bearer(
            "https://auth.docker.io/token",
            Some("registry.docker.io"),
            Some("repository:a/b:pull,push"),
        );
        for (values, wanted) in [
            (&[docker][..], wanted.clone()),
            (&["Basic realm=\"x\"", docker], wanted.clone()),
            (&["Basic realm=\"a, Bearer b\""], Some(Challenge::Basic)),
            (
                &["basic realm=\"x\", bearer realm=y"],
                bearer("y", None, None),
            ),
            (&[r#"Bearer realm="a\"b""#], bearer("a\"b", None, None)),
            (&["Bearer service=\"x\""], None),
            (&["Negotiate"], None),
            (&["", ",,", "=", "Bearer"], None),
            (&[], None),
        ] {
            assert_eq!(of(values), wanted, "{values:?}");
        }
    }
}
