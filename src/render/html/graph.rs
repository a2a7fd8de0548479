//! Collects the stacks before and after a plan, as far as the tables of the plan tell.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::{SmolStr, format_smolstr};

use crate::plan::Action;
use crate::plan::document::{Document, Lower, RowData, Step};
use crate::render::step_text;
use crate::stack::{IndexVec, NamedStacks, Stacks, position};

position! {
    /// A device before or after a plan.
    pub(crate) struct DeviceId;
}

/// The stacks of one moment.
#[derive(Debug)]
pub(crate) struct Picture {
    /// The lower devices of each device.
    pub stacks: Stacks<DeviceId>,
    /// The labels, at the same positions.
    pub devices: IndexVec<DeviceId, Node>,
}

/// The devices of one moment, while they are collected.
#[derive(Debug, Default)]
struct Collected {
    /// The devices by their numbers, or as the map writes them.
    nodes: BTreeMap<SmolStr, Node>,
    /// The ids of an upper and a lower device.
    edges: BTreeSet<(SmolStr, SmolStr)>,
}

/// A device, as it is labelled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// The name, or the form in which the map writes the device.
    pub label: SmolStr,
    /// The number and the size.
    pub detail: SmolStr,
    /// The change that the plan makes.
    pub mark: Mark,
}

/// The change that a plan makes to a device; of several the last in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// None: a device of the plan uses it.
    #[default]
    Plain,
    /// The table stays; the name, the uuid or the state changes.
    Settled,
    /// The table is replaced.
    Changed,
    /// The device is created.
    Added,
    /// The device is removed.
    Removed,
}

/// Returns the stacks before and after `plan`.
pub(crate) fn both(plan: &Document) -> (Picture, Picture) {
    let (mut before, mut after) = (Collected::default(), Collected::default());
    for step in &plan.steps {
        if step.action != Action::Create {
            before.add(step, step.old_table.as_deref(), step.name.clone());
        }
        if step.action != Action::Remove {
            after.add(step, step.table.as_deref(), step.to.clone().unwrap_or_else(|| step.name.clone()));
        }
    }
    let names = names(plan);
    before.name(&names);
    after.name(&names);
    (before.place(), after.place())
}

/// Returns how the map writes devices, by number: the kernel prints their numbers alone.
fn names(plan: &Document) -> BTreeMap<&str, &str> {
    let rows = plan.steps.iter().flat_map(|step| step.table.iter().flatten());
    let lowers = rows.flat_map(|row| &row.lowers);
    lowers.filter_map(|lower| Some((lower.number.as_deref()?, lower.device.as_str()))).collect()
}

impl Collected {
    fn add(&mut self, step: &Step, table: Option<&[RowData]>, label: SmolStr) {
        let id = id_of(step);
        let node = self.nodes.entry(id.clone()).or_default();
        // A chain of renames begins with the first name, and ends with the last one.
        if node.mark == Mark::Plain || step.to.is_some() && node.label != label {
            node.label = label;
        }
        node.mark = node.mark.max(mark(step.action));
        if let Some(table) = table {
            let size = crate::units::Sectors(table.last().map_or(0, RowData::end)).human();
            let number = step.number.as_deref().unwrap_or("new");
            node.detail = format_smolstr!("{number} \u{b7} {size}");
            for lower in table.iter().flat_map(|row| &row.lowers) {
                self.add_lower(&id, lower);
            }
        } else if node.detail.is_empty() {
            node.detail = step.number.clone().unwrap_or_else(|| step_text::size(step));
        }
    }

    fn add_lower(&mut self, upper: &str, lower: &Lower) {
        let id = lower.number.clone().unwrap_or_else(|| lower.device.clone());
        let node = self.nodes.entry(id.clone()).or_default();
        if node.label.is_empty() {
            node.label.clone_from(&lower.device);
            node.detail = lower.number.clone().unwrap_or_default();
        }
        self.edges.insert((upper.into(), id));
    }

    fn name(&mut self, names: &BTreeMap<&str, &str>) {
        for (id, node) in &mut self.nodes {
            if let Some(name) = names.get(id.as_str()).filter(|_| node.label == *id) {
                node.label = (*name).into();
            }
            if node.detail == node.label {
                node.detail = SmolStr::default();
            }
        }
    }

    /// Gives each device its position, in the order of the ids.
    fn place(self) -> Picture {
        let Self { nodes, edges } = self;
        let below = |id| {
            let from = edges.range((SmolStr::clone(id), SmolStr::default())..);
            from.take_while(move |(upper, _)| upper == id).map(|(_, lower)| lower.clone())
        };
        let named: NamedStacks<SmolStr, DeviceId> = nodes.keys().map(|id| (id.clone(), below(id))).collect();
        Picture { stacks: named.into(), devices: nodes.into_values().collect() }
    }
}

fn id_of(step: &Step) -> SmolStr {
    let key = || step.mapping.as_ref().map_or_else(|| step.name.clone(), |key| format_smolstr!("@{key}"));
    step.number.clone().unwrap_or_else(key)
}

fn mark(action: Action) -> Mark {
    match action {
        Action::Create => Mark::Added,
        Action::Reload => Mark::Changed,
        Action::Remove => Mark::Removed,
        _ => Mark::Settled,
    }
}
