//! `users`, `user`, `groups` and SSH keys. No passwords: their keys are reported as having no
//! effect.
use super::{not_read, twice};
use crate::text::field::{Field, Member};
use crate::text::problem::{Located, Place, Problems};
use crate::text::yaml::{Kind, Scalar};

#[derive(Clone)]
pub struct User {
    pub name: Located<String>,
    pub ssh_keys: Vec<Located<String>>,
    /// Rules of sudoers(5) after the user's name.
    pub sudo: Vec<Located<String>>,
    /// More groups; created if they are missing.
    pub groups: Vec<Located<String>>,
    pub primary_group: Option<Located<String>>,
    pub gecos: Option<Located<String>>,
    pub home: Option<Located<String>>,
    pub shell: Option<Located<String>>,
    pub uid: Option<Located<String>>,
    pub system: bool,
    pub create_home: bool,
}

#[derive(Clone)]
pub struct Group {
    pub name: Located<String>,
    pub members: Vec<Located<String>>,
}

const USER_KEYS: [&str; 14] = [
    "gecos",
    "groups",
    "homedir",
    "name",
    "no_create_home",
    "no_user_group",
    "primary_group",
    "shell",
    "ssh-authorized-keys",
    "ssh_authorized_keys",
    "sudo",
    "system",
    "uid",
    "lock_passwd",
];

const PASSWORDS: [&str; 3] = ["hashed_passwd", "passwd", "plain_text_passwd"];

impl User {
    fn named(name: Located<String>) -> Self {
        Self {
            name,
            ssh_keys: Vec::new(),
            sudo: Vec::new(),
            groups: Vec::new(),
            primary_group: None,
            gecos: None,
            home: None,
            shell: None,
            uid: None,
            system: false,
            create_home: true,
        }
    }
}

/// A key per line, or a list of them. Items that say nothing are ignored: generators write
/// them for variables without a value.
pub(crate) fn ssh_keys(field: &Field<'_>, problems: &mut Problems) -> Vec<Located<String>> {
    let items = match &field.node.kind {
        Kind::Sequence(_) => field.items(),
        _ => vec![field.clone()],
    };
    let mut keys = Vec::new();
    for item in items {
        let says_nothing = |scalar: &Scalar| {
            scalar.tag.is_none() && (scalar.is_null() || scalar.text().trim().is_empty())
        };
        if item.node.scalar().is_some_and(says_nothing) {
            problems.warn(&item.place, "is empty and has no effect", "");
        } else {
            keys.extend(item.text(problems).iter().flat_map(lines));
        }
    }
    keys
}

fn lines(text: &Located<String>) -> Vec<Located<String>> {
    let line = |line: &str| Located {
        value: line.trim().to_owned(),
        place: text.place.clone(),
    };
    let lines = text.value.lines().map(line);
    lines
        .filter(|line| !line.value.is_empty() && !line.value.starts_with('#'))
        .collect()
}

pub(super) fn default_user(field: &Field<'_>, problems: &mut Problems) -> Option<User> {
    match &field.node.kind {
        Kind::Mapping(_) => user(field, None, problems),
        _ => field.said(problems).map(User::named),
    }
}

pub(super) fn users(field: &Field<'_>, problems: &mut Problems) -> Vec<User> {
    let mut users = Vec::new();
    match &field.node.kind {
        Kind::Sequence(_) => {
            for item in field.items() {
                if item.node.entries().is_some() {
                    users.extend(user(&item, None, problems));
                } else {
                    let names = item.said(problems).map(|text| names(&text));
                    users.extend(names.into_iter().flatten().map(User::named));
                }
            }
        }
        Kind::Mapping(_) => {
            for member in field.members(problems).unwrap_or_default() {
                users.extend(user(&member.field, Some(member.name), problems));
            }
        }
        Kind::Scalar(_) => {
            let names = field.said(problems).map(|text| names(&text));
            users.extend(names.into_iter().flatten().map(User::named));
        }
    }
    // `default` is the user of the top-level `user` key.
    users.retain(|user| user.name.value != "default");
    users
}

/// `a, b` as names.
fn names(text: &Located<String>) -> Vec<Located<String>> {
    let name = |name: &str| Located {
        value: name.trim().to_owned(),
        place: text.place.clone(),
    };
    let names = text.value.split(',').map(name);
    names.filter(|name| !name.value.is_empty()).collect()
}

