//! Makes loaded tables live.
//!
//! A single device is only resumed: the kernel suspends it, swaps the tables and resumes it. A stack is suspended from
//! the top down, so that no I/O is caught between two levels, and resumed from the bottom up. The devices of one level
//! are suspended at the same time, because a suspend is a wait. Between the first suspend and the last resume this
//! process does not log, read or wait for other programs, does not start threads, and stays in memory: it might be paged
//! in from one of these devices.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::cause::Cause;
use super::freeze;
use super::gate::{Gate, Moment};
use super::overlap::Lane;
use super::queue::{Item, PhaseId, Queue, TaskId};
use super::workers::{self, Executor};
use crate::access::Access;
use crate::identity::{DevNum, Name};
use crate::kernel::{ChangeKernel, Id, KernelError, Suspend};
use crate::plan::{LiveTable, Through};
use crate::stack::{IndexVec, Position as _, Positions, Stacks, position};
use crate::table::{self, RawRow, Table};

/// A device whose table is swapped.
pub(crate) struct Member {
    /// The identity that the kernel is asked by.
    pub id: Id,
    pub name: Name,
    pub number: Option<DevNum>,
    /// The table that the device has before.
    pub old: LiveTable,
    /// The new table, as it is loaded. Once the plan is carried out it is [let go](Member::forget_new): it may hold a key.
    pub new: Option<Table>,
    /// The access with which the new table is loaded.
    pub access: Access,
    /// The flags of the suspend for the swap.
    pub suspend: Suspend,
    /// Whether the device is suspended before.
    pub suspended: bool,
    /// The devices of other mappings that it uses through devices outside of the stack.
    pub through: Through,
    /// Whether the new table is loaded only once the device is suspended and all devices below it serve I/O.
    pub load_late: bool,
    /// The members that the new table waits for: they let go what it takes.
    pub waits: Positions<MemberId>,
    /// What to look for before the new table is made live.
    pub gate: Option<Gate>,
}

impl Member {
    /// Lets go of the new table: the kernel has it, and a way back reads it there.
    pub(crate) fn forget_new(&mut self) {
        self.new = None;
        // It was looked at already, and has the new table as well.
        self.gate = None;
    }

    /// Returns the new table, as it is loaded; without rows once it was let go.
    fn new_rows(&self) -> &[RawRow] {
        self.new.as_deref().unwrap_or_default()
    }
}

position! {
    /// A member of a stack, in the order of the plan: lower devices first.
    pub(crate) struct MemberId;
}

/// The devices of a stack.
pub(crate) type Members = IndexVec<MemberId, Member>;

/// Whether one resume makes the kernel do the whole swap.
pub(crate) fn is_alone(members: &Members) -> bool {
    let mut all = members.iter();
    let alone = all.next().filter(|_| members.len() == 1);
    alone.is_some_and(|alone| alone.suspend == Suspend::default() && alone.gate.is_none() && !alone.load_late)
}

/// Makes the loaded tables of one stack live, `jobs` devices at a time. On failure returns the member and
/// the cause; the members must then be rolled back. The caller keeps this process in memory, unless the stack is one
/// device that [`is_alone`].
pub(crate) fn swap(
    kernel: &dyn ChangeKernel,
    members: &Members,
    jobs: usize,
) -> Result<(), (MemberId, Cause)> {
    let explained = |member: MemberId, cause| match cause {
        Cause::Kernel(error) => {
            let member = &members[member];
            freeze::explained(kernel, (&member.id, &member.name), member.suspend, error)
        }
        cause => cause,
    };
    if let Some((first, alone)) = members.entries().next().filter(|_| is_alone(members)) {
        return kernel.resume(&alone.id).map_err(|error| (first, explained(first, error.into())));
    }
    let swap = Swap::new(kernel, members);
    let failed = workers::carry_out(swap.queue(jobs), &swap, &mut || ());
    match failed.into_iter().next() {
        Some((call, cause)) => {
            let member = swap.calls[call].step.member();
            Err((member, explained(member, cause)))
        }
        None => Ok(()),
    }
}

/// A device of a stack, as its place in the order follows from it.
pub(crate) struct Layer<'t> {
    pub number: Option<DevNum>,
    pub table: &'t [RawRow],
    /// The devices of the stack that it uses through devices outside of it.
    pub through: &'t [DevNum],
}

/// Returns the order in which a stack is suspended: a device after all devices above it.
pub(crate) fn top_down<'t>(stack: impl Iterator<Item = Layer<'t>>) -> Vec<MemberId> {
    from_the_top(&levels(stack))
}

fn from_the_top(levels: &IndexVec<MemberId, usize>) -> Vec<MemberId> {
    let mut order: Vec<MemberId> = levels.positions().rev().collect();
    order.sort_by_key(|member| Reverse(levels[*member]));
    order
}

/// Counts the levels of the stack below each device.
fn levels<'t>(stack: impl Iterator<Item = Layer<'t>>) -> IndexVec<MemberId, usize> {
    stacks(stack).levels()
}

