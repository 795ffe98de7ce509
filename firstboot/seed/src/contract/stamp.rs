//! What first boot remembers between boots, as JSON on the state partition.
//!
//! # Invariants
//! - The stamp is written last: if it exists, everything in it was written.
//! - The pending note is written first and removed last: while it exists, any file in
//!   it may be old, new or missing, and the stamp does not count.
//! - Programs of other versions read them too, older ones after a rollback: what is unknown
//!   is ignored, what is new has a default, and nothing changes its meaning. What an older
//!   program would misunderstand names the first version that reads it as its `min_reader`:
//!   then this program does nothing, since running afresh would overwrite the seed.
//! - What is written can be read again: [`MAX_STATE`] is above whatever a seed can ask for.
use serde::{Deserialize, Serialize};

use super::settings::MetadataService;

/// The finished instance.
pub const STAMP_PATH: &str = "/var/lib/nodeimg/instance.json";

/// The same as the stamp, for when that is lost: without it, the next instance could not
/// take away what this one has.
pub const RECORD_PATH: &str = "/var/lib/nodeimg/instance-copy.json";

/// Files of a run that has begun.
pub const PENDING_PATH: &str = "/var/lib/nodeimg/pending.json";

/// Below this, the originals of replaced files: put back when an instance is removed.
pub const ORIGINALS: &str = "/var/lib/nodeimg/original";

/// The version written. Later ones only add, so all of them are read, but those that ask for
/// a later reader.
pub const STAMP_VERSION: u32 = 1;

/// Bytes of a stamp, a note or a report. All that is decoded of a seed is far less, and
/// paths are at most twice as long in JSON.
pub const MAX_STATE: usize = 256 << 20;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    #[serde(default)]
    pub version: u32,
    /// The first version that reads this; zero stands for every one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_reader: u32,
    pub instance_id: String,
    #[serde(default)]
    pub host_name: String,
    /// [`crate::plan::Plan::digest`].
    #[serde(default)]
    pub plan_digest: String,
    /// Every file written that the instance needs, so that the next one can remove them.
    #[serde(default)]
    pub files: Vec<String>,
    /// Those that it does not need: files that a seed asked for may be removed again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_files: Vec<String>,
    /// The seed that was used; none in stamps of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<TakenSeed>,
    /// [`super::rendered::digest`] of the image's templates; empty in stamps of earlier versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub templates: String,
}

/// Where a seed came from, and the machine that took it: what another seed is compared
/// with. A seed that came from the node's own disk or from its firmware has neither medium
/// nor address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The machine's own identifier, such as its SMBIOS UUID, in lowercase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// A disk, a partition or a disc that can be exchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medium: Option<MediumId>,
    /// The address of the seed's directory on a server, or of a metadata service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The kind of a metadata service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<MetadataService>,
}

/// What identifies a medium: the hardware, and the file system on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediumId {
    /// World-wide name of the whole disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wwid: Option<String>,
    /// Serial number of the whole disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Where the disk is attached, without what depends on the order of drivers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<String>,
    /// The number of the partition; none for a whole disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// [`crate::volume::Volume::uuid`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
}

impl MediumId {
    /// Whether `other` is this very medium: the same file system in the same place of the
    /// same disk. The most telling property of the disk that was recorded decides, so that a
    /// disk with another serial number is another one although it is attached to the same
    /// place. What cannot be compared is not the same.
    pub fn is(&self, other: &Self) -> bool {
        let same = |mine: &Option<String>, its: &Option<String>| mine.is_some() && mine == its;
        let disk = match self {
            Self { wwid: Some(_), .. } => same(&self.wwid, &other.wwid),
            Self {
                serial: Some(_), ..
            } => same(&self.serial, &other.serial),
            _ => same(&self.bus, &other.bus),
        };
        disk && self.partition == other.partition && same(&self.uuid, &other.uuid)
    }
}

