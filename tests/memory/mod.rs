//! Keys in the memory of a process. To look into it takes root: no other process may.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};

/// Counts how often a text, or the bytes that it is the hex of, are in the writable memory of a process.
pub fn count(process: u32, hex: &str) -> usize {
    let raw: Vec<u8> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut found = 0;
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw")))
    {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|number| u64::from_str_radix(number, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.seek(SeekFrom::Start(from)).is_err() || memory.read_exact(&mut bytes).is_err() {
            continue;
        }
        // The half of a key is one, too.
        for part in [
            &raw[..raw.len() / 2],
            &hex.as_bytes()[..hex.len() / 2],
            &hex.to_uppercase().as_bytes()[..hex.len() / 2],
        ] {
            found += bytes.windows(part.len()).filter(|window| *window == part).count();
        }
    }
    found
}

/// Another key: each digit is `by` more.
pub fn other(key: &str, by: u32) -> String {
    let digit = |c: char| char::from_digit((c.to_digit(16).unwrap() + by) % 16, 16).unwrap();
    key.chars().map(digit).collect()
}
