//! Finds which step waits for which other, and why.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

use smallvec::SmallVec;

use super::action::{Action, ActionSet};
use super::changes::Changes;
use super::origin;
use super::position::{ChangeId, StepId, UnsortedId};
use super::step::{Operation, Preparation, Step};
use super::step_ranges::StepRanges;
use super::steps::Unsorted;
use crate::identity::{DevNum, Name, Uuid};
use crate::observed::Observed;
use crate::stack::{IndexVec, Positions, Stacks};

/// Why one step waits for another. Circles are looked for along the first of these first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dependency {
    /// Both are about one device, or about one uuid.
    SameDevice,
    /// The other frees the name: the one dependency that a temporary name does away with.
    Name,
    /// The other makes a device that this one uses, or this one suspends a device that the other uses.
    UsesLower,
    /// The other still uses the device that this one removes.
    ReleasesLower,
    /// The other makes a snapshot of an origin that is written through this one, or suspends what this one's snapshot is of.
    Origin,
    /// The other lets go sectors, a volume or a disk that this one takes.
    TakesOver,
}

/// Other steps, and why they wait or are waited for: of most steps at most one.
type Others = SmallVec<[(UnsortedId, Dependency); 1]>;

/// Steps, and which of them wait for which.
pub(crate) struct Dependencies {
    pub steps: IndexVec<UnsortedId, Step>,
    /// The steps of each mapping.
    pub ranges: StepRanges,
    /// The action of each step.
    step_actions: IndexVec<UnsortedId, Action>,
    /// The actions that occur.
    pub actions: ActionSet,
    /// For each step, those that wait for it.
    after: IndexVec<UnsortedId, Others>,
    /// For each step, for how many it waits.
    counts: IndexVec<UnsortedId, u32>,
    /// The steps whose tables can't be loaded before the steps that they wait for.
    held_loads: BTreeSet<UnsortedId>,
    /// For each step, those that it waits for: made when that is first asked, which only a circle does.
    before: OnceCell<IndexVec<UnsortedId, Others>>,
}

impl Dependencies {
    /// Finds the dependencies that follow from the steps themselves and from the stacks.
    pub(crate) fn new(unsorted: Unsorted, changes: &Changes<'_>, observed: &Observed) -> Self {
        let Unsorted { steps, step_actions, actions, ranges, .. } = unsorted;
        let count = steps.len();
        let after = IndexVec::filled(Others::new(), count);
        let counts = IndexVec::filled(0, count);
        let (held_loads, before) = (BTreeSet::new(), OnceCell::new());
        let none = StepRanges::with_capacity(0);
        let mut dependencies =
            Self { steps, ranges: none, step_actions, actions, after, counts, held_loads, before };
        dependencies.same_device(&ranges);
        if actions.contains(Action::Rename) || actions.contains(Action::Remove) {
            dependencies.names_and_uuids();
        }
        dependencies.uses_lower(changes, &ranges);
        dependencies.origins(changes, &ranges);
        if actions.contains(Action::Remove) {
            dependencies.releases_lower(observed);
        }
        dependencies.ranges = ranges;
        dependencies
    }

    /// Lets `after` wait for `before`.
    pub(crate) fn add(&mut self, before: UnsortedId, after: UnsortedId, why: Dependency) {
        if before != after {
            self.after[before].push((after, why));
            self.counts[after] += 1;
            if let Some(all) = self.before.get_mut() {
                all[after].push((before, why));
            }
        }
    }

    /// Lets `after` no longer wait for `before` because of `why`.
    pub(crate) fn drop(&mut self, before: UnsortedId, after: UnsortedId, why: Dependency) {
        let others = &mut self.after[before];
        let count = others.len();
        others.retain(|other| *other != (after, why));
        let dropped = u32::try_from(count - others.len()).unwrap_or_default();
        self.counts[after] -= dropped;
        if let Some(all) = self.before.get_mut() {
            all[after].retain(|other| *other != (before, why));
        }
    }

    /// Adds a step that does not wait yet.
    pub(crate) fn push(&mut self, step: Step) -> UnsortedId {
        self.actions.insert(step.action());
        self.step_actions.push(step.action());
        self.after.push(Others::new());
        self.counts.push(0);
        if let Some(all) = self.before.get_mut() {
            all.push(Others::new());
        }
        self.steps.push(step)
    }

    /// The action of `step`.
    pub(crate) fn action(&self, step: UnsortedId) -> Action {
        self.step_actions[step]
    }

