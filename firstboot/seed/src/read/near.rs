//! Directories that are nearly a seed, and files beside a seed that are nearly a part of it.
//!
//! # Invariants
//! Whatever reads seeds, a node or the builder, names the same near misses.
use super::seed::Layout;

/// How deep a seed is looked for below the place where it should be.
const DEPTH: usize = 3;

/// Directories that are opened at most: a wrong directory may be somebody's whole disk.
const MOST: usize = 200;

/// Names in a directory, and whether each is a directory; the path is relative to the seed.
pub type List<'a> = &'a dyn Fn(&str) -> Vec<(String, bool)>;

/// Files that someone probably meant to be of a seed, with the names that they should have,
/// sorted. Paths are relative to the seed.
pub fn beside(layout: Layout, list: List<'_>) -> Vec<(String, &'static str)> {
    let (directory, names) = parts(layout);
    let mut found = Vec::new();
    for (name, _) in list(directory) {
        if let Some(wanted) = near_miss(&name, &names) {
            let path = format!("{directory}{name}");
            found.push((path, wanted));
        }
    }
    found.sort();
    found
}

/// One line for each name that someone probably meant to be of a seed, in a directory that
/// is none.
pub fn misses(list: List<'_>) -> Vec<String> {
    let mut lines: Vec<String> = beside(Layout::NoCloud, list)
        .into_iter()
        .map(|(name, wanted)| format!("found `{}`, expected `{wanted}`", shown(&name)))
        .collect();
    let mut names = list("");
    names.sort();
    let mut below = Vec::new();
    for (name, _) in names.into_iter().filter(|(_, is_directory)| *is_directory) {
        match name.to_ascii_lowercase().as_str() {
            "openstack" => lines.extend(openstack(&name, list)),
            "ec2" => lines.push(
                "found an EC2 tree `ec2/`, expected `openstack/latest/meta_data.json`".to_owned(),
            ),
            _ => below.push(format!("{name}/")),
        }
    }
    lines.extend(deeper(below, list));
    lines
}

/// The first seed of each directory below, and how deep it is.
fn deeper(mut level: Vec<String>, list: List<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut opened = 0;
    for depth in 1..=DEPTH {
        let mut next = Vec::new();
        for directory in level {
            opened += 1;
            if opened > MOST {
                return lines;
            }
            let mut names = list(&directory);
            names.sort();
            match a_seed(&directory, &names, list) {
                Some(file) => lines.push(format!(
                    "found a seed {} down in `{}` (`{}`), expected it at the top level",
                    ["one level", "two levels", "three levels"][depth - 1],
                    shown(&directory),
                    shown(&file)
                )),
                None => next.extend(
                    names
                        .into_iter()
                        .filter(|(_, is_directory)| *is_directory)
                        .map(|(name, _)| format!("{directory}{name}/")),
                ),
            }
        }
        level = next;
    }
    lines
}

/// The file that shows that a directory holds a seed, or nearly.
fn a_seed(directory: &str, names: &[(String, bool)], list: List<'_>) -> Option<String> {
    let no_cloud = Layout::NoCloud.names();
    for wanted in [no_cloud.meta_data, no_cloud.user_data] {
        let mut files = names.iter().filter(|(_, is_directory)| !is_directory);
        if let Some((name, _)) = files.find(|(name, _)| is_meant(name, wanted)) {
            return Some(format!("{directory}{name}"));
        }
    }
    let drive = Layout::ConfigDrive.names().meta_data;
    let (inside, file) = drive.rsplit_once('/')?;
    names
        .iter()
        .any(|(name, _)| name == "openstack")
        .then_some(())?;
    let there = list(&format!("{directory}{inside}/"));
    let found = there.iter().any(|(name, _)| name == file);
    found.then(|| format!("{directory}{drive}"))
}

fn openstack(name: &str, list: List<'_>) -> Vec<String> {
    if name != "openstack" {
        return vec![format!("found `{}/`, expected `openstack/`", shown(name))];
    }
    let below = list("openstack/");
    if below.iter().any(|(name, _)| name == "latest") {
        let mut lines: Vec<String> = beside(Layout::ConfigDrive, list)
            .into_iter()
            .map(|(found, wanted)| {
                format!(
                    "found `{}`, expected `openstack/latest/{wanted}`",
                    shown(&found)
                )
            })
            .collect();
        if !lines.iter().any(|line| line.ends_with("meta_data.json`")) {
            lines.push("found `openstack/latest/` without `meta_data.json`".to_owned());
        }
        return lines;
    }
    let mut versions: Vec<&str> = below.iter().map(|(name, _)| name.as_str()).collect();
    versions.sort_unstable();
    vec![format!(
        "found `openstack/` with {versions:?} only, expected `openstack/latest/`"
    )]
}

/// The directory of a layout's files, and their names in it.
fn parts(layout: Layout) -> (&'static str, Vec<&'static str>) {
    let names = layout.names();
    let paths = [
        Some(names.meta_data),
        Some(names.user_data),
        Some(names.network),
        Some(names.vendor_data),
        names.vendor_data2,
    ];
    let directory = names.meta_data.rfind('/').map_or(0, |at| at + 1);
    let files = paths.into_iter().flatten().map(|path| &path[directory..]);
    (&names.meta_data[..directory], files.collect())
}

