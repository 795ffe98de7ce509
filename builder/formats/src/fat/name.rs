//! Names in a FAT directory: long ones, and the 8.3 alias that each has.
//!
//! # Invariants
//! - Within a directory no alias is another file's name or alias, whatever the
//!   case.
//! - An alias follows from the names of its directory alone.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

/// An 8.3 name as it lies in an entry: both parts padded, without the dot.
pub type Short = [u8; 11];

/// What a long name may not have.
const FORBIDDEN: &str = "\"*/:<>?\\|";
/// What a short name may have beside letters and digits.
const SHORT_MARKS: &str = "!#$%&'()-@^_`{}~";
/// Of a long name, in UTF-16 code units.
const LONGEST: usize = 255;

/// Refuses what cannot be the name of a file.
pub fn check(name: &str) -> Result<()> {
    ensure!(!name.is_empty(), "a name in it is empty");
    if let Some(bad) = name
        .chars()
        .find(|c| c.is_control() || FORBIDDEN.contains(*c))
    {
        anyhow::bail!(
            "`{}` is not a valid name on FAT: it has the character `{}`",
            name.escape_debug(),
            bad.escape_debug()
        );
    }
    // `.` and `..` among them; systems drop such ends, and look for the rest.
    ensure!(
        !name.ends_with(['.', ' ']) && !name.starts_with(' '),
        "`{name}` is not a valid name on FAT: it begins with a space, or ends with a space or a \
         dot"
    );
    ensure!(
        name.encode_utf16().count() <= LONGEST,
        "`{name}` is not a valid name on FAT: it is longer than {LONGEST} characters"
    );
    Ok(())
}

/// What two names that differ by case alone have in common.
pub fn fold(name: &str) -> String {
    let upper = |c: char| {
        let mut upper = c.to_uppercase();
        // As FAT's own tables do: one character for one.
        match (upper.next(), upper.next()) {
            (Some(only), None) => only,
            _ => c,
        }
    };
    name.chars().map(upper).collect()
}

/// The volume's label, padded; `None` for none.
pub fn label(text: &str) -> Result<Option<Short>> {
    let fits = |c: char| is_short(c) || c == ' ';
    let trimmed = text.trim_matches(' ') == text;
    ensure!(
        trimmed && text.len() <= 11 && text.chars().all(fits),
        "`{}` is not a valid label of a FAT file system: use up to 11 uppercase letters, digits, \
         inner spaces and {SHORT_MARKS}",
        text.escape_debug()
    );
    Ok((!text.is_empty()).then(|| padded(text, "")))
}

fn is_short(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit() || SHORT_MARKS.contains(c)
}

/// `base` up to 8 bytes with an extension up to 3, or 11 without.
fn padded(base: &str, extension: &str) -> Short {
    let mut short = [b' '; 11];
    short[..base.len()].copy_from_slice(base.as_bytes());
    short[8..8 + extension.len()].copy_from_slice(extension.as_bytes());
    short
}

/// The alias of each name, in the same order. The names are checked, and differ
/// by more than case.
pub fn aliases(names: &[&str]) -> Result<Vec<Short>> {
    let mut taken: BTreeSet<String> = names.iter().map(|name| fold(name)).collect();
    let alias = |name: &&str| match exact(&fold(name)) {
        Some(short) => Ok(short),
        None => numbered(name, &mut taken).with_context(|| format!("`{name}`")),
    };
    names.iter().map(alias).collect()
}

/// The alias of one more name, beside those that are taken.
pub fn alias(name: &str, mut taken: BTreeSet<String>) -> Result<Short> {
    match exact(&fold(name)) {
        Some(short) => Ok(short),
        None => numbered(name, &mut taken).with_context(|| format!("`{name}`")),
    }
}

/// An alias with its dot.
pub fn shown(short: &Short) -> String {
    let text = String::from_utf8_lossy(short);
    let (base, extension) = (text.get(..8).unwrap_or(&text), text.get(8..).unwrap_or(""));
    match extension.trim_end() {
        "" => base.trim_end().to_owned(),
        extension => format!("{}.{extension}", base.trim_end()),
    }
}

/// A name without lowercase letters that is short enough as it is.
fn exact(name: &str) -> Option<Short> {
    let (base, extension) = match name.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (name, ""),
    };
    let fits = (1..=8).contains(&base.len()) && extension.len() <= 3;
    let whole = base.chars().chain(extension.chars()).all(is_short);
    (fits && whole).then(|| padded(base, extension))
}