/// Identifies a seed at later boots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenSeed {
    /// [`crate::read::seed::Seed::digest`].
    #[serde(default)]
    pub digest: String,
    /// Whether it holds anything that should not stay on its volume.
    #[serde(default)]
    pub secret: bool,
    /// Where it came from; none in stamps of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    #[serde(default)]
    pub version: u32,
    #[serde(default)]
    pub files: Vec<String>,
    /// The run only brings back what was lost, and the stamp tells what this node is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub repair: bool,
}

/// The reader that a stamp or a note asks for, if it is a later one than this. It is asked of
/// whatever is there, since nothing else of it may be as it is now.
pub fn later_reader(bytes: &[u8]) -> Option<u32> {
    #[derive(Deserialize)]
    struct Asks {
        #[serde(default)]
        min_reader: u32,
    }
    let asks: Asks = serde_json::from_slice(bytes).ok()?;
    (asks.min_reader > STAMP_VERSION).then_some(asks.min_reader)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_false(value: &bool) -> bool {
    !value
}

impl Stamp {
    /// `None` if it is not a stamp.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes)
            .ok()
            .filter(|stamp: &Self| !stamp.instance_id.is_empty())
    }

    pub fn all_files(&self) -> impl Iterator<Item = &String> {
        self.files.iter().chain(&self.extra_files)
    }
}

impl Pending {
    /// `None` if it is not a note.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{MediumId, Pending, STAMP_VERSION, Stamp, later_reader};

    /// `wwid serial bus partition uuid`, `-` for none.
    fn medium(text: &str) -> MediumId {
        let words: Vec<&str> = text.split(' ').collect();
        let word = |at: usize| Some(words[at].to_owned()).filter(|word| word != "-");
        MediumId {
            wwid: word(0),
            serial: word(1),
            bus: word(2),
            partition: word(3).map(|number| number.parse().unwrap()),
            uuid: word(4),
        }
    }

    #[test]
    fn the_very_same_medium() {
        for (recorded, now, expected) in [
            ("naa.1 s b - u", "naa.1 s b - u", true),
            ("naa.1 s b - u", "naa.1 other other - u", true),
            ("naa.1 s b - u", "naa.2 s b - u", false),
            ("naa.1 s b - u", "- s b - u", false),
            ("- s b - u", "- s other - u", true),
            ("- s b - u", "naa.1 s other - u", true),
            // In the very place of the medium, but another disk.
            ("- s b - u", "- t b - u", false),
            ("- s b - u", "- - b - u", false),
            ("- - b - u", "- - b - u", true),
            ("- - b - u", "- t b - u", true),
            ("- - b - u", "- - c - u", false),
            // The same disk with another file system, or in another partition.
            ("naa.1 s b - u", "naa.1 s b - v", false),
            ("naa.1 s b 1 u", "naa.1 s b 2 u", false),
            ("naa.1 s b - u", "naa.1 s b 1 u", false),
            // Nothing to compare.
            ("naa.1 s b - -", "naa.1 s b - -", false),
            ("- - - - u", "- - - - u", false),
        ] {
            assert_eq!(
                medium(recorded).is(&medium(now)),
                expected,
                "{recorded}: {now}"
            );
        }
    }

    #[test]
    fn other_versions_are_read_and_what_is_damaged_is_not() {
        let stamp = Stamp {
            version: STAMP_VERSION,
            instance_id: "i".to_owned(),
            host_name: "n".to_owned(),
            plan_digest: String::new(),
            files: vec!["/etc/hosts".to_owned()],
            extra_files: vec!["/run/x".to_owned()],
            min_reader: 0,
            templates: "sha".to_owned(),
            seed: Some(super::TakenSeed {
                digest: "d".to_owned(),
                secret: true,
                origin: Some(super::Origin {
                    machine: Some("4711".to_owned()),
                    ..super::Origin::default()
                }),
            }),
        };
        let text = serde_json::to_string(&stamp).unwrap();
        assert_eq!(Stamp::read(text.as_bytes()), Some(stamp.clone()));
        let later = text
            .replace("\"version\":1", "\"version\":2,\"later\":{\"a\":[1]}")
            .replace("\"secret\":true", "\"secret\":true,\"serial\":\"x\"");
        let read = Stamp::read(later.as_bytes()).unwrap();
        assert_eq!((read.version, &read.files), (2, &stamp.files));
        assert_eq!(read.seed, stamp.seed);
        // The first version that there was.
        let first = "{\"version\":1,\"instance_id\":\"i\",\"host_name\":\"n\",\"plan_digest\":\"\",\"files\":[]}";
        assert!(Stamp::read(first.as_bytes()).is_some());
        for broken in [&text[..20], "", "{}", "{\"instance_id\":\"\"}", "\0\0"] {
            assert_eq!(Stamp::read(broken.as_bytes()), None, "{broken}");
        }
        let note = Pending::read(b"{\"version\":3,\"files\":[\"/a\"],\"since\":1}").unwrap();
        assert_eq!(
            (&note.files[..], note.repair),
            (&["/a".to_owned()][..], false)
        );
        assert_eq!(Pending::read(b"{"), None);
    }

