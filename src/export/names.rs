//! Keys for mappings that have none yet: made of their names, each once.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::{Key, Name};

/// The longest key there is.
const MAX_KEY: usize = 64;

/// Gives out keys.
#[derive(Debug, Default)]
pub struct Keys {
    taken: BTreeSet<Key>,
    /// The number that is tried next for names that are alike, for many may be.
    next: BTreeMap<String, u64>,
}

impl Keys {
    /// Takes this very key, if nobody has it.
    pub fn take(&mut self, key: &Key) -> bool {
        self.taken.insert(key.clone())
    }

    /// A key like this name that nobody has and `free` agrees to.
    pub fn like(&mut self, name: &Name, free: impl Fn(&Key) -> bool) -> Key {
        let legal = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
        let mut stem: String = name.plain().chars().map(legal).take(MAX_KEY).collect();
        if stem.is_empty() {
            stem.push('_');
        }
        let number = self.next.entry(stem.clone()).or_insert(1);
        // Every number that is tried is another key, so one of them is free.
        loop {
            let suffix = if *number == 1 { String::new() } else { format!("-{number}") };
            *number += 1;
            let kept: String = stem.chars().take(MAX_KEY - suffix.len()).collect();
            if let Ok(key) = Key::new(&(kept + &suffix))
                && free(&key)
                && self.taken.insert(key.clone())
            {
                return key;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_legal_and_there_once() {
        let mut keys = Keys::default();
        let mut like = |name: &str| keys.like(&Name::new(name).unwrap(), |_| true).to_string();
        assert_eq!(like("vg-root"), "vg-root");
        assert_eq!(like("a b"), "a_b");
        assert_eq!(like("a,b"), "a_b-2");
        let long = "x".repeat(100);
        assert_eq!(like(&long), "x".repeat(64));
        assert_eq!(like(&long), format!("{}-2", "x".repeat(62)));
    }
}
