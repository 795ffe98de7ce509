//! `[[base.deb]]`: packages that their publisher offers by themselves, at a URL.

use std::collections::BTreeMap;

use nodeimg_values::arch::Arch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PackageName;
use super::problems::Problems;
use super::source::Step;
use super::url::{PerArch, UrlTemplate};
use super::value::Version;

/// A Debian package at a URL, of a publisher without an apt repository.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DebPart {
    /// The package's own name, as its control file says it.
    pub name: PackageName,
    /// For `{version}`; its control file must say the same, or more: `1.2.3-1` of `1.2.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Where it is; with one URL per architecture, the others go without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<PerArch>,
    /// The publisher's checksum file; `lock` fails if the digest differs from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<UrlTemplate>,
    /// Values of `{arch}`, if the publisher uses other names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arch_names: BTreeMap<Arch, String>,
}

impl DebPart {
    /// `self` over `base`, of the same name.
    pub fn over(self, base: DebPart) -> DebPart {
        DebPart {
            name: self.name,
            version: self.version.or(base.version),
            url: self.url.or(base.url),
            checksum: self.checksum.or(base.checksum),
            arch_names: match self.arch_names.is_empty() {
                true => base.arch_names,
                false => self.arch_names,
            },
        }
    }
}

/// One package for one architecture. The lock depends on all of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Deb {
    pub name: PackageName,
    pub arch: Arch,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

impl Deb {
    /// As messages name it: `the package tool (arm64)`.
    pub fn what(&self) -> String {
        format!("the package {} ({})", self.name, self.arch)
    }

    /// Whether `version` of a control file is the one that is asked for: without its epoch
    /// the same, or one that goes on after it, with a revision say.
    pub fn is_version(&self, version: &str) -> bool {
        let Some(asked) = self.version.as_ref().map(Version::as_str) else {
            return true;
        };
        let bare = version.split_once(':').map_or(version, |(_, rest)| rest);
        [version, bare].into_iter().any(|version| {
            let rest = version.strip_prefix(asked);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '+', '~', '.']))
        })
    }
}

/// Every package of `parts`, for each architecture that it has a URL for.
pub fn checked(parts: &[DebPart], problems: &mut Problems<'_>) -> Vec<Deb> {
    let mut all = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let named = Step::Named(part.name.as_str());
        let table = [Step::Key("base"), Step::Key("deb"), named];
        let at = |key| [Step::Key("base"), Step::Key("deb"), named, Step::Key(key)];
        if parts[..index].iter().any(|there| there.name == part.name) {
            problems.add(&at("name"), "another `[[base.deb]]` has this name");
        }
        let Some(url) = &part.url else {
            problems.add(&table, "`url` is missing: say where the package is");
            continue;
        };
        let of = Arch::ALL
            .into_iter()
            .filter_map(|arch| url.get(arch).map(|url| (arch, url)));
        let templates = of.clone().map(|(_, url)| ("url", url));
        let templates = templates.chain(part.checksum.iter().map(|url| ("checksum", url)));
        if let Some((key, _)) = templates
            .filter(|_| part.version.is_none())
            .find(|(_, url)| url.has_version())
        {
            problems.add(
                &at(key),
                "`{version}` stands for the `version` of this package, which is missing",
            );
            continue;
        }
        if url.is_empty() {
            problems.add(&at("url"), "it has no URL of any architecture");
        }
        all.extend(of.map(|(arch, url)| deb(part, arch, url)));
    }
    all
}

