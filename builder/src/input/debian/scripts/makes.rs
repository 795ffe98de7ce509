//! What a script that somebody accepted by hand would make: read from its commands, as far as
//! they are plain, to tell what the image lacks.

use std::collections::{BTreeMap, BTreeSet};

use super::{Control, SCRIPTS};

/// By name or path.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Makes {
    pub users: BTreeSet<String>,
    pub groups: BTreeSet<String>,
    pub files: BTreeSet<String>,
    /// Units that are enabled.
    pub units: BTreeSet<String>,
}

/// Options of the programs that make accounts which have a value.
const WITH_VALUE: [&str; 25] = [
    "--comment",
    "--conf",
    "--firstgid",
    "--firstuid",
    "--gecos",
    "--gid",
    "--home",
    "--home-dir",
    "--ingroup",
    "--lastgid",
    "--lastuid",
    "--shell",
    "--uid",
    "--base-dir",
    "--groups",
    "--stdoutmsglevel",
    "--stderrmsglevel",
    "--logmsglevel",
    "-c",
    "-d",
    "-g",
    "-G",
    "-s",
    "-u",
    "-b",
];

impl Makes {
    /// Of all scripts of a package that matter to a new system.
    pub fn of(control: &Control) -> Makes {
        let mut makes = Makes::default();
        for name in SCRIPTS {
            if let Some(bytes) = control.get(name) {
                makes.read(&String::from_utf8_lossy(bytes));
            }
        }
        makes
    }

    fn read(&mut self, script: &str) {
        let joined = script.replace("\\\n", " ");
        let mut variables: BTreeMap<String, String> = BTreeMap::new();
        for line in joined.lines().map(str::trim) {
            if line.starts_with('#') {
                continue;
            }
            for command in line.split([';', '|', '&']) {
                let words = words(command, &variables);
                let skipped = words
                    .iter()
                    .take_while(|word| LEADING.contains(&word.as_str()));
                let words = &words[skipped.count()..];
                let Some((program, rest)) = words.split_first() else {
                    continue;
                };
                if let Some((name, value)) = program.split_once('=') {
                    variables.insert(name.to_owned(), value.to_owned());
                    continue;
                }
                self.command(program.rsplit('/').next().unwrap_or(program), rest);
            }
        }
    }

    fn command(&mut self, program: &str, words: &[String]) {
        match program {
            "adduser" | "useradd" => self.user(words),
            "addgroup" | "groupadd" => self.groups.extend(operands(words).first().cloned()),
            "chown" | "chgrp" => self.owner(program, words),
            "dpkg-statoverride" if words.iter().any(|word| word == "--add") => {
                if let [user, group, ..] = operands(words).as_slice() {
                    self.users.insert(user.clone());
                    self.groups.insert(group.clone());
                }
            }
            "ucf" | "cp" | "install" | "ln" => {
                self.files.extend(operands(words).last().cloned());
            }
            "systemctl" | "deb-systemd-helper" => self.enables(words),
            "mkdir" | "touch" => self.files.extend(operands(words)),
            "update-alternatives" => {
                for (index, word) in words.iter().enumerate() {
                    if word == "--install" || word == "--slave" {
                        self.files.extend(words.get(index + 1).cloned());
                    }
                }
            }
            _ => {}
        }
        let targets = words
            .windows(2)
            .filter(|pair| pair[0] == ">" || pair[0] == ">>");
        self.files.extend(targets.map(|pair| pair[1].clone()));
        self.files.retain(|path| is_of_image(path));
        for names in [&mut self.users, &mut self.groups] {
            names.retain(|name| is_name(name));
        }
    }

    fn enables(&mut self, words: &[String]) {
        let names = operands(words);
        let Some((verb, names)) = names.split_first() else {
            return;
        };
        if verb != "enable" {
            return;
        }
        let named = names
            .iter()
            .filter(|name| !name.contains(['$', '/', '*', '%']));
        let whole = named.map(|name| match name.contains('.') {
            true => name.clone(),
            false => format!("{name}.service"),
        });
        self.units.extend(whole);
    }

    fn user(&mut self, words: &[String]) {
        let names = operands(words);
        for (index, word) in words.iter().enumerate() {
            if ["--ingroup", "-g", "--gid"].contains(&word.as_str()) {
                self.groups.extend(words.get(index + 1).cloned());
            }
        }
        let mut names = names.into_iter();
        let user = names.next();
        if words.iter().any(|word| word == "--group") {
            self.groups.extend(user.clone());
        }
        let system = words.iter().any(|word| word == "--system");
        match words.iter().any(|word| word == "--group") && !system {
            true => {}
            false => self.users.extend(user),
        }
        self.groups.extend(names.next());
    }

