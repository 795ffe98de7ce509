//! What user-data asks for beside the node's own values: files, accounts, trust, time,
//! commands. Each value is checked alone; checks that need the image are in
//! [`crate::plan`].
use std::collections::{HashMap, HashSet};

use super::{Inputs, names};
use crate::contract::paths::{VOLATILE, flaw, is_below, is_own_state, quoted};
use crate::read::cloud_config::{Group, Ntp, User, WriteFile, shell_script};
use crate::text::field::shown;
use crate::text::pem;
use crate::text::problem::{Located, Place, Problems};
use crate::text::secret::Secret;
use crate::text::{ssh, sudo};

/// Checked, and in cloud-init's order.
#[derive(Default)]
pub struct Extras {
    pub files: Vec<WriteFile>,
    pub users: Vec<User>,
    pub groups: Vec<Group>,
    /// Login keys of root.
    pub root_keys: Vec<Located<String>>,
    pub ca: Option<Trust>,
    pub time_servers: Vec<Located<String>>,
    /// Names of many time servers each.
    pub time_pools: Vec<Located<String>>,
    pub timezone: Option<Located<String>>,
    /// Shell script of `bootcmd`, run in every boot.
    pub bootcmd: Option<Secret>,
    /// Scripts run once, after the node is set up: a name for the file, and the text.
    pub scripts: Vec<(String, Secret)>,
}

/// Certificates to trust beside those of the image, or instead of them.
pub struct Trust {
    pub only_these: bool,
    pub pem: String,
}

pub(super) fn check(inputs: &Inputs<'_>, problems: &mut Problems) -> Extras {
    let user = inputs.user;
    let mut users = user.users.clone();
    let mut root_keys = Vec::new();
    let keys: Vec<Located<String>> = inputs
        .meta
        .public_keys
        .iter()
        .chain(&user.ssh_keys)
        .cloned()
        .collect();
    match &user.default_user {
        Some(default) => {
            let mut default = default.clone();
            default.ssh_keys.extend(keys);
            users.insert(0, default);
        }
        None => root_keys = keys,
    }
    let users = each_once(users, problems);
    for account in &users {
        check_user(account, problems);
    }
    for group in &user.groups {
        for name in std::iter::once(&group.name).chain(&group.members) {
            check_name(name, problems);
        }
    }
    for file in &user.files {
        check_file(file, inputs, problems);
    }
    Extras {
        files: user.files.clone(),
        groups: user.groups.clone(),
        root_keys: good_keys(&root_keys, problems),
        users,
        ca: trust(inputs, problems),
        time_servers: time_servers(inputs, |ntp| &ntp.servers, problems),
        time_pools: time_servers(inputs, |ntp| &ntp.pools, problems),
        timezone: timezone(inputs, problems),
        bootcmd: bootcmd(inputs, problems),
        scripts: scripts(inputs, problems),
    }
}

fn check_file(file: &WriteFile, inputs: &Inputs<'_>, problems: &mut Problems) {
    let path = file.path.value.as_str();
    let place = &file.path.place;
    if let Some((reason, remedy)) = flaw(path) {
        problems.error(place, reason, remedy);
    } else if !writable(path, inputs) {
        let quoted = quoted(path);
        let reason = format!("writes {quoted}, which is in the sealed part of the image");
        let mut places: Vec<&str> = inputs
            .settings
            .writable
            .iter()
            .map(String::as_str)
            .collect();
        places.extend(["/run", "/tmp"]);
        let remedy = format!(
            "choose a path below {}, or put the file into the recipe",
            crate::text::suggest::list(places)
        );
        problems.error(place, reason, remedy);
    } else if is_own_state(path) {
        problems.error(
            place,
            "writes to first boot's own state",
            "choose another path",
        );
    }
}

fn writable(path: &str, inputs: &Inputs<'_>) -> bool {
    let given = inputs.settings.writable.iter().map(String::as_str);
    VOLATILE
        .into_iter()
        .chain(given)
        .any(|directory| is_below(path, directory))
}

