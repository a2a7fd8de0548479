//! Sorts the steps into the order in which they are carried out.
//!
//! A step waits for others for six reasons: it uses a device that they create, it removes a device that they still use,
//! it needs a name or a uuid that they free, it takes sectors that they let go, or it is about the same device. Otherwise steps are sorted by kind and name:
//! harmless ones first, destructive ones last.
//!
//! Names can wait in a circle (`a <-> b`). Such a circle is cut at a name: one device passes through a
//! temporary one. Its uuid tells its mapping, so a crash in between is repaired by the next plan.
//!
//! Sectors can wait in a circle, too: two mappings exchange theirs. Then their tables are swapped together, while both are
//! suspended. Where what has the sectors is removed once a device above it is on the new one, the two may be there at one
//! time: neither is written but through that device. Where none of this is possible, it is a conflict.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

use indexmap::IndexSet;

use super::action::Action;
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::copied_order;
use super::dependencies::{Dependencies, Dependency, Places};
use super::exchange;
use super::position::{StepId, UnsortedId};
use super::priority::{Priority, Ranks};
use super::reason::Cause;
use super::step::{Operation, Step};
use super::steps::Unsorted;
use super::stuck;
use super::takeovers;
use super::transfer::Transfer;
use crate::identity::{Key, Name, Uuid};
use crate::observed::Observed;
use crate::policy::Class;
use crate::stack::{IndexVec, Position as _, Stacks};

/// Sorts the steps, and tells for each which ones it waits for. Circles that no temporary name can cut are cut where a
/// device would be removed from under another: that removal is then found in use, and refused.
pub(crate) fn sort(
    unsorted: Unsorted,
    changes: &Changes<'_>,
    observed: &Observed,
    transfers: &[Transfer],
    conflicts: &mut Vec<Conflict>,
) -> Sorted {
    let ranks = Ranks::of(&unsorted, observed);
    let passing = unsorted.passing.clone();
    let mut dependencies = Dependencies::new(unsorted, changes, observed);
    takeovers::add(&mut dependencies, changes, observed, transfers);
    copied_order::add(&mut dependencies, &passing, changes, observed);
    stuck::order(&mut dependencies, changes, observed);
    let mut order = Order::new(dependencies, changes, ranks);
    loop {
        order.drain();
        let Some(circle) = order.circle() else { break };
        order.cut(&circle, conflicts);
    }
    let places = order.places();
    for exchange in &order.exchanges {
        if !exchange::is_together(&order.dependencies, &order.sorted, &places, exchange) {
            order.note(exchange[0], order.in_parts(exchange, exchange[0]), conflicts);
        }
    }
    let Order { dependencies, sorted, .. } = order;
    let held_loads = dependencies.held_loads().iter().map(|step| places[*step]).collect();
    let waits = dependencies.sorted(&sorted, &places);
    let actions = dependencies.actions;
    let mut steps = arranged(dependencies.steps, places);
    // A name that is free only later makes a rename of another step, too.
    if actions.contains(Action::Rename) || actions.contains(Action::Remove) {
        rename_along(&mut steps);
    }
    Sorted { steps, dependencies: waits, held_loads }
}

/// Steps in the order in which they are carried out.
pub(crate) struct Sorted {
    pub steps: IndexVec<StepId, Step>,
    /// Below each step the earlier ones that it waits for.
    pub dependencies: Stacks<StepId>,
    /// The steps whose tables can't be loaded before the steps that they wait for.
    pub held_loads: BTreeSet<StepId>,
}

/// Puts each step in its place, without a second list of steps.
fn arranged(steps: IndexVec<UnsortedId, Step>, places: Places) -> IndexVec<StepId, Step> {
    let (mut steps, mut places) = (steps.into_vec(), places.into_vec());
    for at in 0..steps.len() {
        while places[at].index() != at {
            let place = places[at].index();
            steps.swap(at, place);
            places.swap(at, place);
        }
    }
    steps.into()
}

/// Gives every step the name that its device has when the step begins. The uuid tells the device.
fn rename_along(steps: &mut IndexVec<StepId, Step>) {
    let moving = steps.iter().filter(|step| matches!(step.operation, Operation::Rename { .. }));
    let renamed: HashSet<Uuid> = moving.filter_map(|step| step.uuid.clone()).collect();
    let mut names: HashMap<Uuid, Name> = HashMap::new();
    for step in &mut *steps {
        let Some(uuid) = step.uuid.as_ref().filter(|uuid| renamed.contains(*uuid)) else { continue };
        if let Some(name) = names.get(uuid).filter(|_| !matches!(step.operation, Operation::Create(_))) {
            step.name = name.clone();
        }
        if let Some(name) = step.takes_name() {
            names.insert(uuid.clone(), name.clone());
        }
    }
}

