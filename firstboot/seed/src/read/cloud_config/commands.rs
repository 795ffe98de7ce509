//! `bootcmd`, `runcmd` and scripts: commands to run, as cloud-init would run them.
use crate::text::field::Field;
use crate::text::problem::{Located, Place, Problems};
use crate::text::secret::Secret;
use crate::text::yaml::{Kind, Scalar};

/// One item of a list of commands.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// Text for the shell.
    Shell(Secret),
    /// A program and its arguments.
    Program(Vec<Secret>),
}

/// A part of user-data that is a script.
pub struct Script {
    /// Name of the part, if it has one.
    pub name: Option<String>,
    pub text: Secret,
    pub place: Place,
}

/// One shell script of all commands, as cloud-init makes it: all run in the same shell,
/// and the exit status is that of the last.
pub fn shell_script(commands: &[Located<Command>]) -> Secret {
    let mut text = "#!/bin/sh\n".to_owned();
    for command in commands {
        match &command.value {
            Command::Shell(line) => text.push_str(line.expose()),
            Command::Program(words) => {
                let quoted: Vec<String> = words
                    .iter()
                    .map(|word| format!("'{}'", word.expose().replace('\'', "'\\''")))
                    .collect();
                text.push_str(&quoted.join(" "));
            }
        }
        text.push('\n');
    }
    Secret::new(text)
}

pub(super) fn read(field: &Field<'_>, problems: &mut Problems) -> Vec<Located<Command>> {
    if !matches!(field.node.kind, Kind::Sequence(_)) {
        field.expected("a list of commands", problems);
        return Vec::new();
    }
    let items = field.items();
    items
        .iter()
        .filter_map(|item| command(item, problems))
        .collect()
}

/// Text, which may be empty in quotes.
fn text(item: &Field<'_>, problems: &mut Problems) -> Option<Secret> {
    let quoted = item
        .node
        .scalar()
        .filter(|scalar| !scalar.plain && scalar.tag.is_none());
    match quoted {
        Some(scalar) => Some(scalar.text.clone()),
        None => item.secret(problems).map(|text| text.value),
    }
}

fn word(item: &Field<'_>, problems: &mut Problems) -> Option<Secret> {
    if item.node.scalar().is_some_and(Scalar::is_null) {
        let reason = "has a word that is nothing in YAML, which cloud-init would write as `None`";
        problems.error(&item.place, reason, "write `''` for an empty word");
        return None;
    }
    (!item.is_misread(problems)).then(|| text(item, problems))?
}

fn command(item: &Field<'_>, problems: &mut Problems) -> Option<Located<Command>> {
    let place = item.place.clone();
    let value = match &item.node.kind {
        // A comment in place of an item: cloud-init ignores it.
        Kind::Scalar(scalar) if scalar.is_null() => return None,
        Kind::Scalar(scalar) => {
            // cloud-init runs no value that is not text.
            if let Some(typed) = scalar.typed() {
                let reason = format!("is {} in YAML, not a command", typed.what);
                problems.error(&place, reason, "put the command in quotes");
                return None;
            }
            Command::Shell(text(item, problems)?)
        }
        Kind::Sequence(_) => {
            let words = item.items();
            let words: Vec<Option<Secret>> =
                words.iter().map(|item| word(item, problems)).collect();
            let words = words.into_iter().collect::<Option<Vec<Secret>>>()?;
            if words.is_empty() {
                problems.error(&place, "is an empty command", "remove it");
                return None;
            }
            Command::Program(words)
        }
        Kind::Mapping(_) => {
            let reason = "is a mapping in YAML, not a command";
            let remedy =
                "put the whole command in quotes: a colon followed by a space starts a mapping";
            problems.error(&place, reason, remedy);
            return None;
        }
    };
    let texts: Vec<&Secret> = match &value {
        Command::Shell(text) => vec![text],
        Command::Program(words) => words.iter().collect(),
    };
    if texts.iter().any(|text| text.expose().contains('\0')) {
        problems.error(&place, "contains a NUL byte", "remove it");
        return None;
    }
    Some(Located { value, place })
}
