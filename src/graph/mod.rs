//! What stands on what: every mapping, whoever has it, down to the block devices at the bottom.
//!
//! A [`Graph`] is plain data, read once; [`crate::render::graph`] draws it. With a map it also holds what is
//! missing, how each mapping stands, and what would be done about it.

mod pending;
mod read;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::stack::{NamedStacks, Position, Stacks, position};
pub use pending::with_map;
pub use read::read;

position! {
    /// A device of a [`Graph`], by its place among the nodes.
    pub struct NodeId;
}

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
    /// Returns which device is below which, at the positions of `nodes`.
    #[must_use]
    pub fn stacks(&self) -> Stacks<NodeId> {
        let stacks: NamedStacks<&str, NodeId> =
            self.nodes.iter().map(|node| (node.id.as_str(), node.below.iter().map(String::as_str))).collect();
        stacks.into()
    }

    /// Sorts the devices, by name where their order leaves a choice.
    pub(crate) fn sort(&mut self) {
        let known: BTreeSet<String> = self.nodes.iter().map(|node| node.id.clone()).collect();
        for node in &mut self.nodes {
            node.below.retain(|lower| known.contains(lower));
            node.below.sort();
            node.below.dedup();
        }
        self.nodes.sort_by(|one, two| (&one.name, &one.id).cmp(&(&two.name, &two.id)));
        let order = self.stacks().bottom_up();
        let mut nodes: Vec<Option<Node>> = self.nodes.drain(..).map(Some).collect();
        self.nodes = order.into_iter().filter_map(|node| nodes[node.index()].take()).collect();
    }
}
