//! Roots that were changed or have ended, and proofs that nobody wrote: refused, and nothing
//! that a proof holds makes the program panic.

use nodeimg_trust::{Instance, Roots, Why};
use serde_json::Value;

use crate::mutations::{Case, leaves, provenance, signature};

/// The root of sigstore.dev with something changed.
fn changed_root(change: impl Fn(&mut Value)) -> Roots {
    let json = include_str!("../../roots/public-good.json");
    let mut root: Value = serde_json::from_str(json).unwrap();
    change(&mut root);
    let roots = Roots::built_in().unwrap();
    roots
        .replaced(Instance::PublicGood, root.to_string().as_bytes())
        .unwrap()
}

#[test]
fn a_changed_or_expired_root_fails_closed() {
    let ended = "2021-06-01T00:00:00Z";
    let end_all = |list: &str, key: &'static str| {
        let list = list.to_string();
        move |root: &mut Value| {
            for entry in root[&list].as_array_mut().unwrap() {
                let of = if key.is_empty() {
                    entry
                } else {
                    &mut entry[key]
                };
                of["validFor"] = serde_json::json!({"start": "2021-01-01T00:00:00Z", "end": ended});
            }
        }
    };
    let other_key = serde_json::json!(
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYI4heOTrNrZO27elFE8ynfrdPMikttRkbe+vJKQ50G6bfwQ3WyhLpRwwwohelDAm8xRzJ56nYsIa3VHivVvpmA=="
    );
    for (what, roots) in [
        (
            "authorities ended",
            changed_root(end_all("certificateAuthorities", "")),
        ),
        ("logs ended", changed_root(end_all("tlogs", "publicKey"))),
        (
            "certificates' logs ended",
            changed_root(end_all("ctlogs", "publicKey")),
        ),
        (
            "no authority",
            changed_root(|root| root["certificateAuthorities"] = serde_json::json!([])),
        ),
        (
            "another log",
            changed_root(|root| {
                for log in root["tlogs"].as_array_mut().unwrap() {
                    log["publicKey"]["rawBytes"] = other_key.clone();
                }
            }),
        ),
        (
            "another log of certificates",
            changed_root(|root| {
                for log in root["ctlogs"].as_array_mut().unwrap() {
                    log["publicKey"]["rawBytes"] = other_key.clone();
                }
            }),
        ),
    ] {
        let case = Case {
            roots,
            ..signature()
        };
        assert!(case.judge(&case.bundle).is_err(), "{what}");
    }
}

#[test]
fn cut_and_damaged_bundles_are_refused_without_panic() {
    let case = provenance();
    let whole = case.bundle.to_string();
    for at in (0..whole.len()).step_by(97) {
        let refusal = case.judge_text(whole[..at].to_string()).unwrap_err();
        assert_eq!(refusal.why, Why::Damaged, "{at}: {refusal}");
    }
    // Bytes anywhere, by a generator that every run repeats.
    let mut state = 0x9e37_79b9_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap()
    };
    for _ in 0..300 {
        let mut bytes = whole.clone().into_bytes();
        for _ in 0..=next() % 4 {
            let at = next() % bytes.len();
            bytes[at] = b"0{}[]\",:A/=-9\\n "[next() % 15];
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if serde_json::from_str::<Value>(&text).ok().as_ref() != Some(&case.bundle) {
            // A change of JSON's own spelling may leave the same bundle.
            let _ = case.judge_text(text);
        }
    }
    let deep = "[".repeat(100_000);
    let long = format!("{whole}{}", " ".repeat(2 << 20));
    for text in [
        String::new(),
        deep,
        long,
        "null".to_string(),
        "{}".to_string(),
        "\u{0}".to_string(),
    ] {
        assert_eq!(case.judge_text(text).unwrap_err().why, Why::Damaged);
    }
    // Fields with lengths and types that nobody writes.
    let mut all = Vec::new();
    leaves(&case.bundle, String::new(), &mut all);
    for pointer in &all {
        for odd in [
            Value::Null,
            serde_json::json!(-1),
            serde_json::json!(1e300),
            serde_json::json!("9223372036854775807"),
            serde_json::json!("-9223372036854775808"),
            serde_json::json!(""),
            serde_json::json!("AA=="),
            serde_json::json!("\u{1F600}".repeat(1000)),
            serde_json::json!([]),
            serde_json::json!({}),
        ] {
            let bundle = case.with(pointer, |value| *value = odd.clone());
            assert!(case.judge(&bundle).is_err(), "{pointer} {odd}");
        }
    }
}