/// The name that a person meant by this one, if it is another one of a seed's.
fn near_miss(name: &str, names: &[&'static str]) -> Option<&'static str> {
    let mut wanted = names.iter().copied();
    let is_one = names.contains(&name);
    wanted.find(|wanted| !is_one && is_meant(name, wanted))
}

/// `User_Data.TXT`, `userdata` and `USER_DAT.;1` are `user-data` to a person.
fn is_meant(name: &str, wanted: &str) -> bool {
    let folded = fold(name);
    folded == fold(wanted)
        || (is_cut(name) && !folded.is_empty() && fold(wanted).starts_with(&folded))
}

/// Whether a name has the length to which ISO 9660 (level 1: 8 characters) or FAT without
/// long names (6, `~` and a number) cut it.
fn is_cut(name: &str) -> bool {
    let name = name.split(';').next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let (stem, number) = stem.split_once('~').unwrap_or((stem, ""));
    match number.is_empty() {
        true => stem.len() == 8,
        false => stem.len() == 6 && number.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// Without endings, an ISO's version, signs and case.
fn fold(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let mut stem = lower.split([';', '~']).next().unwrap_or_default();
    while let Some(shorter) = [
        ".txt", ".yaml", ".yml", ".json", ".jso", ".cfg", ".conf", ".",
    ]
    .iter()
    .find_map(|ending| stem.strip_suffix(ending))
    {
        stem = shorter;
    }
    stem.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Layout, beside, misses};

    /// A directory with these files.
    fn tree(files: &'static [&'static str]) -> impl Fn(&str) -> Vec<(String, bool)> {
        |directory| {
            let mut names: Vec<(String, bool)> = files
                .iter()
                .filter_map(|file| file.strip_prefix(directory))
                .map(|rest| match rest.split_once('/') {
                    Some((name, _)) => (name.to_owned(), true),
                    None => (rest.to_owned(), false),
                })
                .collect();
            names.sort();
            names.dedup();
            names
        }
    }

    #[test]
    fn names_that_are_nearly_those_of_a_seed() {
        let found = |name: &'static str, layout| {
            let files: &'static [&'static str] = vec![name].leak();
            beside(layout, &tree(files)).pop().map(|(_, wanted)| wanted)
        };
        for (name, wanted) in [
            ("meta-data.yaml", "meta-data"),
            ("user-data.yaml.txt", "user-data"),
            ("USER-DATA", "user-data"),
            ("meta_data.json", "meta-data"),
            ("meta_dat", "meta-data"),
            ("USER_DAT.;1", "user-data"),
            ("user-data;1", "user-data"),
            ("USER-D~1", "user-data"),
            ("NETWORK_.;1", "network-config"),
            ("NETWOR~1", "network-config"),
            ("VENDOR_D", "vendor-data"),
            ("user\u{2013}data", "user-data"),
            ("network-config.conf", "network-config"),
        ] {
            assert_eq!(found(name, Layout::NoCloud), Some(wanted), "{name}");
        }
        for name in [
            "user-data",
            "meta-data",
            "README",
            "user",
            "network",
            "user-data-old",
            "metadatas",
            "userda",
            "user-data.bak",
            "12345678",
        ] {
            assert_eq!(found(name, Layout::NoCloud), None, "{name}");
        }
        for (name, wanted) in [
            ("openstack/latest/user-data", Some("user_data")),
            ("openstack/latest/user_data.txt", Some("user_data")),
            (
                "openstack/latest/network-data.json",
                Some("network_data.json"),
            ),
            ("openstack/latest/NETWORK_.JSO", Some("network_data.json")),
            ("openstack/latest/vendor_data2.json", None),
            ("openstack/latest/password", None),
            ("openstack/latest/user_data", None),
        ] {
            assert_eq!(found(name, Layout::ConfigDrive), wanted, "{name}");
        }
    }

    #[test]
    fn seeds_in_other_places() {
        for (files, expected) in [
            (
                &["cidata/user-data", "cidata/meta-data"][..],
                "one level down in `cidata/` (`cidata/meta-data`)",
            ),
            (
                &["CIDATA/USER_DAT"],
                "one level down in `CIDATA/` (`CIDATA/USER_DAT`)",
            ),
            (
                &["x/seed/nocloud/meta-data"],
                "three levels down in `x/seed/nocloud/`",
            ),
            (
                &["config-2/openstack/latest/meta_data.json"],
                "(`config-2/openstack/latest/meta_data.json`)",
            ),
            (
                &["OpenStack/latest/meta_data.json"],
                "found `OpenStack/`, expected `openstack/`",
            ),
            (
                &["openstack/latest/metadata.json"],
                "expected `openstack/latest/meta_data.json`",
            ),
        ] {
            let lines = misses(&tree(files)).join("\n");
            assert!(lines.contains(expected), "{files:?}: {lines}");
        }
        assert_eq!(
            misses(&tree(&["etc/hosts", "README"])),
            Vec::<String>::new()
        );
    }
}
