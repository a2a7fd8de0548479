//! In which order the steps are carried out.
//!
//! A step waits for others for five reasons: it stands on what they make, it takes away what they still
//! stand on, it needs a name or a uuid that they free, or it is about the same device. Everything else is
//! free, and sorted by kind and name: what disturbs nobody first, what destroys last.
//!
//! Names can wait in a circle (`a <-> b`). Such a circle is cut at a name: one device passes through a
//! temporary one. Its uuid says what it should be called, so a crash in between is repaired by the next
//! plan.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use super::changes::Changes;
use super::{Action, Conflict, Detail, Step};
use crate::diff;
use crate::identity::{DevNum, Key, Name, Uuid};

/// Why one step waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Because {
    /// The other frees its name: the one reason that a temporary name does away with.
    Name,
    /// Its device, or a table that the other takes away, stands on what it is about.
    Stands,
    /// The other still stands on what it removes.
    Leaves,
    /// Anything else.
    Same,
}

struct Graph {
    steps: Vec<Step>,
    /// For each step, those that wait for it.
    after: Vec<Vec<(usize, Because)>>,
    /// For each step, those that it waits for.
    before: Vec<Vec<(usize, Because)>>,
}

/// Sorts the steps. Circles that no temporary name can cut are cut where a device would be removed from
/// under another: that removal is then found in use, and refused.
pub fn sort(steps: Vec<Step>, changes: &Changes<'_>, conflicts: &mut Vec<Conflict>) -> Vec<Step> {
    let mut graph = Graph::new(steps, changes);
    let mut sorted = Vec::with_capacity(graph.steps.len());
    let mut waits: Vec<usize> = graph.before.iter().map(Vec::len).collect();
    let mut late = vec![false; graph.steps.len()];
    let mut ready = BinaryHeap::new();
    for (index, count) in waits.iter().enumerate() {
        if *count == 0 {
            ready.push(graph.priority(index, false));
        }
    }
    let mut done = vec![false; graph.steps.len()];
    loop {
        while let Some(Reverse((.., index))) = ready.pop() {
            if std::mem::replace(&mut done[index], true) {
                continue;
            }
            sorted.push(index);
            // What waits for a swap or a removal comes after all that can be staged before.
            let delays = late[index]
                || !matches!(graph.steps[index].action, Action::Create | Action::Clear | Action::Resume);
            for (next, _) in graph.after[index].clone() {
                late[next] |= delays;
                waits[next] -= 1;
                if waits[next] == 0 {
                    ready.push(graph.priority(next, late[next]));
                }
            }
        }
        let Some(circle) = graph.circle(&done) else { break };
        let (freed, added) = graph.cut(&circle, changes, conflicts);
        if added {
            waits.push(graph.before[graph.steps.len() - 1].iter().filter(|(index, _)| !done[*index]).count());
            late.push(false);
            done.push(false);
        }
        for index in circle.iter().copied().chain(freed).chain(added.then(|| graph.steps.len() - 1)) {
            waits[index] = graph.before[index].iter().filter(|(before, _)| !done[*before]).count();
            if waits[index] == 0 && !done[index] {
                ready.push(graph.priority(index, late[index]));
            }
        }
    }
    let mut steps: Vec<Option<Step>> = graph.steps.into_iter().map(Some).collect();
    sorted.into_iter().filter_map(|index| steps[index].take()).collect()
}

type Priority = Reverse<(u8, String, usize)>;

impl Graph {
    fn new(steps: Vec<Step>, changes: &Changes<'_>) -> Self {
        let count = steps.len();
        let mut graph = Self { steps, after: vec![Vec::new(); count], before: vec![Vec::new(); count] };
        graph.same_device();
        graph.names_and_uuids();
        graph.stands_on(changes);
        graph.leaves();
        graph
    }

    fn edge(&mut self, before: usize, after: usize, because: Because) {
        if before != after {
            self.after[before].push((after, because));
            self.before[after].push((before, because));
        }
    }

    fn priority(&self, index: usize, late: bool) -> Priority {
        let step = &self.steps[index];
        let rank = match step.action {
            Action::Clear | Action::Resume => 0,
            Action::Create if !late => 1,
            Action::Reload => 2,
            Action::Create => 3,
            Action::Message => 4,
            Action::SetUuid => 5,
            Action::Rename => 6,
            Action::Suspend => 7,
            Action::Remove => 8,
        };
        Reverse((rank, step.name.kernel().to_string(), index))
    }

