//! Whatever bytes a seed holds: no panic, no endless run, no control characters in messages.
//!
//! The bytes are put together from words that the readers look for; `fuzz.rs`
//! begins with good ones instead.

use nodeimg_fuzz_entries as entries;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(&entries::WORDS[..]).prop_map(str::to_owned),
        1 => "[ -~]{0,12}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Bytes that look like DER further in than random ones do.
fn der() -> impl Strategy<Value = Vec<u8>> {
    let leaf = (
        prop::sample::select(vec![1u8, 2, 3, 4, 6, 12, 23, 24]),
        prop::collection::vec(any::<u8>(), 0..12),
    )
        .prop_map(|(tag, content)| wrapped(tag, &content));
    leaf.prop_recursive(6, 60, 8, |inner| {
        (
            prop::sample::select(vec![0x30u8, 0x31, 0xa0, 0xa3, 4]),
            prop::collection::vec(inner, 0..8),
        )
            .prop_map(|(tag, parts)| wrapped(tag, &parts.concat()))
    })
}

fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag, 0x82];
    der.extend(
        u16::try_from(content.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    der.extend(content);
    der
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whole_seeds(user in text(), meta in text(), network in text()) {
        entries::seed([user, meta, network].join(entries::NEXT_FILE).as_bytes());
    }

    #[test]
    fn single_readers(text in text()) {
        for read in [entries::yaml, entries::jinja, entries::pem, entries::user_data, entries::network, entries::state] {
            read(text.as_bytes());
        }
    }

    #[test]
    fn certificates(der in der()) {
        entries::x509(&der);
    }
}
