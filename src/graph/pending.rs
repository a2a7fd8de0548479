//! Adds to a graph what a map declares: missing devices, the status of each mapping, and the planned actions.

use std::collections::{BTreeMap, BTreeSet};

use super::view::View;
use super::{Graph, Kind, Node, State, read};
use crate::config::{Map, Mapping, State as Wanted};
use crate::identity::{DevNum, Key};
use crate::kernel::{KernelError, ReadKernel};
use crate::plan::{self, Operation};
use crate::status::{self, Word};
use crate::table::Row;

/// Reads the devices of a kernel and marks them with their status and the actions planned for `map`.
pub fn with_map(kernel: &dyn ReadKernel, map: &Map) -> Result<Graph, KernelError> {
    let mut view = View::new(kernel);
    let mut graph = read::seen(&mut view)?;
    let plan = plan::plan(kernel, map, &BTreeSet::new())?;
    let mut ids: BTreeMap<&Key, String> = BTreeMap::new();
    let mut missing: Vec<(&Mapping, Word)> = Vec::new();
    for entry in status::without_health(kernel, map)? {
        let mapping = entry.mapping.as_ref().and_then(|key| map.mappings.get(key));
        if let (Some(number), word) = (entry.number, entry.word) {
            let id = number.to_string();
            if let Some(node) = graph.nodes.iter_mut().find(|node| node.id == id) {
                node.status = Some(word.name().to_string());
            }
            ids.extend(mapping.map(|mapping| (&mapping.key, id)));
        } else if let Some(mapping) = mapping {
            ids.insert(&mapping.key, format!("@{}", mapping.key));
            missing.push((mapping, entry.word));
        }
    }
    add_missing(&mut graph, &mut view, &missing, &ids)?;
    add_absent(&mut graph, &mut view, map, &ids)?;
    let mut nodes: BTreeMap<String, &mut Node> =
        graph.nodes.iter_mut().map(|node| (node.id.clone(), node)).collect();
    for step in &plan.steps {
        let id = step.number.map(|number| number.to_string());
        let id = id.or_else(|| ids.get(step.mapping.as_ref()?).cloned());
        if let Some(node) = id.and_then(|id| nodes.get_mut(&id)) {
            let refused = if step.refused.is_some() { " (refused)" } else { "" };
            node.pending.push(format!("{}{refused}", step.action().name()));
            if let Operation::Create(create) = &step.operation {
                node.sectors = node.sectors.or(create.table.last().map(Row::end));
            }
        }
    }
    for conflict in &plan.conflicts {
        if let Some(node) = ids.get(&conflict.mapping).and_then(|id| nodes.get_mut(id)) {
            node.pending.push("conflict".to_string());
        }
    }
    graph.sort();
    graph.unseen = view.unseen;
    Ok(graph)
}

/// Adds the mappings without a device, and the block devices that only these would use.
fn add_missing(
    graph: &mut Graph,
    view: &mut View<'_>,
    missing: &[(&Mapping, Word)],
    ids: &BTreeMap<&Key, String>,
) -> Result<(), KernelError> {
    let known: BTreeSet<String> = graph.nodes.iter().map(|node| node.id.clone()).collect();
    let mut bottom: BTreeSet<DevNum> = BTreeSet::new();
    for (mapping, word) in missing.iter().filter(|(mapping, _)| mapping.state != Wanted::Absent) {
        let mut below = Vec::new();
        let mut targets: Vec<String> = Vec::new();
        for row in &mapping.rows {
            if !targets.iter().any(|kind| kind == row.target.kind()) {
                targets.push(row.target.kind().to_string());
            }
            for lower in row.target.lower_devices(0) {
                if let Some(key) = lower.device.key() {
                    below.extend(ids.get(key).cloned());
                } else if let Ok(number) = view.resolve(lower.device)? {
                    below.push(number.to_string());
                    bottom.extend((!known.contains(&number.to_string())).then_some(number));
                }
            }
        }
        graph.nodes.push(Node {
            id: format!("@{}", mapping.key),
            name: mapping.name.plain().into_owned(),
            kind: Kind::Mapping,
            uuid: Some(mapping.uuid.text().to_string()),
            whose: mapping.uuid.parts().map(|(owner, key)| format!("{owner}: {key}")),
            sectors: None,
            state: State::Missing,
            read_only: mapping.readonly,
            targets,
            users: Vec::new(),
            below,
            in_circle: false,
            absence: None,
            health: None,
            fares: String::new(),
            status: Some(word.name().to_string()),
            pending: Vec::new(),
        });
    }
    graph.nodes.extend(read::blocks(view, bottom)?);
    Ok(())
}

/// Adds the lower devices that the map names and that are not found, each with the reason, below the mappings that use
/// them.
fn add_absent(
    graph: &mut Graph,
    view: &mut View<'_>,
    map: &Map,
    ids: &BTreeMap<&Key, String>,
) -> Result<(), KernelError> {
    let mut absent: BTreeMap<String, Node> = BTreeMap::new();
    for mapping in map.mappings.values().filter(|mapping| mapping.state != Wanted::Absent) {
        for device in
            mapping.rows.iter().flat_map(|row| row.target.lower_devices(0)).map(|lower| lower.device)
        {
            if device.key().is_some() {
                continue;
            }
            let Err(absence) = view.resolve(device)? else { continue };
            let written = device.to_string();
            let above = ids.get(&mapping.key);
            let above = above.and_then(|id| graph.nodes.iter_mut().find(|node| node.id == *id));
            if let Some(above) = above.filter(|above| !above.below.contains(&written)) {
                above.below.push(written.clone());
            }
            let node = || absent_node(&written, absence.to_string());
            absent.entry(written.clone()).or_insert_with(node);
        }
    }
    // A living table may name a number without a device: that node is there already.
    let known: BTreeSet<String> = graph.nodes.iter().map(|node| node.id.clone()).collect();
    graph.nodes.extend(absent.into_values().filter(|node| !known.contains(&node.id)));
    Ok(())
}

fn absent_node(written: &str, absence: String) -> Node {
    Node {
        id: written.to_string(),
        name: written.to_string(),
        kind: Kind::Block,
        uuid: None,
        whose: None,
        sectors: None,
        state: State::Missing,
        read_only: false,
        targets: Vec::new(),
        users: Vec::new(),
        below: Vec::new(),
        in_circle: false,
        absence: Some(absence),
        health: None,
        fares: String::new(),
        status: None,
        pending: Vec::new(),
    }
}
