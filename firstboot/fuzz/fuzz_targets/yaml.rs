//! See `yaml` in `firstboot/tests/entries/mod.rs`.
#![no_main]
#[path = "../../tests/entries/mod.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entries::yaml(data));
