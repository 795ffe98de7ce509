//! Uppercase letters at the beginning of words, as jinja and python put them.
use super::filters::Failure;

/// Letters whose title case is not their upper case: python knows them, and names of machines
/// do not have them.
pub(super) fn refuse_title_case(
    name: &str,
    letters: impl IntoIterator<Item = char>,
) -> Result<(), Failure> {
    let is_special = |c: char| {
        c.to_uppercase().count() > 1
            || matches!(c, '\u{1c4}'..='\u{1cc}' | '\u{1f1}'..='\u{1f3}' | '\u{10d0}'..='\u{10ff}' | '\u{1f80}'..='\u{1fff}')
    };
    match letters.into_iter().any(is_special) {
        true => {
            let reason = format!("passes a letter to `{name}` that has a title case of its own");
            Err((reason, "use `upper`".to_owned()))
        }
        false => Ok(()),
    }
}

pub(super) fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first
        .chain(characters.as_str().to_lowercase().chars())
        .collect()
}

/// As jinja's filter: words begin behind blanks, dashes and opening brackets.
pub(super) fn titled(text: &str) -> String {
    let words = text.split_inclusive(|c: char| c.is_whitespace() || "-({[<".contains(c));
    words.map(capitalised).collect()
}

/// As python's method: words begin behind anything that is not a letter.
pub(super) fn titled_by_letters(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_lowercase() && !c.is_uppercase());
    words.map(capitalised).collect()
}
