//! Users and groups: lines added to passwd(5), group(5), shadow(5) and gshadow(5).
//!
//! # Invariants
//! - Existing lines stay as they are, byte for byte; lines are added at the end, and
//!   members to the lines of groups. An account that exists is not created again.
//! - Ids are the first free ones, so that one seed on one image gives one result.
//! - No account has a password: `*`, which no password ever matches.
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::read::cloud_config::{Group, User};

/// First id of users' accounts, and of system accounts.
const PEOPLE: std::ops::Range<u32> = 1000..60_000;
const SYSTEM: std::ops::Range<u32> = 500..1000;

/// The four tables; the last two only if the image has them.
pub(super) struct Tables {
    passwd: Table,
    group: Table,
    shadow: Option<Table>,
    gshadow: Option<Table>,
    /// Where the search for a free id of people, and of system accounts, goes on: ids are
    /// never given back.
    next: [u32; 2],
}

/// A user of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
}

/// One table, with what is looked up in it: a seed may bring tens of thousands of lines.
struct Table {
    before: String,
    lines: Vec<String>,
    /// The first line of each name.
    by_name: HashMap<String, usize>,
    /// Third fields that are numbers.
    ids: HashSet<u32>,
    /// Members of groups that have been given new ones, by line.
    members: HashMap<usize, HashSet<String>>,
    changed: bool,
}

impl Table {
    fn of(text: String) -> Self {
        let mut table = Self {
            lines: Vec::new(),
            by_name: HashMap::new(),
            ids: HashSet::new(),
            members: HashMap::new(),
            changed: false,
            before: String::new(),
        };
        for line in text.split_terminator('\n') {
            table.add(line.to_owned());
        }
        table.changed = false;
        table.before = text;
        table
    }

    fn add(&mut self, line: String) {
        let mut fields = line.split(':');
        let name = fields.next().unwrap_or_default().to_owned();
        let id: Option<u32> = fields.nth(1).and_then(|id| id.parse().ok());
        self.ids.extend(id);
        self.by_name.entry(name).or_insert(self.lines.len());
        self.lines.push(line);
        self.changed = true;
    }

    fn fields(&self, name: &str) -> Option<Vec<&str>> {
        let line = self.lines.get(*self.by_name.get(name)?)?;
        Some(line.trim_end_matches('\r').split(':').collect())
    }

    /// Adds to the last field of a group's line, which is its members.
    fn join(&mut self, group: &str, user: &str) {
        let Some(at) = self.by_name.get(group).copied() else {
            return;
        };
        let Some(line) = self.lines.get_mut(at) else {
            return;
        };
        let members = self.members.entry(at).or_insert_with(|| {
            let listed = line.rsplit(':').next().unwrap_or_default();
            listed.split(',').map(str::to_owned).collect()
        });
        if members.insert(user.to_owned()) {
            line.push_str(if line.ends_with(':') { "" } else { "," });
            line.push_str(user);
            self.changed = true;
        }
    }

    fn text(&self) -> Cow<'_, str> {
        match self.changed {
            false => Cow::Borrowed(&self.before),
            true => Cow::Owned(self.lines.join("\n") + "\n"),
        }
    }
}

impl Tables {
    /// Of the text of the image's files.
    pub(super) fn of(
        passwd: String,
        group: String,
        shadow: Option<String>,
        gshadow: Option<String>,
    ) -> Self {
        Self {
            passwd: Table::of(passwd),
            group: Table::of(group),
            shadow: shadow.map(Table::of),
            gshadow: gshadow.map(Table::of),
            next: [PEOPLE.start, SYSTEM.start],
        }
    }

