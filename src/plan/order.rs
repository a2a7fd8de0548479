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
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::actions::Actions;
use super::changes::Changes;
use super::steps::Unsorted;
use super::waits::{Because, Waits};
use super::{Action, Cause, Conflict, Operation, Step, stacks};
use crate::identity::{DevNum, Name, Uuid};
use crate::observed::Observed;
use crate::policy::Class;

/// Sorts the steps, and tells for each which ones it waits for. Circles that no temporary name can cut are cut where a
/// device would be removed from under another: that removal is then found in use, and refused.
pub fn sort(
    unsorted: Unsorted,
    changes: &Changes<'_>,
    observed: &Observed,
    conflicts: &mut Vec<Conflict>,
) -> (Vec<Step>, Vec<Vec<usize>>) {
    let standing = standing(&unsorted.actions, observed);
    let alphabet = alphabet(&unsorted);
    let mut order = Order::new(Waits::new(unsorted, changes, observed), changes, standing, alphabet);
    loop {
        order.drain();
        let Some(circle) = order.circle() else { break };
        order.cut(&circle, conflicts);
    }
    let places = order.places();
    let waits = order.waits_sorted(&places);
    let mut steps = order.waits.steps;
    arrange(&mut steps, places);
    // A name that is free only later makes a rename of another step, too.
    if order.waits.actions.any(&[Action::Rename, Action::Remove]) {
        rename_along(&mut steps);
    }
    (steps, waits)
}

/// Puts each step in its place.
fn arrange(steps: &mut [Step], mut places: Vec<usize>) {
    for at in 0..steps.len() {
        while places[at] != at {
            let place = places[at];
            steps.swap(at, place);
            places.swap(at, place);
        }
    }
}

/// The place of each device in the stacks as they are, if a step is taken in that order.
fn standing(actions: &Actions, observed: &Observed) -> HashMap<DevNum, usize> {
    let settles = actions.any(&[Action::Clear, Action::Resume]);
    let stacks = if settles { stacks::observed(observed) } else { Vec::new() };
    stacks.iter().enumerate().map(|(place, seen)| (seen.listed.number, place)).collect()
}

/// Gives every step the name that its device has when the step begins. The uuid tells the device.
fn rename_along(steps: &mut [Step]) {
    let moving = steps.iter().filter(|step| matches!(step.operation, Operation::Rename { .. }));
    let renamed: HashSet<Uuid> = moving.filter_map(|step| step.uuid.clone()).collect();
    let mut names: HashMap<Uuid, Name> = HashMap::new();
    for step in steps {
        let Some(uuid) = step.uuid.as_ref().filter(|uuid| renamed.contains(*uuid)) else { continue };
        if let Some(name) = names.get(uuid).filter(|_| !matches!(step.operation, Operation::Create(_))) {
            step.name = name.clone();
        }
        if let Some(name) = step.takes_name() {
            names.insert(uuid.clone(), name.clone());
        }
    }
}

/// What is taken first: by kind, by depth where that counts, by name. The step itself comes last.
type Priority = Reverse<(u8, u32, u32, u32)>;

/// A place among steps or mappings, in little room: a plan may have a hundred thousand of each, and none has as many as
/// that takes.
fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// The place of each step among all, sorted by name.
fn alphabet(Unsorted { steps, by_name, .. }: &Unsorted) -> Vec<usize> {
    if *by_name {
        return (0..steps.len()).collect();
    }
    // A copy of a name costs nothing, and spares many looks at steps.
    let mut sorted: Vec<(Name, usize)> = steps.iter().map(|step| step.name.clone()).zip(0..).collect();
    sorted.sort();
    let mut places = vec![0; steps.len()];
    for (place, (_, index)) in sorted.into_iter().enumerate() {
        places[index] = place;
    }
    places
}

struct Order<'c, 'a> {
    changes: &'c Changes<'a>,
    waits: Waits,
    /// The place of each device in the stacks as they are, lower ones first, where it matters.
    standing: HashMap<DevNum, usize>,
    /// Where each step stands among all by name.
    alphabet: Vec<usize>,
    /// How many steps each step still waits for.
    open: Vec<usize>,
    /// Whether a step can't be staged: it waits for a swap, a removal or a name.
    late: Vec<bool>,
    done: Vec<bool>,
    /// What waits for nobody from the start, the first one last.
    first: Vec<Priority>,
    /// What waits for nobody any more. Mostly that is little, however many steps there are.
    ready: BinaryHeap<Priority>,
    sorted: Vec<usize>,
    /// All steps before this one are done.
    looked_at: usize,
}

