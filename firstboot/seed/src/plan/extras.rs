//! The files of [`Extras`], made from the image's files.
use std::collections::{BTreeMap, HashMap, HashSet};

use super::accounts::Tables;
use super::{Before, Content, Image, PlannedFile, Role, time};
use crate::check::Extras;
use crate::contract::paths::{
    BOOTCMD, CA_BUNDLE, LOCALTIME, SSH_CONFIG, SSH_KEYS, SUDO_RULES, TIMEZONE, ZONES, is_below,
};
use crate::read::cloud_config::{User, WriteFile};
use crate::text::problem::{Located, Place, Problems};
use crate::text::secret::SecretBytes;

/// Where new users live, unless the image lets them live in `/home`.
const HOMES: &str = "/var/home";

/// Login keys of a user, a line each, and each once.
#[derive(Default)]
struct Keys<'a> {
    text: String,
    known: HashSet<&'a str>,
}

impl<'a> Keys<'a> {
    fn add(&mut self, key: &'a str) {
        if self.known.insert(key) {
            self.text.push_str(key);
            self.text.push('\n');
        }
    }
}

/// A file of `write_files`, put together once all entries of its path are known: the cost of
/// many small additions stays that of the file.
#[derive(Default)]
struct Pieces<'a> {
    /// The image's file, if the entries add to it.
    before: Option<Before>,
    added: Vec<&'a [u8]>,
    mode: u32,
    uid: u32,
    gid: u32,
    place: Option<&'a Place>,
}

impl Pieces<'_> {
    fn file(self, path: &str) -> PlannedFile {
        let before = self.before.as_ref();
        let before = before.map_or(&[][..], |before| before.bytes.expose());
        let bytes = SecretBytes::joined(std::iter::once(before).chain(self.added));
        PlannedFile {
            path: path.to_owned(),
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            content: Content::Bytes(bytes),
            role: Role::Asked,
            place: self.place.cloned(),
        }
    }
}

struct Planner<'a> {
    image: &'a dyn Image,
    writable: &'a [String],
    problems: &'a mut Problems,
    files: Vec<PlannedFile>,
}

pub(super) fn plan(
    extras: &Extras,
    image: &dyn Image,
    writable: &[String],
    problems: &mut Problems,
) -> Vec<PlannedFile> {
    let mut planner = Planner {
        image,
        writable,
        problems,
        files: Vec::new(),
    };
    let tables = planner.accounts(extras);
    planner.trust(extras);
    planner.time(extras);
    planner.scripts(extras);
    if let Some(tables) = tables {
        planner.written(&extras.files, &tables);
    }
    planner.files
}

