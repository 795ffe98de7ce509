//! The words of the kernel command line that the initrd obeys.
//!
//! | word | |
//! |---|---|
//! | `roothash=` | which root |
//! | `rootfstype=` | its file system |
//! | `systemd.verity_root_options=` | what a corrupted block does ([veritytab(5)](https://www.freedesktop.org/software/systemd/man/latest/veritytab.html)) |
//! | `systemd.default_device_timeout_sec=` | how long the disk is waited for |
//! | `nodeimg.disk=` | which disk was booted, if the firmware does not say it (booted.rs) |
//! | `MODULE.PARAMETER=`, `modprobe.blacklist=` | as modprobe does |
use std::fs;
use std::time::Duration;

use super::failure::{Failure, While};

/// A slow disk is not a missing disk.
const DEVICE_TIMEOUT: Duration = Duration::from_secs(300);

/// Options of dm-verity by their names in veritytab.
const VERITY_OPTIONS: [(&str, &str); 5] = [
    ("check-at-most-once", "check_at_most_once"),
    ("ignore-corruption", "ignore_corruption"),
    ("ignore-zero-blocks", "ignore_zero_blocks"),
    ("panic-on-corruption", "panic_on_corruption"),
    ("restart-on-corruption", "restart_on_corruption"),
];

/// All words, in order.
pub(crate) struct CommandLine(Vec<String>);

/// SHA-256, in lowercase letters.
pub(crate) struct RootHash(String);

impl RootHash {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The GUIDs of the root's partition and of its hash tree's
    /// ([Discoverable Partitions Specification](https://uapi-group.org/specifications/specs/discoverable_partitions_specification/)).
    pub(crate) fn partitions(&self) -> [String; 2] {
        let (root, hashes) = self.0.split_at(32);
        [guid(root), guid(hashes)]
    }
}