impl<'c, 'a> Order<'c, 'a> {
    fn new(
        waits: Waits,
        changes: &'c Changes<'a>,
        standing: HashMap<DevNum, usize>,
        alphabet: Vec<usize>,
    ) -> Self {
        let count = waits.steps.len();
        let open = waits.counts.clone();
        let mut order = Self {
            changes,
            standing,
            alphabet,
            waits,
            open,
            late: vec![false; count],
            done: vec![false; count],
            first: Vec::new(),
            ready: BinaryHeap::new(),
            sorted: Vec::with_capacity(count),
            looked_at: 0,
        };
        let free = (0..count).filter(|index| order.open[*index] == 0);
        order.first = free.map(|index| order.priority(index)).collect();
        order.first.sort_unstable();
        order
    }

    /// Takes a step among the ready ones, if it waits for nobody.
    fn offer(&mut self, index: usize) {
        if self.open[index] == 0 && !self.done[index] {
            let priority = self.priority(index);
            self.ready.push(priority);
        }
    }

    fn priority(&self, index: usize) -> Priority {
        let action = self.waits.actions[index];
        let rank = match action {
            Action::Clear | Action::Resume => 0,
            Action::Create if !self.late[index] => 1,
            Action::Reload => 2,
            Action::Create => 3,
            Action::Message => 4,
            Action::SetUuid => 5,
            Action::Rename => 6,
            Action::Suspend => 7,
            Action::Remove => 8,
        };
        let depth = match action {
            Action::Clear | Action::Resume => narrow(self.place_now(index)),
            Action::Suspend => u32::MAX - narrow(self.height(index)),
            _ => 0,
        };
        Reverse((rank, depth, narrow(self.alphabet[index]), narrow(index)))
    }

    /// Where the mapping of a step stands in the stacks as they will be.
    fn height(&self, index: usize) -> usize {
        let key = self.waits.steps[index].mapping.as_ref();
        key.and_then(|key| self.changes.place(key)).unwrap_or_default()
    }

    /// Where its device stands in the stacks as they are: what frees a table or lets I/O through may itself do I/O
    /// to what is below.
    fn place_now(&self, index: usize) -> usize {
        self.waits.steps[index]
            .number
            .and_then(|number| self.standing.get(&number))
            .copied()
            .unwrap_or_default()
    }

    /// The step that is taken first of those that wait for nobody.
    fn next(&mut self) -> Option<Priority> {
        if self.first.last() > self.ready.peek() { self.first.pop() } else { self.ready.pop() }
    }

    /// Takes all steps that can be taken.
    fn drain(&mut self) {
        while let Some(Reverse((.., index))) = self.next() {
            let index = index as usize;
            if std::mem::replace(&mut self.done[index], true) {
                continue;
            }
            self.sorted.push(index);
            let staged = matches!(self.waits.actions[index], Action::Create | Action::Clear | Action::Resume);
            let delays = self.late[index] || !staged;
            for at in 0..self.waits.after[index].len() {
                let (next, _) = self.waits.after[index][at];
                self.late[next] |= delays;
                self.open[next] -= 1;
                self.offer(next);
            }
        }
    }

    /// The place of each step in the order.
    fn places(&self) -> Vec<usize> {
        let mut places = vec![0; self.sorted.len()];
        for (place, index) in self.sorted.iter().enumerate() {
            places[*index] = place;
        }
        places
    }

    /// What each step waits for, all by their places in the order, and each once.
    fn waits_sorted(&self, places: &[usize]) -> Vec<Vec<usize>> {
        let mut waits = vec![Vec::new(); places.len()];
        for (place, index) in self.sorted.iter().enumerate() {
            for (after, _) in &self.waits.after[*index] {
                let before: &mut Vec<usize> = &mut waits[places[*after]];
                if before.is_empty() {
                    // Most wait for one.
                    before.reserve_exact(1);
                }
                if before.last() != Some(&place) {
                    before.push(place);
                }
            }
        }
        waits
    }

