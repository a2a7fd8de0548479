//! Lists every mapped device of a kernel, of any owner, with its lower devices down to the disks.
//!
//! A [`Graph`] is plain data, read once; [`crate::render::graph`] draws it. With a map it also holds what is
//! missing, the status of each mapping, and the actions that a plan would take.

mod below;
mod pending;
mod read;
mod view;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::kernel::Unseen;
use crate::stack::{NamedStacks, Position, Stacks, position};
use crate::targets::Health;
pub use pending::with_map;
pub use read::read;

position! {
    /// A device of a [`Graph`], by its place among the nodes.
    pub struct NodeId;
}

/// All devices, lower devices first. A circle has no such order, and is entered at its first device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// Every device once; its position here is its [`NodeId`].
    pub nodes: Vec<Node>,
    /// What could not be seen, so that devices, sizes or users may be missing here.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub unseen: BTreeSet<Unseen>,
}

/// A device of the graph, a mapping without a device, or a block device that is not a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// The number of the device, `@key` for a mapping without a device, or a lower device that is not found, as the map
    /// writes it. No other node has it.
    pub id: String,
    /// The name; of a block device that is not a mapping, the most stable path.
    pub name: String,
    /// Whether it is a mapped device.
    pub kind: Kind,
    /// The uuid, if the device has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The owner and the key, or the subsystem that made the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whose: Option<String>,
    /// The size in sectors, where it is known.
    pub sectors: Option<u64>,
    /// Whether the device serves I/O.
    pub state: State,
    /// Whether the device refuses writes.
    pub read_only: bool,
    /// The target types of the live table, each once.
    pub targets: Vec<String>,
    /// The paths where the device is mounted, and `swap` for swap space.
    pub users: Vec<String>,
    /// The ids of the lower devices.
    pub below: Vec<String>,
    /// Whether the device is below itself: the first read or write of it never ends.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_circle: bool,
    /// Why a lower device is not found, as a clause: `is a regular file, ...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absence: Option<String>,
    /// How the mapped device fares; null where it was not read, and for any other device.
    pub health: Option<Health>,
    /// The health where it is not `ok`, with the reason.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fares: String,
    /// The status of the mapping, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The actions that a plan would take on the device, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<String>,
}

/// The kind of a device.
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
    /// The device serves I/O.
    Active,
    /// The device holds I/O back.
    Suspended,
    /// The device has no live table.
    Empty,
    /// The device does not exist.
    Missing,
    /// The device could not be seen.
    Unseen,
}

impl State {
    /// Returns the state in a word, as every drawing shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Empty => "empty",
            Self::Missing => "missing",
            Self::Unseen => "unseen",
        }
    }
}

impl Graph {
    /// Returns the stacks of the devices, at the positions of `nodes`.
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
        let stacks = self.stacks();
        for node in stacks.circular().inside {
            self.nodes[node.index()].in_circle = true;
        }
        let order = stacks.bottom_up();
        let mut nodes: Vec<Option<Node>> = self.nodes.drain(..).map(Some).collect();
        self.nodes = order.into_iter().filter_map(|node| nodes[node.index()].take()).collect();
    }
}