struct Order<'c, 'a> {
    changes: &'c Changes<'a>,
    dependencies: Dependencies,
    ranks: Ranks,
    /// For each step, the number of steps that it still waits for.
    open: IndexVec<UnsortedId, u32>,
    /// Whether a step can't be staged: it waits for a swap, a removal or a name.
    late: IndexVec<UnsortedId, bool>,
    done: IndexVec<UnsortedId, bool>,
    /// The steps that wait for no other from the start, the first one last.
    first: Vec<Reverse<Priority>>,
    /// The steps that wait for no other any more. Mostly those are few, however many steps there are.
    ready: BinaryHeap<Reverse<Priority>>,
    sorted: IndexVec<StepId, UnsortedId>,
    /// The steps that exchange sectors, and so come right after one another.
    exchanging: HashSet<UnsortedId>,
    /// The steps of each circle of such.
    exchanges: Vec<Vec<UnsortedId>>,
    /// All steps before this one are done.
    looked_at: UnsortedId,
}

impl<'c, 'a> Order<'c, 'a> {
    fn new(dependencies: Dependencies, changes: &'c Changes<'a>, ranks: Ranks) -> Self {
        let count = dependencies.steps.len();
        let open = dependencies.counts().clone();
        let mut order = Self {
            changes,
            ranks,
            dependencies,
            open,
            late: IndexVec::filled(false, count),
            done: IndexVec::filled(false, count),
            first: Vec::new(),
            ready: BinaryHeap::new(),
            sorted: IndexVec::with_capacity(count),
            exchanging: HashSet::new(),
            exchanges: Vec::new(),
            looked_at: UnsortedId::new(0),
        };
        let free = order.open.positions().filter(|step| order.open[*step] == 0);
        order.first = free.map(|step| Reverse(order.priority(step))).collect();
        order.first.sort_unstable();
        order
    }

    /// Takes a step among the ready ones, if it waits for no other.
    fn offer(&mut self, step: UnsortedId) {
        if self.open[step] == 0 && !self.done[step] {
            let priority = self.priority(step);
            self.ready.push(Reverse(priority));
        }
    }

    fn priority(&self, id: UnsortedId) -> Priority {
        self.ranks.priority(id, &self.dependencies.steps[id], self.late[id], self.changes)
    }

    /// The step that is taken first of those that wait for no other.
    fn next(&mut self) -> Option<Reverse<Priority>> {
        if self.first.last() > self.ready.peek() { self.first.pop() } else { self.ready.pop() }
    }

    /// Takes all steps that can be taken.
    fn drain(&mut self) {
        while let Some(Reverse(Priority { step, .. })) = self.next() {
            if std::mem::replace(&mut self.done[step], true) {
                continue;
            }
            self.sorted.push(step);
            let action = self.dependencies.action(step);
            let staged = matches!(action, Action::Create | Action::Clear | Action::Resume);
            let delays = self.late[step] || !staged;
            for at in 0..self.dependencies.after(step).len() {
                let (next, _) = self.dependencies.after(step)[at];
                self.late[next] |= delays;
                self.open[next] -= 1;
                self.offer(next);
            }
        }
    }

    /// The place of each step in the order.
    fn places(&self) -> Places {
        let mut places = IndexVec::filled(StepId::new(0), self.sorted.len());
        for (place, step) in self.sorted.entries() {
            places[*step] = place;
        }
        places
    }

    /// Steps that wait for each other in a circle, if any are left.
    ///
    /// No search of the stacks is needed: every step that is left waits for one that is left, so any way along them ends in a
    /// circle. [`Stacks::circles`] would look at all steps again for each circle.
    fn circle(&mut self) -> Option<Vec<UnsortedId>> {
        let left = (self.looked_at.index()..self.done.len()).map(UnsortedId::new);
        let mut at = { left }.find(|step| !self.done[*step])?;
        self.looked_at = at;
        let mut way = IndexSet::new();
        loop {
            let (start, is_new) = way.insert_full(at);
            if !is_new {
                return Some(way.into_iter().skip(start).collect());
            }
            let mut before = self.dependencies.before(at).iter().map(|(before, _)| *before);
            at = before.find(|before| !self.done[*before])?;
        }
    }

    /// Counts again what a step waits for.
    fn recount(&mut self, step: UnsortedId) {
        let before = self.dependencies.before(step).iter();
        let open = before.filter(|(before, _)| !self.done[*before]).count();
        self.open[step] = u32::try_from(open).unwrap_or(u32::MAX);
        self.offer(step);
    }

