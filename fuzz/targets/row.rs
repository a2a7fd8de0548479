//! Holds any input to the law `row`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dmctl::laws::hold("row", input));