    /// The files that are no longer as they were.
    pub(super) fn changed<'t>(&'t self) -> impl Iterator<Item = (&'static str, Cow<'t, str>)> {
        let all = [
            ("/etc/passwd", Some(&self.passwd)),
            ("/etc/group", Some(&self.group)),
            ("/etc/shadow", self.shadow.as_ref()),
            ("/etc/gshadow", self.gshadow.as_ref()),
        ];
        let changed = |(path, table): (_, Option<&'t Table>)| {
            let table = table.filter(|table| table.changed)?;
            Some((path, table.text()))
        };
        all.into_iter().filter_map(changed)
    }

    pub(super) fn account(&self, name: &str) -> Option<Account> {
        let fields = self.passwd.fields(name)?;
        Some(Account {
            uid: fields.get(2)?.parse().ok()?,
            gid: fields.get(3)?.parse().ok()?,
            home: (*fields.get(5)?).to_owned(),
        })
    }

    pub(super) fn group_id(&self, name: &str) -> Option<u32> {
        self.group.fields(name)?.get(2)?.parse().ok()
    }

    pub(super) fn add_groups(&mut self, groups: &[Group]) -> Result<(), String> {
        for group in groups {
            self.ensure_group(&group.name.value, None)?;
        }
        Ok(())
    }

    /// After the users are created: cloud-init adds only members that exist.
    pub(super) fn add_members(&mut self, groups: &[Group]) {
        for group in groups {
            for member in &group.members {
                if self.account(&member.value).is_some() {
                    self.join(&group.name.value, &member.value);
                }
            }
        }
    }

    /// Creates the user if it does not exist, and adds it to its groups.
    pub(super) fn add_user(&mut self, user: &User, home: &str) -> Result<Account, String> {
        let name = user.name.value.as_str();
        if self.account(name).is_none() {
            let wanted = user.uid.as_ref().and_then(|uid| uid.value.parse().ok());
            let uid = match wanted {
                Some(uid) if self.passwd.ids.contains(&uid) => {
                    return Err(format!("the user id {uid} of `{name}` is already taken"));
                }
                Some(uid) => uid,
                None => self.free(user.system)?,
            };
            let gid = match &user.primary_group {
                Some(group) => self.ensure_group(&group.value, None)?,
                None => self.ensure_group(name, Some(uid))?,
            };
            let text = |value: &Option<crate::text::problem::Located<String>>, other: &str| {
                value
                    .as_ref()
                    .map_or_else(|| other.to_owned(), |value| value.value.clone())
            };
            let shell = text(&user.shell, "/bin/bash");
            let gecos = text(&user.gecos, "");
            self.passwd
                .add(format!("{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}"));
            if let Some(shadow) = &mut self.shadow {
                shadow.add(format!("{name}:*::0:99999:7:::"));
            }
        }
        for group in &user.groups {
            self.ensure_group(&group.value, None)?;
            self.join(&group.value, name);
        }
        self.account(name)
            .ok_or_else(|| format!("the entry for `{name}` cannot be read"))
    }

    fn ensure_group(&mut self, name: &str, wanted: Option<u32>) -> Result<u32, String> {
        if let Some(gid) = self.group_id(name) {
            return Ok(gid);
        }
        let gid = match wanted.filter(|gid| !self.group.ids.contains(gid)) {
            Some(gid) => gid,
            None => self.free(false)?,
        };
        self.group.add(format!("{name}:x:{gid}:"));
        if let Some(gshadow) = &mut self.gshadow {
            gshadow.add(format!("{name}:*::"));
        }
        Ok(gid)
    }

    fn join(&mut self, group: &str, user: &str) {
        self.group.join(group, user);
        if let Some(gshadow) = &mut self.gshadow {
            gshadow.join(group, user);
        }
    }

    /// The first id that neither table has, so that a user's own group can have the same.
    fn free(&mut self, system: bool) -> Result<u32, String> {
        let range = if system { SYSTEM } else { PEOPLE };
        let next = &mut self.next[usize::from(system)];
        while *next < range.end {
            if !self.passwd.ids.contains(next) && !self.group.ids.contains(next) {
                return Ok(*next);
            }
            *next += 1;
        }
        Err("there is no free user id left".to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{Account, Tables};
    use crate::contract::profile::container_host;
    use crate::read::cloud_config;
    use crate::read::user_data::{Content, Part};
    use crate::text::problem::Problems;
    use crate::text::secret::Secret;

    fn tables() -> Tables {
        Tables::of(
            "root:x:0:0:root:/root:/bin/bash\nold:x:1000:1000::/home/old:/bin/sh".to_owned(),
            "root:x:0:\nold:x:1000:\nusers:x:100:old\n".to_owned(),
            Some("root:*:1::::::\n".to_owned()),
            Some("root:*::\nusers:*::old\n".to_owned()),
        )
    }

    #[test]
    fn accounts_are_added() {
        let mut problems = Problems::new();
        let text = "users:\n- {name: a, groups: 'users, wheel', gecos: A B}\n- {name: s, system: true, shell: /bin/false}\n- {name: b, primary_group: users, uid: '2000'}\n- {name: old, groups: [users]}\ngroups:\n- wheel: [root, nobody]\n- empty\n";
        let part = Part {
            label: "u".to_owned(),
            content: Content::CloudConfig {
                text: Secret::new(text.to_owned()),
                merge: None,
            },
        };
        let data = cloud_config::read(vec![part], &container_host::PROFILE, &mut problems).unwrap();
        let mut tables = tables();
        tables.add_groups(&data.groups).unwrap();
        for user in &data.users {
            let home = format!("/home/{}", user.name.value);
            tables.add_user(user, &home).unwrap();
        }
        tables.add_members(&data.groups);
        assert_eq!(
            tables.passwd.text(),
            "root:x:0:0:root:/root:/bin/bash\nold:x:1000:1000::/home/old:/bin/sh\n\
             a:x:1003:1003:A B:/home/a:/bin/bash\ns:x:500:500::/home/s:/bin/false\n\
             b:x:2000:100::/home/b:/bin/bash\n"
        );
        assert_eq!(
            tables.group.text(),
            "root:x:0:\nold:x:1000:\nusers:x:100:old,a\nwheel:x:1001:a,root\nempty:x:1002:\na:x:1003:\ns:x:500:\n"
        );
        assert_eq!(
            tables.shadow.as_ref().unwrap().text(),
            ("root:*:1::::::\na:*::0:99999:7:::\ns:*::0:99999:7:::\nb:*::0:99999:7:::\n")
        );
        assert_eq!(
            tables.gshadow.as_ref().unwrap().text(),
            ("root:*::\nusers:*::old,a\nwheel:*::a,root\nempty:*::\na:*::\ns:*::\n")
        );
        let account = Account {
            uid: 2000,
            gid: 100,
            home: "/home/b".to_owned(),
        };
        assert_eq!(tables.account("b"), Some(account));
        let mut taken = data.users[2].clone();
        taken.name.value = "c".to_owned();
        assert!(
            tables
                .add_user(&taken, "/")
                .unwrap_err()
                .contains("is already taken")
        );
    }
}
