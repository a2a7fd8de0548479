//! Makes staged tables live.
//!
//! A device by itself is only resumed: the kernel suspends it, swaps and resumes. A stack is suspended from
//! the top down, so that no I/O is caught between two levels, and resumed from the bottom up. Between the
//! first suspend and the last resume nothing is logged, waited for or read, and this process stays in memory:
//! what it would be paged in from may be one of these devices.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::diff;
use crate::identity::{DevNum, Name};
use crate::kernel::{ChangeKernel, Id, KernelError, Suspend};
use crate::plan::{Detail, Step};
use crate::table::{Table, Target};

/// A device whose table is swapped.
#[derive(Clone)]
pub struct Member {
    /// How the kernel is asked about it.
    pub id: Id,
    /// Its name.
    pub name: Name,
    /// Its number.
    pub number: Option<DevNum>,
    /// The table it gets.
    pub new: Table,
    /// Whether that is read-only.
    pub readonly: bool,
    /// Whether that is loaded only once the device is suspended and all below it serve I/O.
    pub load_late: bool,
    /// The table it had, as the kernel printed it.
    pub old: Table,
    /// Whether that was read-only.
    pub old_readonly: bool,
    /// How it is suspended.
    pub suspend: Suspend,
    /// Whether it was suspended before.
    pub suspended: bool,
}

/// Sorts reloads into stacks that have nothing to do with each other. Each keeps the order of the plan,
/// lower devices first.
pub fn stacks<'p>(steps: &[&'p Step]) -> Vec<Vec<&'p Step>> {
    let place: HashMap<DevNum, usize> =
        steps.iter().enumerate().filter_map(|(index, step)| Some((step.number?, index))).collect();
    // Each step points to one of its stack, and the first of a stack to itself.
    let mut joined: Vec<usize> = (0..steps.len()).collect();
    for (index, step) in steps.iter().enumerate() {
        // A lower device that is not swapped itself ties nothing together.
        for lower in touched(step).iter().filter_map(|number| place.get(number)) {
            let (one, two) = (first(&mut joined, index), first(&mut joined, *lower));
            joined[one.max(two)] = one.min(two);
        }
    }
    let mut stacks: BTreeMap<usize, Vec<&Step>> = BTreeMap::new();
    for (index, step) in steps.iter().enumerate() {
        stacks.entry(first(&mut joined, index)).or_default().push(step);
    }
    stacks.into_values().collect()
}

/// The first step of the stack that a step belongs to.
fn first(joined: &mut [usize], mut index: usize) -> usize {
    while joined[index] != index {
        joined[index] = joined[joined[index]];
        index = joined[index];
    }
    index
}

fn touched(step: &Step) -> BTreeSet<DevNum> {
    let mut numbers: BTreeSet<DevNum> = step.number.into_iter().collect();
    if let Detail::Reload { table, old, .. } = &step.detail {
        for row in table {
            numbers.extend(row.target.lowers(row.length).iter().filter_map(|lower| lower.device.number));
        }
        numbers.extend(lowers(old));
    }
    numbers
}

fn lowers(table: &[Target]) -> BTreeSet<DevNum> {
    let rows = diff::understand(table).unwrap_or_default();
    rows.iter()
        .flat_map(|row| {
            row.target.lowers(row.length).iter().filter_map(|lower| lower.device.number).collect::<Vec<_>>()
        })
        .collect()
}

/// Makes the staged tables of one stack live. On failure says which member it was, and why; the members
/// are then to be put back.
pub fn swap(kernel: &dyn ChangeKernel, members: &[Member]) -> Result<(), (usize, String)> {
    let failed = |index: usize| move |error: KernelError| (index, error.to_string());
    if let [alone] = members
        && alone.suspend == Suspend::default()
        && !alone.load_late
    {
        return kernel.resume(&alone.id).map_err(failed(0));
    }
    let order = top_down(members);
    let _memory = kernel.lock_memory();
    for index in order {
        kernel.suspend(&members[index].id, members[index].suspend).map_err(failed(index))?;
    }
    for (index, member) in members.iter().enumerate() {
        if member.load_late {
            kernel.load(&member.id, &member.new, member.readonly).map_err(failed(index))?;
        }
        kernel.resume(&member.id).map_err(failed(index))?;
    }
    Ok(())
}

/// The order in which the stack as it was is suspended: a device after all that stand on it.
pub fn top_down(members: &[Member]) -> Vec<usize> {
    let below: Vec<BTreeSet<DevNum>> = members.iter().map(|member| lowers(&member.old)).collect();
    let mut order = Vec::with_capacity(members.len());
    let mut left: Vec<usize> = (0..members.len()).rev().collect();
    while !left.is_empty() {
        let held = |index: usize| {
            members[index]
                .number
                .is_some_and(|number| left.iter().any(|other| below[*other].contains(&number)))
        };
        let position = left.iter().position(|index| !held(*index)).unwrap_or(0);
        order.push(left.remove(position));
    }
    order
}
