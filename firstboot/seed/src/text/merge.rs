//! A file that both an image and a node have changed: three texts become one.
//!
//! ```text
//! was    the file of the image that the node last ran
//! mine   the node's: that, with what first boot and the administrator have changed
//! now    the file of the image that runs
//! ```
//! What the node has not changed is as in `now`; what it has added, changed or removed
//! stays so.
use std::collections::{BTreeMap, BTreeSet};

/// The three texts. Without `was`, nothing counts as removed.
#[derive(Clone, Copy)]
pub struct Three<'a> {
    pub was: Option<&'a str>,
    pub mine: &'a str,
    pub now: &'a str,
}

/// By name, the first line of it.
type Lines<'a> = BTreeMap<&'a str, &'a str>;

/// Tables of accounts: passwd(5), shadow(5); with `members`, group(5) and gshadow(5), whose last
/// field is a list.
pub fn tables(texts: Three<'_>, members: bool) -> String {
    let Three { was, mine, now } = texts;
    let old = lines(was.unwrap_or_default());
    let (own, new) = (lines(mine), lines(now));
    let mut text = String::new();
    let mut add = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    for line in in_order(now) {
        let name = name_of(line);
        match (own.get(name), old.get(name)) {
            // Somebody has removed it.
            (None, Some(_)) => {}
            (None, None) => add(line),
            (Some(mine), was) => add(&fields(line, was.copied(), mine, members)),
        }
    }
    for line in in_order(mine) {
        let name = name_of(line);
        let is_of_old_image = old.get(name) == Some(&line);
        if !new.contains_key(name) && !is_of_old_image {
            add(line);
        }
    }
    text
}

/// Numbers that two accounts of a table share and that one has brought and the image the
/// other: as `(of the node, of the image, number)`.
pub fn shared_ids<'a>(table: &'a str, now: &str) -> Vec<(&'a str, &'a str, &'a str)> {
    let images = lines(now);
    let (theirs, own): (Vec<&str>, Vec<&str>) =
        in_order(table).partition(|line| images.contains_key(name_of(line)));
    let id = |line: &'a str| line.split(':').nth(2).filter(|id| !id.is_empty());
    let ids: BTreeMap<&str, &str> = theirs
        .into_iter()
        .filter_map(|line| Some((id(line)?, name_of(line))))
        .collect();
    let both = own.into_iter().filter_map(|line| {
        let number = id(line)?;
        Some((name_of(line), *ids.get(number)?, number))
    });
    both.collect()
}

fn in_order(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty())
}

fn name_of(line: &str) -> &str {
    line.split(':').next().unwrap_or_default()
}

fn lines(text: &str) -> Lines<'_> {
    let mut all = Lines::new();
    for line in in_order(text) {
        all.entry(name_of(line)).or_insert(line);
    }
    all
}

/// One account, field by field.
fn fields(now: &str, was: Option<&str>, mine: &str, members: bool) -> String {
    let [new, own] = [now, mine].map(|line| line.split(':').collect::<Vec<_>>());
    let old: Vec<&str> = was
        .map(|line| line.split(':').collect())
        .unwrap_or_default();
    let alike = new.len() == own.len() && (old.is_empty() || old.len() == new.len());
    if !alike {
        return mine.to_owned();
    }
    let last = new.len() - 1;
    let merged = new.iter().zip(&own).enumerate().map(|(at, (new, own))| {
        match (old.get(at), members && at == last) {
            (was, true) => joined(new, was.copied().unwrap_or_default(), own),
            (Some(was), false) if was == own => (*new).to_owned(),
            // Nobody knows who has changed it.
            (None, false) if members => (*new).to_owned(),
            _ => (*own).to_owned(),
        }
    });
    merged.collect::<Vec<_>>().join(":")
}

/// Names between commas.
fn joined(now: &str, was: &str, mine: &str) -> String {
    let list = |text: &str| -> Vec<String> {
        let names = text.split(',').filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    };
    let (old, own) = (list(was), list(mine));
    let mut all = list(now);
    all.retain(|name| own.contains(name) || !old.contains(name));
    for name in own {
        if !old.contains(&name) && !all.contains(&name) {
            all.push(name);
        }
    }
    all.join(",")
}

/// A bundle of certificates in PEM. One that has none of the old image's is the node's alone, and
/// stays as it is.
pub fn bundle(texts: Three<'_>) -> String {
    let Three { was, mine, now } = texts;
    let (old, own, new) = (blocks(was.unwrap_or_default()), blocks(mine), blocks(now));
    let has_any = |these: &[&str], of: &[&str]| these.iter().any(|block| of.contains(block));
    if was.is_some() && !has_any(&own, &old) {
        return mine.to_owned();
    }
    let there: BTreeSet<&str> = own.iter().copied().collect();
    let before: BTreeSet<&str> = old.iter().copied().collect();
    let kept = new
        .iter()
        .filter(|block| there.contains(*block) || !before.contains(*block));
    let images: BTreeSet<&str> = new.iter().copied().collect();
    let added = own
        .iter()
        .filter(|block| !before.contains(*block) && !images.contains(*block));
    let mut text = String::new();
    for block in kept.chain(added) {
        text.push_str(block);
        text.push('\n');
    }
    text
}

