//! A seed as bytes: the files that a data source found, before they are parsed.
//!
//! The two layouts are cloud-init's: NoCloud
//! (<https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html>) and the
//! OpenStack config drive
//! (<https://docs.openstack.org/nova/latest/user/metadata.html>).
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::contract::overwritten;
use crate::text::field::shown;
use crate::text::problem::{Place, Problems};
use crate::text::yaml::{self, Node};

/// No seed file may be larger; nothing that a node needs comes near.
pub const MAX_SEED_FILE: usize = 4 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    NoCloud,
    ConfigDrive,
}

/// The file names of a layout, relative to the seed directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    pub meta_data: &'static str,
    pub user_data: &'static str,
    pub vendor_data: &'static str,
    /// A second one, made for each machine, which takes precedence over the first.
    pub vendor_data2: Option<&'static str>,
    pub network: &'static str,
}

impl Layout {
    pub fn names(self) -> Names {
        match self {
            Self::NoCloud => Names {
                meta_data: "meta-data",
                user_data: "user-data",
                vendor_data: "vendor-data",
                vendor_data2: None,
                network: "network-config",
            },
            Self::ConfigDrive => Names {
                meta_data: "openstack/latest/meta_data.json",
                user_data: "openstack/latest/user_data",
                vendor_data: "openstack/latest/vendor_data.json",
                vendor_data2: Some("openstack/latest/vendor_data2.json"),
                network: "openstack/latest/network_data.json",
            },
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::NoCloud => "NoCloud",
            Self::ConfigDrive => "config drive",
        }
    }
}

/// One file: its name for messages, and its bytes, which may hold secrets.
pub struct SeedFile {
    pub name: String,
    pub bytes: Zeroizing<Vec<u8>>,
}

impl SeedFile {
    /// As YAML, which JSON is as well: lines are known, duplicate keys found.
    /// The outer `None` is an error, the inner one an empty file.
    pub fn yaml(&self, problems: &mut Problems) -> Option<Option<Node>> {
        let place = Place::file(&self.name);
        let bytes = self
            .bytes
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.bytes);
        let Ok(text) = std::str::from_utf8(bytes) else {
            problems.error(&place, "is not UTF-8 text", "save it as UTF-8");
            return None;
        };
        match yaml::parse(text) {
            Ok(root) => Some(root),
            Err(error) => {
                let (form, remedy) = if self.name.ends_with(".json") {
                    ("JSON", "correct it where this file is made")
                } else {
                    ("YAML", "correct the YAML")
                };
                let reason = format!(
                    "is not valid {form} (column {}): {}",
                    error.column, error.reason
                );
                problems.error(&place.line(error.line), reason, remedy);
                None
            }
        }
    }

    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            bytes: Zeroizing::new(bytes.into()),
        }
    }

    /// Empty, what OpenStack writes for nothing, or overwritten after use.
    pub fn says_nothing(&self) -> bool {
        matches!(self.bytes.trim_ascii(), b"" | b"{}" | b"null")
            || overwritten::served(&self.bytes).is_some()
    }
}

pub struct Seed {
    pub layout: Layout,
    pub meta_data: SeedFile,
    pub user_data: Option<SeedFile>,
    pub vendor_data: Option<SeedFile>,
    pub vendor_data2: Option<SeedFile>,
    pub network: Option<SeedFile>,
    /// The config drive's older form of a network: what `network_config` of its meta-data
    /// points to, in the form of /etc/network/interfaces.
    pub interfaces: Option<SeedFile>,
    /// Files that nova was told to put into the machine.
    pub injected: Vec<Injected>,
    pub named: Named,
    /// Files beside it that are not read, and were probably meant to be: what was found, and
    /// what was expected.
    pub near: Vec<(String, &'static str)>,
    /// Warnings of whoever put it together.
    pub told: Problems,
}

/// A file of `meta_data.json`'s list `files`, with its content.
pub struct Injected {
    /// Where it goes.
    pub path: String,
    pub file: SeedFile,
}

/// Values given with the place of a seed, which take precedence over the seed's own:
/// `i=` and `h=` of `ds=nocloud`.
#[derive(Default)]
pub struct Named {
    pub instance_id: Option<String>,
    pub local_hostname: Option<String>,
}

/// Injected files, and bytes of all of them.
const MAX_INJECTED: usize = 64;
const MAX_INJECTED_BYTES: usize = 16 << 20;

impl Seed {
    /// Whether its secrets were overwritten after it had served: nothing can be set up from it.
    pub fn has_served(&self) -> bool {
        let files = self.user_data.iter().chain(&self.vendor_data);
        files
            .into_iter()
            .any(|file| overwritten::served(&file.bytes).is_some())
    }

