//! Which step waits for which, and why.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

use smallvec::SmallVec;

use super::actions::Actions;
use super::changes::Changes;
use super::own::Own;
use super::steps::Unsorted;
use super::{Action, Operation, Preparation, Step};
use crate::identity::{DevNum, Name, Uuid};
use crate::observed::Observed;

/// Why one step waits for another. Circles are looked for along the first of these first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Because {
    /// Anything but what follows.
    Same,
    /// The other frees its name: the one reason that a temporary name does away with.
    Name,
    /// Its device stands on what the other makes, or the other suspends what it stands on.
    Stands,
    /// The other still stands on what it removes.
    Leaves,
}

/// Other steps, and why they wait or are waited for: of most steps at most one.
type Others = SmallVec<[(usize, Because); 1]>;

/// Steps, and who waits for whom.
pub struct Waits {
    /// The steps.
    pub steps: Vec<Step>,
    /// What each of them does.
    pub actions: Actions,
    /// For each step, those that wait for it.
    pub after: Vec<Others>,
    /// For each step, for how many it waits.
    pub counts: Vec<usize>,
    /// For each step, those that it waits for: made when that is first asked, which only a circle does.
    before: OnceCell<Vec<Others>>,
}

impl Waits {
    /// What follows from the steps themselves and from the stacks.
    pub fn new(unsorted: Unsorted, changes: &Changes<'_>, observed: &Observed) -> Self {
        let Unsorted { steps, own, actions, .. } = unsorted;
        let (after, counts) = (vec![Others::new(); steps.len()], vec![0; steps.len()]);
        let mut waits = Self { steps, actions, after, counts, before: OnceCell::new() };
        waits.same_device(&own);
        if waits.actions.any(&[Action::Rename, Action::Remove]) {
            waits.names_and_uuids();
        }
        waits.stands_on(changes, &own);
        if waits.actions.any(&[Action::Remove]) {
            waits.leaves(observed);
        }
        waits
    }

    /// Lets one step wait for another.
    pub fn add(&mut self, before: usize, after: usize, because: Because) {
        if before != after {
            self.after[before].push((after, because));
            self.counts[after] += 1;
            if let Some(all) = self.before.get_mut() {
                all[after].push((before, because));
            }
        }
    }

    /// Those that a step waits for.
    pub fn before(&self, step: usize) -> &Others {
        let turned = || {
            let mut turned = vec![Others::new(); self.steps.len()];
            for (before, others) in self.after.iter().enumerate() {
                for (after, because) in others {
                    turned[*after].push((before, *because));
                }
            }
            for before in &mut turned {
                before.sort_by_key(|(_, because)| *because);
            }
            turned
        };
        &self.before.get_or_init(turned)[step]
    }

    /// Lets one step no longer wait for another.
    pub fn drop(&mut self, before: usize, after: usize, because: Because) {
        let waits = self.after[before].len();
        self.after[before].retain(|wait| *wait != (after, because));
        self.counts[after] -= waits - self.after[before].len();
        if let Some(all) = self.before.get_mut() {
            all[after].retain(|wait| *wait != (before, because));
        }
    }

    /// Adds a step that waits for nobody yet.
    pub fn push(&mut self, step: Step) -> usize {
        self.actions.push(step.action());
        self.steps.push(step);
        self.after.push(Others::new());
        self.counts.push(0);
        if let Some(all) = self.before.get_mut() {
            all.push(Others::new());
        }
        self.steps.len() - 1
    }

    /// One device: its table before its messages, its uuid before its name, all before it is suspended. Only
    /// a table and its messages need not come before another name: the uuid finds the device by either.
    fn same_device(&mut self, steps: &Own) {
        for own in steps.all().filter(|own| own.len() > 1) {
            let mut last_but_names = None;
            let mut unnamed: Vec<usize> = Vec::new();
            for index in own {
                let renames = self.actions[index] == Action::Rename;
                let by_uuid = self.by_uuid_before(last_but_names);
                if let Some(last) = last_but_names
                    && !(renames && by_uuid)
                {
                    self.add(last, index, Because::Same);
                }
                if renames {
                    unnamed.push(index);
                } else {
                    unnamed.drain(..).for_each(|name| self.add(name, index, Because::Same));
                    last_but_names = Some(index);
                }
            }
        }
    }

