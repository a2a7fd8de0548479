//! Holds any input to the law `thin-metadata`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dmctl::laws::hold("thin-metadata", input));