    /// One device: its table before its messages, its uuid before its name, all before it is suspended.
    fn same_device(&mut self) {
        let mut by_mapping: HashMap<Key, Vec<usize>> = HashMap::new();
        for (index, step) in self.steps.iter().enumerate() {
            if let Some(key) = &step.mapping {
                by_mapping.entry(key.clone()).or_default().push(index);
            }
        }
        for own in by_mapping.into_values() {
            for (position, after) in own.iter().enumerate() {
                for before in &own[..position] {
                    let pair = (self.steps[*before].action, self.steps[*after].action);
                    let free = matches!(pair, (Action::Reload | Action::Message, Action::Rename));
                    if !free {
                        self.edge(*before, *after, Because::Same);
                    }
                }
            }
        }
    }

    fn names_and_uuids(&mut self) {
        let mut names: HashMap<Name, usize> = HashMap::new();
        let mut uuids: HashMap<Uuid, usize> = HashMap::new();
        for (index, step) in self.steps.iter().enumerate() {
            if matches!(step.action, Action::Rename | Action::Remove) {
                names.insert(step.name.clone(), index);
            }
            if let (Action::Remove, Some(uuid)) = (step.action, &step.uuid) {
                uuids.insert(uuid.clone(), index);
            }
        }
        for index in 0..self.steps.len() {
            let step = &self.steps[index];
            let name = match &step.detail {
                Detail::Rename { to } => to,
                Detail::Create { .. } => &step.name,
                _ => continue,
            };
            let freed = names.get(name).copied();
            let uuid = step.uuid.as_ref().filter(|_| step.action == Action::Create);
            let removed = uuid.and_then(|uuid| uuids.get(uuid)).copied();
            if let Some(removed) = removed {
                self.edge(removed, index, Because::Same);
            }
            if let Some(freed) = freed.filter(|freed| removed != Some(*freed)) {
                self.edge(freed, index, Because::Name);
            }
        }
    }

    /// A table is loaded after the tables below it; what is below is suspended after what is above.
    fn stands_on(&mut self, changes: &Changes<'_>) {
        let mut tables: HashMap<Key, Vec<usize>> = HashMap::new();
        let mut suspends: HashMap<Key, usize> = HashMap::new();
        for (index, step) in self.steps.iter().enumerate() {
            let Some(key) = &step.mapping else { continue };
            match step.action {
                Action::Create | Action::Reload | Action::Resume => {
                    tables.entry(key.clone()).or_default().push(index);
                }
                Action::Suspend => {
                    suspends.insert(key.clone(), index);
                }
                _ => {}
            }
        }
        for index in 0..self.steps.len() {
            let step = &self.steps[index];
            // A message that makes a lower device ready for a table waits as the table does.
            if !matches!(step.action, Action::Create | Action::Reload | Action::Message) {
                continue;
            }
            let Some(change) = step.mapping.as_ref().and_then(|key| changes.get(key)) else { continue };
            let copied = copied(step).cloned();
            for lower in change.lowers.iter().chain(&copied) {
                for below in tables.get(lower).into_iter().flatten() {
                    self.edge(*below, index, Because::Stands);
                }
                if let Some(suspend) = suspends.get(lower) {
                    self.edge(index, *suspend, Because::Stands);
                }
            }
        }
    }

