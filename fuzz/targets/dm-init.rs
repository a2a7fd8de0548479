//! Holds any input to the law `dm-init`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dmctl::laws::hold("dm-init", input));
