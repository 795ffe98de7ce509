//! Users and groups: lines added to passwd(5), group(5), shadow(5) and gshadow(5).
//!
//! # Invariants
//! - Existing lines stay as they are, byte for byte; lines are added at the end, and
//!   members to the lines of groups. An account that exists is not created again.
//! - Ids are the first free ones, so that one seed on one image gives one result.
//! - No account has a password: `*`, which no password ever matches.
use crate::read::cloud_config::{Group, User};

/// First id of users' accounts, and of system accounts.
const PEOPLE: std::ops::Range<u32> = 1000..60_000;
const SYSTEM: std::ops::Range<u32> = 500..1000;

/// The four tables as text; the last two only if the image has them.
pub(super) struct Tables {
    pub(super) passwd: String,
    pub(super) group: String,
    pub(super) shadow: Option<String>,
    pub(super) gshadow: Option<String>,
}

/// A user of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
}

fn fields<'t>(table: &'t str, name: &str) -> Option<Vec<&'t str>> {
    table
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&name))
}

fn ids(table: &str, column: usize) -> Vec<u32> {
    let id = |line: &str| line.split(':').nth(column)?.parse().ok();
    table.lines().filter_map(id).collect()
}

fn add_line(table: &mut String, line: &str) {
    if !table.is_empty() && !table.ends_with('\n') {
        table.push('\n');
    }
    table.push_str(line);
    table.push('\n');
}

impl Tables {
    pub(super) fn account(&self, name: &str) -> Option<Account> {
        let fields = fields(&self.passwd, name)?;
        Some(Account {
            uid: fields.get(2)?.parse().ok()?,
            gid: fields.get(3)?.parse().ok()?,
            home: (*fields.get(5)?).to_owned(),
        })
    }

    pub(super) fn group_id(&self, name: &str) -> Option<u32> {
        fields(&self.group, name)?.get(2)?.parse().ok()
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
            let taken = ids(&self.passwd, 2);
            let uid = match wanted {
                Some(uid) if taken.contains(&uid) => {
                    return Err(format!("the user id {uid} of `{name}` is already taken"));
                }
                Some(uid) => uid,
                None => free(&taken, &ids(&self.group, 2), user.system)?,
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
            add_line(
                &mut self.passwd,
                &format!("{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}"),
            );
            if let Some(shadow) = &mut self.shadow {
                add_line(shadow, &format!("{name}:*::0:99999:7:::"));
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
        let taken = ids(&self.group, 2);
        let gid = match wanted.filter(|gid| !taken.contains(gid)) {
            Some(gid) => gid,
            None => free(&taken, &ids(&self.passwd, 2), false)?,
        };
        add_line(&mut self.group, &format!("{name}:x:{gid}:"));
        if let Some(gshadow) = &mut self.gshadow {
            add_line(gshadow, &format!("{name}:*::"));
        }
        Ok(gid)
    }

    fn join(&mut self, group: &str, user: &str) {
        add_member(&mut self.group, group, user);
        if let Some(gshadow) = &mut self.gshadow {
            add_member(gshadow, group, user);
        }
    }
}

/// The first id that neither table has, so that a user's own group can have the same.
fn free(taken: &[u32], also: &[u32], system: bool) -> Result<u32, String> {
    let mut range = if system { SYSTEM } else { PEOPLE };
    range
        .find(|id| !taken.contains(id) && !also.contains(id))
        .ok_or_else(|| "there is no free user id left".to_owned())
}

/// The last field of a group's line is its members.
fn add_member(table: &mut String, group: &str, user: &str) {
    let mut text = String::with_capacity(table.len() + user.len() + 1);
    for line in table.lines() {
        text.push_str(line);
        if line.split(':').next() == Some(group) {
            let members = line.rsplit(':').next().unwrap_or_default();
            if !members.split(',').any(|member| member == user) {
                text.push_str(if members.is_empty() { "" } else { "," });
                text.push_str(user);
            }
        }
        text.push('\n');
    }
    *table = text;
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
        Tables {
            passwd: "root:x:0:0:root:/root:/bin/bash\nold:x:1000:1000::/home/old:/bin/sh"
                .to_owned(),
            group: "root:x:0:\nold:x:1000:\nusers:x:100:old\n".to_owned(),
            shadow: Some("root:*:1::::::\n".to_owned()),
            gshadow: Some("root:*::\nusers:*::old\n".to_owned()),
        }
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
            tables.passwd,
            "root:x:0:0:root:/root:/bin/bash\nold:x:1000:1000::/home/old:/bin/sh\n\
             a:x:1003:1003:A B:/home/a:/bin/bash\ns:x:500:500::/home/s:/bin/false\n\
             b:x:2000:100::/home/b:/bin/bash\n"
        );
        assert_eq!(
            tables.group,
            "root:x:0:\nold:x:1000:\nusers:x:100:old,a\nwheel:x:1001:a,root\nempty:x:1002:\na:x:1003:\ns:x:500:\n"
        );
        assert_eq!(
            tables.shadow.as_deref(),
            Some("root:*:1::::::\na:*::0:99999:7:::\ns:*::0:99999:7:::\nb:*::0:99999:7:::\n")
        );
        assert_eq!(
            tables.gshadow.as_deref(),
            Some("root:*::\nusers:*::old,a\nwheel:*::a,root\nempty:*::\na:*::\ns:*::\n")
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
