//! What stands on what: every mapping, whoever has it, down to the block devices at the bottom.
//!
//! A [`Graph`] is plain data, read once; [`crate::render::graph`] draws it. With a map it also holds what is
//! missing, how each mapping stands, and what would be done about it.

mod order;
mod pending;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub(crate) use order::bottom_up;
pub use pending::with_map;
pub use read::read;

/// All devices, each after those it stands on as far as there is such an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// The devices.
    pub nodes: Vec<Node>,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What it is told from others by: its number, or `@key` for a mapping that is not there.
    pub id: String,
    /// Its name; of a block device that is no mapping, the path that lasts longest.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its uuid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Whose it is: a dmctl owner and its key, or another subsystem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whose: Option<String>,
    /// Its size, where it is known.
    pub sectors: Option<u64>,
    /// Whether it serves I/O.
    pub state: State,
    /// Whether it refuses writes.
    pub read_only: bool,
    /// The types of its targets, each once.
    pub targets: Vec<String>,
    /// Where it is mounted, and `swap` for swap space.
    pub users: Vec<String>,
    /// The ids of what it stands on.
    pub below: Vec<String>,
    /// How it stands against the map, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What would be done about it, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<String>,
}

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A device of Device Mapper.
    Mapping,
    /// Any other block device.
    Block,
}

/// Whether a device serves I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does.
    Active,
    /// It holds I/O back.
    Suspended,
    /// It has no table to serve it with.
    Empty,
    /// It is not there.
    Missing,
}

impl State {
    /// As it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Empty => "empty",
            Self::Missing => "missing",
        }
    }
}

impl Graph {
    /// The place of each device among the nodes.
    #[must_use]
    pub fn places(&self) -> BTreeMap<&str, usize> {
        self.nodes.iter().enumerate().map(|(place, node)| (node.id.as_str(), place)).collect()
    }

    /// For each device the places of those that stand on it, in order.
    #[must_use]
    pub fn above(&self) -> Vec<Vec<usize>> {
        let places = self.places();
        let mut above = vec![Vec::new(); self.nodes.len()];
        for (upper, node) in self.nodes.iter().enumerate() {
            for lower in node.below.iter().filter_map(|id| places.get(id.as_str())) {
                above[*lower].push(upper);
            }
        }
        above
    }

    /// Sorts the devices, by name where their order leaves a choice.
    pub(crate) fn sort(&mut self) {
        let mut nodes = std::mem::take(&mut self.nodes);
        let known: BTreeSet<String> = nodes.iter().map(|node| node.id.clone()).collect();
        for node in &mut nodes {
            node.below.retain(|lower| known.contains(lower));
            node.below.sort();
            node.below.dedup();
        }
        nodes.sort_by(|one, two| (&one.name, &one.id).cmp(&(&two.name, &two.id)));
        let below = |node: &Node| node.below.iter().cloned().collect();
        self.nodes = order::bottom_up(nodes, |node| node.id.clone(), below);
    }
}