/// Each from its first dashes to its last.
fn blocks(text: &str) -> Vec<&str> {
    const BEGIN: &str = "-----BEGIN";
    const END: &str = "-----END";
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        rest = &rest[start..];
        let Some(end) = rest.find(END) else { break };
        let line = rest[end..].find('\n').map_or(rest.len(), |line| end + line);
        found.push(rest[..line].trim_end());
        rest = &rest[line..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Three, bundle, shared_ids, tables};

    const WAS: &str = "root:x:0:0::/root:/bin/bash\nold:x:101:101::/:/bin/false\n\
                       dbus:x:102:102::/:/bin/false\ngone:x:103:103::/:/bin/false\n";

    fn merged(was: Option<&str>, mine: &str, now: &str) -> String {
        tables(Three { was, mine, now }, false)
    }

    #[test]
    fn accounts_of_a_new_image_come_and_the_nodes_own_stay() {
        // The administrator has another shell, has removed `gone`; first boot has added a user.
        let mine = "root:x:0:0::/root:/bin/zsh\nold:x:101:101::/:/bin/false\n\
                    dbus:x:102:102::/:/bin/false\nada:x:1000:1000::/home/ada:/bin/bash\n";
        // The image has dropped `old`, moved `dbus`, and has a new one.
        let now = "root:x:0:0:root:/root:/bin/bash\ndbus:x:104:104::/:/bin/false\n\
                   gone:x:103:103::/:/bin/false\nnew:x:101:101::/:/bin/false\n";
        assert_eq!(
            merged(Some(WAS), mine, now),
            "root:x:0:0:root:/root:/bin/zsh\ndbus:x:104:104::/:/bin/false\n\
             new:x:101:101::/:/bin/false\nada:x:1000:1000::/home/ada:/bin/bash\n"
        );
        // The same once more changes nothing, nor does the way back.
        let once = merged(Some(WAS), mine, now);
        assert_eq!(merged(Some(WAS), &once, now), once);
        assert_eq!(merged(Some(now), &once, now), once);
        let back = merged(Some(now), &once, WAS);
        assert!(
            back.contains("old:x:101") && back.contains("ada:x:1000"),
            "{back}"
        );
        assert!(
            !back.contains("new:") && back.contains("/bin/zsh"),
            "{back}"
        );
    }

    #[test]
    fn without_the_old_image_nothing_is_taken_away() {
        let mine = "root:x:0:0::/root:/bin/zsh\nada:x:1000:1000::/home/ada:/bin/bash\n";
        let now = "root:x:0:0::/root:/bin/bash\nnew:x:105:105::/:/bin/false\n";
        let want = "root:x:0:0::/root:/bin/zsh\nnew:x:105:105::/:/bin/false\n\
                    ada:x:1000:1000::/home/ada:/bin/bash\n";
        assert_eq!(merged(None, mine, now), want);
    }

    #[test]
    fn members_of_groups_are_merged_one_by_one() {
        let group = |was, mine, now| tables(Three { was, mine, now }, true);
        let was = Some("sudo:x:27:op\nadm:x:4:syslog\n");
        let mine = "sudo:x:27:op,ada\nadm:x:4:\nada:x:1000:\n";
        let now = "sudo:x:27:op,web\nadm:x:4:syslog,new\n";
        assert_eq!(
            group(was, mine, now),
            "sudo:x:27:op,web,ada\nadm:x:4:new\nada:x:1000:\n"
        );
        assert_eq!(
            group(None, "sudo:x:27:ada\n", "sudo:x:28:op\n"),
            "sudo:x:28:op,ada\n"
        );
    }

    #[test]
    fn an_id_that_two_accounts_share_is_found() {
        let now = "new:x:985:985::/:/bin/false\n";
        let table =
            "new:x:985:985::/:/bin/false\nmine:x:985:985::/:/bin/sh\nada:x:1000:1000::/:/\n";
        assert_eq!(shared_ids(table, now), [("mine", "new", "985")]);
    }

    fn pem(name: &str) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn certificates_of_a_new_image_come_and_the_nodes_own_stay() {
        let all = |names: &[&str]| names.iter().map(|name| pem(name)).collect::<String>();
        let merged = |was: Option<&str>, mine: &str, now: &str| bundle(Three { was, mine, now });
        let was = all(&["a", "b", "c"]);
        // `b` was removed on the node; the image has dropped `c`, which may have been misused.
        let mine = all(&["a", "c", "own"]);
        let now = all(&["a", "b", "d"]);
        assert_eq!(merged(Some(&was), &mine, &now), all(&["a", "d", "own"]));
        assert_eq!(merged(None, &mine, &now), all(&["a", "b", "d", "c", "own"]));
        // A node that trusts its own alone.
        let alone = all(&["own"]);
        assert_eq!(merged(Some(&was), &alone, &now), alone);
        assert_eq!(merged(Some(&was), "", &now), "");
    }
}
