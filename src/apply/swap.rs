//! Makes staged tables live.
//!
//! A device by itself is only resumed: the kernel suspends it, swaps and resumes. A stack is suspended from
//! the top down, so that no I/O is caught between two levels, and resumed from the bottom up; the devices of one
//! level side by side, for a suspend is a wait. Between the first suspend and the last resume nothing is logged,
//! waited for or read, no thread is made, and this process stays in memory: what it would be paged in from may
//! be one of these devices.

use std::collections::HashMap;
use std::sync::Arc;

use super::crew::{self, Work};
use super::overlap::Lane;
use super::queue::{Item, Queue};
use crate::diff;
use crate::identity::{DevNum, Name};
use crate::kernel::{ChangeKernel, Id, KernelError, Suspend};
use crate::plan::Reload;
use crate::stack::{Position, Stacks, position};
use crate::table::{RawRow, Table};

position! {
    /// A member of the stack that is swapped.
    struct MemberId;
}

/// A device whose table is swapped.
pub struct Member {
    /// The identity that the kernel is asked by.
    pub id: Id,
    /// Its name.
    pub name: Name,
    /// Its number.
    pub number: Option<DevNum>,
    /// What the plan says of the swap.
    pub reload: Arc<Reload>,
    /// The table that it gets, as it is loaded.
    pub new: Table,
    /// Whether that is loaded only once the device is suspended and all devices below it serve I/O.
    pub load_late: bool,
}

/// Whether the kernel does all of the swap by itself, in one resume.
pub fn is_alone(members: &[Member]) -> bool {
    matches!(members, [alone] if alone.reload.suspend == Suspend::default() && !alone.load_late)
}

/// Makes the staged tables of one stack live, `jobs` devices at a time. On failure says which member it was, and
/// why; the members are then to be put back. Whoever calls keeps this process in memory, unless the stack is one
/// device that [`is_alone`].
pub fn swap(kernel: &dyn ChangeKernel, members: &[Member], jobs: usize) -> Result<(), (usize, String)> {
    let said = |(index, error): (usize, KernelError)| (index, error.to_string());
    if is_alone(members) {
        return kernel.resume(&members[0].id).map_err(|error| said((0, error)));
    }
    let swap = Swap::new(kernel, members);
    let failed = crew::carry_out(swap.queue(jobs), &swap, &mut || ());
    match failed.into_iter().next() {
        Some((call, error)) => Err(said((swap.calls[call].1.member(), error))),
        None => Ok(()),
    }
}

/// The order in which a stack is suspended: a device after all devices above it. Each device is given with its number
/// and its table.
pub fn top_down<'t>(stack: impl Iterator<Item = (Option<DevNum>, &'t [RawRow])> + Clone) -> Vec<usize> {
    let heights = heights(stack);
    let mut order: Vec<usize> = (0..heights.len()).rev().collect();
    order.sort_by_key(|index| std::cmp::Reverse(heights[*index]));
    order
}

/// Counts the levels of the stack below each device. The kernel knows no circles; should one be read all the same, it is
/// cut.
fn heights<'t>(stack: impl Iterator<Item = (Option<DevNum>, &'t [RawRow])> + Clone) -> Vec<usize> {
    let places: HashMap<DevNum, usize> =
        stack.clone().zip(0..).filter_map(|((number, _), index)| Some((number?, index))).collect();
    let known = |number: &DevNum| places.get(number).map(|index| MemberId::new(*index));
    let below = |(_, table)| diff::lower_devices(table).iter().filter_map(known).collect();
    stack.map(below).collect::<Stacks<MemberId>>().levels().into_vec()
}

/// One call of a swap.
#[derive(Clone, Copy)]
enum Step {
    Suspend(usize),
    /// After a load, where that comes late.
    Resume(usize),
}

impl Step {
    fn member(self) -> usize {
        match self {
            Self::Suspend(member) | Self::Resume(member) => member,
        }
    }
}

/// A swap of a stack.
struct Swap<'s> {
    kernel: &'s dyn ChangeKernel,
    members: &'s [Member],
    /// All calls in order, with their levels.
    calls: Vec<(usize, Step)>,
}

impl<'s> Swap<'s> {
    fn new(kernel: &'s dyn ChangeKernel, members: &'s [Member]) -> Self {
        let before = members.iter().map(|member| (member.number, &*member.reload.old.rows));
        let after = members.iter().map(|member| (member.number, member.new.as_slice()));
        let (old, new) = (heights(before.clone()), heights(after));
        let top = old.iter().copied().max().unwrap_or_default();
        let suspends = top_down(before).into_iter().map(|index| (top - old[index], Step::Suspend(index)));
        let mut resumes: Vec<usize> = (0..members.len()).collect();
        resumes.sort_by_key(|index| new[*index]);
        let resumes = resumes.into_iter().map(|index| (top + 1 + new[index], Step::Resume(index)));
        Self { kernel, members, calls: suspends.chain(resumes).collect() }
    }

    /// The calls, a level after the other.
    fn queue(&self, jobs: usize) -> Queue {
        let item = |(level, _): &(usize, Step)| Item { phase: *level, lane: Lane::Wait, before: Vec::new() };
        Queue::new(&self.calls.iter().map(item).collect::<Vec<_>>(), jobs)
    }
}

impl Work for Swap<'_> {
    type Error = KernelError;

    fn perform(&self, call: usize) -> Result<(), KernelError> {
        match self.calls[call].1 {
            Step::Suspend(index) => {
                let member = &self.members[index];
                self.kernel.suspend(&member.id, member.reload.suspend)
            }
            Step::Resume(index) => {
                let member = &self.members[index];
                if member.load_late {
                    self.kernel.load(&member.id, &member.new, member.reload.access)?;
                }
                self.kernel.resume(&member.id)
            }
        }
    }

    fn panicked(&self, _: usize) -> KernelError {
        let source = std::io::Error::other("dmctl itself failed; please report it");
        KernelError::Io { what: "swap".to_string(), source }
    }
}
