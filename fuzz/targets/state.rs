//! Holds any input to the law `state`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dmctl::laws::hold("state", input));
