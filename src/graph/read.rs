//! Reads the devices of a kernel.

use std::collections::{BTreeMap, BTreeSet};

use super::view::View;
use super::{Graph, Kind, Node, State, below};
use crate::device_path::{Paths, best_path};
use crate::health;
use crate::identity::{DevNum, Uuid};
use crate::kernel::{DeviceState, Info, KernelError, ReadKernel, Users};
use crate::observed::Observed;
use crate::table;

/// Reads every mapped device, the lower devices, and the devices of other drivers above a mapped one: arrays, loop
/// devices.
pub fn read(kernel: &dyn ReadKernel) -> Result<Graph, KernelError> {
    let mut view = View::new(kernel);
    let graph = seen(&mut view)?;
    Ok(Graph { unseen: view.unseen, ..graph })
}

/// Reads what can be seen, and notes in `view` what can't be.
pub(super) fn seen(view: &mut View<'_>) -> Result<Graph, KernelError> {
    let kernel = view.kernel;
    let observed = Observed::read_devices(kernel, |_| true)?;
    let mut graph = Graph::default();
    let mut others: BTreeSet<DevNum> = BTreeSet::new();
    let mut above = Above::default();
    for mapped in observed.devices.iter().filter_map(|seen| seen.mapped.as_ref()) {
        let below = mapped.table.lower_devices();
        others.extend(below.iter().filter(|number| observed.by_number(**number).is_none()));
        let users = view.users(mapped.info.number)?;
        above.add(&mapped.info, &users);
        graph.nodes.push(mapping(mapped, below, &users));
    }
    add_health(kernel, &observed, &mut graph)?;
    let is_mapped = |number: DevNum| observed.by_number(number).is_some();
    let mut lower = above.read(view, is_mapped)?;
    for (number, below) in below::down_to_mapped(view, &others, is_mapped)? {
        others.extend(below.iter().filter(|number| !is_mapped(**number)));
        lower.entry(number).or_default().extend(below);
    }
    others.extend(lower.keys());
    for mut node in blocks(view, others)? {
        let known = lower.iter().find(|(number, _)| number.to_string() == node.id);
        node.below = known.into_iter().flat_map(|(_, below)| below).map(ToString::to_string).collect();
        graph.nodes.push(node);
    }
    graph.sort();
    Ok(graph)
}

/// Adds how each mapped device fares. No call for one whose targets have no state.
fn add_health(kernel: &dyn ReadKernel, observed: &Observed, graph: &mut Graph) -> Result<(), KernelError> {
    let states = observed.devices.iter().filter_map(|seen| seen.mapped.as_ref());
    let mut fares = health::fares_of(kernel, states)?;
    for node in &mut graph.nodes {
        if let Some(fares) = DevNum::parse(&node.id).and_then(|number| fares.remove(&number)) {
            node.health = fares.health;
            node.fares = fares.to_string();
        }
    }
    Ok(())
}

/// The devices that hold others.
#[derive(Default)]
struct Above {
    /// Holders, each with the device that it holds.
    held: Vec<(DevNum, DevNum)>,
    /// Mapped devices that are open more often than their known users explain.
    unexplained: BTreeSet<DevNum>,
}

impl Above {
    fn add(&mut self, info: &Info, users: &Users) {
        self.held.extend(users.holders.iter().map(|holder| (*holder, info.number)));
        let known = users.holders.len() + usize::from(!users.mounts.is_empty()) + usize::from(users.swap);
        if usize::try_from(info.open_count).is_ok_and(|opened| opened > known) {
            self.unexplained.insert(info.number);
        }
    }

    /// Returns the devices that are not mapped, each with what it uses, up to the highest.
    fn read(
        mut self,
        view: &mut View<'_>,
        is_mapped: impl Fn(DevNum) -> bool,
    ) -> Result<BTreeMap<DevNum, BTreeSet<DevNum>>, KernelError> {
        for (number, users) in view.kernel.openers(&self.unexplained) {
            view.unseen.extend(users.unseen_processes);
            self.held.extend(users.holders.into_iter().map(|holder| (holder, number)));
        }
        let mut lower: BTreeMap<DevNum, BTreeSet<DevNum>> = BTreeMap::new();
        while let Some((holder, held)) = self.held.pop() {
            if is_mapped(holder) {
                continue;
            }
            let known = lower.contains_key(&holder);
            lower.entry(holder).or_default().insert(held);
            if !known {
                self.held.extend(view.users(holder)?.holders.into_iter().map(|above| (above, holder)));
            }
        }
        Ok(lower)
    }
}

/// Reads block devices that are not mapped devices.
pub(super) fn blocks(view: &mut View<'_>, numbers: BTreeSet<DevNum>) -> Result<Vec<Node>, KernelError> {
    let paths = view.kernel.paths()?;
    let mut nodes = Vec::with_capacity(numbers.len());
    for number in numbers {
        let block = view.block(number)?;
        nodes.push(Node {
            id: number.to_string(),
            name: name(view.kernel, &paths, number),
            kind: Kind::Block,
            uuid: None,
            whose: None,
            sectors: block.as_ref().ok().and_then(Option::as_ref).map(|block| block.sectors),
            state: match &block {
                Ok(Some(_)) => State::Active,
                Ok(None) => State::Missing,
                Err(_) => State::Unseen,
            },
            read_only: block.ok().flatten().is_some_and(|block| block.read_only),
            targets: Vec::new(),
            users: used(&view.users(number)?),
            below: Vec::new(),
            in_circle: false,
            absence: None,
            health: None,
            fares: String::new(),
            status: None,
            pending: Vec::new(),
        });
    }
    Ok(nodes)
}

/// Returns the most stable path of a block device, or the name that its driver gave it.
fn name(kernel: &dyn ReadKernel, paths: &Paths, number: DevNum) -> String {
    let path = best_path(paths, number).or_else(|| kernel.driver_name(number));
    path.unwrap_or_else(|| number.to_string())
}

fn mapping(mapped: &DeviceState, below: &[DevNum], users: &Users) -> Node {
    let info = &mapped.info;
    let mut targets: Vec<String> = Vec::new();
    for row in mapped.table.iter() {
        if !targets.iter().any(|kind| *kind == row.kind) {
            targets.push(row.kind.to_string());
        }
    }
    Node {
        id: info.number.to_string(),
        name: info.name.plain().into_owned(),
        kind: Kind::Mapping,
        uuid: info.uuid.as_ref().map(|uuid| uuid.text().to_string()),
        whose: info.uuid.as_ref().and_then(whose),
        sectors: Some(table::sectors(&mapped.table)),
        state: match (info.suspended, info.live_table) {
            (true, _) => State::Suspended,
            (false, true) => State::Active,
            (false, false) => State::Empty,
        },
        read_only: info.read_only,
        targets,
        users: used(users),
        below: below.iter().map(ToString::to_string).collect(),
        in_circle: false,
        absence: None,
        health: None,
        fares: String::new(),
        status: None,
        pending: Vec::new(),
    }
}

/// Returns the owner and key, or the subsystem, that a uuid names.
fn whose(uuid: &Uuid) -> Option<String> {
    let ours = uuid.parts().map(|(owner, key)| format!("{owner}: {key}"));
    ours.or_else(|| uuid.subsystem().map(ToString::to_string))
}

fn used(users: &Users) -> Vec<String> {
    users.mounts.iter().cloned().chain(users.swap.then(|| "swap".to_string())).collect()
}
