//! Divides a map into stacks: mappings that use one another as lower devices.
//!
//! A stack comes up and goes down by itself. At boot it has a unit of its own, so that a stack whose disk is
//! missing does not hold up the others.

use std::collections::BTreeSet;

use super::boot::BootOption;
use super::model::{Map, Mapping, Mappings, State};
use crate::identity::Key;
use crate::stack::{IndexVec, NamedStacks, position};

position! {
    /// The position of a mapping: first those that should exist, then the others that they use.
    struct Place;
}

/// Mappings that use one another as lower devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The key of the mapping at its top; where there are several, the first of them.
    pub name: Key,
    /// The mappings, by key.
    pub keys: BTreeSet<Key>,
    /// The boot options of its mappings: an option of one of them holds for all.
    pub boot: BTreeSet<BootOption>,
}

impl Map {
    /// Divides the map into its stacks, by name. Mappings that should not exist belong to none of them.
    pub fn stacks(&self) -> Vec<Stack> {
        let present: IndexVec<Place, &Mapping> =
            self.mappings.values().filter(|mapping| mapping.state != State::Absent).collect();
        let nodes = present.iter().map(|mapping| (&mapping.key, below(mapping).collect()));
        // An absent lower mapping joins the mappings that use it.
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

    /// Reduces the map to these mappings. Such a part never prunes, and repairs no other device: a device that it does not
    /// declare may belong to the rest of the map.
    pub fn keep(&mut self, keys: &BTreeSet<Key>) {
        let all = std::mem::take(&mut self.mappings);
        let (kept, left) = all.into_iter().partition(|(key, _)| keys.contains(key));
        self.mappings = kept;
        let rest = self.rest.get_or_insert_default();
        rest.prune |= self.policy.prune;
        rest.mappings.extend::<Mappings>(left);
        self.policy.prune = false;
    }
}

/// Iterates over the lower mappings of a mapping.
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
        let rest = map.rest.unwrap();
        assert!(rest.prune);
        assert_eq!(
            rest.mappings.keys().map(Key::as_str).collect::<Vec<_>>(),
            ["gone", "home", "pool", "srv"]
        );
    }
}
