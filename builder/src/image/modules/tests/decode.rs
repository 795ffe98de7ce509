//! Reads an index back, as libkmod does; both layouts that there are (nodes
//! before their children since kmod 34, after them until then) read the same.

use std::collections::BTreeMap;

/// Each key with its values, (priority, value).
pub type Keys = BTreeMap<String, Vec<(u32, String)>>;

pub fn decode(file: &[u8]) -> Keys {
    assert_eq!(word(file, 0), 0xb007_f457);
    assert_eq!(word(file, 4), 0x0002_0001);
    let mut keys = Keys::new();
    node(file, word(file, 8), String::new(), &mut keys);
    keys
}

fn word(file: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(file[at..at + 4].try_into().unwrap())
}

fn text(file: &[u8], at: &mut usize) -> String {
    let end = file[*at..].iter().position(|byte| *byte == 0).unwrap();
    let found = String::from_utf8(file[*at..*at + end].to_vec()).unwrap();
    *at += end + 1;
    found
}

fn node(file: &[u8], reference: u32, mut key: String, keys: &mut Keys) {
    let mut at = (reference & 0x0fff_ffff) as usize;
    if reference & 0x8000_0000 != 0 {
        key += &text(file, &mut at);
    }
    if reference & 0x2000_0000 != 0 {
        let (first, last) = (file[at], file[at + 1]);
        at += 2;
        for byte in first..=last {
            let child = word(file, at);
            at += 4;
            if child != 0 {
                node(file, child, format!("{key}{}", byte as char), keys);
            }
        }
    }
    if reference & 0x4000_0000 != 0 {
        let count = word(file, at);
        at += 4;
        for _ in 0..count {
            let priority = word(file, at);
            at += 4;
            let value = text(file, &mut at);
            keys.entry(key.clone()).or_default().push((priority, value));
        }
    }
}
