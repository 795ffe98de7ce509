//! Rules of udev: `KEY=="value", KEY{name}="value"`.

use nodeimg_seed::text::suggest::nearest;

use super::Ground;

/// Every key that udev of systemd 252 to 257 knows.
const KEYS: [&str; 28] = [
    "ACTION",
    "ATTR",
    "ATTRS",
    "CONST",
    "DEVPATH",
    "DRIVER",
    "DRIVERS",
    "ENV",
    "GOTO",
    "GROUP",
    "IMPORT",
    "KERNEL",
    "KERNELS",
    "LABEL",
    "MODE",
    "NAME",
    "OPTIONS",
    "OWNER",
    "PROGRAM",
    "RESULT",
    "RUN",
    "SECLABEL",
    "SUBSYSTEM",
    "SUBSYSTEMS",
    "SYMLINK",
    "SYSCTL",
    "TAG",
    "TAGS",
];
/// It takes a mode between its braces.
const TEST: &str = "TEST";
const OPERATORS: [&str; 6] = ["==", "!=", "+=", "-=", ":=", "="];

/// What is wrong with a rule.
pub fn wrong(line: &str, _: &Ground<'_>) -> Option<String> {
    reason(line).map(|reason| format!("{reason} (udev passes over the rule)"))
}

fn reason(line: &str) -> Option<String> {
    let mut rest = line.trim_start_matches([',', ' ', '\t']);
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        if key != TEST && !KEYS.contains(&key) {
            let upper = key.to_ascii_uppercase();
            let hint = match nearest(&upper, KEYS) {
                Some(near) => format!("; did you mean `{near}`?"),
                None => String::new(),
            };
            return Some(format!("`{key}` is not a key{hint}"));
        }
        let after = match after.strip_prefix('{') {
            Some(inside) => match inside.split_once('}') {
                Some((_, after)) => after,
                None => return Some(format!("`{key}{{` has no `}}`")),
            },
            None => after,
        };
        let after = after.trim_start();
        let operator = OPERATORS.iter().find(|sign| after.starts_with(**sign));
        let Some(operator) = operator else {
            return Some(format!(
                "`{key}` has no operator such as `==` or `=` after it"
            ));
        };
        let after = after[operator.len()..].trim_start();
        // `e"..."` has escapes, `i"..."` looks at no case.
        let after = after.trim_start_matches(['e', 'i']);
        let Some(after) = after.strip_prefix('"') else {
            return Some(format!("the value of `{key}` does not stand between `\"`"));
        };
        let Some(end) = closing(after) else {
            return Some(format!("the value of `{key}` has no second `\"`"));
        };
        if let Some(reason) = wrong_operator(key, operator) {
            return Some(reason);
        }
        rest = after[end + 1..].trim_start_matches([',', ' ', '\t']);
    }
    None
}

/// Where the value ends: at the first quotation mark without a `\` before it.
fn closing(text: &str) -> Option<usize> {
    let mut marks = text.match_indices('"').map(|(index, _)| index);
    marks.find(|index| !text[..*index].ends_with('\\'))
}

/// A key that is only compared is not set, and the other way round.
fn wrong_operator(key: &str, operator: &str) -> Option<String> {
    const COMPARED: [&str; 12] = [
        "ACTION",
        "ATTRS",
        "CONST",
        "DEVPATH",
        "DRIVER",
        "DRIVERS",
        "KERNEL",
        "KERNELS",
        "RESULT",
        "SUBSYSTEM",
        "SUBSYSTEMS",
        "TAGS",
    ];
    const SET: [&str; 7] = ["GOTO", "GROUP", "LABEL", "MODE", "OPTIONS", "OWNER", "RUN"];
    let compares = matches!(operator, "==" | "!=");
    if COMPARED.contains(&key) && !compares {
        return Some(format!(
            "`{key}` can only be compared: write `{key}==` or `{key}!=`"
        ));
    }
    (SET.contains(&key) && compares).then(|| format!("`{key}` can only be set: write `{key}=`"))
}
