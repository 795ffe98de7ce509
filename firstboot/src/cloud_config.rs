//! user-data: which kind it is, and the keys of a `#cloud-config` that are read.
//!
//! Spec: <https://cloudinit.readthedocs.io/en/latest/explanation/format.html>.
//! Of cloud-init's forms only `#cloud-config` is read; every other one is
//! refused by its name, so that a seed is never silently ignored. Of the keys,
//! host names and the `nodeimg:` block are taken, passwords are refused, and
//! the rest is reported by name.
use crate::field::{Field, shown};
use crate::node_config::{self, NodeConfig};
use crate::problem::{Located, Place, Problems};
use crate::seed::SeedFile;
use crate::settings::Profile;
use crate::yaml::{self, Node};

/// What user-data says.
#[derive(Default)]
pub struct UserData {
    pub hostname: Option<Located<String>>,
    pub fqdn: Option<Located<String>>,
    pub prefer_fqdn: bool,
    pub node: NodeConfig,
}

/// A top-level key: its name and what is done with it.
struct Key {
    name: &'static str,
    read: fn(&mut UserData, &Field<'_>, Profile, &mut Problems),
}

const KEYS: &[Key] = &[
    Key {
        name: "hostname",
        read: |data, field, _, problems| data.hostname = field.text(problems),
    },
    Key {
        name: "fqdn",
        read: |data, field, _, problems| data.fqdn = field.text(problems),
    },
    Key {
        name: "prefer_fqdn_over_hostname",
        read: |data, field, _, problems| {
            data.prefer_fqdn = field.boolean(problems).unwrap_or(false);
        },
    },
    Key {
        name: "nodeimg",
        read: |data, field, profile, problems| {
            data.node = node_config::read(field, profile, problems);
        },
    },
];

/// Keys that set passwords or let them in. Refused: a node has no passwords.
const PASSWORD_KEYS: &[&str] = &[
    "chpasswd",
    "hashed_passwd",
    "passwd",
    "password",
    "plain_text_passwd",
    "ssh_pwauth",
];

/// Reads user-data; whatever is wrong with it lands in `problems`. `None` when
/// it cannot be read at all, so that nobody complains of missing keys as well.
pub fn read(file: &SeedFile, profile: Profile, problems: &mut Problems) -> Option<UserData> {
    let mut data = UserData::default();
    let place = Place::file(&file.name);
    let text = match text_of(file) {
        Ok(Some(text)) => text,
        Ok(None) => return Some(data),
        Err(refusal) => {
            problems.error(&place.line(1), refusal.found, refusal.remedy);
            return None;
        }
    };
    let root = match yaml::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let reason = format!(
                "is no valid YAML (column {}): {}",
                error.column, error.reason
            );
            problems.error(&place.line(error.line), reason, "correct the YAML");
            return None;
        }
    };
    let Some(root) = root else {
        let reason = "holds no keys after `#cloud-config`";
        problems.warn(&place.line(1), reason, "");
        return Some(data);
    };
    read_keys(&mut data, &file.name, &root, profile, problems)?;
    Some(data)
}

fn read_keys(
    data: &mut UserData,
    file: &str,
    root: &Node,
    profile: Profile,
    problems: &mut Problems,
) -> Option<()> {
    let Some(entries) = root.entries() else {
        let reason = format!("is {}, not a mapping of keys", root.what());
        problems.error(
            &Place::file(file).line(root.line),
            reason,
            "write `key: value` lines",
        );
        return None;
    };
    for entry in entries {
        let name = entry.key.expose();
        let field = Field::top(file, shown(name), entry.line, &entry.value);
        if let Some(key) = KEYS.iter().find(|key| key.name == name) {
            (key.read)(data, &field, profile, problems);
        } else if PASSWORD_KEYS.contains(&name) && gives_password(name, &entry.value) {
            let reason = "sets or lets in a password, and a node image has none";
            problems.error(&field.place, reason, "remove it; use SSH keys");
        } else {
            problems.warn(
                &field.place,
                "is not read by this version and has no effect",
                "",
            );
        }
    }
    Some(())
}