    fn cut(&mut self, circle: &[UnsortedId], conflicts: &mut Vec<Conflict>) {
        if let Some((freeing, taking)) = self.inside(circle, Dependency::Name)
            && self.pass_through(freeing, taking)
        {
            return;
        }
        if let Some((before, after)) = exchange::beside(&self.dependencies, circle) {
            self.dependencies.drop(before, after, Dependency::TakesOver);
            self.recount(after);
            return;
        }
        if let Some((before, after)) = self.inside(circle, Dependency::TakesOver) {
            if exchange::is_possible(&self.dependencies, circle) {
                self.exchanging.extend(circle);
                self.exchanges.push(circle.to_vec());
            } else {
                self.note(after, self.in_parts(circle, after), conflicts);
            }
            self.dependencies.drop(before, after, Dependency::TakesOver);
            self.recount(after);
            return;
        }
        if let Some((before, after)) = self.inside(circle, Dependency::ReleasesLower) {
            self.dependencies.drop(before, after, Dependency::ReleasesLower);
            self.recount(after);
            return;
        }
        let origins: BTreeSet<Key> = circle.iter().filter_map(|step| self.copied(*step)).collect();
        // No other circle is possible: dependencies of one device and of one stack never close one by themselves.
        // Should one appear all the same, it is shown, and nothing is applied.
        let first = circle[0];
        let obstacle = if origins.is_empty() {
            Obstacle::StepsInCircle
        } else {
            Obstacle::SnapshotsInCircle { origins: origins.into_iter().collect() }
        };
        self.note(first, obstacle, conflicts);
        for (before, why) in self.dependencies.before(first).to_vec() {
            self.dependencies.drop(before, first, why);
        }
        self.recount(first);
    }

    /// Returns the mapping whose volume a step copies.
    fn copied(&self, step: UnsortedId) -> Option<Key> {
        let Operation::Message(message) = &self.dependencies.steps[step].operation else { return None };
        message.prepares.as_ref()?.origin.as_ref().map(|(key, _)| key.clone())
    }

    /// The obstacle of a circle, with the mapping that opens it where its device is absent first: a removal takes no sectors,
    /// and needs no lower device.
    fn in_parts(&self, circle: &[UnsortedId], taking: UnsortedId) -> Obstacle {
        let reload = |step: &&UnsortedId| self.dependencies.action(**step) == Action::Reload;
        let mut mappings = circle.iter().filter(reload).chain([&taking]);
        let first = mappings.find_map(|step| self.dependencies.steps[*step].mapping.clone());
        first.map_or(Obstacle::StepsInCircle, |first| Obstacle::ExchangeInParts { first })
    }

    /// Adds a conflict of the mapping that a step is for.
    fn note(&self, step: UnsortedId, reason: Obstacle, conflicts: &mut Vec<Conflict>) {
        let step = &self.dependencies.steps[step];
        if let Some(mapping) = step.mapping.clone() {
            conflicts.push(Conflict { name: step.name.clone(), mapping, reason });
        }
    }

    /// Two steps of a circle of which the second waits for the first because of that: those with the first
    /// name.
    fn inside(&self, circle: &[UnsortedId], why: Dependency) -> Option<(UnsortedId, UnsortedId)> {
        let members: HashSet<UnsortedId> = circle.iter().copied().collect();
        let waiting = circle.iter().flat_map(|after| {
            let before = self.dependencies.before(*after).iter();
            before
                .filter(|(before, other)| *other == why && members.contains(before))
                .map(|(before, _)| (&self.dependencies.steps[*after].name, *before, *after))
        });
        waiting.min().map(|(_, before, after)| (before, after))
    }

    /// Lets the step that takes a name take a temporary one first. Returns whether that is possible.
    fn pass_through(&mut self, freeing: UnsortedId, taking: UnsortedId) -> bool {
        let step = self.dependencies.steps[taking].clone();
        let (Some(key), Some(to)) = (&step.mapping, step.takes_name().cloned()) else { return false };
        let temporary = Name::temporary(&self.changes.map.owner, key);
        self.dependencies.drop(freeing, taking, Dependency::Name);
        let last = Step {
            name: temporary.clone(),
            class: Class::Settle,
            reason: Cause::NameFree.into(),
            operation: Operation::Rename { to },
            ..step
        };
        let first = &mut self.dependencies.steps[taking];
        if let Operation::Rename { to } = &mut first.operation {
            // a -> b becomes a -> temporary, which frees a at once, and temporary -> b at the end.
            *to = temporary;
            first.reason = Cause::NameTaken.into();
        } else {
            first.name = temporary;
        }
        let added = self.dependencies.push(last);
        self.open.push(0);
        self.late.push(true);
        self.ranks.add_namesake(taking);
        self.done.push(false);
        self.dependencies.add(taking, added, Dependency::SameDevice);
        self.dependencies.add(freeing, added, Dependency::Name);
        self.after_the_last_name(taking, added);
        self.recount(taking);
        self.recount(added);
        true
    }

    /// Suspends the device after its last name, too.
    fn after_the_last_name(&mut self, taking: UnsortedId, added: UnsortedId) {
        let own = self.dependencies.after(taking).iter().filter(|(_, why)| *why == Dependency::SameDevice);
        let suspends = |after: &UnsortedId| self.dependencies.suspends_last(*after);
        let own: Vec<UnsortedId> = own.map(|(after, _)| *after).filter(suspends).collect();
        for after in own {
            self.dependencies.add(added, after, Dependency::SameDevice);
            self.recount(after);
        }
    }
}
