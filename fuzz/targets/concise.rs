//! Holds any input to the law `concise`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dmctl::laws::hold("concise", input));