/// `chpasswd: {expire: false}` and `ssh_pwauth: false` set nothing; Proxmox writes the former always.
fn gives_password(name: &str, value: &Node) -> bool {
    match name {
        "chpasswd" => value
            .entries()
            .is_none_or(|entries| entries.iter().any(|entry| entry.key.expose() != "expire")),
        "ssh_pwauth" => value.scalar().and_then(yaml::Scalar::boolean) != Some(false),
        _ => true,
    }
}

/// Why user-data is not read, and what would be.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    found: String,
    remedy: String,
}

const HEADER: &str = "#cloud-config";

/// The YAML text of a `#cloud-config`; `None` for an empty file.
fn text_of(file: &SeedFile) -> Result<Option<&str>, Refusal> {
    let bytes: &[u8] = &file.bytes;
    let refuse = |found: &str, remedy: &str| {
        Err(Refusal {
            found: found.to_owned(),
            remedy: remedy.to_owned(),
        })
    };
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return refuse("is compressed with gzip", REMEDY);
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || bytes.contains(&0) {
        return refuse("is UTF-16 or binary, not UTF-8 text", "save it as UTF-8");
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return refuse("is not UTF-8 text", "save it as UTF-8");
    };
    let first = text.trim_start().lines().next().unwrap_or("");
    if first.is_empty() {
        return Ok(None);
    }
    if let Some(rest) = first.strip_prefix(HEADER)
        && (rest.is_empty() || rest.starts_with([' ', '\t', '\r']))
    {
        return Ok(Some(text));
    }
    let (found, remedy) = kind_of(first, text);
    refuse(found, remedy)
}

const REMEDY: &str =
    "this version reads `#cloud-config` only; give the `nodeimg:` values as `#cloud-config`";
const ADD_HEADER: &str = "make the first line exactly `#cloud-config`";

