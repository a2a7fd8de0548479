//! Makes keys for mappings that have none, from their names. Each key is given out once.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::{Key, Name};

/// The keys that are given out.
#[derive(Debug, Default)]
pub(crate) struct KeyAllocator {
    taken: BTreeSet<Key>,
    /// The next suffix of each stem: many names may lead to one stem.
    next: BTreeMap<String, u64>,
}

impl KeyAllocator {
    /// Takes a given key. `false` when it is taken already.
    pub(crate) fn take(&mut self, key: &Key) -> bool {
        self.taken.insert(key.clone())
    }

    /// Makes a key from a name, and takes it. It is none that is taken, and one that `free` accepts.
    pub(crate) fn allocate(&mut self, name: &Name, free: impl Fn(&Key) -> bool) -> Key {
        let legal = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
        let mut stem: String = name.plain().chars().map(legal).take(Key::MAX_LENGTH).collect();
        if stem.is_empty() {
            stem.push('_');
        }
        let number = self.next.entry(stem.clone()).or_insert(1);
        // Each suffix makes another key, so the loop ends.
        loop {
            let suffix = if *number == 1 { String::new() } else { format!("-{number}") };
            *number += 1;
            let kept: String = stem.chars().take(Key::MAX_LENGTH - suffix.len()).collect();
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
        let mut keys = KeyAllocator::default();
        let mut like = |name: &str| keys.allocate(&Name::new(name).unwrap(), |_| true).to_string();
        assert_eq!(like("vg-root"), "vg-root");
        assert_eq!(like("a b"), "a_b");
        assert_eq!(like("a,b"), "a_b-2");
        let long = "x".repeat(100);
        assert_eq!(like(&long), "x".repeat(64));
        assert_eq!(like(&long), format!("{}-2", "x".repeat(62)));
    }
}
