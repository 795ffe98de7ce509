//! See `yaml` in `firstboot/seed/tests/entries/mod.rs`.
#![no_main]
#[path = "../../seed/tests/entries/mod.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entries::yaml(data));