/// Names what the first line begins.
fn kind_of(first: &str, text: &str) -> (&'static str, &'static str) {
    let begins = |prefix: &str| {
        first
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let kinds: [(&str, &str); 12] = [
        ("## template:", "is a jinja template (`## template:`)"),
        ("#cloud-config-archive", "is a `#cloud-config-archive`"),
        ("#cloud-config-jsonp", "is a `#cloud-config-jsonp` patch"),
        ("#!", "is a script (`#!`)"),
        ("#include", "is an `#include` list"),
        ("#cloud-boothook", "is a `#cloud-boothook`"),
        ("#upstart-job", "is an `#upstart-job`"),
        ("#part-handler", "is a `#part-handler`"),
        ("content-type:", "is MIME multipart (`Content-Type:`)"),
        ("mime-version:", "is MIME multipart (`MIME-Version:`)"),
        ("from nobody", "is MIME multipart (mailbox form)"),
        ("{\"ignition\"", "is an Ignition configuration"),
    ];
    if let Some((_, found)) = kinds.iter().find(|(prefix, _)| begins(prefix)) {
        return (found, REMEDY);
    }
    let folded: String = first
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if begins(HEADER) && first.contains("\\n") {
        return (
            "has `\\n` written out instead of line breaks",
            "write real line breaks",
        );
    }
    if folded.starts_with("cloudconfig") {
        return (
            "has a first line that is nearly `#cloud-config`",
            ADD_HEADER,
        );
    }
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '\r' | '\n');
    if first.len() >= 16 && text.trim().chars().all(base64) {
        return ("is base64 text as a whole", "decode it first");
    }
    if first.starts_with(['{', '#']) || first.contains(": ") || first.ends_with(':') {
        return ("does not begin with `#cloud-config`", ADD_HEADER);
    }
    ("is of no known kind", ADD_HEADER)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::read;
    use crate::problem::Problems;
    use crate::seed::SeedFile;
    use crate::settings::Profile;

    fn run(bytes: &[u8]) -> (Option<String>, Vec<String>, bool) {
        let mut problems = Problems::new();
        let file = SeedFile::new("user-data", bytes);
        let data = read(&file, Profile::HardWay, &mut problems).unwrap_or_default();
        let lines = problems.iter().map(ToString::to_string).collect();
        (
            data.hostname.map(|name| name.value),
            lines,
            problems.has_errors(),
        )
    }

    #[test]
    fn accepted_forms() {
        for text in [
            "#cloud-config\nhostname: n\n",
            "\u{feff}#cloud-config\r\nhostname: n\r\n",
            "\n  \n#cloud-config  \nhostname: n",
            "#cloud-config # for node n\nhostname: n",
            "#cloud-config\n---\nhostname: n\n...\n",
            "#cloud-config\n{\"hostname\": \"n\"}",
        ] {
            let (hostname, problems, _) = run(text.as_bytes());
            assert_eq!(hostname.as_deref(), Some("n"), "{text:?}: {problems:?}");
            assert!(problems.is_empty(), "{text:?}: {problems:?}");
        }
        assert!(run(b"").1.is_empty() && run(b" \n").1.is_empty());
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        for (bytes, expected) in [
            (&b"\x1f\x8b\x08"[..], "is compressed with gzip"),
            (b"\xff\xfe#\0", "is UTF-16"),
            (b"\xfe\xff\0#", "is UTF-16"),
            (b"#cloud-config\nhostname: \xff\n", "is not UTF-8"),
            (b"## template: jinja\n#cloud-config\n", "jinja"),
            (b"#cloud-config-archive\n- x\n", "`#cloud-config-archive`"),
            (b"#!/bin/sh\r\n", "is a script"),
            (b"#include\nhttps://x\n", "`#include`"),
            (b"Content-Type: multipart/mixed; boundary=x\n", "MIME"),
            (b"MIME-Version: 1.0\n", "MIME"),
            (b"# cloud-config\nhostname: n\n", "nearly `#cloud-config`"),
            (b"#Cloud-Config\nhostname: n\n", "nearly `#cloud-config`"),
            (b"#cloud-config\\nhostname: n\\n", "`\\n` written out"),
            (b"hostname: n\n", "does not begin with `#cloud-config`"),
            (b"I2Nsb3VkLWNvbmZpZwpob3N0bmFtZTogbgo=\n", "is base64"),
            (b"{\"ignition\": {}}", "Ignition"),
            (b"just words", "is of no known kind"),
            (b"#cloud-config\n- a\n", "is a list, not a mapping"),
            (b"#cloud-config\na: [1\n", "is no valid YAML"),
        ] {
            let (_, problems, errors) = run(bytes);
            let [problem] = problems.as_slice() else {
                panic!("{expected}: {problems:?}")
            };
            assert!(
                errors && problem.contains(expected),
                "{expected}: {problem}"
            );
        }
    }

    #[test]
    fn other_keys_are_reported_and_passwords_refused() {
        for (text, expected, error) in [
            (
                "packages: [x]",
                "user-data:2: packages: is not read by this version",
                false,
            ),
            (
                "password: SECRET",
                "user-data:2: password: sets or lets in a password",
                true,
            ),
            ("chpasswd: {list: [SECRET]}", "chpasswd: sets or", true),
            ("chpasswd: {expire: false}", "chpasswd: is not read", false),
            ("ssh_pwauth: yes", "ssh_pwauth: sets or", true),
            ("ssh_pwauth: no", "ssh_pwauth: is not read", false),
            ("hostname: no", "hostname: is a boolean", true),
            (
                "prefer_fqdn_over_hostname: maybe",
                "is text, not `true` or `false`",
                true,
            ),
        ] {
            let (_, problems, errors) = run(format!("#cloud-config\n{text}\n").as_bytes());
            assert!(problems[0].contains(expected), "{text}: {problems:?}");
            assert_eq!(errors, error, "{text}");
            assert!(!problems[0].contains("SECRET"), "{problems:?}");
        }
    }
}