    fn owner(&mut self, program: &str, words: &[String]) {
        let Some(owner) = operands(words).into_iter().next() else {
            return;
        };
        let (user, group) = match owner.split_once([':', '.']) {
            Some((user, group)) => (user.to_owned(), group.to_owned()),
            None if program == "chgrp" => (String::new(), owner),
            None => (owner, String::new()),
        };
        self.users.insert(user);
        self.groups.insert(group);
    }
}

/// Words before a command.
const LEADING: [&str; 7] = ["!", "do", "elif", "else", "if", "then", "while"];

/// Without quotation marks, variables replaced.
fn words(command: &str, variables: &BTreeMap<String, String>) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quote, mut begun) = (None, false);
    for c in command.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => (quote, begun) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (_, c) => word.push(c),
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    for word in &mut words {
        for (name, value) in variables {
            *word = word.replace(&format!("${{{name}}}"), value);
            if word.strip_prefix('$') == Some(name) {
                value.clone_into(word);
            }
        }
    }
    words
}

/// Words that are neither options nor their values, up to a redirection.
fn operands(words: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word.contains('>') || word.contains('<') {
            break;
        }
        if WITH_VALUE.contains(&word.as_str()) {
            words.next();
        } else if !word.starts_with('-') {
            found.push(word.clone());
        }
    }
    found
}

/// Whether an account could be named so, and is not one that every image has.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(plain)
}

/// `/var` and `/run` are the node's, pages of manuals and caches are nobody's.
fn is_of_image(path: &str) -> bool {
    let left_out = ["/usr/share/man/", "/usr/share/doc/"];
    (path.starts_with("/etc/") || path.starts_with("/usr/"))
        && !path.contains(['$', '*', '`', '?', '{'])
        && !left_out.iter().any(|start| path.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn makes(script: &str) -> (String, String, String) {
        let control = Control::from([("postinst".to_owned(), script.as_bytes().to_vec())]);
        let makes = Makes::of(&control);
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        (list(&makes.users), list(&makes.groups), list(&makes.files))
    }

    #[test]
    fn units_that_are_enabled() {
        let script = "if [ \"$1\" = configure ]; then\n\tsystemctl daemon-reload || true\n\
            \tsystemctl enable --now agent && systemctl start other.service\nfi\n\
            \tif deb-systemd-helper --quiet was-enabled 'a.timer'; then\n\
            \t\tdeb-systemd-helper enable 'a.timer' >/dev/null || true\n\tfi\n\
            systemctl enable \"$UNIT\"\n";
        let control = Control::from([("postinst".to_owned(), script.as_bytes().to_vec())]);
        let units: Vec<_> = Makes::of(&control).units.into_iter().collect();
        assert_eq!(units, ["a.timer", "agent.service"]);
    }

    #[test]
    fn commands_of_scripts_are_read() {
        for (script, users, groups, files) in [
            (
                "if ! getent passwd statd >/dev/null; then\nadduser --system --home /var/lib/nfs --no-create-home statd\nfi\n",
                "statd",
                "",
                "",
            ),
            (
                "id -u _rpc >/dev/null 2>&1 || adduser --allow-bad-names --system --home /run/rpcbind _rpc\n",
                "_rpc",
                "",
                "",
            ),
            (
                "adduser --system \\\n\t--group --comment \"Chrony daemon\" \\\n --home /x _chrony\n",
                "_chrony",
                "_chrony",
                "",
            ),
            (
                "ucf --three-way /usr/share/a/nfs.conf /etc/nfs.conf\n",
                "",
                "",
                "/etc/nfs.conf",
            ),
            (
                "USER=lldpd\nuseradd -r -g adm -d /run/l -s /bin/false $USER\n",
                "lldpd",
                "adm",
                "",
            ),
            (
                "addgroup --system tss\nadduser alice tss\n",
                "alice",
                "tss",
                "",
            ),
            ("chown -R foo:bar /etc/foo\n", "foo", "bar", ""),
            (
                "update-alternatives --install /usr/bin/vi vi /usr/bin/vim 30 --slave /usr/share/man/man1/vi.1.gz vi.1.gz x\n",
                "",
                "",
                "/usr/bin/vi",
            ),
            (
                "cat > /etc/foo.conf <<EOF\nmkdir -p /etc/foo.d \"$X/y\" /var/lib/foo\n",
                "",
                "",
                "/etc/foo.conf /etc/foo.d",
            ),
            ("# adduser nobody-here\necho adduser\n", "", "", ""),
        ] {
            let want = (users.to_owned(), groups.to_owned(), files.to_owned());
            assert_eq!(makes(script), want, "{script}");
        }
    }
}
