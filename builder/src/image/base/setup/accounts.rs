//! `/etc/passwd`, `group`, `shadow` and `gshadow`: base-passwd's master files,
//! then the `sysusers.d` of every package, with ids that never move.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use nodeimg_values::digest::Digest;

use super::Base;
use super::known;
use super::sysusers::{self, Group, Line};
use crate::tree::Origin;

/// Ids of accounts that ask for any. State on a node is owned by number, so an
/// update that moved one would take a service's files away from it.
const FIXED: [(&str, u32); 12] = [
    ("systemd-network", 990),
    ("systemd-resolve", 989),
    ("systemd-timesync", 988),
    ("messagebus", 987),
    ("systemd-journal", 986),
    ("_ssh", 985),
    ("input", 984),
    ("sgx", 983),
    ("clock", 982),
    ("kvm", 981),
    ("render", 980),
    ("sshd", 975),
];
/// Names that are not in [`FIXED`] get an id by their digest.
const HASHED: std::ops::Range<u32> = 400..900;

const NOLOGIN: &str = "/usr/sbin/nologin";
const SECONDS_A_DAY: u64 = 86_400;
/// The group `shadow` of base-passwd.
const SHADOW_GID: u32 = 42;

#[derive(Default)]
struct Accounts {
    /// Lines of /etc/passwd without the password, in order.
    users: Vec<User>,
    groups: Vec<GroupEntry>,
}

struct User {
    name: String,
    uid: u32,
    gid: u32,
    /// GECOS, home and shell.
    rest: String,
}

struct GroupEntry {
    name: String,
    gid: u32,
    members: BTreeSet<String>,
}

pub fn make(base: &mut Base<'_>) -> Result<()> {
    let mut accounts = masters(base)?;
    let lines = all_lines(base)?;
    accounts.create(&lines)?;
    let day = base.facts.epoch.0 / SECONDS_A_DAY;
    base.file("/etc/passwd", accounts.passwd())?;
    base.file("/etc/group", accounts.group())?;
    base.file_of("/etc/shadow", accounts.shadow(day), 0o640, SHADOW_GID)?;
    base.file_of("/etc/gshadow", accounts.gshadow(), 0o640, SHADOW_GID)?;
    base.file("/etc/subuid", "")?;
    base.file("/etc/subgid", "")?;
    // openssh-client's postinst: no other process may read the agent's memory.
    if let (Some(stat), Some(gid)) = (
        base.tree.stat_mut(&"/usr/bin/ssh-agent".parse()?),
        accounts.gid_of("_ssh"),
    ) {
        stat.mode = 0o2755;
        stat.gid = gid;
    }
    Ok(())
}

/// Once more, for the sysusers.d of overlays: ids do not depend on what else there is, so
/// nothing that was made before moves. An overlay's own `/etc/passwd` stays.
pub fn complete(base: &mut Base<'_>) -> Result<()> {
    let files = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"];
    for path in files {
        let node = base.tree.get(&path.parse()?);
        if !node.is_some_and(|node| matches!(node.origin, Origin::Base(_))) {
            return Ok(());
        }
    }
    make(base)
}

fn masters(base: &Base<'_>) -> Result<Accounts> {
    let read = |name: &str| -> Result<String> {
        let path = format!("/usr/share/base-passwd/{name}.master");
        base.text(&path)?
            .with_context(|| format!("`{path}` is missing: `base.packages` needs base-passwd"))
    };
    let mut accounts = Accounts::default();
    for line in read("passwd")?.lines() {
        let fields: Vec<&str> = line.splitn(5, ':').collect();
        let [name, _, uid, gid, rest] = fields[..] else {
            bail!("passwd.master: `{line}` is not an account");
        };
        accounts.users.push(User {
            name: name.to_owned(),
            uid: number(uid, line)?,
            gid: number(gid, line)?,
            rest: rest.to_owned(),
        });
    }
    for line in read("group")?.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members] = fields[..] else {
            bail!("group.master: `{line}` is not a group");
        };
        let members = members.split(',').filter(|name| !name.is_empty());
        accounts.groups.push(GroupEntry {
            name: name.to_owned(),
            gid: number(gid, line)?,
            members: members.map(str::to_owned).collect(),
        });
    }
    Ok(accounts)
}

fn number(text: &str, line: &str) -> Result<u32> {
    text.parse()
        .with_context(|| format!("`{line}`: `{text}` is not an id"))
}

/// Of all files by name, one in /etc in the place of its namesake in /usr.
fn all_lines(base: &Base<'_>) -> Result<Vec<Line>> {
    let mut files = BTreeMap::new();
    for directory in ["/usr/lib/sysusers.d", "/etc/sysusers.d"] {
        for path in base.list(directory, ".conf")? {
            files.insert(path.name().to_owned(), path);
        }
    }
    let mut lines = Vec::new();
    for path in files.values() {
        let text = base.text(path.as_str())?.unwrap_or_default();
        lines.extend(sysusers::parse(&text).with_context(|| format!("reading {path}"))?);
    }
    // Not every package with a group of its own says so in sysusers.d.
    if base.has("/usr/bin/ssh-agent")? {
        lines.push(Line::Group {
            name: "_ssh".to_owned(),
            gid: None,
        });
    }
    lines.extend(known::accounts(base)?);
    Ok(lines)
}