    /// The steps that wait for `step`.
    pub(crate) fn after(&self, step: UnsortedId) -> &[(UnsortedId, Dependency)] {
        &self.after[step]
    }

    /// The steps that `step` waits for.
    pub(crate) fn before(&self, step: UnsortedId) -> &[(UnsortedId, Dependency)] {
        let turned = || {
            let mut turned = IndexVec::filled(Others::new(), self.steps.len());
            for (before, others) in self.after.entries() {
                for (after, why) in others {
                    turned[*after].push((before, *why));
                }
            }
            turned.iter_mut().for_each(|before: &mut Others| before.sort_by_key(|(_, why)| *why));
            turned
        };
        &self.before.get_or_init(turned)[step]
    }

    /// For each step, for how many it waits.
    pub(crate) fn counts(&self) -> &IndexVec<UnsortedId, u32> {
        &self.counts
    }

    /// Loads the table of a step only after all that the step waits for.
    pub(crate) fn hold_load(&mut self, step: UnsortedId) {
        self.held_loads.insert(step);
    }

    /// The steps whose tables can't be loaded before the steps that they wait for.
    pub(crate) fn held_loads(&self) -> &BTreeSet<UnsortedId> {
        &self.held_loads
    }

    /// The dependencies of the steps in the order of `sorted`, each once.
    pub(crate) fn sorted(&self, sorted: &IndexVec<StepId, UnsortedId>, places: &Places) -> Stacks<StepId> {
        let mut before = IndexVec::filled(Positions::new(), sorted.len());
        for (place, step) in sorted.entries() {
            for (after, _) in &self.after[*step] {
                let before: &mut Positions<StepId> = &mut before[places[*after]];
                if before.last() != Some(&place) {
                    before.push(place);
                }
            }
        }
        before.into()
    }

    /// One device: its table before its messages, its uuid before its name, all before it is suspended. Only
    /// a table and its messages need not come before another name: the uuid finds the device by either.
    fn same_device(&mut self, ranges: &StepRanges) {
        for own in ranges.changes().map(|change| ranges.of(change)).filter(|own| own.len() > 1) {
            let mut last_but_names = None;
            let mut unnamed: Vec<UnsortedId> = Vec::new();
            for step in own {
                let renames = self.action(step) == Action::Rename;
                let by_uuid = last_but_names.is_some_and(|last| self.finds_by_uuid(last));
                if let Some(last) = last_but_names
                    && !(renames && by_uuid)
                {
                    self.add(last, step, Dependency::SameDevice);
                }
                if renames {
                    unnamed.push(step);
                } else {
                    unnamed.drain(..).for_each(|name| self.add(name, step, Dependency::SameDevice));
                    last_but_names = Some(step);
                }
            }
        }
    }

    /// Whether a step may come before or after a rename, because it finds its device by uuid.
    fn finds_by_uuid(&self, step: UnsortedId) -> bool {
        let step = &self.steps[step];
        matches!(step.operation, Operation::Reload(_) | Operation::Message(_)) && step.uuid.is_some()
    }

    fn names_and_uuids(&mut self) {
        let mut names: HashMap<Name, UnsortedId> = HashMap::new();
        let mut uuids: HashMap<Uuid, UnsortedId> = HashMap::new();
        for (id, step) in self.steps.entries() {
            if let Operation::Rename { .. } | Operation::Remove(_) = step.operation {
                names.insert(step.name.clone(), id);
            }
            if let (Operation::Remove(_), Some(uuid)) = (&step.operation, &step.uuid) {
                uuids.insert(uuid.clone(), id);
            }
        }
        for id in self.steps.positions() {
            let step = &self.steps[id];
            let Some(name) = step.takes_name() else { continue };
            let freed = names.get(name).copied();
            let uuid = step.uuid.as_ref().filter(|_| matches!(step.operation, Operation::Create(_)));
            let removed = uuid.and_then(|uuid| uuids.get(uuid)).copied();
            if let Some(removed) = removed {
                self.add(removed, id, Dependency::SameDevice);
            }
            if let Some(freed) = freed.filter(|freed| removed != Some(*freed)) {
                self.add(freed, id, Dependency::Name);
            }
        }
    }

    /// Whether a step suspends a device for good.
    pub(crate) fn suspends_last(&self, step: UnsortedId) -> bool {
        self.action(step) == Action::Suspend && !self.steps[step].holds_writes()
    }

