//! Makes staged tables live, and puts the old ones back.
//!
//! A device by itself is only resumed: the kernel suspends it, swaps and resumes. A stack is suspended from
//! the top down, so that no I/O is caught between two levels, and resumed from the bottom up. Between the
//! first suspend and the last resume nothing is logged, waited for or read.
//!
//! A resume that fails leaves its device suspended (`do_resume` in `drivers/md/dm-ioctl.c`): on the old
//! table, with the new one destroyed, when the swap itself failed; on the new table, with the old one gone,
//! when a target refused to start. Putting back looks which it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::diff;
use crate::identity::{DevNum, Name};
use crate::kernel::{ChangeKernel, Id, KernelError, Slot, Suspend};
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
    /// Whether that is loaded only once the device is suspended.
    pub load_suspended: bool,
    /// The table it had.
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
        && !alone.load_suspended
    {
        return kernel.resume(&alone.id).map_err(failed(0));
    }
    for index in top_down(members) {
        kernel.suspend(&members[index].id, members[index].suspend).map_err(failed(index))?;
    }
    for (index, member) in members.iter().enumerate() {
        if member.load_suspended {
            kernel.load(&member.id, &member.new, member.readonly).map_err(failed(index))?;
        }
    }
    for (index, member) in members.iter().enumerate() {
        kernel.resume(&member.id).map_err(failed(index))?;
    }
    Ok(())
}

/// The order in which the stack as it was is suspended: a device after all that stand on it.
fn top_down(members: &[Member]) -> Vec<usize> {
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

/// Puts the old tables of a stack back, whatever state a swap left it in.
pub fn put_back(kernel: &dyn ChangeKernel, members: &[Member]) -> Result<(), String> {
    let mut left = Vec::new();
    let mut changed = Vec::new();
    for member in members {
        match stage_old(kernel, member) {
            Ok(true) => changed.push(member),
            Ok(false) => {}
            Err(error) => left.push(format!("{}: {error}", member.name)),
        }
    }
    if changed.len() > 1 {
        for index in top_down(members) {
            if let Err(error) = kernel.suspend(&members[index].id, members[index].suspend) {
                left.push(error.to_string());
            }
        }
    }
    for member in members {
        if let Err(error) = resume_old(kernel, member) {
            left.push(format!("{error}; resume it with `dmctl resume {}`", member.name));
        }
    }
    if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
}

/// Readies one device for its old table: true when that had to be loaded again.
fn stage_old(kernel: &dyn ChangeKernel, member: &Member) -> Result<bool, KernelError> {
    let Some(now) = kernel.device(&member.id, Slot::Live)? else { return Ok(false) };
    if now.table == member.old {
        if now.info.inactive_table {
            kernel.clear(&member.id)?;
        }
        return Ok(false);
    }
    if member.old.is_empty() {
        return Ok(false);
    }
    kernel.load(&member.id, &member.old, member.old_readonly)?;
    Ok(true)
}

/// Lets I/O through to the old table, unless it was held back before. A resume that fails is tried once
/// more: the first one may have brought the old table back.
fn resume_old(kernel: &dyn ChangeKernel, member: &Member) -> Result<(), KernelError> {
    let Some(now) = kernel.device(&member.id, Slot::Live)? else { return Ok(()) };
    if now.info.inactive_table || (now.info.suspended && !member.suspended) {
        kernel.resume(&member.id).or_else(|_| kernel.resume(&member.id))?;
    }
    if member.suspended {
        kernel.suspend(&member.id, member.suspend)?;
    }
    Ok(())
}