fn guid(digits: &str) -> String {
    let mut text = String::with_capacity(36);
    for (at, digit) in digits.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

impl CommandLine {
    pub(crate) fn read() -> Result<Self, Failure> {
        let text = fs::read_to_string("/proc/cmdline").during(|| "reading /proc/cmdline".into())?;
        Ok(Self::parse(&text))
    }

    /// Spaces within double quotes do not separate words.
    pub(crate) fn parse(text: &str) -> Self {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in text.chars() {
            match (c, words.last_mut()) {
                ('"', _) => quoted = !quoted,
                (c, _) if c.is_ascii_whitespace() && !quoted => words.push(String::new()),
                (c, Some(word)) => word.push(c),
                (_, None) => {}
            }
        }
        words.retain(|word| !word.is_empty());
        Self(words)
    }

    /// Values of every `name=`, in order.
    fn values<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
        let words = self.0.iter().filter_map(|word| word.split_once('='));
        words.filter_map(move |(key, value)| (key == name).then_some(value))
    }

    fn last<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).next_back()
    }

    pub(crate) fn root_hash(&self) -> Result<RootHash, Failure> {
        let missing = "the kernel command line has no `roothash=`: boot the image's own unified \
            kernel image";
        let text = self.last("roothash").ok_or(Failure::new(missing))?;
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Failure::new(format!(
                "`roothash={text}` on the kernel command line is not a SHA-256 (64 hexadecimal digits)"
            )));
        }
        Ok(RootHash(text.to_ascii_lowercase()))
    }

    pub(crate) fn disk(&self) -> Option<&str> {
        self.last("nodeimg.disk")
    }

    pub(crate) fn root_type(&self) -> &str {
        self.last("rootfstype").unwrap_or("squashfs")
    }

    /// As dm-verity calls them.
    pub(crate) fn verity_options(&self) -> Result<Vec<&'static str>, Failure> {
        let texts = self.values("systemd.verity_root_options");
        let names = texts.flat_map(|text| text.split(',')).map(str::trim);
        names
            .filter(|name| !name.is_empty())
            .map(|name| {
                let known = VERITY_OPTIONS.iter().find(|(known, _)| *known == name);
                known.map(|(_, option)| *option).ok_or_else(|| {
                    let known: Vec<&str> = VERITY_OPTIONS.iter().map(|(name, _)| *name).collect();
                    Failure::new(format!(
                        "`systemd.verity_root_options={name}` on the kernel command line is not \
                         supported: use one of {}",
                        known.join(", ")
                    ))
                })
            })
            .collect()
    }

    /// Zero and `infinity` mean no limit, as in systemd.
    pub(crate) fn device_timeout(&self) -> Option<Duration> {
        let Some(text) = self.last("systemd.default_device_timeout_sec") else {
            return Some(DEVICE_TIMEOUT);
        };
        if text == "infinity" {
            return None;
        }
        let (number, unit) = text.split_at(
            text.find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len()),
        );
        let factor = match unit {
            "" | "s" | "sec" => 1,
            "m" | "min" => 60,
            _ => return Some(DEVICE_TIMEOUT),
        };
        match number.parse::<u32>() {
            Ok(0) => None,
            Ok(number) => Some(Duration::from_secs(u64::from(number) * factor)),
            Err(_) => Some(DEVICE_TIMEOUT),
        }
    }

    /// "parameter=value ..." of a module, whose name has `_` for `-`.
    pub(crate) fn parameters(&self, module: &str) -> String {
        let words = self.0.iter().filter_map(|word| {
            let (name, rest) = word.split_once('.')?;
            let is_plain = !name.is_empty() && !name.contains('=');
            (is_plain && name.replace('-', "_") == module).then(|| quoted(rest))
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Modules that no hardware brings in.
    pub(crate) fn blacklist(&self) -> Vec<String> {
        let texts = self.values("modprobe.blacklist");
        let names = texts.flat_map(|text| text.split(','));
        names.map(|name| name.replace('-', "_")).collect()
    }
}

/// For the kernel, which separates parameters at spaces too.
fn quoted(word: &str) -> String {
    match word.split_once('=') {
        Some((name, value)) if value.contains(' ') => format!("{name}=\"{value}\""),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::CommandLine;

    #[test]
    fn the_root_hash_names_two_partitions() {
        let digits = "9E9ee3c76def31a6787291462e728f19c03327ead10a48f8fec1b1155f41dd57";
        let words = CommandLine::parse(&format!("quiet roothash={digits} ro\n"));
        let hash = words.root_hash().unwrap();
        assert_eq!(hash.as_str(), digits.to_ascii_lowercase());
        assert_eq!(
            hash.partitions(),
            [
                "9e9ee3c7-6def-31a6-7872-91462e728f19",
                "c03327ea-d10a-48f8-fec1-b1155f41dd57"
            ]
        );
        for bad in ["", "roothash=12", &format!("roothash={}", "x".repeat(64))] {
            let failure = CommandLine::parse(bad).root_hash().err().unwrap();
            assert!(failure.to_string().contains("roothash="), "{failure}");
        }
    }

    #[test]
    fn options_of_verity() {
        let read = |text: &str| {
            let words = CommandLine::parse(&format!("systemd.verity_root_options={text}"));
            words.verity_options()
        };
        assert_eq!(
            read("panic-on-corruption,check-at-most-once").unwrap(),
            ["panic_on_corruption", "check_at_most_once"]
        );
        assert_eq!(read("").unwrap(), Vec::<&str>::new());
        let failure = read("no-such").unwrap_err().to_string();
        assert!(failure.contains("no-such") && failure.contains("ignore-zero-blocks"));
    }

    #[test]
    fn time_for_the_disk() {
        for (text, expected) in [
            ("", Some(300)),
            ("systemd.default_device_timeout_sec=60", Some(60)),
            (
                "systemd.default_device_timeout_sec=60 systemd.default_device_timeout_sec=2min",
                Some(120),
            ),
            ("systemd.default_device_timeout_sec=90s", Some(90)),
            ("systemd.default_device_timeout_sec=0", None),
            ("systemd.default_device_timeout_sec=infinity", None),
            ("systemd.default_device_timeout_sec=soon", Some(300)),
        ] {
            let timeout = CommandLine::parse(text).device_timeout();
            assert_eq!(timeout, expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn parameters_of_modules() {
        let words = CommandLine::parse(
            "nvme-core.io_timeout=5 x=nvme_core.y nvme_core.words=\"a b\" modprobe.blacklist=a-b,c loop",
        );
        assert_eq!(words.parameters("nvme_core"), "io_timeout=5 words=\"a b\"");
        assert_eq!(words.parameters("loop"), "");
        assert_eq!(words.blacklist(), ["a_b", "c"]);
    }
}