    /// Whether a step before a rename finds its device by uuid, whatever it is called.
    fn by_uuid_before(&self, last: Option<usize>) -> bool {
        last.is_some_and(|last| {
            let step = &self.steps[last];
            matches!(step.operation, Operation::Reload(_) | Operation::Message(_)) && step.uuid.is_some()
        })
    }

    fn names_and_uuids(&mut self) {
        let mut names: HashMap<Name, usize> = HashMap::new();
        let mut uuids: HashMap<Uuid, usize> = HashMap::new();
        for (index, step) in self.steps.iter().enumerate() {
            if let Operation::Rename { .. } | Operation::Remove(_) = step.operation {
                names.insert(step.name.clone(), index);
            }
            if let (Operation::Remove(_), Some(uuid)) = (&step.operation, &step.uuid) {
                uuids.insert(uuid.clone(), index);
            }
        }
        for index in 0..self.steps.len() {
            let step = &self.steps[index];
            let Some(name) = step.takes_name() else { continue };
            let freed = names.get(name).copied();
            let uuid = step.uuid.as_ref().filter(|_| matches!(step.operation, Operation::Create(_)));
            let removed = uuid.and_then(|uuid| uuids.get(uuid)).copied();
            if let Some(removed) = removed {
                self.add(removed, index, Because::Same);
            }
            if let Some(freed) = freed.filter(|freed| removed != Some(*freed)) {
                self.add(freed, index, Because::Name);
            }
        }
    }

    /// What is loaded or let go comes after what is below it; what is below is suspended after what is above,
    /// for I/O that is caught between the two would never end.
    fn stands_on(&mut self, changes: &Changes<'_>, own: &Own) {
        let opens = |action| matches!(action, Action::Create | Action::Reload | Action::Resume);
        for (place, index) in own.each() {
            let action = self.actions[index];
            let suspended = action == Action::Suspend;
            let message = (action == Action::Message).then(|| &self.steps[index]);
            let preparation = message.and_then(preparation);
            if !opens(action) && !suspended && preparation.is_none() {
                continue;
            }
            let copied = preparation.and_then(|preparation| preparation.origin.as_ref());
            let copied = copied.and_then(|(key, _)| changes.place(key));
            for lower in changes.lowers[place].iter().copied().chain(copied) {
                for below in own.of(lower) {
                    let action = self.actions[below];
                    if action == Action::Suspend {
                        self.add(index, below, Because::Stands);
                    } else if opens(action) && !suspended {
                        self.add(below, index, Because::Stands);
                    }
                }
            }
        }
    }

    /// A device is removed after everything that stood on it left.
    fn leaves(&mut self, observed: &Observed) {
        let removals: HashMap<DevNum, usize> = self
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| matches!(step.operation, Operation::Remove(_)))
            .filter_map(|(index, step)| step.number.map(|number| (number, index)))
            .collect();
        // What a device only had in its inactive slot it left when that was emptied, not with the table that comes next.
        let mut cleared: HashMap<DevNum, BTreeSet<DevNum>> = HashMap::new();
        for index in 0..self.steps.len() {
            let step = &self.steps[index];
            let mut left: BTreeSet<DevNum> = step.released_devices(observed);
            if let Some(number) = step.number {
                if self.actions[index] == Action::Clear {
                    cleared.insert(number, left.clone());
                } else if let Some(before) = cleared.get(&number) {
                    left = &left - before;
                }
            }
            for removal in left.iter().filter_map(|number| removals.get(number)) {
                self.add(index, *removal, Because::Leaves);
            }
        }
    }
}

/// What a message makes ready: it waits as the table does that needs it, and for whom it copies.
fn preparation(step: &Step) -> Option<&Preparation> {
    let Operation::Message(message) = &step.operation else { return None };
    message.prepares.as_deref()
}
