//! Puts the old tables of a stack back, whatever state a swap left it in.
//!
//! A resume that fails leaves its device suspended (`do_resume` in `drivers/md/dm-ioctl.c`): on the old
//! table, with the new one destroyed, when the swap itself failed; on the new table, with the old one gone,
//! when a target refused to start. So it is looked at which it is. What does not work for the stack as a
//! whole is tried once more, a device at a time.

use super::rows;
use super::swap::{Member, top_down};
use super::undo::Undo;
use crate::access::Access;
use crate::diff::{self, Verdict};
use crate::kernel::{ChangeKernel, DeviceState, KernelError, Slot};
use crate::table::{self, RawRow, Table};

/// Puts the old tables back. What is left as it should not be is noted.
pub fn put_back(undo: &mut Undo<'_>, members: &[Member]) {
    let kernel = undo.kernel;
    let members: Vec<Member> = members
        .iter()
        .map(|member| Member { old: undo.as_now(&member.old).into(), ..member.clone() })
        .collect();
    let loads: Vec<Table> = members.iter().map(|member| rows::again(&member.old)).collect();
    let _memory = kernel.lock_memory();
    attempt(kernel, &members, &loads);
    // What was made again, and stood on one of these, may be what others stood on.
    undo.serve_waiting();
    for (member, load) in members.iter().zip(&loads) {
        if is_back(kernel, member).is_ok_and(|back| back) {
            continue;
        }
        let tried = attempt(kernel, std::slice::from_ref(member), std::slice::from_ref(load));
        if !is_back(kernel, member).is_ok_and(|back| back) {
            // How far that got is seen by looking.
            let _ = through_error(kernel, member, load);
        }
        if !is_back(kernel, member).is_ok_and(|back| back) {
            serve_at_least(kernel, member);
            undo.left(left(kernel, member, tried.as_ref()));
        }
    }
}

/// Loads the old tables, and makes them live. Gives the last error; whether it did any harm is seen by
/// looking.
fn attempt(kernel: &dyn ChangeKernel, members: &[Member], loads: &[Table]) -> Option<KernelError> {
    let mut trouble = None;
    let mut note = |outcome: Result<bool, KernelError>| {
        outcome.unwrap_or_else(|error| {
            trouble = Some(error);
            false
        })
    };
    let loaded = members.iter().zip(loads).filter(|(member, load)| note(stage(kernel, member, load))).count();
    let order = top_down(members);
    if loaded > 1 {
        for index in &order {
            note(kernel.suspend(&members[*index].id, members[*index].suspend).map(|()| true));
        }
    }
    for index in order.iter().rev() {
        note(resume(kernel, &members[*index]).map(|()| true));
    }
    trouble
}

/// Brings an old table back that may not take the place of the new one, as no other type may take that of
/// verity: `error` may, and anything that of `error`. Not while somebody has the device open, who would be given
/// errors.
fn through_error(kernel: &dyn ChangeKernel, member: &Member, load: &Table) -> Result<(), KernelError> {
    let Some(now) = kernel.device(&member.id, Slot::Live)? else { return Ok(()) };
    if now.info.open_count > 0 || now.table.is_empty() || has_old_table(&now, member) {
        return Ok(());
    }
    let error = RawRow::new(0, table::sectors(&now.table), "error", String::new());
    kernel.load(&member.id, &[error], Access::from_read_only(member.old_readonly))?;
    kernel.resume(&member.id)?;
    let back = kernel
        .load(&member.id, load, Access::from_read_only(member.old_readonly))
        .and_then(|()| resume(kernel, member));
    if back.is_err() {
        // Better the new table than errors.
        let _ = kernel
            .load(&member.id, &member.new, Access::from_read_only(member.readonly))
            .and_then(|()| kernel.resume(&member.id));
    }
    back
}

/// Lets I/O through to the new table of a device whose old one is refused: some changes have no way back. A
/// thin pool that was given more space can't be made smaller.
fn serve_at_least(kernel: &dyn ChangeKernel, member: &Member) {
    let suspended =
        kernel.device(&member.id, Slot::Live).is_ok_and(|now| now.is_some_and(|now| now.info.suspended));
    if suspended && !member.suspended {
        // Whether that helped is seen by looking, and what is left is told then.
        let _ = kernel.load(&member.id, &member.new, Access::from_read_only(member.readonly));
        let _ = kernel.resume(&member.id).or_else(|_| kernel.resume(&member.id));
    }
}

/// Readies one device for its old table: true when that had to be loaded again.
fn stage(kernel: &dyn ChangeKernel, member: &Member, load: &Table) -> Result<bool, KernelError> {
    let Some(now) = kernel.device(&member.id, Slot::Live)? else { return Ok(false) };
    if now.table == member.old && now.info.read_only == member.old_readonly {
        if now.info.inactive_table {
            kernel.clear(&member.id)?;
        }
        return Ok(false);
    }
    kernel.load(&member.id, load, Access::from_read_only(member.old_readonly))?;
    Ok(true)
}

/// Lets I/O through, unless it was held back before.
fn resume(kernel: &dyn ChangeKernel, member: &Member) -> Result<(), KernelError> {
    let Some(now) = kernel.device(&member.id, Slot::Live)? else { return Ok(()) };
    if now.info.inactive_table || (now.info.suspended && !member.suspended) {
        kernel.resume(&member.id)?;
    } else if now.info.suspended {
        return Ok(());
    }
    if member.suspended { kernel.suspend(&member.id, member.suspend) } else { Ok(()) }
}

fn is_back(kernel: &dyn ChangeKernel, member: &Member) -> Result<bool, KernelError> {
    let Some(now) = kernel.device(&member.id, Slot::Live)? else { return Ok(false) };
    let info = &now.info;
    Ok(!info.inactive_table && info.suspended == member.suspended && has_old_table(&now, member))
}

fn has_old_table(now: &DeviceState, member: &Member) -> bool {
    if now.table == member.old {
        return now.info.read_only == member.old_readonly;
    }
    // What is printed may differ from what was printed before, and mean the same.
    let old = diff::understand(&member.old);
    old.is_ok_and(|old| {
        diff::compare(&old, Access::from_read_only(member.old_readonly), now) == Verdict::Equal
    })
}

fn left(kernel: &dyn ChangeKernel, member: &Member, error: Option<&KernelError>) -> String {
    let name = &member.name;
    let why = error.map(|error| format!(": {error}")).unwrap_or_default();
    let now = kernel.device(&member.id, Slot::Live).ok().flatten();
    let has_old = now.as_ref().is_some_and(|now| has_old_table(now, member));
    let suspended = now.as_ref().is_some_and(|now| now.info.suspended);
    match (now.is_some(), has_old, suspended) {
        (false, ..) => {
            format!("{name} can't be looked at{why}; `dmctl info {name}` says whether it is there")
        }
        (true, true, true) => format!("{name} is suspended{why}; `dmctl resume {name}` resumes it"),
        (true, true, false) => {
            format!("{name} has its old table, and is not as it was{why}; `dmctl info {name}` shows it")
        }
        (true, false, _) => {
            let state = if suspended { "has its new table and is suspended" } else { "has its new table" };
            format!(
                "{name} {state}{why}; `dmctl reload {name}` with its old table puts it back, `dmctl apply` goes on from here"
            )
        }
    }
}
