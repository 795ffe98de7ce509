//! `nodeimg.registries`: by name, what this node has to know of each registry.
use std::collections::BTreeMap;

use super::{at_value, unknown};
use crate::contract::registries::Registry;
use crate::text::field::Field;
use crate::text::problem::{Place, Problems};

/// An entry, and where its parts are.
#[derive(Default)]
pub struct Given {
    pub said: Registry,
    pub place: Place,
    pub keys: BTreeMap<&'static str, Place>,
    /// Of each mirror.
    pub mirrors: Vec<Place>,
}

const KEYS: [&str; 9] = [
    "ca",
    "cert",
    "fallback",
    "key",
    "mirrors",
    "password",
    "plain_http",
    "token",
    "username",
];

pub(super) fn read(field: &Field<'_>, problems: &mut Problems) -> BTreeMap<String, Given> {
    let mut all = BTreeMap::new();
    for mut member in field.members(problems).unwrap_or_default() {
        // These names have more than those of keys, and are not secret.
        if is_like_a_name(member.name) {
            member.field.place.key = Some(format!("nodeimg.registries.{}", member.name));
        }
        let given = registry(&member.field, problems);
        all.insert(member.name.to_owned(), given);
    }
    all
}

/// A line of a private key, as a key by a wrong indentation, has uppercase letters.
fn is_like_a_name(text: &str) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-:/[]".contains(c);
    text.len() <= 253 && text.chars().all(inside)
}

fn registry(field: &Field<'_>, problems: &mut Problems) -> Given {
    let mut given = Given {
        place: field.place.clone(),
        ..Given::default()
    };
    for member in field.members(problems).unwrap_or_default() {
        let Some(key) = KEYS.iter().find(|key| **key == member.name) else {
            unknown(&member.field, member.name, KEYS.into_iter(), problems);
            continue;
        };
        value(&mut given, key, &member.field, problems);
    }
    given
}

fn value(given: &mut Given, key: &'static str, field: &Field<'_>, problems: &mut Problems) {
    let Registry { public, private } = &mut given.said;
    let mut place = field.place.clone();
    match key {
        "mirrors" => {
            for mirror in field.texts(problems) {
                public.mirrors.push(mirror.value);
                given.mirrors.push(mirror.place);
            }
        }
        "fallback" => public.fallback = field.boolean(problems),
        "plain_http" => public.plain_http = field.boolean(problems),
        "username" => private.username = field.text(problems).map(|text| text.value),
        "password" => private.password = field.secret(problems).map(|secret| secret.value),
        "token" => private.token = field.secret(problems).map(|secret| secret.value),
        _ => {
            let Some(pem) = at_value(field, problems) else {
                return;
            };
            place = pem.place;
            match key {
                "ca" => public.ca = Some(pem.value.expose().to_owned()),
                "cert" => private.cert = Some(pem.value.expose().to_owned()),
                _ => private.key = Some(pem.value),
            }
        }
    }
    given.keys.insert(key, place);
}
