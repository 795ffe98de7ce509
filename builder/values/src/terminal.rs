//! What a console says to a terminal, for people and programs that read it as text.

use std::ffi::OsString;
use std::io::{IsTerminal, stderr};

/// Of the words that say what a line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    Red,
    Yellow,
}

/// `word` in bold and `colour`, if standard error shows colours.
pub fn painted(word: &str, colour: Colour) -> String {
    if !has_colours(|name| std::env::var_os(name), stderr().is_terminal()) {
        return word.to_owned();
    }
    let number = match colour {
        Colour::Red => 31,
        Colour::Yellow => 33,
    };
    format!("\x1b[1;{number}m{word}\x1b[0m")
}

/// By [NO_COLOR](https://no-color.org/) and [CLICOLOR](https://bixense.com/clicolors/).
fn has_colours(variable: impl Fn(&str) -> Option<OsString>, is_terminal: bool) -> bool {
    let set = |name| variable(name).is_some_and(|value| !value.is_empty());
    let is = |name, wanted: &str| variable(name).is_some_and(|value| value == wanted);
    match () {
        () if set("NO_COLOR") => false,
        () if set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") => true,
        () if is("CLICOLOR", "0") || is("TERM", "dumb") => false,
        () => is_terminal,
    }
}

/// `text` without escape sequences
/// ([ECMA-48](https://ecma-international.org/publications-and-standards/standards/ecma-48/), 5.4)
/// and carriage returns.
pub fn plain_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => {
                if rest.next() == Some('[') {
                    let _ = rest.find(|c| ('@'..='~').contains(c));
                }
            }
            '\r' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_about_colours() {
        for (set, terminal, colours) in [
            (&[][..], true, true),
            (&[], false, false),
            (&[("NO_COLOR", "1")], true, false),
            (&[("NO_COLOR", "")], true, true),
            (&[("CLICOLOR_FORCE", "1")], false, true),
            (&[("CLICOLOR_FORCE", "0")], false, false),
            (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true, false),
            (&[("CLICOLOR", "0")], true, false),
            (&[("TERM", "dumb")], true, false),
            (&[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], false, true),
        ] {
            let variable = |name: &str| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| OsString::from(value))
            };
            assert_eq!(has_colours(variable, terminal), colours, "{set:?}");
        }
    }

    #[test]
    fn colours_and_movements_are_gone() {
        let said =
            "\x1b[2J\x1b[1;32m  OK  \x1b[0m Reached \x1b(target\r\nnode-0 \x1b[7mlogin:\x1b[";
        assert_eq!(plain_text(said), "  OK   Reached target\nnode-0 login:");
    }
}