    /// A device is removed after everything that stood on it left.
    fn leaves(&mut self) {
        let removals: HashMap<DevNum, usize> = self
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.action == Action::Remove)
            .filter_map(|(index, step)| step.number.map(|number| (number, index)))
            .collect();
        if removals.is_empty() {
            return;
        }
        for index in 0..self.steps.len() {
            for number in old_lowers(&self.steps[index]) {
                if let Some(removal) = removals.get(&number) {
                    self.edge(index, *removal, Because::Leaves);
                }
            }
        }
        self.leave_inactive_slots(removals.into_values());
    }

    /// A table in an inactive slot, of which only the holders tell, goes with its device or when that slot is
    /// emptied.
    fn leave_inactive_slots(&mut self, removals: impl Iterator<Item = usize>) {
        let mut emptied: HashMap<String, usize> = HashMap::new();
        for (index, step) in self.steps.iter().enumerate() {
            if matches!(step.action, Action::Remove | Action::Clear | Action::Resume) {
                emptied.insert(step.name.to_string(), index);
            }
        }
        for removal in removals {
            let Detail::Remove { users, .. } = &self.steps[removal].detail else { continue };
            for index in users.holders.clone().iter().filter_map(|holder| emptied.get(holder)) {
                self.edge(*index, removal, Because::Leaves);
            }
        }
    }

    /// Steps that wait for each other in a circle, if any are left.
    fn circle(&self, done: &[bool]) -> Option<Vec<usize>> {
        let mut at = done.iter().position(|done| !done)?;
        let mut seen = HashMap::new();
        let mut path = Vec::new();
        loop {
            if let Some(start) = seen.insert(at, path.len()) {
                return Some(path.split_off(start));
            }
            path.push(at);
            at = self.before[at].iter().map(|(before, _)| *before).find(|before| !done[*before])?;
        }
    }

    /// Cuts a circle. Gives the steps that wait for less now, and whether a step was added.
    fn cut(
        &mut self,
        circle: &[usize],
        changes: &Changes<'_>,
        conflicts: &mut Vec<Conflict>,
    ) -> (Vec<usize>, bool) {
        let inside = |graph: &Self, because: Because| {
            let mut found: Vec<(Name, usize, usize)> = Vec::new();
            for after in circle {
                for (before, why) in &graph.before[*after] {
                    if *why == because && circle.contains(before) {
                        found.push((graph.steps[*after].name.clone(), *before, *after));
                    }
                }
            }
            found.into_iter().min()
        };
        if let Some((_, freeing, taking)) = inside(self, Because::Name)
            && let Some(freed) = self.pass_through(freeing, taking, changes)
        {
            return (freed, true);
        }
        if let Some((_, before, after)) = inside(self, Because::Leaves) {
            self.forget(before, after, Because::Leaves);
            return (vec![after], false);
        }
        // Nothing else can close a circle: reasons of one device and of one stack never do by themselves.
        // Should one appear all the same, it is shown, and nothing is applied.
        let first = circle[0];
        if let Some(mapping) = self.steps[first].mapping.clone() {
            conflicts.push(Conflict {
                name: self.steps[first].name.clone(),
                mapping,
                reason: "its steps wait for each other; apply the change in two parts".to_string(),
            });
        }
        let waiting = std::mem::take(&mut self.before[first]);
        for (before, _) in waiting {
            self.after[before].retain(|(after, _)| *after != first);
        }
        (vec![first], false)
    }

    fn forget(&mut self, before: usize, after: usize, because: Because) {
        self.before[after].retain(|edge| *edge != (before, because));
        self.after[before].retain(|edge| *edge != (after, because));
    }

    /// Lets the step that takes a name take a temporary one first. Gives the steps that wait for less.
    fn pass_through(&mut self, freeing: usize, taking: usize, changes: &Changes<'_>) -> Option<Vec<usize>> {
        let step = self.steps[taking].clone();
        let key = step.mapping.clone()?;
        let temporary = Name::temporary(&changes.map.owner, &key);
        self.forget(freeing, taking, Because::Name);
        let added = self.steps.len();
        self.after.push(Vec::new());
        self.before.push(Vec::new());
        let mut freed = vec![taking];
        if let Detail::Rename { to } = &step.detail {
            // a -> b becomes a -> temporary, which frees a at once, and temporary -> b at the end.
            let mut last = step.clone();
            last.name = temporary.clone();
            last.detail = Detail::Rename { to: to.clone() };
            self.steps.push(last);
            self.steps[taking].detail = Detail::Rename { to: temporary };
            self.steps[taking].reason = "through a temporary name, for its own is not free yet".to_string();
            freed.extend(self.after[taking].iter().map(|(after, _)| *after));
        } else {
            let to = step.name.clone();
            let last = Step {
                action: Action::Rename,
                name: temporary.clone(),
                class: crate::policy::Class::Settle,
                reason: "its name is free now".to_string(),
                detail: Detail::Rename { to },
                ..step
            };
            self.steps.push(last);
            self.steps[taking].name = temporary;
        }
        self.edge(taking, added, Because::Same);
        self.edge(freeing, added, Because::Name);
        Some(freed)
    }
}

/// The mapping whose volume a step copies.
fn copied(step: &Step) -> Option<&Key> {
    let Detail::Message { prepares: Some(preparation), .. } = &step.detail else { return None };
    preparation.origin.as_ref().map(|(key, _)| key)
}

/// The devices under the table that a step takes away.
fn old_lowers(step: &Step) -> BTreeSet<DevNum> {
    let (Detail::Reload { old, .. } | Detail::Remove { old, .. }) = &step.detail else {
        return BTreeSet::new();
    };
    let Ok(rows) = diff::understand(old) else { return BTreeSet::new() };
    rows.iter()
        .flat_map(|row| {
            row.target
                .lowers(row.length)
                .into_iter()
                .filter_map(|lower| lower.device.number)
                .collect::<Vec<_>>()
        })
        .collect()
}