/// Finds which device of a stack uses which.
pub(crate) fn stacks<'t>(stack: impl Iterator<Item = Layer<'t>>) -> Stacks<MemberId> {
    let stack: IndexVec<MemberId, Layer<'t>> = stack.collect();
    let members: HashMap<DevNum, MemberId> =
        stack.entries().filter_map(|(member, layer)| Some((layer.number?, member))).collect();
    let below = |layer: &Layer<'_>| -> Positions<MemberId> {
        let lowers = table::lower_devices(layer.table);
        lowers.iter().chain(layer.through).filter_map(|number| members.get(number)).copied().collect()
    };
    stack.iter().map(below).collect()
}

/// Counts the levels by which devices are resumed: each is on a higher one than the devices below it, and than those earlier
/// in the plan that its new table waits for. Of devices that exchange sectors one does not wait, and all are suspended until
/// the last table is live.
fn resume_levels(new: &Stacks<MemberId>, members: &Members) -> IndexVec<MemberId, usize> {
    let mut levels = new.levels();
    // A level that is raised raises those above it. In a circle, which no swap should have, that has no end.
    for _ in 0..members.len() {
        let mut is_settled = true;
        for (member, own) in members.entries() {
            let waits = own.waits.iter().filter(|earlier| **earlier < member);
            let lowest = new.below(member).iter().chain(waits).map(|lower| levels[*lower] + 1).max();
            if let Some(lowest) = lowest.filter(|lowest| *lowest > levels[member]) {
                (levels[member], is_settled) = (lowest, false);
            }
        }
        if is_settled {
            break;
        }
    }
    levels
}

/// One call of a swap.
struct Call {
    /// The calls of a phase are made at the same time: all suspends of a level, or all resumes of one.
    phase: PhaseId,
    step: Step,
}

#[derive(Clone, Copy)]
enum Step {
    Suspend(MemberId),
    /// After a load, where that comes late.
    Resume(MemberId),
}

impl Step {
    fn member(self) -> MemberId {
        match self {
            Self::Suspend(member) | Self::Resume(member) => member,
        }
    }
}

/// A swap of a stack.
struct Swap<'s> {
    kernel: &'s dyn ChangeKernel,
    members: &'s Members,
    /// All calls in order.
    calls: IndexVec<TaskId, Call>,
}

impl<'s> Swap<'s> {
    fn new(kernel: &'s dyn ChangeKernel, members: &'s Members) -> Self {
        let old = levels(members.iter().map(|member| Layer {
            number: member.number,
            table: &member.old.rows,
            through: &member.through.old,
        }));
        let new = stacks(members.iter().map(|member| Layer {
            number: member.number,
            table: member.new_rows(),
            through: &member.through.new,
        }));
        let new = resume_levels(&new, members);
        let top = old.iter().copied().max().unwrap_or_default();
        let suspend = |member| Call { phase: PhaseId::new(top - old[member]), step: Step::Suspend(member) };
        let resume = |member| Call { phase: PhaseId::new(top + 1 + new[member]), step: Step::Resume(member) };
        let mut resumes: Vec<MemberId> = members.positions().collect();
        resumes.sort_by_key(|member| new[*member]);
        let suspends = from_the_top(&old).into_iter().map(suspend);
        Self { kernel, members, calls: suspends.chain(resumes.into_iter().map(resume)).collect() }
    }

    /// Fails where the new table of a member would leave something behind.
    fn look(&self, member: &Member, moment: Moment) -> Result<(), Cause> {
        let Some(gate) = &member.gate else { return Ok(()) };
        let left = gate.look(self.kernel, &member.id, moment)?;
        left.map_or(Ok(()), |leaving| Err(Cause::Leaves(member.name.clone(), Box::new(leaving))))
    }

    /// The calls, a phase after the other.
    fn queue(&self, jobs: usize) -> Queue {
        let item = |call: &Call| Item { phase: call.phase, lane: Lane::Wait, before: Vec::new() };
        Queue::new(&self.calls.iter().map(item).collect(), jobs)
    }
}

impl Executor for Swap<'_> {
    type Error = Cause;

    fn perform(&self, call: TaskId) -> Result<(), Cause> {
        match self.calls[call].step {
            Step::Suspend(member) => {
                let member = &self.members[member];
                self.look(member, Moment::BeforeSuspend)?;
                Ok(self.kernel.suspend(&member.id, member.suspend)?)
            }
            Step::Resume(member) => {
                let member = &self.members[member];
                self.look(member, Moment::Suspended)?;
                if member.load_late {
                    self.kernel.load(&member.id, member.new_rows(), member.access)?;
                }
                Ok(self.kernel.resume(&member.id)?)
            }
        }
    }

    fn panicked(&self, _: TaskId) -> Cause {
        let source = std::io::Error::other("dmctl itself failed; please report it");
        KernelError::Io { what: "swap".to_string(), source }.into()
    }
}
