//! See `yaml` in `firstboot/fuzz-entries`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nodeimg_fuzz_entries::yaml(data));
