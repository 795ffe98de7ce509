//! What a rule of sudoers(5) must look like behind the user's name.
//!
//! One rule that sudo cannot parse costs the node all of them: sudo then refuses everybody.
//! So nothing passes here that `visudo -c` refuses (tests compare with a real one). Not
//! taken though sudo may: commands and arguments as regular expressions, and the options of
//! Solaris.
//!
//! ```text
//! rule      hosts = commands [: hosts = commands ...]
//! commands  [(users : groups)] [OPTION=value ...] [TAG: ...] command, ...
//! ```

/// Why a rule is refused: the end of a sentence.
pub type Refused = &'static str;

const TAGS: [&str; 16] = [
    "EXEC",
    "NOEXEC",
    "FOLLOW",
    "NOFOLLOW",
    "LOG_INPUT",
    "NOLOG_INPUT",
    "LOG_OUTPUT",
    "NOLOG_OUTPUT",
    "MAIL",
    "NOMAIL",
    "INTERCEPT",
    "NOINTERCEPT",
    "PASSWD",
    "NOPASSWD",
    "SETENV",
    "NOSETENV",
];

const OPTIONS: [&str; 4] = ["CWD", "CHROOT", "ROLE", "TYPE"];

/// Options that are not read here; like the others, they are not names of aliases.
const MORE_OPTIONS: [&str; 6] = [
    "APPARMOR_PROFILE",
    "LIMITPRIVS",
    "NOTAFTER",
    "NOTBEFORE",
    "PRIVS",
    "TIMEOUT",
];

/// Digests of a command, and how many hexadecimal digits each has.
const DIGESTS: [(&str, usize); 4] = [
    ("sha224", 56),
    ("sha256", 64),
    ("sha384", 96),
    ("sha512", 128),
];

pub fn check(rule: &str) -> Result<(), Refused> {
    if rule.contains(|c: char| c.is_control() && c != '\t') {
        return Err("is a rule with control characters or line breaks");
    }
    let mut reader = Reader { rest: rule };
    loop {
        reader.list("a host", host)?;
        reader.sign('=').ok_or(
            "is not a rule of sudoers(5): there is no `=` behind the hosts, as in `ALL=(ALL) ALL`",
        )?;
        loop {
            reader.command()?;
            if reader.sign(',').is_none() {
                break;
            }
        }
        if reader.sign(':').is_none() {
            return reader.end();
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn sign(&mut self, sign: char) -> Option<()> {
        self.blanks();
        self.rest = self.rest.strip_prefix(sign)?;
        Some(())
    }

    /// Nothing but a comment may follow.
    fn end(&mut self) -> Result<(), Refused> {
        self.blanks();
        // `#1` is not a comment but the id of a user.
        let id = |c: char| c.is_ascii_digit() || c == '-';
        match self.rest.strip_prefix('#') {
            Some(comment) if !comment.starts_with(id) => Ok(()),
            None if self.rest.is_empty() => Ok(()),
            _ => Err(
                "is not a rule of sudoers(5): something follows its command that is not \
                 an argument; in an argument, `,`, `:`, `#` and `\\` need a `\\` in front",
            ),
        }
    }

    /// Up to a character that ends a word.
    fn word(&mut self) -> &'a str {
        self.blanks();
        let ends = |c: char| " \t=:,()!#\"\\".contains(c);
        // `#1000` and `%#1000` are ids.
        let from = self.rest.len() - self.rest.trim_start_matches(['%', '#']).len();
        let end = self.rest[from..].find(ends);
        let (word, rest) = self
            .rest
            .split_at(end.map_or(self.rest.len(), |end| from + end));
        self.rest = rest;
        word
    }

    /// `!` and an item, with commas between.
    fn list(&mut self, what: &str, good: fn(&str) -> bool) -> Result<(), Refused> {
        loop {
            self.sign('!');
            let word = self.word();
            if !good(word) {
                return Err(match what {
                    "a host" => {
                        "is not a rule of sudoers(5), which begins with hosts, as in \
                         `ALL=(ALL) ALL`"
                    }
                    _ => "names a user or group in `( )` in a way that sudoers(5) does not know",
                });
            }
            if self.sign(',').is_none() {
                return Ok(());
            }
        }
    }

    /// A command with what may stand in front of it.
    fn command(&mut self) -> Result<(), Refused> {
        if self.sign('(').is_some() {
            self.run_as()?;
        }
        while self.option()? {}
        while self.tag() {}
        let mut digest = false;
        while self.digest()? {
            digest = true;
        }
        self.sign('!');
        self.blanks();
        if !self.rest.starts_with('/') {
            return self.named_command(digest);
        }
        let path = self.piece(&[' ', '\t', ',', ':', '=', '#'], ",:=# \t")?;
        if path == "/" || self.rest.starts_with('=') {
            return Err("names a command that sudoers(5) does not take");
        }
        if path.ends_with('/') {
            return Ok(());
        }
        if path.ends_with("/sudoedit") {
            return Err("names `sudoedit` with its path; sudoers(5) wants the word alone");
        }
        self.arguments()
    }

    fn named_command(&mut self, digest: bool) -> Result<(), Refused> {
        match self.word() {
            "sudoedit" if !self.rest.starts_with(|c| !" \t,:".contains(c)) => self.arguments(),
            word if word == "ALL" || (is_alias(word) && !digest) => Ok(()),
            word if word.starts_with('^') => {
                Err("names a command by a regular expression, which is not supported")
            }
            _ => Err(
                "is not a rule of sudoers(5): a command is `ALL` or begins with `/`, and `( )`, \
                 options and tags such as `NOPASSWD:` come before it in this order",
            ),
        }
    }

    fn run_as(&mut self) -> Result<(), Refused> {
        let who = "who";
        if self.sign(')').is_some() {
            return Ok(());
        }
        let open = "has a `(` without its `)`";
        let no_user = self.sign(':').is_some();
        if !no_user {
            self.list(who, user)?;
            if self.sign(')').is_some() {
                return Ok(());
            }
            self.sign(':').ok_or(open)?;
        }
        if no_user && self.sign(')').is_some() {
            return Ok(());
        }
        self.list(who, group)?;
        self.sign(')').ok_or(open)
    }

    fn option(&mut self) -> Result<bool, Refused> {
        self.blanks();
        let Some((name, after)) = self.rest.split_once('=') else {
            return Ok(false);
        };
        let name = name.trim_end_matches([' ', '\t']);
        if !OPTIONS.contains(&name) {
            return Ok(false);
        }
        self.rest = after;
        let value = self.word();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-/~*".contains(c);
        let ends = self.rest.starts_with([' ', '\t']);
        let path = value == "*" || value.starts_with(['/', '~']);
        if !ends
            || value.is_empty()
            || !value.chars().all(plain)
            || (name.starts_with('C') && !path)
        {
            return Err("has an option with a value that sudoers(5) does not take");
        }
        Ok(true)
    }

    fn tag(&mut self) -> bool {
        self.blanks();
        let Some((name, after)) = self.rest.split_once(':') else {
            return false;
        };
        let is_tag = TAGS.contains(&name.trim_end_matches([' ', '\t']));
        if is_tag {
            self.rest = after;
        }
        is_tag
    }

    fn digest(&mut self) -> Result<bool, Refused> {
        self.blanks();
        let Some((name, after)) = self.rest.split_once(':') else {
            return Ok(false);
        };
        let name = name.trim_end_matches([' ', '\t']);
        let Some((_, length)) = DIGESTS.iter().find(|(known, _)| *known == name) else {
            return Ok(false);
        };
        self.rest = after.trim_start_matches([' ', '\t']);
        let digits = self.word();
        if digits.len() != *length || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err("has a digest of a command that is not hexadecimal digits of its length");
        }
        let before = self.rest;
        if self.sign(',').is_some() && !self.rest.trim_start().starts_with("sha") {
            self.rest = before;
        }
        Ok(true)
    }

    /// Up to one of `ends`; a backslash takes its special meaning away.
    fn piece(&mut self, ends: &[char], escapes: &str) -> Result<&'a str, Refused> {
        let mut characters = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((at, c)) = characters.next() {
            if c == '\\' {
                let (_, escaped) = characters
                    .next()
                    .ok_or("ends in `\\`, which takes the next rule into this one")?;
                if !escapes.contains(escaped) {
                    return Err("has a `\\` in front of a character that needs none");
                }
            } else if ends.contains(&c) {
                end = at;
                break;
            }
        }
        let (piece, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(piece)
    }

    fn arguments(&mut self) -> Result<(), Refused> {
        let text = self.piece(&[',', ':', '#'], "\\,:=# \t")?.trim();
        if !has_good_signs(text) {
            return Err("has an argument with a `=` at its beginning or end; write `\\=`");
        }
        if text.starts_with('^') {
            return Err("has arguments as a regular expression, which is not supported");
        }
        if text.matches('"').count() % 2 != 0 {
            return Err("has a `\"` without another");
        }
        Ok(())
    }
}