    /// A table is loaded, and I/O let through, after the steps of the lower devices; a lower device is suspended after
    /// those above it, because I/O that is caught between the two would not end.
    fn uses_lower(&mut self, changes: &Changes<'_>, ranges: &StepRanges) {
        let opens = |action| matches!(action, Action::Create | Action::Reload | Action::Resume);
        for change in ranges.changes() {
            for id in ranges.of(change) {
                let action = self.action(id);
                let message = (action == Action::Message).then(|| &self.steps[id]);
                let preparation = message.and_then(preparation);
                let suspends = self.suspends_last(id);
                if !opens(action) && !suspends && preparation.is_none() {
                    continue;
                }
                let copied = preparation.and_then(|preparation| preparation.origin.as_ref());
                let copied = copied.and_then(|(key, _)| changes.id_of(key));
                for lower in changes.lowers[change].iter().copied().chain(copied) {
                    for below in ranges.of(lower) {
                        let action = self.action(below);
                        if self.suspends_last(below) {
                            self.add(id, below, Dependency::UsesLower);
                        } else if opens(action) && !suspends {
                            self.add(below, id, Dependency::UsesLower);
                        }
                    }
                }
            }
        }
    }

    /// A snapshot is made before the devices through which its origin is written are made, swapped or resumed; where such
    /// a device is to be suspended, after that.
    fn origins(&mut self, changes: &Changes<'_>, ranges: &StepRanges) {
        let index = &changes.index;
        for snapshot in &index.snapshots {
            let taken = origin::taken(&changes.all[*snapshot]);
            let makes = |id: &UnsortedId| matches!(self.steps[*id].action(), Action::Create | Action::Reload);
            let made: Vec<UnsortedId> = ranges.of(*snapshot).filter(makes).collect();
            let held = made.iter().flat_map(|id| self.steps[*id].held());
            let held = held.filter_map(|held| changes.id_of(held.mapping.as_ref()?));
            let writes =
                |id: &ChangeId| origin::written(&changes.all[*id]).any(|origin| taken.contains(&origin));
            let declared = index.writers.iter().copied().filter(writes);
            let around: BTreeSet<ChangeId> = held.chain(declared).filter(|id| id != snapshot).collect();
            for writer in around {
                self.around_snapshots(&made, ranges.of(writer).collect());
            }
        }
    }

    /// Orders the steps of a device through which an origin is written around those that make snapshots of it.
    fn around_snapshots(&mut self, made: &[UnsortedId], own: Vec<UnsortedId>) {
        let ends_suspended = own.iter().any(|id| self.suspends_last(*id));
        for step in own {
            for snapshot in made {
                match self.steps[step].action() {
                    Action::Suspend | Action::Clear => self.add(step, *snapshot, Dependency::Origin),
                    Action::Create | Action::Reload | Action::Resume if !ends_suspended => {
                        self.add(*snapshot, step, Dependency::Origin);
                    }
                    _ => {}
                }
            }
        }
    }

    /// A device is removed after all that used it released it.
    fn releases_lower(&mut self, observed: &Observed) {
        let removals = self.steps.entries().filter(|(_, step)| step.action() == Action::Remove);
        let removals: HashMap<DevNum, UnsortedId> =
            removals.filter_map(|(id, step)| step.number.map(|number| (number, id))).collect();
        // A device that is only in the inactive slot is released when that is cleared, not with the table that comes next.
        let mut cleared: HashMap<DevNum, BTreeSet<DevNum>> = HashMap::new();
        for id in self.steps.positions() {
            let step = &self.steps[id];
            let mut released: BTreeSet<DevNum> = step.released_devices(observed);
            if let Some(number) = step.number {
                if step.action() == Action::Clear {
                    cleared.insert(number, released.clone());
                } else if let Some(before) = cleared.get(&number) {
                    released = &released - before;
                }
            }
            for removal in released.iter().filter_map(|number| removals.get(number)) {
                self.add(id, *removal, Dependency::ReleasesLower);
            }
        }
    }
}

/// Where each unsorted step is in the plan.
pub(crate) type Places = IndexVec<UnsortedId, StepId>;

/// Returns the preparation that a message does. It waits as its table does, and for the mapping whose volume it copies.
pub(crate) fn preparation(step: &Step) -> Option<&Preparation> {
    let Operation::Message(message) = &step.operation else { return None };
    message.prepares.as_deref()
}
