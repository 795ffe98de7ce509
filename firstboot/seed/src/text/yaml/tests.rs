//! The tree that YAML text becomes, and text that is refused, bombs among it.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::time::{Duration, Instant};

use super::{Kind, Node, parse};

/// `text@line`, lists in `[]`, mappings in `{}`.
fn dump(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar(scalar) => format!("{}@{}", scalar.text.expose(), node.line),
        Kind::Sequence(items) => {
            format!("[{}]", items.iter().map(dump).collect::<Vec<_>>().join(" "))
        }
        Kind::Mapping(entries) => {
            let entries = entries.iter().map(|entry| {
                format!(
                    "{}@{}={}",
                    entry.key.expose(),
                    entry.line,
                    dump(&entry.value)
                )
            });
            format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
        }
    }
}

#[test]
fn reads_with_lines() {
    for (text, expected) in [
        ("a: 1\nb:\n- 0644\n- x\n", "{a@1=1@1 b@2=[0644@3 x@4]}"),
        ("a: 1\r\nb: 2\r\n", "{a@1=1@1 b@2=2@2}"),
        ("a: &x {k: 1}\nb: *x\n", "{a@1={k@1=1@1} b@2={k@1=1@1}}"),
        (
            "a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  l: 3\n",
            "{a@1={k@1=1@1 l@1=2@1} b@2={l@4=3@4 k@1=1@1}}",
        ),
        ("a: |\n  x\n  y\n", "{a@1=x\ny\n@2}"),
        ("a: |\n  x", "{a@1=x@2}"),
        ("a: >+\n  x\n   ", "{a@1=x\n @2}"),
        ("a: |\n  x\n ", "{a@1=x\n@2}"),
        ("a: |+\n ", "{a@1=@1}"),
        ("'<<': {b: c}\n", "{<<@1={b@1=c@1}}"),
    ] {
        assert_eq!(dump(&parse(text).unwrap().unwrap()), expected, "{text:?}");
    }
    assert!(parse("# only a comment\n").unwrap().is_none());
}

#[test]
fn refuses() {
    for (text, line, expected) in [
        ("a: 1\na: 2\n", 2, "twice"),
        ("a:\n  - {b: 1, b: 2}\n", 2, "twice"),
        ("a: 1\n---\nb: 1\n", 2, "second YAML document"),
        ("? [a]\n: 1\n", 1, "a key must be plain text"),
        ("a: &x [*x]\n", 1, "inside the value that it refers to"),
        ("a: *nothing\n", 1, "anchor"),
        ("a:\n\tb: 1\n", 2, "tab"),
        ("a: {<<: 1}\n", 1, "`<<` takes"),
        ("a: b\nc: 'd\u{2028}e'\n", 2, "line breaks to YAML 1.1 only"),
        ("a: [?b]\n", 1, "begins with `?`"),
        ("a: ! yes\n", 1, "the tag `!`"),
        ("a: [1\nb: 2", 2, ""),
    ] {
        let error = parse(text)
            .err()
            .unwrap_or_else(|| panic!("{text:?} was accepted"));
        assert!(error.reason.contains(expected), "{text:?}: {error:?}");
        assert_eq!(error.line, line, "{text:?}: {error:?}");
    }
}

/// As PyYAML's resolver decides.
#[test]
fn plain_scalars_say_what_they_are() {
    for (text, null, boolean) in [
        ("a: ", true, None),
        ("a: ~", true, None),
        ("a: Yes", false, Some(true)),
        ("a: OFF", false, Some(false)),
        ("a: yEs", false, None),
        ("a: 'yes'", false, None),
        ("a: !!str yes", false, None),
        ("a: !!str ~", false, None),
    ] {
        let root = parse(text).unwrap().unwrap();
        let scalar = root.get("a").unwrap().scalar().unwrap();
        assert_eq!(scalar.is_null(), null, "{text}");
        assert_eq!(scalar.boolean(), boolean, "{text}");
    }
    let nothing = parse("a: [b, ]\nc:\n").unwrap().unwrap();
    assert_eq!(nothing.get("c").unwrap().scalar().unwrap().text(), "");
}

#[test]
fn bombs_are_refused_at_once() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = level - 1;
        let row = vec![format!("*a{below}"); 9].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{row}]\n"));
    }
    let deep = (1..2000).map(|level| format!("a{level}: &a{level} [*a{}]\n", level - 1));
    let chain = format!("a0: &a0 [x]\n{}", deep.collect::<String>());
    for (name, text) in [
        ("flow", "[".repeat(100_000)),
        ("mappings", "{a: ".repeat(100_000)),
        ("block", "- ".repeat(100_000)),
        ("laughs", laughs),
        ("chain", chain),
        (
            "many copies",
            format!(
                "a: &a [{}]\nb: [{}]",
                "x, ".repeat(1000),
                "*a, ".repeat(200)
            ),
        ),
        (
            "long text",
            format!(
                "a: &a \"{}\"\nb: [{}]",
                "x".repeat(1 << 20),
                "*a, ".repeat(100)
            ),
        ),
    ] {
        let start = Instant::now();
        assert!(parse(&text).is_err(), "{name} was accepted");
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{name}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn errors_do_not_quote_the_text() {
    for text in [
        "key: \"SECRETSECRET\n",
        "key: SECRETSECRET: x\n",
        "key: *SECRETSECRET\n",
        "key: |SECRETSECRET\n",
        "SECRET/SECRET=: 1\nSECRET/SECRET=: 2\n",
        "key: !SECRETSECRET{ x\n",
        "%SECRETSECRET x\n---\na: *b\n",
    ] {
        let error = parse(text)
            .err()
            .unwrap_or_else(|| panic!("{text:?} was accepted"));
        assert!(!error.reason.contains("SECRET"), "{text:?}: {error:?}");
    }
}