/// Whether an entry needs a long name beside the alias.
pub fn needs_long(name: &str) -> bool {
    exact(name).is_none()
}

/// `BASENA~1.EXT`, with the first number that makes it one of a kind.
fn numbered(name: &str, taken: &mut BTreeSet<String>) -> Result<Short> {
    let name = fold(name);
    let name = name.trim_start_matches('.');
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let (base, extension) = (clean(base, 8), clean(extension, 3));
    let dot = if extension.is_empty() { "" } else { "." };
    for number in 1..1_000_000 {
        let tail = format!("~{number}");
        let base = &base[..base.len().min(8 - tail.len())];
        if taken.insert(format!("{base}{tail}{dot}{extension}")) {
            return Ok(padded(&format!("{base}{tail}"), &extension));
        }
    }
    anyhow::bail!("too many names in its directory begin alike")
}

/// What a short name can have of a part of a name.
fn clean(part: &str, longest: usize) -> String {
    let kept = part.chars().filter(|c| ![' ', '.'].contains(c));
    let short = kept.map(|c| if is_short(c) { c } else { '_' });
    short.take(longest).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn aliases_are_short_and_apart() {
        let cases = [
            ("BOOTX64.EFI", "BOOTX64 EFI"),
            ("EFI", "EFI        "),
            ("lower.txt", "LOWER   TXT"),
            ("user-data", "USER-D~1   "),
            ("user-data-2", "USER-D~2   "),
            ("meta-data.yaml", "META-D~1YAM"),
            ("USER-D~3", "USER-D~3   "),
            ("user-datum", "USER-D~4   "),
            (".profile", "PROFIL~1   "),
            ("a b.c.d", "ABC~1   D  "),
            ("a+b", "A_B~1      "),
            ("\u{e4}", "_~1        "),
            ("\u{65e5}\u{672c}.efi", "__~1    EFI"),
            ("x.html", "X~1     HTM"),
        ];
        let (names, want): (Vec<&str>, Vec<&str>) = cases.into_iter().unzip();
        let aliases = aliases(&names).unwrap();
        let got: Vec<_> = aliases
            .iter()
            .map(|alias| std::str::from_utf8(alias).unwrap())
            .collect();
        assert_eq!(got, want);
        let long: Vec<_> = names.iter().filter(|name| !needs_long(name)).collect();
        assert_eq!(long, [&"BOOTX64.EFI", &"EFI", &"USER-D~3"]);
    }

    #[test]
    fn numbers_of_more_digits_shorten_the_name() {
        let names: Vec<_> = (0..120).map(|n| format!("long-name-{n}.conf")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let aliases = aliases(&names).unwrap();
        assert_eq!(&aliases[8], b"LONG-N~9CON");
        assert_eq!(&aliases[9], b"LONG-~10CON");
        assert_eq!(&aliases[119], b"LONG~120CON");
        let all: BTreeSet<_> = aliases.iter().collect();
        assert_eq!(all.len(), 120);
    }

    #[test]
    fn names_that_no_reader_takes_are_refused() {
        let long = "x".repeat(256);
        let cases = [
            ("", "empty"),
            (".", "dot"),
            ("..", "dot"),
            ("end.", "dot"),
            ("end ", "space"),
            (" begin", "space"),
            ("a:b", "`:`"),
            ("a\\b", "`\\\\`"),
            ("a\nb", "`\\n`"),
            (&long, "255"),
        ];
        for (name, why) in cases {
            let error = check(name).unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
        }
        check(&"x".repeat(255)).unwrap();
        check("a b.+,;=[]").unwrap();
    }

    #[test]
    fn labels_are_capital_and_short() {
        assert_eq!(label("").unwrap(), None);
        assert_eq!(label("CIDATA").unwrap(), Some(*b"CIDATA     "));
        assert_eq!(label("CONFIG-2").unwrap(), Some(*b"CONFIG-2   "));
        assert_eq!(label("A B").unwrap(), Some(*b"A B        "));
        for bad in ["cidata", "TWELVE-BYTES", " A", "A ", "A.B", "\u{c4}"] {
            let error = label(bad).unwrap_err().to_string();
            assert!(error.contains(bad), "{error}");
        }
    }

    #[test]
    fn case_folds_one_to_one() {
        assert_eq!(fold("\u{3c2}"), fold("\u{3a3}"));
        assert_ne!(fold("\u{df}"), fold("ss"));
        assert_eq!(fold("aB\u{e9}"), "AB\u{c9}");
    }
}
