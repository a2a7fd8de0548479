//! Reads the devices of a kernel.

use std::collections::BTreeSet;

use super::{Graph, Kind, Node, State};
use crate::device_path::best_path;
use crate::diff;
use crate::identity::{DevNum, Uuid};
use crate::kernel::{DeviceState, KernelError, ReadKernel, Users};
use crate::observed::Observed;
use crate::table;

/// Reads every mapped device and the lower devices.
pub fn read(kernel: &dyn ReadKernel) -> Result<Graph, KernelError> {
    let observed = Observed::read_devices(kernel, |_| true)?;
    let mut graph = Graph::default();
    let mut bottom: BTreeSet<DevNum> = BTreeSet::new();
    for mapped in observed.devices.iter().filter_map(|seen| seen.mapped.as_ref()) {
        let below = diff::lower_devices(&mapped.table);
        bottom.extend(below.iter().filter(|number| observed.by_number(**number).is_none()));
        graph.nodes.push(mapping(mapped, &below, &kernel.users(mapped.info.number)?));
    }
    graph.nodes.extend(blocks(kernel, bottom)?);
    graph.sort();
    Ok(graph)
}

/// Reads block devices that are not mapped devices.
pub(super) fn blocks(kernel: &dyn ReadKernel, numbers: BTreeSet<DevNum>) -> Result<Vec<Node>, KernelError> {
    let paths = kernel.paths()?;
    let mut nodes = Vec::with_capacity(numbers.len());
    for number in numbers {
        let block = kernel.block_device(number)?;
        nodes.push(Node {
            id: number.to_string(),
            name: best_path(&paths, number).unwrap_or_else(|| number.to_string()),
            kind: Kind::Block,
            uuid: None,
            whose: None,
            sectors: block.as_ref().map(|block| block.sectors),
            state: if block.is_some() { State::Active } else { State::Missing },
            read_only: block.is_some_and(|block| block.read_only),
            targets: Vec::new(),
            users: used(&kernel.users(number)?),
            below: Vec::new(),
            status: None,
            pending: Vec::new(),
        });
    }
    Ok(nodes)
}

fn mapping(mapped: &DeviceState, below: &BTreeSet<DevNum>, users: &Users) -> Node {
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
