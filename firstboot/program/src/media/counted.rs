//! A boot that is counted
//! ([Automatic Boot Assessment](https://systemd.io/AUTOMATIC_BOOT_ASSESSMENT/)).
//!
//! ```text
//! NAME_VERSION+3.efi      three tries left; systemd-boot renames it before it starts it:
//! NAME_VERSION+2-1.efi    two left, one begun; the variable LoaderBootCountPath names it
//! NAME_VERSION+0-3.efi    none left: bad, the loader takes any other one first
//! NAME_VERSION.efi        not counted: found good
//! ```
use super::System;
use super::efi::text_variable;

/// Of systemd-boot (<https://systemd.io/BOOT_LOADER_INTERFACE/>).
const COUNT_PATH: &str = "LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const SUFFIX: &str = ".efi";
/// How many tries an image begins with.
const TRIES: u32 = 3;

/// The name of a boot entry, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// "NAME_VERSION"
    pub(crate) stem: String,
    /// How often it may yet be tried, and how often it was; none if it is not counted.
    pub(crate) count: Option<(u32, u32)>,
}

impl Entry {
    /// `None` if it is not the name of an EFI program.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let at = name.len().checked_sub(SUFFIX.len())?;
        let (whole, suffix) = (name.get(..at)?, name.get(at..)?);
        if !suffix.eq_ignore_ascii_case(SUFFIX) {
            return None;
        }
        let counted = whole
            .rsplit_once('+')
            .and_then(|(stem, count)| Some((stem, count_of(count)?)));
        let (stem, count) = match counted {
            Some((stem, count)) => (stem, Some(count)),
            None => (whole, None),
        };
        Some(Self {
            stem: stem.to_owned(),
            count,
        })
    }

    /// Whether the loader takes any other entry first.
    pub(crate) fn is_bad(&self) -> bool {
        self.count.is_some_and(|(left, _)| left == 0)
    }

    pub(crate) fn done(&self) -> u32 {
        self.count.map_or(0, |(_, done)| done)
    }

    /// The name once it is found good.
    pub(crate) fn good_name(&self) -> String {
        format!("{}{SUFFIX}", self.stem)
    }

    /// The name without any try left.
    pub(crate) fn bad_name(&self) -> String {
        format!("{}+0-{}{SUFFIX}", self.stem, self.done())
    }

    /// Whether the next boot may be one of another version. If this one was bad when it
    /// was started, the loader had nothing better, and would start it for ever.
    pub(crate) fn leads_on(&self) -> bool {
        !self.is_bad() || self.done() <= TRIES
    }
}

/// "3" or "2-1".
fn count_of(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| text.parse().ok()).flatten()
    };
    match text.split_once('-') {
        Some((left, done)) => Some((number(left)?, number(done)?)),
        None => Some((number(text)?, 0)),
    }
}

/// The entry that was booted, by its path on the partition, if that boot is counted.
pub(crate) fn counted(system: &System) -> Option<(String, Entry)> {
    let path = text_variable(system, COUNT_PATH)?.replace('\\', "/");
    let entry = Entry::of(path.rsplit('/').next()?)?;
    entry.count?;
    Some((path, entry))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Entry;

    #[test]
    fn names_of_entries() {
        for (name, stem, count) in [
            ("n_1+3.efi", "n_1", Some((3, 0))),
            ("n_1+2-1.EFI", "n_1", Some((2, 1))),
            ("n_1+0-3.efi", "n_1", Some((0, 3))),
            ("n_1.efi", "n_1", None),
            ("n_1+a.efi", "n_1+a", None),
            ("n_1+.efi", "n_1+", None),
            ("n_1+-1.efi", "n_1+-1", None),
            ("n_1+3+2.efi", "n_1+3", Some((2, 0))),
            ("n_1+99999999999.efi", "n_1+99999999999", None),
        ] {
            let entry = Entry::of(name).unwrap();
            assert_eq!((entry.stem.as_str(), entry.count), (stem, count), "{name}");
        }
        for name in ["efi", "", "n_1.conf", "é.ef"] {
            assert_eq!(Entry::of(name), None, "{name}");
        }
    }

    #[test]
    fn what_becomes_of_an_entry() {
        let entry = Entry::of("n_1+2-1.efi").unwrap();
        assert_eq!(entry.good_name(), "n_1.efi");
        assert_eq!(entry.bad_name(), "n_1+0-1.efi");
        for (name, bad, leads_on) in [
            ("n+3.efi", false, true),
            ("n+0-3.efi", true, true),
            // Bad already when it was started.
            ("n+0-4.efi", true, false),
            ("n.efi", false, true),
        ] {
            let entry = Entry::of(name).unwrap();
            assert_eq!(
                (entry.is_bad(), entry.leads_on()),
                (bad, leads_on),
                "{name}"
            );
        }
    }
}
