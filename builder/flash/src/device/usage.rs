//! Who uses a device: mounts, swap, and what is made of it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use nix::sys::stat::{major, minor};
use serde_json::{Value, json};

use super::{Device, Here, names, path_of, text};

/// Devices on devices on devices.
const DEEPEST: usize = 16;

/// One use of a device or a part of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Usage {
    /// The device or partition: `sdb1`.
    pub of: String,
    /// A word for programs: `root`, `mounted`, `swap`, `lvm`, `md`, `bcache`, `crypt`,
    /// `device-mapper`, `loop`.
    pub kind: &'static str,
    /// For people: `mounted at /boot`.
    pub text: String,
}

impl Usage {
    /// `/dev/sdb1 is mounted at /boot`.
    pub fn told(&self) -> String {
        format!("{} {}", path_of(&self.of).display(), self.text)
    }

    pub(super) fn json(&self) -> Value {
        json!({"of": path_of(&self.of), "kind": self.kind, "text": self.text})
    }
}

/// A device whose use is the disk's: itself, a partition, or what is made of one.
struct Member {
    name: String,
    number: String,
    /// The chain from the disk to here, for people: `/dev/sda2 > vg-root`.
    chain: String,
}

/// Every use, each once.
pub(super) fn of(here: &Here, device: &Device) -> Result<Vec<Usage>> {
    let mut found = BTreeSet::new();
    let mut family = vec![Member {
        name: device.name.clone(),
        number: device.number.clone(),
        chain: String::new(),
    }];
    family.extend(device.partitions.iter().map(|part| Member {
        name: part.name.clone(),
        number: part.number.clone(),
        chain: String::new(),
    }));
    let whole = here.sys.join("block").join(&device.name);
    let mut at = 0;
    while at < family.len() {
        let directory = match family[at].chain.is_empty() && at > 0 {
            true => whole.join(&family[at].name),
            false => here.sys.join("block").join(&family[at].name),
        };
        if directory.join("bcache").exists() {
            found.insert(used(&family[at], "bcache", "is used by bcache".to_owned()));
        }
        for holder in names(&directory.join("holders")) {
            let (kind, what) = made_of(&here.sys.join("block").join(&holder), &holder);
            found.insert(used(&family[at], kind, format!("is used by {what}")));
            if family.iter().all(|known| known.name != holder) {
                let number = text(&here.sys.join("block").join(&holder).join("dev"));
                family.push(Member {
                    number: number.unwrap_or_default(),
                    chain: format!("{}, of {}", what, path_of(&family[at].name).display()),
                    name: holder,
                });
            }
            if family.len() > DEEPEST * 64 {
                bail!("/dev/{} is used by too many devices to follow", device.name);
            }
        }
        at += 1;
    }
    loops(here, &family, &mut found);
    swaps(here, &family, &mut found);
    mounts(here, &family, &mut found);
    Ok(found.into_iter().collect())
}

fn used(member: &Member, kind: &'static str, text: String) -> Usage {
    let text = match member.chain.is_empty() {
        true => text,
        false => format!("({}) {text}", member.chain),
    };
    Usage {
        of: member.name.clone(),
        kind,
        text,
    }
}

/// What a device that holds others is: a word for programs, words for people.
fn made_of(directory: &Path, name: &str) -> (&'static str, String) {
    if directory.join("md").exists() {
        return ("md", format!("the RAID array {name}"));
    }
    if name.starts_with("bcache") {
        return ("bcache", format!("the bcache device {name}"));
    }
    let Some(called) = text(&directory.join("dm/name")) else {
        return ("device", format!("the device {name}"));
    };
    let uuid = text(&directory.join("dm/uuid")).unwrap_or_default();
    match uuid.split('-').next() {
        Some("LVM") => ("lvm", format!("LVM's volume {called}")),
        Some("CRYPT") => ("crypt", format!("the encrypted volume {called}")),
        _ => (
            "device-mapper",
            format!("the device-mapper device {called}"),
        ),
    }
}

