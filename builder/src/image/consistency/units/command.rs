//! The command lines of units: which program each starts.

use super::super::programs::{self, PATH};
use super::super::{Judged, near};
use super::context::Context;
use crate::tree::{ImagePath, Kind};

/// The keys with command lines.
pub const KEYS: [&str; 9] = [
    "ExecStart",
    "ExecStartPre",
    "ExecStartPost",
    "ExecCondition",
    "ExecReload",
    "ExecReloadPost",
    "ExecStop",
    "ExecStopPre",
    "ExecStopPost",
];
/// Before a program's name.
const PREFIXES: [char; 6] = ['@', '-', ':', '+', '!', '|'];
/// Programs that load what they are given.
const LOADS: &str = "modprobe";

/// One command of a line.
#[derive(PartialEq, Eq, Debug)]
pub struct Command {
    /// As the unit names it.
    pub program: String,
    pub arguments: Vec<String>,
    /// Whether its failure does not matter.
    pub may_fail: bool,
}

/// The commands of `value`: several with ` ; ` between them.
pub fn read(value: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    for words in words(value).split(|word| word == ";") {
        let Some((first, arguments)) = words.split_first() else {
            continue;
        };
        let program = first.trim_start_matches(PREFIXES);
        let prefix = &first[..first.len() - program.len()];
        commands.push(Command {
            program: program.to_owned(),
            arguments: arguments.to_vec(),
            may_fail: prefix.contains('-'),
        });
    }
    commands
}

/// Words, with quotation marks of either kind around blanks.
fn words(value: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut quote = None;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => {
                let next = chars.next().unwrap_or('\\');
                word.get_or_insert_default().push(next);
            }
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What is wrong with it; messages go on after `ExecStart=`.
pub fn problem(judged: &Judged<'_>, command: &Command, context: &Context) -> Option<String> {
    let program = command.program.as_str();
    let is_filled_in = program.replace("%%", "").contains('%');
    if program.is_empty() || is_filled_in || context.is_elsewhere {
        return None;
    }
    if program.starts_with('$') {
        return Some(format!(
            "{program}: systemd fills in no variable in the name of a program: write its path, or \
             start `/bin/sh -c`"
        ));
    }
    if program.starts_with('/') {
        if context.waits_for(program) {
            return None;
        }
        let problem = programs::absent(judged, program)?;
        let elsewhere = elsewhere(judged, program).unwrap_or_default();
        return Some(format!("{program}: the program {problem}{elsewhere}"));
    }
    if program.contains('/') {
        return Some(format!(
            "{program}: is neither a whole path nor a bare name, and systemd refuses the unit"
        ));
    }
    named(judged, program, context).or_else(|| module(judged, command))
}

/// A bare name, which systemd looks for in directories of its own.
fn named(judged: &Judged<'_>, name: &str, context: &Context) -> Option<String> {
    let own = context.search.iter().map(String::as_str);
    let places: Vec<&str> = match context.search.is_empty() {
        true => PATH.to_vec(),
        false => own.collect(),
    };
    let there = |place: &&&str| programs::absent(judged, &format!("{place}/{name}")).is_none();
    if places.iter().any(|place| there(&place)) {
        return None;
    }
    let elsewhere = elsewhere(judged, name).unwrap_or_default();
    Some(format!(
        "{name}: no such program is in {}, where systemd looks for it{elsewhere}",
        places.join(", ")
    ))
}

/// Where the image has a program of this name, or nearly.
fn elsewhere(judged: &Judged<'_>, program: &str) -> Option<String> {
    let name = program.rsplit('/').next()?;
    let executable = || {
        let all = judged.tree.iter();
        all.filter(|(path, node)| {
            path.as_str() != program
                && matches!(node.kind, Kind::File(_) | Kind::Symlink(_))
                && node.stat.mode & 0o111 != 0
        })
        .map(|(path, _)| path)
    };
    if let Some(path) = executable().find(|path| path.name() == name) {
        return Some(format!("; the image has `{path}`"));
    }
    let in_path = |path: &&ImagePath| {
        let parent = path.parent();
        parent.is_some_and(|parent| PATH.contains(&parent.as_str()))
    };
    near(name, executable().filter(in_path).map(ImagePath::name))
        .map(|near| format!("; did you mean `{near}`?"))
}

/// A module that `modprobe` is to load.
fn module(judged: &Judged<'_>, command: &Command) -> Option<String> {
    let name = command.program.rsplit('/').next()?;
    let first = command
        .arguments
        .iter()
        .find(|word| !word.starts_with('-'))?;
    let is_plain = name == LOADS && !first.contains(['%', '$']);
    let kernels = judged.kernels.iter().filter(|_| is_plain);
    let mut without = kernels.filter(|kernel| !kernel.lacking(&[first.as_str()]).is_empty());
    without.next().map(|kernel| {
        format!(
            "{}: the kernel {} has no module `{first}`, neither loadable nor built in",
            command.program, kernel.release
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_as_systemd_reads_it() {
        for (value, program, may_fail) in [
            ("/bin/a b", "/bin/a", false),
            ("-/bin/a", "/bin/a", true),
            ("@/bin/a name", "/bin/a", false),
            ("+!/bin/a", "/bin/a", false),
            ("-:@/bin/a x", "/bin/a", true),
            ("\"/opt/my tool/a\" x", "/opt/my tool/a", false),
            ("'/opt/a'", "/opt/a", false),
            ("/opt/my\\ tool", "/opt/my tool", false),
        ] {
            let read = read(value);
            assert_eq!(read[0].program, program, "{value}");
            assert_eq!(read[0].may_fail, may_fail, "{value}");
        }
        let two = read("/bin/a 1 ; -/bin/b \"x;y\"");
        let names: Vec<&str> = two.iter().map(|one| one.program.as_str()).collect();
        assert_eq!(names, ["/bin/a", "/bin/b"]);
        assert!(read("").is_empty());
    }
}