fn user(item: &Field<'_>, named: Option<&str>, problems: &mut Problems) -> Option<User> {
    let name = named.map(|name| Located {
        value: name.to_owned(),
        place: item.place.clone(),
    });
    let mut user = User::named(name.unwrap_or_else(|| Located {
        value: String::new(),
        place: item.place.clone(),
    }));
    let (mut snap, mut asked) = (false, named.is_some());
    for member in item.members(problems)? {
        snap |= member.name == "snapuser";
        asked |= member.name == "name";
        of_user(&mut user, &member, problems);
    }
    if user.name.value.is_empty() {
        // cloud-init has users without a name only for snap; the key has been reported.
        if !snap && !asked {
            problems.error(&item.place, "is a user without `name`", "add `name: ...`");
        }
        return None;
    }
    Some(user)
}

fn of_user(user: &mut User, member: &Member<'_>, problems: &mut Problems) {
    let field = &member.field;
    let boolean = || field.node.scalar().and_then(Scalar::boolean);
    let nothing = field.node.scalar().is_some_and(Scalar::is_null);
    match member.name {
        "name" => {
            if let Some(name) = field.said(problems) {
                user.name = name;
            }
        }
        _ if nothing => {}
        "ssh_authorized_keys" | "ssh-authorized-keys" => {
            user.ssh_keys.extend(ssh_keys(field, problems));
        }
        // `sudo: false` is the old way to ask for none.
        "sudo" if boolean() == Some(false) => {}
        "sudo" => user.sudo = field.said_list(problems),
        "groups" => user.groups = list_of_names(field, problems),
        "primary_group" | "primary-group" => {
            if user.primary_group.is_some() {
                twice(field, "primary_group", problems);
            }
            user.primary_group = field.said(problems);
        }
        "gecos" => user.gecos = field.said(problems),
        "homedir" => user.home = field.said(problems),
        "shell" => user.shell = field.said(problems),
        "uid" => user.uid = field.said(problems),
        "system" => user.system = field.boolean(problems).unwrap_or(false),
        "no_create_home" | "no-create-home" => {
            user.create_home = !field.boolean(problems).unwrap_or(false);
        }
        "no_user_group" if boolean() == Some(false) => {}
        // Every account is locked for passwords anyway.
        "lock_passwd" | "lock-passwd" if boolean() == Some(true) => {}
        "lock_passwd" | "lock-passwd" => password(&field.place, problems),
        name if PASSWORDS.contains(&name) => password(&field.place, problems),
        name => not_read(field, name, &USER_KEYS, problems),
    }
}

fn password(place: &Place, problems: &mut Problems) {
    let reason = "is not applied: a node image sets no passwords and allows no password logins";
    problems.warn(place, reason, "use SSH keys");
}

fn list_of_names(field: &Field<'_>, problems: &mut Problems) -> Vec<Located<String>> {
    let texts = field.said_list(problems);
    texts.iter().flat_map(names).collect()
}

pub(super) fn groups(field: &Field<'_>, problems: &mut Problems) -> Vec<Group> {
    let mut groups = Vec::new();
    match &field.node.kind {
        Kind::Sequence(_) => {
            for item in field.items() {
                if item.node.entries().is_some() {
                    groups.extend(groups_of(&item, problems));
                } else {
                    groups.extend(plain_groups(&item, problems));
                }
            }
        }
        Kind::Mapping(_) => groups.extend(groups_of(field, problems)),
        Kind::Scalar(_) => groups.extend(plain_groups(field, problems)),
    }
    groups
}

fn plain_groups(field: &Field<'_>, problems: &mut Problems) -> Vec<Group> {
    let names = field
        .text(problems)
        .map(|text| names(&text))
        .unwrap_or_default();
    let group = |name| Group {
        name,
        members: Vec::new(),
    };
    names.into_iter().map(group).collect()
}

/// `{group: [member, ...]}`.
fn groups_of(field: &Field<'_>, problems: &mut Problems) -> Vec<Group> {
    let members = field.members(problems).unwrap_or_default();
    let group = |member: &Member<'_>, problems: &mut Problems| {
        let nothing = member.field.node.scalar().is_some_and(Scalar::is_null);
        Group {
            name: Located {
                value: member.name.to_owned(),
                place: member.field.place.clone(),
            },
            members: if nothing {
                Vec::new()
            } else {
                list_of_names(&member.field, problems)
            },
        }
    };
    members
        .iter()
        .map(|member| group(member, problems))
        .collect()
}
