//! `sysupdate` of `[update]`: transfer files by which systemd-sysupdate updates a node, for those
//! who use it in place of `nodeimg-update`.
//!
//! Spec: sysupdate.d(5). They are in the order of a switch: the UKI comes last.

use super::ExtraContent;
use super::ExtraFile;
use super::problems::Problems;
use super::source::Step;

pub const DIRECTORY: &str = "/usr/lib/sysupdate.d";
/// Where systemd looks for the keys of `SHA256SUMS.gpg`.
const KEYRINGS: [&str; 2] = [
    "/etc/systemd/import-pubring.gpg",
    "/usr/lib/systemd/import-pubring.gpg",
];

/// What the names of a version's files begin with.
pub fn stem(id: &str, version: &str, architecture: &str) -> String {
    format!("{id}_{version}_{architecture}")
}

/// systemd's name of one of Debian's architectures.
pub fn architecture(debian: &str) -> &str {
    match debian {
        "amd64" => "x86-64",
        other => other,
    }
}

/// The transfer files of an image that is called `id`; its updates are at `source`.
pub fn files(
    id: &str,
    source: Option<&str>,
    files: &[ExtraFile],
    problems: &mut Problems<'_>,
) -> Vec<(String, String)> {
    let way = [Step::Key("update"), Step::Key("sysupdate")];
    let kind = match source {
        Some(source) if source.starts_with("http") => "url-file",
        Some(source) if source.starts_with('/') => "regular-file",
        _ => {
            problems.add(
                &way,
                "needs a `source` that systemd-sysupdate can read: `https://HOST/DIRECTORY/` or an \
                 absolute path",
            );
            return Vec::new();
        }
    };
    let has_keys = files
        .iter()
        .any(|file| KEYRINGS.contains(&file.path.as_str()) && !is_empty(&file.content));
    let from = Source {
        kind,
        path: source.unwrap_or_default(),
        // There is nothing to verify by without a key; with one, nothing else is taken.
        verify: match has_keys {
            true => "",
            false => "Verify=no\n",
        },
    };
    vec![
        at("10-verity", from.partition(id, "verity", "root-verity")),
        at("20-root", from.partition(id, "root", "root")),
        at("90-uki", from.uki(id)),
    ]
}

fn is_empty(content: &ExtraContent) -> bool {
    matches!(content, ExtraContent::Text(text) if text.is_empty())
}

fn at(name: &str, text: String) -> (String, String) {
    (format!("{DIRECTORY}/{name}.transfer"), text)
}

struct Source<'a> {
    kind: &'a str,
    path: &'a str,
    verify: &'a str,
}

impl Source<'_> {
    /// A partition of the slot that does not run: one whose label is `_empty`, or the oldest.
    fn partition(&self, id: &str, what: &str, kind: &str) -> String {
        self.transfer(
            &format!("{}_@u.{what}.raw", stem(id, "@v", "%a")),
            &format!(
                "Type=partition\nPath=auto\nMatchPattern={id}_@v\nMatchPartitionType={kind}\n\
                 ReadOnly=1\n"
            ),
        )
    }

    /// Three boots to prove itself, as `nodeimg-update` gives.
    fn uki(&self, id: &str) -> String {
        self.transfer(
            &format!("{}.efi", stem(id, "@v", "%a")),
            &format!(
                "Type=regular-file\nPath=/EFI/Linux\nPathRelativeTo=boot\n\
                 MatchPattern={id}_@v+@l-@d.efi {id}_@v+@l.efi {id}_@v.efi\n\
                 Mode=0444\nTriesLeft=3\nTriesDone=0\nInstancesMax=2\n"
            ),
        )
    }

    fn transfer(&self, pattern: &str, target: &str) -> String {
        format!(
            "# Of the recipe's [update].\n[Transfer]\nProtectVersion=%A\n{}\n\
             [Source]\nType={}\nPath={}\nMatchPattern={pattern}\n\n[Target]\n{target}",
            self.verify, self.kind, self.path
        )
    }
}

#[cfg(test)]
mod tests;
