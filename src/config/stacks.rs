//! The stacks of a map: mappings that stand on one another, and nothing else, are one.
//!
//! A stack comes up and goes down by itself. At boot it has a unit of its own, so that one whose disk is
//! missing holds no other up.

use std::collections::{BTreeMap, BTreeSet};

use super::boot::BootOption;
use super::model::{Map, Mapping, State};
use crate::identity::Key;

/// Mappings that stand on one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The key of the mapping at its top; where there are several, the first of them.
    pub name: Key,
    /// All of them, by key.
    pub keys: BTreeSet<Key>,
    /// What its mappings say about boot: what one of them says holds for all.
    pub boot: BTreeSet<BootOption>,
}

impl Map {
    /// Its stacks, by name. Mappings that should not exist are in none.
    #[must_use]
    pub fn stacks(&self) -> Vec<Stack> {
        let present = || self.mappings.values().filter(|mapping| mapping.state != State::Absent);
        let mut groups = Groups::default();
        let mut stood_on: BTreeSet<&Key> = BTreeSet::new();
        for mapping in present() {
            groups.add(&mapping.key);
            for lower in below(mapping) {
                groups.join(&mapping.key, lower);
                stood_on.insert(lower);
            }
        }
        let mut members: BTreeMap<usize, Vec<&Mapping>> = BTreeMap::new();
        for mapping in present() {
            members.entry(groups.of(&mapping.key)).or_default().push(mapping);
        }
        let stack = |members: Vec<&Mapping>| {
            let top = members.iter().find(|mapping| !stood_on.contains(&mapping.key)).or(members.first())?;
            Some(Stack {
                name: top.key.clone(),
                keys: members.iter().map(|mapping| mapping.key.clone()).collect(),
                boot: members.iter().flat_map(|mapping| mapping.boot.iter().copied()).collect(),
            })
        };
        let mut stacks: Vec<Stack> = members.into_values().filter_map(stack).collect();
        stacks.sort_by(|one, two| one.name.cmp(&two.name));
        stacks
    }

    /// These mappings and no others. Nothing is pruned by such a part: what it does not declare, the whole
    /// may.
    pub fn keep(&mut self, keys: &BTreeSet<Key>) {
        self.mappings.retain(|key, _| keys.contains(key));
        self.policy.prune = false;
    }
}

/// The mappings of the map that a mapping stands on.
fn below(mapping: &Mapping) -> impl Iterator<Item = &Key> {
    let lowers = mapping.rows.iter().flat_map(|row| row.target.lower_devices(0));
    lowers.filter_map(|lower| lower.device.key())
}

/// Keys that belong together, as a forest: each points to another of its group, the root to itself.
#[derive(Default)]
struct Groups<'a> {
    ids: BTreeMap<&'a Key, usize>,
    parents: Vec<usize>,
}

impl<'a> Groups<'a> {
    fn add(&mut self, key: &'a Key) -> usize {
        let next = self.parents.len();
        let id = *self.ids.entry(key).or_insert(next);
        if id == next {
            self.parents.push(next);
        }
        id
    }

    fn join(&mut self, one: &'a Key, two: &'a Key) {
        let (one, two) = (self.add(one), self.add(two));
        let (one, two) = (self.root(one), self.root(two));
        self.parents[one] = two;
    }

    fn of(&mut self, key: &'a Key) -> usize {
        let id = self.add(key);
        self.root(id)
    }

    fn root(&mut self, mut id: usize) -> usize {
        while self.parents[id] != id {
            // What is passed on the way is brought nearer to the root.
            self.parents[id] = self.parents[self.parents[id]];
            id = self.parents[id];
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_str;

    const MAP: &str = r#"
        format = 1
        owner = "lab"
        policy.prune = true

        [mappings]
        pool = { targets = [{ type = "linear", length = 64, device = "/dev/disk/by-id/a" }] }
        home = { boot = ["nofail"], targets = [{ type = "linear", length = 8, device = "@pool" }] }
        srv = { boot = ["_netdev"], targets = [{ type = "linear", length = 8, device = "/dev/mapper/pool", offset = 8 }] }
        alone = { targets = [{ type = "zero", length = 8 }] }
        gone = { state = "absent" }
    "#;

    fn map() -> Map {
        parse_str("map.toml", MAP).map.unwrap()
    }

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    #[test]
    fn what_stands_on_one_another_is_a_stack_named_after_its_top() {
        let stacks = map().stacks();
        let names: Vec<&str> = stacks.iter().map(|stack| stack.name.as_str()).collect();
        assert_eq!(names, ["alone", "home"]);
        assert_eq!(stacks[1].keys, ["home", "pool", "srv"].map(key).into());
        assert_eq!(stacks[1].boot, [BootOption::NoFail, BootOption::NetDev].into());
    }

    #[test]
    fn a_part_prunes_nothing() {
        let mut map = map();
        map.keep(&[key("alone")].into());
        assert_eq!(map.mappings.len(), 1);
        assert!(!map.policy.prune);
    }
}
