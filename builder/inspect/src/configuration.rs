//! Files of settings as keys and values, so that two can be compared by what they say.

use std::collections::BTreeMap;

use serde_json::Value;

/// A file's settings: keys as their paths (`spec.ports[0].name`), values as text.
pub type Settings = BTreeMap<String, String>;

/// Suffixes of units and other files of systemd, which have sections.
const UNITS: [&str; 13] = [
    "service",
    "socket",
    "target",
    "timer",
    "mount",
    "automount",
    "path",
    "slice",
    "swap",
    "network",
    "link",
    "netdev",
    "preset",
];

/// Reads the file at `path`: TOML, JSON, YAML, systemd's files, `key = value` lines. Every other
/// text is its lines, as keys without a value; `None` if it is not text.
pub fn settings(path: &str, bytes: &[u8]) -> Option<Settings> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.contains('\0') {
        return None;
    }
    let suffix = path.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    let value = match suffix {
        "toml" => toml::from_str::<Value>(text).ok(),
        "json" | "conflist" => serde_json::from_str(text).ok(),
        "yaml" | "yml" | "kubeconfig" => documents(text),
        _ => None,
    };
    if let Some(value) = value {
        let mut settings = Settings::new();
        flatten(&value, String::new(), &mut settings);
        return Some(settings);
    }
    let in_sections = text.lines().any(|line| {
        let line = line.trim();
        line.starts_with('[') && line.ends_with(']')
    });
    Some(
        if UNITS.contains(&suffix) || (suffix == "conf" && in_sections) {
            sections(text)
        } else {
            lines(text)
        },
    )
}

/// One document as itself, several as a list.
fn documents(text: &str) -> Option<Value> {
    let mut all: Vec<Value> = serde_saphyr::from_multiple(text).ok()?;
    match all.len() {
        1 => all.pop(),
        _ => Some(Value::Array(all)),
    }
}

fn flatten(value: &Value, path: String, settings: &mut Settings) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let plain = key
                    .chars()
                    .all(|letter| letter.is_alphanumeric() || "-_".contains(letter));
                let key = if plain {
                    key.clone()
                } else {
                    format!("{key:?}")
                };
                let dot = if path.is_empty() { "" } else { "." };
                flatten(value, format!("{path}{dot}{key}"), settings);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                flatten(value, format!("{path}[{index}]"), settings);
            }
        }
        Value::String(text) => {
            settings.insert(path, text.clone());
        }
        other => {
            settings.insert(path, other.to_string());
        }
    }
}

/// systemd.syntax(7): sections, keys that may stand more than once, lines that go on.
fn sections(text: &str) -> Settings {
    let mut settings = Settings::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut section = String::new();
    let joined = text.replace("\\\n", " ");
    for line in joined.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            name.clone_into(&mut section);
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let key = match section.as_str() {
            "" => key.trim().to_owned(),
            section => format!("{section}.{}", key.trim()),
        };
        let count = counts.entry(key.clone()).or_default();
        *count += 1;
        let key = if *count == 1 {
            key
        } else {
            format!("{key}[{count}]")
        };
        settings.insert(key, value.trim().to_owned());
    }
    settings
}

/// Lines without comments; `key = value` where every line is such a one, as in sysctl.d.
fn lines(text: &str) -> Settings {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
        .collect();
    let pair = |line: &&str| {
        let (key, value) = line.split_once('=')?;
        let key = key.trim();
        (!key.is_empty() && !key.contains(char::is_whitespace))
            .then(|| (key.to_owned(), value.trim().to_owned()))
    };
    let pairs: Option<Settings> = lines.iter().map(pair).collect();
    match pairs {
        Some(pairs) if pairs.len() == lines.len() => pairs,
        _ => lines
            .iter()
            .map(|line| ((*line).to_owned(), String::new()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(path: &str, text: &str) -> Vec<String> {
        let settings = settings(path, text.as_bytes()).unwrap();
        settings
            .iter()
            .map(|(key, value)| format!("{key} -> {value}"))
            .collect()
    }

    #[test]
    fn every_format_is_keys_and_values() {
        assert_eq!(
            read(
                "/etc/containerd/config.toml",
                "version = 3\n[plugins.\"io.x.y\"]\na = [1, \"b\"]\n"
            ),
            [
                "plugins.\"io.x.y\".a[0] -> 1",
                "plugins.\"io.x.y\".a[1] -> b",
                "version -> 3"
            ]
        );
        assert_eq!(
            read("/k.yaml", "kind: A\nx: {y: true}\n---\nkind: B\n"),
            ["[0].kind -> A", "[0].x.y -> true", "[1].kind -> B"]
        );
        assert_eq!(
            read("/n.conflist", r#"{"name":"x","plugins":[]}"#),
            ["name -> x", "plugins -> []"]
        );
        assert_eq!(
            read(
                "/a.service",
                "[Service]\n# no\nExecStart=\nExecStart=/bin/a \\\n  b\n"
            ),
            [
                "Service.ExecStart -> ",
                "Service.ExecStart[2] -> /bin/a    b"
            ]
        );
        assert_eq!(
            read("/etc/sysctl.d/k.conf", "a.b = 1\nc=2\n"),
            ["a.b -> 1", "c -> 2"]
        );
        assert_eq!(
            read("/etc/hosts", "127.0.0.1 a\n# x\n::1 b\n"),
            ["127.0.0.1 a -> ", "::1 b -> "]
        );
    }

    #[test]
    fn what_is_not_text_is_not_read() {
        assert_eq!(settings("/etc/x", &[0xff, 0xfe]), None);
        assert_eq!(settings("/etc/x", b"a\0b"), None);
    }
}