/// Each user once. One that is given twice has the keys, groups and rules of both; what it can
/// have only one of must not differ.
fn each_once(users: Vec<User>, problems: &mut Problems) -> Vec<User> {
    let mut all: Vec<User> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for user in users {
        let first = known.get(&user.name.value).copied();
        match first.and_then(|index| all.get_mut(index)) {
            Some(first) => combine(first, user, problems),
            None => {
                known.insert(user.name.value.clone(), all.len());
                all.push(user);
            }
        }
    }
    all
}

fn combine(first: &mut User, second: User, problems: &mut Problems) {
    let name = shown(&second.name.value);
    let mut one = |key: &str, kept: &mut Option<Located<String>>, more: Option<Located<String>>| {
        let (Some(kept), Some(more)) = (&mut *kept, &more) else {
            *kept = kept.take().or(more);
            return;
        };
        if kept.value != more.value {
            let line = kept.place.line.unwrap_or_default();
            let reason = format!(
                "gives the user `{name}` another `{key}` than the one in line {line} of {}",
                kept.place.file
            );
            problems.error(&more.place, reason, "keep one of them");
        }
    };
    one("uid", &mut first.uid, second.uid);
    one("homedir", &mut first.home, second.home);
    one("shell", &mut first.shell, second.shell);
    one("gecos", &mut first.gecos, second.gecos);
    one(
        "primary_group",
        &mut first.primary_group,
        second.primary_group,
    );
    first.system |= second.system;
    first.create_home &= second.create_home;
    first.ssh_keys.extend(second.ssh_keys);
    first.sudo.extend(second.sudo);
    first.groups.extend(second.groups);
}

fn check_user(user: &User, problems: &mut Problems) {
    check_name(&user.name, problems);
    for name in user.groups.iter().chain(&user.primary_group) {
        check_name(name, problems);
    }
    for text in user.gecos.iter().chain(&user.home).chain(&user.shell) {
        if text.value.contains([':', '\n', '\r', '\0']) {
            problems.error(&text.place, "contains a colon or a line break", "remove it");
        }
    }
    for path in user.home.iter().chain(&user.shell) {
        if !path.value.starts_with('/') || path.value.split('/').any(|part| part == "..") {
            problems.error(&path.place, "is not an absolute path", "start it with `/`");
        }
    }
    for rule in &user.sudo {
        if let Err(reason) = sudo::check(&rule.value) {
            let remedy = "write it like `ALL=(ALL) NOPASSWD: ALL`; `visudo -c` checks a rule";
            problems.error(&rule.place, reason, remedy);
        }
    }
    if let Some(uid) = &user.uid
        && !uid
            .value
            .parse::<u32>()
            .is_ok_and(|uid| (1..60_000).contains(&uid))
    {
        problems.error(&uid.place, "is not a user id from 1 to 59999", "correct it");
    }
    good_keys(&user.ssh_keys, problems);
}

/// Names that useradd(8) accepts.
fn check_name(name: &Located<String>, problems: &mut Problems) {
    let text = name.value.as_str();
    let inside =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
    let good = text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(inside);
    if !good {
        let reason = format!("`{}` is not a valid account name", shown(text));
        let remedy = "use up to 32 lowercase letters, digits, `-` and `_`";
        problems.error(&name.place, reason, remedy);
    }
}

/// Each key once, in order.
fn good_keys(keys: &[Located<String>], problems: &mut Problems) -> Vec<Located<String>> {
    let mut good = Vec::new();
    let mut known: HashSet<&str> = HashSet::new();
    for key in keys {
        let remedy = "paste the line of a .pub file, such as `ssh-ed25519 AAAA... name`";
        match ssh::check(&key.value) {
            Ok(()) => {}
            // cloud-init writes it, and sshd skips it.
            Err(flaw) if flaw.is_damaged_key => {
                let reason = format!(
                    "{}: sshd skips it, and nobody can log in with it",
                    flaw.reason
                );
                problems.warn(&key.place, reason, remedy);
            }
            Err(flaw) => {
                problems.error(&key.place, flaw.reason, remedy);
                continue;
            }
        }
        if known.insert(&key.value) {
            good.push(key.clone());
        }
    }
    good
}

