//! See `network` in `firstboot/fuzz-entries`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nodeimg_fuzz_entries::network(data));
