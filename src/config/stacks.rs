//! The stacks of a map: mappings that stand on one another, and nothing else, are one.
//!
//! A stack comes up and goes down by itself. At boot it has a unit of its own, so that one whose disk is
//! missing holds no other up.

use std::collections::BTreeSet;

use super::boot::BootOption;
use super::model::{Map, Mapping, State};
use crate::identity::Key;
use crate::stack::{IndexVec, NamedStacks, position};

position! {
    /// A mapping among those that should be there, and after these any other that one of them uses.
    struct Place;
}

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
        let present: IndexVec<Place, &Mapping> =
            self.mappings.values().filter(|mapping| mapping.state != State::Absent).collect();
        let nodes = present.iter().map(|mapping| (&mapping.key, below(mapping).collect()));
        // What is not there ties those together that should use it.
        let others = present.iter().flat_map(|mapping| below(mapping)).map(|key| (key, Vec::new()));
        let uses: NamedStacks<&Key, Place> = nodes.chain(others).collect();
        let stack = |part: Vec<Place>| {
            let members = || part.iter().filter_map(|place| Some((*place, *present.get(*place)?)));
            let (_, top) = members().find(|(place, _)| uses.above(*place).is_empty()).or(members().next())?;
            Some(Stack {
                name: top.key.clone(),
                keys: members().map(|(_, mapping)| mapping.key.clone()).collect(),
                boot: members().flat_map(|(_, mapping)| mapping.boot.iter().copied()).collect(),
            })
        };
        let mut stacks: Vec<Stack> = uses.parts().into_iter().filter_map(stack).collect();
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