    /// Steps that wait for each other in a circle, if any are left.
    fn circle(&mut self) -> Option<Vec<usize>> {
        self.looked_at += self.done[self.looked_at..].iter().position(|done| !done)?;
        let mut at = self.looked_at;
        let mut seen = HashMap::new();
        let mut path = Vec::new();
        loop {
            if let Some(start) = seen.insert(at, path.len()) {
                return Some(path.split_off(start));
            }
            path.push(at);
            let mut before = self.waits.before(at).iter().map(|(before, _)| *before);
            at = before.find(|before| !self.done[*before])?;
        }
    }

    /// Counts anew what a step waits for.
    fn recount(&mut self, index: usize) {
        let before = self.waits.before(index).iter();
        self.open[index] = before.filter(|(before, _)| !self.done[*before]).count();
        self.offer(index);
    }

    fn cut(&mut self, circle: &[usize], conflicts: &mut Vec<Conflict>) {
        if let Some((freeing, taking)) = self.inside(circle, Because::Name)
            && self.pass_through(freeing, taking)
        {
            return;
        }
        if let Some((before, after)) = self.inside(circle, Because::Leaves) {
            self.waits.drop(before, after, Because::Leaves);
            self.recount(after);
            return;
        }
        // Nothing else can close a circle: reasons of one device and of one stack never do by themselves.
        // Should one appear all the same, it is shown, and nothing is applied.
        let first = circle[0];
        let step = &self.waits.steps[first];
        if let Some(mapping) = step.mapping.clone() {
            conflicts.push(Conflict {
                name: step.name.clone(),
                mapping,
                reason: "its steps wait for each other; apply the change in two parts".to_string(),
            });
        }
        for (before, because) in self.waits.before(first).clone() {
            self.waits.drop(before, first, because);
        }
        self.recount(first);
    }

    /// Two steps of a circle of which the second waits for the first because of that: those with the first
    /// name.
    fn inside(&self, circle: &[usize], because: Because) -> Option<(usize, usize)> {
        let members: HashSet<usize> = circle.iter().copied().collect();
        let waiting = circle.iter().flat_map(|after| {
            let before = self.waits.before(*after).iter();
            before
                .filter(|(before, why)| *why == because && members.contains(before))
                .map(|(before, _)| (&self.waits.steps[*after].name, *before, *after))
        });
        waiting.min().map(|(_, before, after)| (before, after))
    }

    /// Lets the step that takes a name take a temporary one first.
    fn pass_through(&mut self, freeing: usize, taking: usize) -> bool {
        let step = self.waits.steps[taking].clone();
        let (Some(key), Some(to)) = (&step.mapping, step.takes_name().cloned()) else { return false };
        let temporary = Name::temporary(&self.changes.map.owner, key);
        self.waits.drop(freeing, taking, Because::Name);
        let last = Step {
            name: temporary.clone(),
            class: Class::Settle,
            reason: Cause::NameFree.into(),
            operation: Operation::Rename { to },
            ..step
        };
        let first = &mut self.waits.steps[taking];
        if let Operation::Rename { to } = &mut first.operation {
            // a -> b becomes a -> temporary, which frees a at once, and temporary -> b at the end.
            *to = temporary;
            first.reason = Cause::NameTaken.into();
        } else {
            first.name = temporary;
        }
        let added = self.waits.push(last);
        self.open.push(0);
        self.late.push(true);
        self.alphabet.push(self.alphabet[taking]);
        self.done.push(false);
        self.waits.add(taking, added, Because::Same);
        self.waits.add(freeing, added, Because::Name);
        self.after_the_last_name(taking, added);
        self.recount(taking);
        self.recount(added);
        true
    }

    /// What holds the device back comes after its last name, too.
    fn after_the_last_name(&mut self, taking: usize, added: usize) {
        let suspends = |after: &usize| self.waits.actions[*after] == Action::Suspend;
        let own = self.waits.after[taking].iter().filter(|(_, why)| *why == Because::Same);
        let own: Vec<usize> = own.map(|(after, _)| *after).filter(suspends).collect();
        for after in own {
            self.waits.add(added, after, Because::Same);
            self.recount(after);
        }
    }
}