fn trust(inputs: &Inputs<'_>, problems: &mut Problems) -> Option<Trust> {
    let given = inputs.user.ca_certs.as_ref()?;
    let mut text = String::new();
    for cert in &given.trusted {
        match pem::check_certificates(&cert.value) {
            Ok(()) => text.push_str(&pem::normalised(&cert.value)),
            Err(error) => {
                let first = cert.place.line.unwrap_or(1);
                let place = cert.place.clone().line(first + error.line - 1);
                problems.error(&place, error.reason, "paste the whole PEM file");
            }
        }
    }
    if given.remove_defaults && given.trusted.is_empty() {
        let place = Place::file(inputs.user_file).key("ca_certs.remove_defaults");
        let reason = "would leave this node with no certificate authority";
        problems.error(&place, reason, "give some in `trusted`");
    }
    (!text.is_empty()).then_some(Trust {
        only_these: given.remove_defaults,
        pem: text,
    })
}

fn time_servers(
    inputs: &Inputs<'_>,
    list: fn(&Ntp) -> &[Located<String>],
    problems: &mut Problems,
) -> Vec<Located<String>> {
    let given = inputs.user.ntp.iter();
    let mut names = Vec::new();
    for server in given.flat_map(list) {
        let name = server.value.to_ascii_lowercase();
        let address = name.parse::<std::net::IpAddr>().is_ok();
        if !address && names::wrong_with(name.trim_end_matches('.')).is_some() {
            problems.error(
                &server.place,
                "is not the name or address of a time server",
                "correct it",
            );
        } else {
            names.push(Located {
                value: name,
                place: server.place.clone(),
            });
        }
    }
    names
}

fn timezone(inputs: &Inputs<'_>, problems: &mut Problems) -> Option<Located<String>> {
    let zone = inputs.user.timezone.clone()?;
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/');
    let good = zone.value.starts_with(|c: char| c.is_ascii_alphabetic())
        && zone.value.chars().all(inside)
        && zone.value.len() <= 64
        && !zone.value.contains("//")
        && !zone.value.ends_with('/');
    if !good {
        problems.error(
            &zone.place,
            "is not the name of a time zone",
            "write it like `Europe/Berlin`",
        );
        return None;
    }
    Some(zone)
}

fn may_run(inputs: &Inputs<'_>, place: &Place, problems: &mut Problems) {
    if inputs.settings.forbid_commands {
        let reason = "has commands, and this image does not run commands from a seed";
        let remedy = "remove them, or build the image without `first_boot.commands = false`";
        problems.error(place, reason, remedy);
    }
}

fn bootcmd(inputs: &Inputs<'_>, problems: &mut Problems) -> Option<Secret> {
    let first = inputs.user.bootcmd.first()?;
    may_run(inputs, &first.place, problems);
    Some(shell_script(&inputs.user.bootcmd))
}

/// cloud-init runs the parts that are scripts before `runcmd`.
fn scripts(inputs: &Inputs<'_>, problems: &mut Problems) -> Vec<(String, Secret)> {
    let mut scripts = Vec::new();
    for (index, script) in inputs.user.scripts.iter().enumerate() {
        may_run(inputs, &script.place, problems);
        let name = script.name.as_deref().unwrap_or("script");
        scripts.push((format!("{:03}-{name}", index + 1), script.text.clone()));
    }
    if let Some(first) = inputs.user.runcmd.first() {
        may_run(inputs, &first.place, problems);
        scripts.push(("900-runcmd".to_owned(), shell_script(&inputs.user.runcmd)));
    }
    scripts
}