/// `a=b` is an argument, and `=` alone is the sign.
fn has_good_signs(arguments: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    arguments.match_indices('=').all(|(at, _)| {
        let (before, after) = (&arguments[..at], &arguments[at + 1..]);
        before.ends_with('\\')
            || (before.ends_with(name) && !after.is_empty() && !after.starts_with([' ', '\t']))
    })
}

fn is_alias(word: &str) -> bool {
    let known = |words: &[&str]| words.contains(&word);
    !(known(&TAGS) || known(&OPTIONS) || known(&MORE_OPTIONS))
        && word.starts_with(|first: char| first.is_ascii_uppercase())
        && word
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

fn is_reserved(word: &str) -> bool {
    if ["sudoedit", "list"].contains(&word) || DIGESTS.iter().any(|(name, _)| *name == word) {
        return true;
    }
    let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    word.chars().all(upper) && word.contains(char::is_alphabetic) && !is_alias(word)
}

fn host(word: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || "_.-*?[]".contains(c);
    let word = word.strip_prefix('+').unwrap_or(word);
    let is_net = word.parse::<ipnet::IpNet>().is_ok();
    is_net || (!word.is_empty() && word.chars().all(name) && !is_reserved(word))
}

/// A name, `%group`, `+netgroup`, `#id` or `%#id`.
fn user(word: &str) -> bool {
    let group = word.strip_prefix('%');
    let word = group.unwrap_or(word);
    if let Some(id) = word.strip_prefix('#') {
        return !id.is_empty() && id.bytes().all(|digit| digit.is_ascii_digit());
    }
    let word = match group {
        None => word.strip_prefix('+').unwrap_or(word),
        Some(name) => name,
    };
    let name = |c: char| c.is_ascii_alphanumeric() || "_.-$@".contains(c);
    word.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && word.chars().all(name)
        && !is_reserved(word)
}

/// As [`user`], but behind the `:`, where only names and ids of groups may be.
fn group(word: &str) -> bool {
    !word.starts_with(['%', '+']) && user(word)
}

#[cfg(test)]
mod tests;
