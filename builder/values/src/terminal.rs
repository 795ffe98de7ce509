//! What a console says to a terminal, for people and programs that read it as text.

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
    fn colours_and_movements_are_gone() {
        let said =
            "\x1b[2J\x1b[1;32m  OK  \x1b[0m Reached \x1b(target\r\nnode-0 \x1b[7mlogin:\x1b[";
        assert_eq!(plain_text(said), "  OK   Reached target\nnode-0 login:");
    }
}
