//! A bundle, changed at every place that it has: refused, and never a panic.

use nodeimg_test_support::sigstore::Sigstore;
use nodeimg_test_support::synthetic::body;
use nodeimg_trust::Roots;
use serde_json::{Value, json};

use super::judged::{Case, ours};
use super::{SIGNER, bundle_of};

/// The paths of everything below `value`, as JSON Pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), value))
            .collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => return,
    };
    for (key, child) in children {
        let path = format!("{at}/{key}");
        places(child, &path, found);
        found.push(path);
    }
}

/// `whole` without what is at `place`.
fn without(whole: &Value, place: &str) -> Value {
    let mut copy = whole.clone();
    let (above, key) = place.rsplit_once('/').unwrap();
    match copy.pointer_mut(above).unwrap() {
        Value::Object(map) => {
            map.remove(key);
        }
        Value::Array(list) => {
            list.remove(key.parse().unwrap());
        }
        other => panic!("{place}: {other}"),
    }
    copy
}

/// What may stand in the place of `value`.
fn others(value: &Value) -> Vec<(&'static str, Value)> {
    let mut all = vec![
        ("null", Value::Null),
        ("a negative number", json!(-1)),
        ("a huge number", json!(u64::MAX)),
        ("a huge number as text", json!("9".repeat(400))),
        ("no text", json!("")),
        ("another text", json!("\u{0}\u{7f}\u{fffd}")),
        ("a list", json!([])),
        ("an object", json!({})),
    ];
    if let Some(text) = value
        .as_str()
        .filter(|text| text.is_ascii() && text.len() > 1)
    {
        all.push(("its half", json!(text[..text.len() / 2])));
        all.push(("twice", json!(text.repeat(2))));
        let mut bytes = text.as_bytes().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
        all.push(("another letter", json!(String::from_utf8(bytes).unwrap())));
    }
    if let Some(list) = value.as_array().filter(|list| !list.is_empty()) {
        all.push((
            "each twice",
            json!([list.as_slice(), list.as_slice()].concat()),
        ));
        all.push(("many", json!(vec![list[0].clone(); 10_000])));
    }
    all.retain(|(_, other)| other != value);
    all
}

/// Every changed bundle, with what was changed.
fn changed(bundle: &str) -> Vec<(String, String)> {
    let whole: Value = serde_json::from_str(bundle).unwrap();
    let mut found = Vec::new();
    places(&whole, "", &mut found);
    let mut all = Vec::new();
    for place in &found {
        all.push((
            format!("{place} removed"),
            without(&whole, place).to_string(),
        ));
        for (name, other) in others(whole.pointer(place).unwrap()) {
            let mut copy = whole.clone();
            *copy.pointer_mut(place).unwrap() = other;
            all.push((format!("{place}: {name}"), copy.to_string()));
        }
        // A key that is there twice: readers differ in which one counts.
        let key = format!("\"{}\":", place.rsplit('/').next().unwrap());
        if bundle.contains(&key) {
            let twice = bundle.replacen(&key, &format!("{key}null,{key}"), 1);
            all.push((format!("{place} there twice"), twice));
        }
    }
    for part in 1..40 {
        let end = bundle.len() * part / 40;
        all.push((format!("cut at {end}"), bundle[..end].to_owned()));
    }
    all
}

/// Changes that leave a bundle as good: of what may be absent, since the signature, the log's
/// answer and the certificate say the same; and a second copy of what was verified once.
const AS_GOOD: [&str; 7] = [
    "/mediaType removed",
    "/messageSignature/messageDigest removed",
    "/messageSignature/messageDigest: null",
    "/verificationMaterial/timestampVerificationData removed",
    "/verificationMaterial/timestampVerificationData: null",
    "/verificationMaterial/timestampVerificationData: a list",
    "/verificationMaterial/tlogEntries: each twice",
];

#[test]
fn a_bundle_that_is_changed_anywhere_is_refused() {
    let sigstore = Sigstore::new();
    let content = body("runc", "amd64");
    let bundle = bundle_of(&sigstore, SIGNER, &content);
    let roots = Roots::built_in().unwrap();
    let roots = roots.with_private(sigstore.trusted_root().as_bytes());
    let roots = roots.unwrap();
    let judged = |name: String, bundle: String| {
        let case = Case {
            name,
            bundle,
            content: content.clone(),
            identity: SIGNER.to_owned(),
            good: false,
        };
        (ours(&case, &roots), case.name)
    };
    judged("as signed".to_owned(), bundle.clone()).0.unwrap();
    let mut accepted = Vec::new();
    let all = changed(&bundle);
    assert!(all.len() > 200, "{}", all.len());
    for (name, bundle) in all {
        let (told, name) = judged(name, bundle);
        if told.is_ok() {
            accepted.push(name);
        }
    }
    assert_eq!(accepted, AS_GOOD);
}