fn deb(part: &DebPart, arch: Arch, url: &UrlTemplate) -> Deb {
    let own = part.arch_names.get(&arch);
    let arch_name = own.map_or(arch.name(), String::as_str);
    let version = part.version.as_ref().map_or("", Version::as_str);
    let url = url.fill(version, arch_name, "");
    let checksum = part.checksum.as_ref();
    Deb {
        name: part.name.clone(),
        arch,
        version: part.version.clone(),
        checksum: checksum.map(|checksum| checksum.fill(version, arch_name, &url)),
        url,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::input::recipe::tests::{load_text, recipe};

    const BASE: &str = "[base]\nsuite = \"trixie\"\npackages = [\"systemd\"]\n";

    #[test]
    fn one_entry_is_a_package_of_every_architecture_with_a_url() {
        let text = format!(
            "{BASE}[[base.deb]]\nname = \"tool\"\nversion = \"1.2\"\n\
             url = \"https://x.example/{{version}}/tool_{{arch}}.deb\"\n\
             checksum = \"{{url}}.sha256\"\narch_names = {{ amd64 = \"x64\" }}\n\
             [[base.deb]]\nname = \"agent\"\n\
             url = {{ arm64 = \"https://x.example/agent.deb\" }}\n"
        );
        let base = recipe(&text).base.unwrap();
        let urls: Vec<_> = base.debs.iter().map(|deb| deb.url.as_str()).collect();
        assert_eq!(
            urls,
            [
                "https://x.example/1.2/tool_x64.deb",
                "https://x.example/1.2/tool_arm64.deb",
                "https://x.example/agent.deb"
            ]
        );
        assert_eq!(
            base.debs[0].checksum.as_deref(),
            Some("https://x.example/1.2/tool_x64.deb.sha256")
        );
        // What is at a URL is asked for.
        let asked = |arch: Arch, name: &str| base.packages[&arch].contains(name);
        assert!(asked(Arch::Amd64, "tool") && asked(Arch::Arm64, "tool"));
        assert!(!asked(Arch::Amd64, "agent") && asked(Arch::Arm64, "agent"));
        let other = text.replace("tool_{arch}", "tool-{arch}");
        assert_ne!(base.digest(), recipe(&other).base.unwrap().digest());
    }

    #[test]
    fn what_an_entry_may_not_be_is_told_at_its_key() {
        let one = "[[base.deb]]\nname = \"tool\"\nurl = \"https://x.example/tool.deb\"\n";
        for (more, want) in [
            (
                "[[base.deb]]\nname = \"tool\"\n".to_owned(),
                "`url` is missing",
            ),
            (
                format!("{one}{one}"),
                "another `[[base.deb]]` has this name",
            ),
            (
                one.replace("tool.deb", "{version}.deb"),
                "`{version}` stands for",
            ),
            (
                format!("{one}checksum = \"{{url}}-{{version}}\"\n"),
                "`{version}` stands for",
            ),
            (one.replace("https", "http"), "is not https"),
            (
                one.replace("https://", "https://me:secret@"),
                "without a user name",
            ),
            (
                one.replace("\"https://x.example/tool.deb\"", "{}"),
                "no URL of any architecture",
            ),
            (
                one.replace("name = \"tool\"", "name = \"Tool\""),
                "not the name of a Debian package",
            ),
            (
                format!("exclude = [\"tool\"]\n{one}"),
                "`tool` is in `deb` too",
            ),
            (
                format!("provided = [\"tool\"]\n{one}"),
                "`tool` is in `deb` too",
            ),
            (
                format!("pins = {{ tool = \"sid\" }}\n{one}"),
                "`tool` is in `deb` too",
            ),
        ] {
            let error = load_text(&format!("{BASE}{more}")).unwrap_err();
            let told = format!("{error:#}");
            assert!(told.contains(want), "{more}: {told}");
        }
    }

    #[test]
    fn a_version_is_the_same_or_goes_on_after_it() {
        let deb = |version: &str| Deb {
            name: "tool".parse().unwrap(),
            arch: Arch::Amd64,
            version: Some(version.parse().unwrap()),
            url: String::new(),
            checksum: None,
        };
        for good in [
            "1.2",
            "1.2-1",
            "1:1.2",
            "2:1.2+deb13",
            "1.2~ubuntu",
            "1.2.0",
        ] {
            assert!(deb("1.2").is_version(good), "{good}");
        }
        for bad in ["1.3", "1.20", "11.2", "1.2rc1", "1:2-1.2", ""] {
            assert!(!deb("1.2").is_version(bad), "{bad}");
        }
    }
}
