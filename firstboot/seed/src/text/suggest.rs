//! "Did you mean": the nearest known word to one that is not known.

/// The known word nearest to `word`, if it is near enough to be a typo.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Long input is not a typo of a key name, and the distance is quadratic.
    if word.len() > 64 {
        return None;
    }
    let folded = fold(word);
    known
        .into_iter()
        // One that is known, but not here: naming it, or another, would not help.
        .map(|candidate| (candidate != word).then_some(candidate))
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .map(|candidate| (distance(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// "a, b and c", for messages.
pub fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// `nodeIP`, `node-ip` and `node_ip` are the same word to a person.
fn fold(word: &str) -> Vec<char> {
    word.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Levenshtein distance.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::{list, nearest};

    #[test]
    fn finds_slips_only() {
        let known = ["node_ip", "pod_subnet", "ca", "labels"];
        for (word, expected) in [
            ("nodeIP", Some("node_ip")),
            ("node-ip", Some("node_ip")),
            ("pod_subnets", Some("pod_subnet")),
            ("lables", Some("labels")),
            ("cert", None),
            ("token", None),
            ("", None),
            ("ca", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"a".repeat(1 << 20), known), None);
    }

    #[test]
    fn lists() {
        assert_eq!(list([]), "");
        assert_eq!(list(["a"]), "a");
        assert_eq!(list(["a", "b", "c"]), "a, b and c");
    }
}