    /// What programs of these versions have written: each must be read for ever.
    const KEPT: [(&str, &str); 4] = [
        (
            "the first",
            r#"{"version":1,"instance_id":"i","host_name":"n","plan_digest":"d","files":["/etc/hosts"]}"#,
        ),
        (
            "with files that a seed asked for",
            r#"{"version":1,"instance_id":"i","host_name":"n","plan_digest":"d","files":["/etc/hosts"],"extra_files":["/run/x"]}"#,
        ),
        (
            "with the seed's digest",
            r#"{"version":1,"instance_id":"i","host_name":"n","plan_digest":"d","files":["/etc/hosts"],"seed":{"digest":"s","secret":true}}"#,
        ),
        (
            "with where the seed came from",
            r#"{"version":1,"instance_id":"i","host_name":"n","plan_digest":"d","files":["/etc/hosts"],"seed":{"digest":"s","secret":true,"origin":{"machine":"4711","medium":{"serial":"x","uuid":"u"}}}}"#,
        ),
    ];

    #[test]
    fn stamps_of_earlier_versions_are_read() {
        for (what, text) in KEPT {
            let stamp = Stamp::read(text.as_bytes()).expect(what);
            assert_eq!(
                (stamp.instance_id.as_str(), stamp.host_name.as_str()),
                ("i", "n")
            );
            assert_eq!(stamp.files, ["/etc/hosts"], "{what}");
            assert_eq!(later_reader(text.as_bytes()), None, "{what}");
        }
    }

    /// A stamp as the last release read it, before this one added to it: not to be changed
    /// with [`Stamp`].
    #[derive(serde::Deserialize)]
    struct Earlier {
        #[serde(default)]
        version: u32,
        instance_id: String,
        #[serde(default)]
        host_name: String,
        #[serde(default)]
        files: Vec<String>,
        #[serde(default)]
        extra_files: Vec<String>,
    }

    #[test]
    fn the_last_release_reads_what_this_one_writes() {
        let stamp = Stamp {
            version: STAMP_VERSION,
            instance_id: "i".to_owned(),
            host_name: "n".to_owned(),
            files: vec!["/etc/hosts".to_owned()],
            extra_files: vec!["/run/x".to_owned()],
            templates: "t".to_owned(),
            ..Stamp::default()
        };
        let text = serde_json::to_string(&stamp).unwrap();
        let read: Earlier = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (read.version, read.instance_id, read.host_name),
            (1, "i".into(), "n".into())
        );
        assert_eq!(
            (read.files, read.extra_files),
            (stamp.files, stamp.extra_files)
        );
        // No reader was asked for before, so that none may be asked for now.
        assert!(!text.contains("min_reader"), "{text}");
    }

    #[test]
    fn a_reader_that_is_asked_for_is_found_in_whatever_else_there_is() {
        for (text, asked) in [
            (r#"{"min_reader":1}"#, None),
            (r#"{"min_reader":2}"#, Some(2)),
            (
                r#"{"version":9,"min_reader":9,"instance":{"id":5}}"#,
                Some(9),
            ),
            (r#"{"min_reader":"x"}"#, None),
            ("", None),
        ] {
            assert_eq!(later_reader(text.as_bytes()), asked, "{text}");
        }
    }
}
