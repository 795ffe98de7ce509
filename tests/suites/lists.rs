//! Committed lists: names, or names with a reason each. A blank line and a line that
//! begins with `#` are nothing.
//!
//! ```text
//! a name
//! another name
//!     the reason of both of them,
//!     which may take more than one line
//! ```

use std::collections::{BTreeMap, BTreeSet};

/// A list of names alone, in its order.
pub fn names(text: &str) -> Vec<String> {
    let names: Vec<String> = lines(text).map(|line| line.trim().to_owned()).collect();
    let mut seen = BTreeSet::new();
    for name in &names {
        assert!(seen.insert(name), "{name:?} is in the list twice");
    }
    names
}

/// A list of names with reasons.
pub fn reasons(text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut waiting: Vec<&str> = Vec::new();
    let mut last: Vec<&str> = Vec::new();
    for line in lines(text) {
        if !line.starts_with(' ') {
            last.clear();
            waiting.push(line);
            continue;
        }
        assert!(
            !(waiting.is_empty() && last.is_empty()),
            "a reason without a name: {line:?}"
        );
        for name in waiting.drain(..) {
            let before = all.insert(name.to_owned(), String::new());
            assert!(before.is_none(), "{name:?} is in the list twice");
            last.push(name);
        }
        for name in &last {
            let reason: &mut String = all.get_mut(*name).unwrap();
            if !reason.is_empty() {
                reason.push(' ');
            }
            reason.push_str(line.trim());
        }
    }
    assert!(waiting.is_empty(), "no reason behind {waiting:?}");
    all
}

/// Names that are not judged, with a reason each: exactly `number`, which may only fall.
pub fn skipped(text: &str, number: usize) -> BTreeMap<String, String> {
    let skipped = reasons(text);
    assert_eq!(
        skipped.len(),
        number,
        "names that are skipped: a list may only become shorter, and then SKIPPED_NAMES with it"
    );
    skipped
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim_end);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[test]
fn names_share_the_reason_behind_them() {
    let all = reasons("# why\na\nb\n  one,\n  two\n\nc d\n  three\n");
    let all: Vec<(&str, &str)> = all.iter().map(|(n, r)| (n.as_str(), r.as_str())).collect();
    assert_eq!(
        all,
        [("a", "one, two"), ("b", "one, two"), ("c d", "three")]
    );
}

#[test]
fn a_list_with_a_hole_is_refused() {
    for text in [
        "a\n",
        "  reason\n",
        "a\n  x\nb\n",
        "a\na\n  x\n",
        "a\n  x\na\n  y\n",
    ] {
        let read = std::panic::catch_unwind(|| reasons(text));
        assert!(read.is_err(), "{text:?} was taken");
    }
}
