//! What stands on what, before a plan and after it: as far as the plan's tables tell.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::{SmolStr, format_smolstr};

use crate::plan::Action;
use crate::plan::document::{Document, Lower, RowData, Step};
use crate::render::facts;

/// The devices of one moment.
#[derive(Debug, Default)]
pub struct Graph {
    /// The devices by what they are known by: their number, or what the map writes.
    pub nodes: BTreeMap<SmolStr, Node>,
    /// From a device to what it stands on.
    pub edges: BTreeSet<(SmolStr, SmolStr)>,
}

/// A device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name, or how the map writes it.
    pub label: SmolStr,
    /// Number and size.
    pub detail: SmolStr,
    /// What the plan does to it.
    pub mark: Mark,
}

/// What a plan does to a device; the last of several counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Nothing: something stands on it, that is all.
    #[default]
    Plain,
    /// It is a device of the plan, and its table stays.
    Settled,
    /// It gets another table.
    Changed,
    /// It is new.
    Added,
    /// It goes away.
    Removed,
}

/// The devices before and after `plan`.
pub fn both(plan: &Document) -> (Graph, Graph) {
    let (mut before, mut after) = (Graph::default(), Graph::default());
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
    (before, after)
}

/// How the map writes devices, by number: what the kernel prints is their number alone.
fn names(plan: &Document) -> BTreeMap<&str, &str> {
    let rows = plan.steps.iter().flat_map(|step| step.table.iter().flatten());
    let lowers = rows.flat_map(|row| &row.lowers);
    lowers.filter_map(|lower| Some((lower.number.as_deref()?, lower.device.as_str()))).collect()
}

impl Graph {
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
                self.stand(&id, lower);
            }
        } else if node.detail.is_empty() {
            node.detail = step.number.clone().unwrap_or_else(|| facts::size(step));
        }
    }

    fn stand(&mut self, upper: &str, lower: &Lower) {
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

    /// The parts that nothing joins, each a graph of its own, the largest first.
    pub fn parts(self) -> Vec<Self> {
        let mut part_of: BTreeMap<SmolStr, SmolStr> =
            self.nodes.keys().map(|id| (id.clone(), id.clone())).collect();
        // Every device takes the smallest name among its neighbours until nothing moves.
        loop {
            let mut moved = false;
            for (one, two) in &self.edges {
                let Some(least) = part_of.get(one).min(part_of.get(two)).cloned() else { continue };
                for id in [one, two] {
                    moved |= part_of.insert(id.clone(), least.clone()).is_some_and(|was| was != least);
                }
            }
            if !moved {
                break;
            }
        }
        let mut parts: BTreeMap<&str, Self> = BTreeMap::new();
        for (id, node) in self.nodes {
            if let Some(part) = part_of.get(&id) {
                parts.entry(part).or_default().nodes.insert(id, node);
            }
        }
        for (upper, lower) in self.edges {
            if let Some(part) = part_of.get(&upper).and_then(|part| parts.get_mut(part.as_str())) {
                part.edges.insert((upper, lower));
            }
        }
        let mut parts: Vec<Self> = parts.into_values().collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.nodes.len()));
        parts
    }

    /// How far above the lowest devices each device stands. A circle, which only a damaged plan can have,
    /// ends at the number of devices.
    pub fn levels(&self) -> BTreeMap<&str, usize> {
        let mut levels: BTreeMap<&str, usize> = self.nodes.keys().map(|id| (id.as_str(), 0)).collect();
        for _ in 0..self.nodes.len() {
            let mut moved = false;
            for (upper, lower) in &self.edges {
                let needed = levels.get(lower.as_str()).map_or(0, |level| level + 1).min(self.nodes.len());
                if let Some(level) = levels.get_mut(upper.as_str())
                    && *level < needed
                {
                    *level = needed;
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        levels
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