    /// A seed with nothing but its identity.
    pub fn new(layout: Layout, meta_data: SeedFile) -> Self {
        Self {
            layout,
            meta_data,
            user_data: None,
            vendor_data: None,
            vendor_data2: None,
            network: None,
            interfaces: None,
            injected: Vec::new(),
            named: Named::default(),
            near: Vec::new(),
            told: Problems::new(),
        }
    }

    /// Reads the files that `meta_data.json` lists, by their names relative to the seed
    /// (`openstack/content/0000`). `take` returns nothing for a missing file; its
    /// errors end the reading.
    pub fn inject<E>(
        &mut self,
        mut take: impl FnMut(&str) -> Result<Option<SeedFile>, E>,
        problems: &mut Problems,
    ) -> Result<(), E> {
        if self.layout != Layout::ConfigDrive {
            return Ok(());
        }
        if let Some(content) = interfaces(&self.meta_data, problems) {
            self.interfaces = take(&content)?;
            if self.interfaces.is_none() {
                let place = Place::file(&self.meta_data.name).key("network_config");
                let reason = format!("points to `{content}`, which is not there");
                problems.error(&place, reason, "generate the config drive again");
            }
        }
        let place = Place::file(&self.meta_data.name).key("files");
        let listed = listed(&self.meta_data.bytes, &place, problems);
        if listed.len() > MAX_INJECTED {
            let reason = format!("lists more than {MAX_INJECTED} files");
            problems.error(&place, reason, "use `write_files` of user-data");
            return Ok(());
        }
        let mut bytes = 0;
        for (path, content) in listed {
            if bytes > MAX_INJECTED_BYTES {
                break;
            }
            let Some(file) = take(&format!("openstack{content}"))? else {
                let reason = format!("lists `openstack{content}`, which is not there");
                problems.error(&place, reason, AGAIN);
                continue;
            };
            bytes += file.bytes.len();
            self.injected.push(Injected { path, file });
        }
        if bytes > MAX_INJECTED_BYTES {
            let reason = format!("lists files that exceed {MAX_INJECTED_BYTES} bytes in total");
            problems.error(&place, reason, "make them smaller");
        }
        Ok(())
    }
}

/// The file that `network_config` of `meta_data.json` points to, relative to the seed:
/// `{"name": "network_config", "content_path": "/content/0000"}`.
fn interfaces(meta_data: &SeedFile, problems: &mut Problems) -> Option<String> {
    let root: serde_json::Value = serde_json::from_slice(&meta_data.bytes).ok()?;
    let item = root.get("network_config").filter(|item| !item.is_null())?;
    let path = item.get("content_path").and_then(serde_json::Value::as_str);
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    let path = path.map(|path| path.trim_start_matches('/'));
    let path = path.filter(|path| path.split('/').all(part) && !path.contains('\0'));
    if path.is_none() {
        let place = Place::file(&meta_data.name).key("network_config.content_path");
        let reason = "is not the path of a file such as `/content/0000`";
        problems.error(&place, reason, AGAIN);
    }
    Some(format!("openstack/{}", path?))
}

/// Paths and contents (`/content/0000`) of the list `files`; an item of another form is a
/// problem that names it. What is not JSON is for [`crate::read::meta_data`] to report.
fn listed(meta_data: &[u8], place: &Place, problems: &mut Problems) -> Vec<(String, String)> {
    use serde_json::Value;
    let root: Value = serde_json::from_slice(meta_data).unwrap_or_default();
    let items = match root.get("files") {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => {
            problems.error(place, "is not a list of files", AGAIN);
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let place = place.clone().key(format!("files[{index}]"));
        match injected(item, &place, problems) {
            Ok(file) => found.push(file),
            Err(reason) => problems.error(&place, reason, AGAIN),
        }
    }
    found
}

const AGAIN: &str = "generate the config drive again";

fn injected(
    item: &serde_json::Value,
    place: &Place,
    problems: &mut Problems,
) -> Result<(String, String), String> {
    let text = |key: &str| {
        let text = item.get(key).and_then(serde_json::Value::as_str);
        text.filter(|text| !text.is_empty())
            .ok_or_else(|| format!("has no text in `{key}`"))
    };
    let (path, content) = (text("path")?, text("content_path")?);
    for key in item.as_object().into_iter().flat_map(|item| item.keys()) {
        if !matches!(key.as_str(), "path" | "content_path") {
            let key = format!(
                "{}.{}",
                place.key.as_deref().unwrap_or_default(),
                shown(key)
            );
            problems.warn(&place.clone().key(key), "is not read and has no effect", "");
        }
    }
    // As in cloud-init, both are relative to a root: a `/` in front adds nothing.
    let content = format!("/{}", content.trim_start_matches('/'));
    let odd = |part: &str| matches!(part, "" | "." | "..");
    let below = content.strip_prefix("/content/");
    if !below.is_some_and(|name| !name.split('/').any(odd) && name.len() <= 255) {
        let reason = "has a `content_path` that is not of the form `/content/0000`";
        return Err(reason.to_owned());
    }
    Ok((format!("/{}", path.trim_start_matches('/')), content))
}

impl Seed {
    /// SHA-256 of the user-data, in hexadecimal. The cloud's other data may change from
    /// boot to boot.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        if let Some(file) = &self.user_data {
            hash.update(&*file.bytes);
        }
        let digest = hash.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{Layout, Seed, SeedFile};
    use crate::text::problem::Problems;

    #[test]
    fn injected_files_are_taken_or_named() {
        for (files, expected) in [
            (
                r#"[{"path": "/etc/a", "content_path": "/content/0000"}]"#,
                "/etc/a openstack/content/0000",
            ),
            (
                r#"[{"path": "etc/a", "content_path": "content/0000"}]"#,
                "/etc/a openstack/content/0000",
            ),
            (r#"null"#, ""),
            (r#"{"a": "b"}"#, "m: files: is not a list of files"),
            (r#"["/etc/a"]"#, "m: files[0]: has no text in `path`"),
            (
                r#"[{"path": "/etc/a"}]"#,
                "m: files[0]: has no text in `content_path`",
            ),
            (
                r#"[{"path": 5, "content_path": "/content/0000"}]"#,
                "m: files[0]: has no text in `path`",
            ),
            (
                r#"[{"path": "/a", "content_path": "/content/../latest/user_data"}]"#,
                "m: files[0]: has a `content_path` that is not of the form",
            ),
            (
                r#"[{"path": "/a", "content_path": "/latest/user_data"}]"#,
                "m: files[0]: has a `content_path`",
            ),
            (
                r#"[{"path": "/a", "content_path": "/content/"}]"#,
                "m: files[0]: has a `content_path`",
            ),
            (
                r#"[{"path": "/a", "content_path": "/content/0000", "mode": 5}]"#,
                "m: files[0].mode: is not read and has no effect",
            ),
        ] {
            let text = format!(r#"{{"uuid": "u", "files": {files}}}"#);
            let mut seed = Seed::new(Layout::ConfigDrive, SeedFile::new("m", text));
            let mut problems = Problems::new();
            let take = |name: &str| Ok::<_, ()>(Some(SeedFile::new(name, "x")));
            seed.inject(take, &mut problems).unwrap();
            let taken = seed.injected.iter();
            let taken = taken.map(|one| format!("{} {}", one.path, one.file.name));
            let said = problems.iter().map(ToString::to_string);
            let all: Vec<String> = said.chain(taken).collect();
            assert!(all.join("\n").starts_with(expected), "{files}: {all:?}");
            assert_eq!(all.is_empty(), expected.is_empty(), "{files}: {all:?}");
        }
    }
}