impl Planner<'_> {
    fn read(&mut self, path: &str) -> Option<Before> {
        self.image.file(path).unwrap_or_else(|reason| {
            let remedy = "correct the image, or restore the file";
            self.problems.error(&Place::file(path), reason, remedy);
            None
        })
    }

    fn text(&mut self, path: &str) -> Option<String> {
        let before = self.read(path)?;
        let text = std::str::from_utf8(before.bytes.expose()).map(str::to_owned);
        if text.is_err() {
            self.problems
                .error(&Place::file(path), "is not UTF-8 text", "correct the image");
        }
        text.ok()
    }

    /// The account tables with the seed's accounts in them; planned when anything was added.
    fn accounts(&mut self, extras: &Extras) -> Option<Tables> {
        // An image without any accounts still has root.
        let or = |text: Option<String>, root: &str| text.unwrap_or_else(|| root.to_owned());
        let mut tables = Tables::of(
            or(
                self.text("/etc/passwd"),
                "root:x:0:0:root:/root:/bin/bash\n",
            ),
            or(self.text("/etc/group"), "root:x:0:\n"),
            self.text("/etc/shadow"),
            self.text("/etc/gshadow"),
        );
        let mut good = true;
        if let Err(reason) = tables.add_groups(&extras.groups) {
            self.problems
                .error(&Place::file("/etc/group"), reason, "correct the seed");
            good = false;
        }
        for user in &extras.users {
            good &= self.user(user, &mut tables);
        }
        tables.add_members(&extras.groups);
        for member in extras.groups.iter().flat_map(|group| &group.members) {
            if tables.account(&member.value).is_none() {
                let reason = "has a member that this node does not have, which has no effect";
                self.problems
                    .warn(&member.place, reason, "add it to `users`");
            }
        }
        self.logins(extras);
        if !good {
            return None;
        }
        for (path, text) in tables.changed() {
            self.changed(path, SecretBytes::new(text.as_bytes().to_vec()), 0o644);
        }
        Some(tables)
    }

    fn user(&mut self, user: &User, tables: &mut Tables) -> bool {
        let name = user.name.value.as_str();
        let fresh = tables.account(name).is_none();
        let home = match &user.home {
            Some(home) => home.value.clone(),
            None if self.is_writable("/home/x") => format!("/home/{name}"),
            None => format!("{HOMES}/{name}"),
        };
        let account = match tables.add_user(user, &home) {
            Ok(account) => account,
            Err(reason) => {
                self.problems
                    .error(&user.name.place, reason, "correct the seed");
                return false;
            }
        };
        if !fresh {
            let given = [
                &user.gecos,
                &user.home,
                &user.shell,
                &user.uid,
                &user.primary_group,
            ];
            for value in given.into_iter().flatten() {
                let reason = format!("has no effect: `{name}` is an account that exists already");
                self.problems.warn(&value.place, reason, "");
            }
        }
        if fresh && user.create_home && !user.system {
            if self.is_writable(&account.home) {
                self.files.push(PlannedFile {
                    path: account.home,
                    mode: 0o700,
                    uid: account.uid,
                    gid: account.gid,
                    content: Content::Directory,
                    role: Role::Asked,
                    place: Some(
                        user.home
                            .as_ref()
                            .map_or(&user.name.place, |home| &home.place)
                            .clone(),
                    ),
                });
            } else {
                let reason = format!(
                    "`{name}` has a home directory in the sealed part of the image, where it \
                     cannot be created"
                );
                self.problems
                    .warn(&user.name.place, reason, "choose one below /var/home");
            }
        }
        true
    }

    fn is_writable(&self, path: &str) -> bool {
        let given = self.writable.iter().map(String::as_str);
        let homes = self
            .writable
            .iter()
            .any(|directory| is_below(HOMES, directory));
        given
            .chain(homes.then_some(HOMES))
            .any(|directory| is_below(path, directory))
    }

    /// Keys in their own directory: home directories need not be writable, nor exist.
    fn logins(&mut self, extras: &Extras) {
        let mut rules = String::new();
        let mut keys: BTreeMap<&str, Keys<'_>> = BTreeMap::new();
        let own = keys.entry("root").or_default();
        extras.root_keys.iter().for_each(|key| own.add(&key.value));
        for user in &extras.users {
            let name = user.name.value.as_str();
            let own = keys.entry(name).or_default();
            user.ssh_keys.iter().for_each(|key| own.add(&key.value));
            for rule in &user.sudo {
                rules.push_str(&format!("{name} {}\n", rule.value));
            }
        }
        keys.retain(|_, keys| !keys.text.is_empty());
        for (name, Keys { text, .. }) in &keys {
            self.files
                .push(PlannedFile::public(&format!("{SSH_KEYS}/{name}"), text));
        }
        if !keys.is_empty() {
            let text = format!("AuthorizedKeysFile .ssh/authorized_keys {SSH_KEYS}/%u\n");
            self.files.push(PlannedFile::public(SSH_CONFIG, &text));
        }
        if !rules.is_empty() {
            let mut file = PlannedFile::public(SUDO_RULES, &rules);
            file.mode = 0o440;
            self.files.push(file);
        }
    }

    fn trust(&mut self, extras: &Extras) {
        let Some(trust) = &extras.ca else { return };
        let mut text = String::new();
        if !trust.only_these {
            text = self.text(CA_BUNDLE).unwrap_or_default();
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
        }
        text.push_str(&trust.pem);
        self.changed(CA_BUNDLE, SecretBytes::new(text.into_bytes()), 0o644);
    }

    fn time(&mut self, extras: &Extras) {
        self.files.extend(time::file(extras, self.image));
        let Some(zone) = &extras.timezone else { return };
        let path = format!("{ZONES}/{}", zone.value);
        if !self.image.exists(&path) || self.image.is_directory(&path) {
            let reason = "is not a time zone of this image";
            let remedy = "write it like `Europe/Berlin`; the image needs the package tzdata";
            self.problems.error(&zone.place, reason, remedy);
            return;
        }
        let mut link = PlannedFile::public(LOCALTIME, "");
        link.content = Content::Link(format!("..{ZONES}/{}", zone.value));
        self.files.push(link);
        self.files
            .push(PlannedFile::public(TIMEZONE, &format!("{}\n", zone.value)));
    }

    fn scripts(&mut self, extras: &Extras) {
        if let Some(text) = &extras.bootcmd {
            let file = PlannedFile::new(BOOTCMD, 0o700, text.clone().into());
            self.files.push(file);
        }
        for (name, text) in &extras.scripts {
            self.files
                .push(PlannedFile::script(name, text.clone().into()));
        }
    }

    /// A file that may exist: its mode and owner stay.
    fn changed(&mut self, path: &str, bytes: SecretBytes, mode: u32) {
        let mut file = PlannedFile::new(path, mode, bytes);
        file.role = Role::Edited;
        if let Some(before) = self.read(path) {
            (file.mode, file.uid, file.gid) = (before.mode, before.uid, before.gid);
        }
        self.files.push(file);
    }

    /// `write_files` in order: a later entry of the same path replaces or adds to an earlier one.
    fn written(&mut self, entries: &[WriteFile], tables: &Tables) {
        let own: HashMap<String, bool> = self
            .files
            .iter()
            .map(|own| (own.path.clone(), matches!(own.content, Content::Directory)))
            .collect();
        let mut files: BTreeMap<&str, Pieces<'_>> = BTreeMap::new();
        for entry in entries {
            let path = entry.path.value.as_str();
            let Some((uid, gid)) = self.owner(entry.owner.as_ref(), tables) else {
                continue;
            };
            if let Some(is_home) = own.get(path) {
                let what = match is_home {
                    true => "is the home directory of a user",
                    false => "is a file that first boot itself writes",
                };
                let remedy = "use the key for it or choose another path";
                self.problems.error(&entry.path.place, what, remedy);
                continue;
            }
            let mut pieces = match files.remove(path) {
                Some(earlier) if entry.append => earlier,
                None if entry.append => Pieces {
                    before: self.read(path),
                    ..Pieces::default()
                },
                _ => Pieces::default(),
            };
            pieces.added.push(entry.content.expose());
            (pieces.mode, pieces.uid, pieces.gid) = (entry.mode, uid, gid);
            pieces.place = Some(&entry.path.place);
            files.insert(path, pieces);
        }
        let files = files.into_iter().map(|(path, pieces)| pieces.file(path));
        self.files.extend(files);
    }

    /// Ids of `user:group`, `user` or numbers; root by default.
    fn owner(&mut self, owner: Option<&Located<String>>, tables: &Tables) -> Option<(u32, u32)> {
        let Some(owner) = owner else {
            return Some((0, 0));
        };
        let (user, group) = match owner.value.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (owner.value.as_str(), None),
        };
        let account = tables.account(user);
        let uid = match user {
            "" => Some(0),
            user => account
                .as_ref()
                .map(|found| found.uid)
                .or_else(|| user.parse().ok()),
        };
        let gid = match group {
            Some(group) => tables.group_id(group).or_else(|| group.parse().ok()),
            None => Some(account.map_or(0, |found| found.gid)),
        };
        let ids = uid.zip(gid);
        if ids.is_none() {
            let reason = "names a user or group that this node does not have";
            self.problems
                .error(&owner.place, reason, "add it to `users` or `groups`");
        }
        ids
    }
}