impl Accounts {
    /// Groups first, then users, then memberships, as systemd-sysusers does;
    /// names in order, so that no package's file name moves an id.
    fn create(&mut self, lines: &[Line]) -> Result<()> {
        let mut lines: Vec<&Line> = lines.iter().collect();
        lines.sort_by_key(|line| match line {
            Line::Group { name, gid } => (0, gid.is_none(), name.clone()),
            Line::User { name, uid, .. } => (1, uid.is_none(), name.clone()),
            Line::Member { user, group } => (2, false, format!("{user} {group}")),
        });
        for line in lines {
            match line {
                Line::Group { name, gid } => {
                    self.add_group(name, *gid)?;
                }
                Line::User { .. } => self.add_user(line)?,
                Line::Member { user, group } => {
                    self.add_group(group, None)?;
                    let found = self.groups.iter_mut().find(|there| &there.name == group);
                    if let Some(found) = found {
                        found.members.insert(user.clone());
                    }
                }
            }
        }
        Ok(())
    }

    fn add_group(&mut self, name: &str, wanted: Option<u32>) -> Result<u32> {
        if let Some(gid) = self.gid_of(name) {
            return Ok(gid);
        }
        let gid = match wanted {
            Some(gid) => match self.groups.iter().find(|there| there.gid == gid) {
                Some(there) => bail!("groups `{name}` and `{}` both claim gid {gid}", there.name),
                None => gid,
            },
            None => self.free_id(name)?,
        };
        self.groups.push(GroupEntry {
            name: name.to_owned(),
            gid,
            members: BTreeSet::new(),
        });
        Ok(gid)
    }

    fn add_user(&mut self, line: &Line) -> Result<()> {
        let Line::User {
            name,
            uid,
            group,
            gecos,
            home,
            shell,
        } = line
        else {
            return Ok(());
        };
        if self.users.iter().any(|there| &there.name == name) {
            return Ok(());
        }
        let uid = match uid {
            Some(uid) => match self.users.iter().find(|there| there.uid == *uid) {
                Some(there) => bail!("users `{name}` and `{}` both claim uid {uid}", there.name),
                None => *uid,
            },
            None => self
                .gid_of(name)
                .filter(|_| group.is_none())
                .map_or_else(|| self.free_id(name), Ok)?,
        };
        let gid = match group {
            None => self.add_group(name, Some(uid))?,
            Some(Group::Id(gid)) => *gid,
            Some(Group::Name(group)) => self.gid_of(group).with_context(|| {
                format!("user `{name}` belongs to the group `{group}`, which does not exist")
            })?,
        };
        let shell = shell.as_deref().unwrap_or(NOLOGIN);
        self.users.push(User {
            name: name.clone(),
            uid,
            gid,
            rest: format!("{gecos}:{home}:{shell}"),
        });
        Ok(())
    }

    /// The id of a name that asks for any: the same whatever else there is, but
    /// for two names of one digest.
    fn free_id(&self, name: &str) -> Result<u32> {
        let taken = |id: u32| {
            self.users.iter().any(|there| there.uid == id)
                || self.groups.iter().any(|there| there.gid == id)
        };
        if let Some((_, id)) = FIXED.iter().find(|(fixed, _)| *fixed == name) {
            if taken(*id) {
                bail!("`{name}` has the fixed id {id}, which another account already has");
            }
            return Ok(*id);
        }
        let digest = Digest::sha256(name.as_bytes());
        let start = u32::from_str_radix(&digest.hex()[..8], 16)?;
        let size = HASHED.end - HASHED.start;
        (0..size)
            .map(|step| HASHED.start + (start % size + step) % size)
            .find(|id| !taken(*id))
            .with_context(|| format!("no id is left for `{name}`"))
    }

    fn gid_of(&self, group: &str) -> Option<u32> {
        let found = self.groups.iter().find(|there| there.name == group);
        found.map(|there| there.gid)
    }

    fn passwd(&self) -> String {
        let mut text = String::new();
        for User {
            name,
            uid,
            gid,
            rest,
        } in &self.users
        {
            let _ = writeln!(text, "{name}:x:{uid}:{gid}:{rest}");
        }
        text
    }

    fn group(&self) -> String {
        let mut text = String::new();
        for group in &self.groups {
            let _ = writeln!(text, "{}:x:{}:{}", group.name, group.gid, group.list());
        }
        text
    }

    /// No account has a password. root's is `*` and not locked by `!`: sshd
    /// refuses keys of a locked account if PAM is off.
    fn shadow(&self, day: u64) -> String {
        let mut text = String::new();
        for user in &self.users {
            let password = if user.uid == 0 { "*" } else { "!*" };
            let _ = writeln!(text, "{}:{password}:{day}:0:99999:7:::", user.name);
        }
        text
    }

    fn gshadow(&self) -> String {
        let mut text = String::new();
        for group in &self.groups {
            let _ = writeln!(text, "{}:!*::{}", group.name, group.list());
        }
        text
    }
}

impl GroupEntry {
    fn list(&self) -> String {
        self.members.iter().cloned().collect::<Vec<_>>().join(",")
    }
}