/// Loop devices over the device itself.
fn loops(here: &Here, family: &[Member], found: &mut BTreeSet<Usage>) {
    for name in names(&here.sys.join("block")) {
        let file = here.sys.join("block").join(&name).join("loop/backing_file");
        let Some(backing) = text(&file) else { continue };
        for member in family {
            if Path::new(&backing) == path_of(&member.name) {
                let told = format!("is what the loop device {name} shows");
                found.insert(used(member, "loop", told));
            }
        }
    }
}

fn swaps(here: &Here, family: &[Member], found: &mut BTreeSet<Usage>) {
    let list = fs::read_to_string(here.proc.join("swaps")).unwrap_or_default();
    for line in list.lines().skip(1) {
        let Some(path) = line.split_whitespace().next().map(unescaped) else {
            continue;
        };
        for member in family {
            if is_of(member, &path, None) {
                found.insert(used(member, "swap", "is used as swap".to_owned()));
            }
        }
    }
}

/// In each mount namespace that a process shows.
fn mounts(here: &Here, family: &[Member], found: &mut BTreeSet<Usage>) {
    let mut seen = BTreeSet::new();
    let processes = names(&here.proc);
    let numbers = processes
        .iter()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    // Our own first: its mounts need no explanation.
    for process in ["self"].into_iter().chain(numbers.map(String::as_str)) {
        let directory = here.proc.join(process);
        if let Ok(namespace) = fs::read_link(directory.join("ns/mnt"))
            && !seen.insert(namespace)
        {
            continue;
        }
        let list = fs::read(directory.join("mountinfo")).unwrap_or_default();
        for line in String::from_utf8_lossy(&list).lines() {
            mount(line, process, family, found);
        }
    }
}

/// One line of
/// [mountinfo](https://www.kernel.org/doc/html/latest/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts):
/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`.
fn mount(line: &str, process: &str, family: &[Member], found: &mut BTreeSet<Usage>) {
    let words: Vec<&str> = line.split(' ').collect();
    let (Some(number), Some(at)) = (words.get(2), words.get(4)) else {
        return;
    };
    let end = words.iter().position(|word| *word == "-");
    let source = end
        .and_then(|end| words.get(end + 2))
        .map(|it| unescaped(it));
    let at = unescaped(at);
    for member in family {
        // A file system of several devices has a number of its own.
        if !is_of(member, &source.clone().unwrap_or_default(), Some(number)) {
            continue;
        }
        let is_own = ["self", "1"].contains(&process);
        let (kind, text) = match (at.as_os_str() == "/", is_own) {
            (true, true) => ("root", "holds the running root file system".to_owned()),
            (_, true) => ("mounted", format!("is mounted at {}", at.display())),
            (_, false) => (
                "mounted",
                format!(
                    "is mounted at {} in the mount namespace of process {process}",
                    at.display()
                ),
            ),
        };
        found.insert(used(member, kind, text));
    }
}

fn is_of(member: &Member, path: &Path, number: Option<&&str>) -> bool {
    if number.is_some_and(|number| *number == member.number) || *path == path_of(&member.name) {
        return true;
    }
    let Ok(meta) = fs::metadata(path) else {
        return false;
    };
    let rdev = meta.rdev();
    rdev != 0 && format!("{}:{}", major(rdev), minor(rdev)) == member.number
}

/// `\040` is a blank.
fn unescaped(text: &str) -> PathBuf {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4);
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) if byte.is_ascii() => {
                out.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            _ => {
                out.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    PathBuf::from(out)
}

/// Processes that have the device open, as far as this user may see them: `cp (1234)`.
pub fn openers(here: &Here, path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let own = std::process::id().to_string();
    for process in names(&here.proc) {
        if !process.bytes().all(|byte| byte.is_ascii_digit()) || process == own {
            continue;
        }
        let directory = here.proc.join(&process);
        let descriptors = names(&directory.join("fd"));
        let has = |name: &String| {
            fs::read_link(directory.join("fd").join(name)).is_ok_and(|to| to == path)
        };
        if descriptors.iter().any(has) {
            let called = text(&directory.join("comm")).unwrap_or_default();
            found.push(format!("{called} ({process})"));
        }
    }
    found
}
