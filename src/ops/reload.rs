//! Replaces the table of a device.

use super::advice::Advice;
use super::find::{stable_id, state_of};
use super::origins::Writers;
use super::settle::settled;
use super::swap::{self, not_put_back};
use super::{Foreign, OpError, advice, circle, rows, waits};
use crate::identity::Name;
use crate::kernel::{ChangeKernel, DeviceState, KernelError, Suspend};
use crate::table::RawRow;
use crate::targets;

/// Replaces the table of a device atomically: I/O goes through the old one up to the swap and through the new one after
/// it. The device stays read-only or writable, as it is, and is not suspended afterwards.
///
/// For a snapshot, the devices that write its origin are suspended during the swap.
///
/// The rows of `table` are in sectors of 512 bytes, from sector 0 on and without gaps. The kernel checks the new table
/// while the old one still serves; a table that it refuses changes nothing. A table that can't become live is dropped,
/// and the device continues with the old one.
///
/// ```
/// # use dmctl::{identity::Name, kernel::ChangeKernel, ops::{self, Foreign, OpError}, table::RawRow};
/// /// Lets every access fail from now on, on a device of `sectors` sectors.
/// fn pull_the_plug(kernel: &dyn ChangeKernel, name: &Name, sectors: u64) -> Result<(), OpError> {
///     let row = RawRow::new(0, sectors, "error", String::new());
///     ops::reload(kernel, name, &[row], Foreign::Refuse)
/// }
/// ```
///
/// # Errors
///
/// [`OpError::Missing`], [`OpError::Foreign`]; [`OpError::NoDevice`], [`OpError::KeyInTable`] and
/// [`OpError::Loop`] for a row; [`OpError::StuckInLoop`] and [`OpError::SuspendedBelow`] where the swap would never end;
/// [`OpError::Refused`] when the kernel refuses, and the old table serves as before;
/// [`OpError::NotRolledBack`] when the old table can't be resumed either.
pub fn reload(
    kernel: &dyn ChangeKernel,
    name: &Name,
    table: &[RawRow],
    foreign: Foreign,
) -> Result<(), OpError> {
    let before = state_of(kernel, name)?;
    foreign.check(name, before.info.uuid.as_ref())?;
    let table = rows::resolve(kernel, table)?;
    circle::refuse(kernel, &table, &before.info)?;
    circle::refuse_stuck(kernel, &before)?;
    waits::refuse_load(kernel, &table, Some(&before))?;
    waits::refuse_end(kernel, &before)?;
    let writers = Writers::find(kernel, &table, Some(before.info.number), foreign)?;
    settled(kernel, || swap_in(kernel, &before, &table, writers))?;
    tracing::info!("reloaded `{name}`");
    Ok(())
}

fn swap_in(
    kernel: &dyn ChangeKernel,
    before: &DeviceState,
    table: &[RawRow],
    writers: Writers,
) -> Result<(), OpError> {
    let info = &before.info;
    let id = stable_id(info);
    let advice = || advice::on(kernel, table, info.access());
    let suspend_first = info.live_table && !info.suspended && reads_metadata(table);
    if suspend_first {
        kernel.suspend(&id, Suspend::default()).map_err(OpError::refused)?;
    }
    match kernel.load(&id, table, info.access()) {
        Ok(()) => swap::resume_beside(kernel, before, writers, advice),
        Err(cause) if suspend_first => Err(after_refused_load(kernel, before, cause, advice)),
        Err(cause) => Err(OpError::Refused { cause, advice: advice() }),
    }
}

/// Whether a target of the table reads, when it is loaded, metadata that the live table writes when it is suspended.
fn reads_metadata(table: &[RawRow]) -> bool {
    table.iter().any(|row| targets::find(&row.kind).is_some_and(|kind| kind.traits.suspend_before_load))
}

/// Resumes the device that was suspended for the load.
fn after_refused_load(
    kernel: &dyn ChangeKernel,
    before: &DeviceState,
    cause: KernelError,
    advice: impl FnOnce() -> Vec<Advice>,
) -> OpError {
    match kernel.resume(&stable_id(&before.info)) {
        Ok(()) => OpError::Refused { cause, advice: advice() },
        Err(recovery) => not_put_back(before, cause, recovery),
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::identity::Uuid;
    use crate::kernel::simulated::{Fault, Simulated};
    use crate::ops::by_name;
    use crate::ops::fixture::{changes, kernel, kernel_with, row, rows};

    const OLD: &str = "0 8 linear 8:0 0";

    fn data() -> Name {
        Name::new("data").unwrap()
    }

    fn to_zeros(kernel: &Simulated) -> Result<(), OpError> {
        reload(kernel, &data(), &[RawRow::new(0, 8, "zero", String::new())], Foreign::Refuse)
    }

    /// A reload that the kernel refuses, after which all is as it was.
    fn refused(kernel: &Simulated) {
        let before = by_name(kernel, &data()).unwrap();
        let error = to_zeros(kernel).unwrap_err();
        assert!(matches!(error, OpError::Refused { .. }), "{error:?}");
        assert_eq!(by_name(kernel, &data()).unwrap(), before);
        assert_eq!(rows(kernel, "data"), [OLD]);
    }

    #[test]
    fn a_reload_is_a_load_and_a_resume() {
        let kernel = kernel(&["data"]);
        to_zeros(&kernel).unwrap();
        assert_eq!(changes(&kernel), ["load data", "resume data"]);
        assert_eq!(rows(&kernel, "data"), ["0 8 zero"]);
    }

    #[test]
    fn a_refused_load_leaves_nothing_to_undo() {
        let kernel = kernel(&["data"]);
        kernel.fail_nth(1, Errno::EINVAL);
        refused(&kernel);
        assert_eq!(changes(&kernel), ["load data"]);
    }

    #[test]
    fn a_failed_swap_is_followed_by_a_second_resume() {
        let kernel = kernel(&["data"]);
        kernel.fail_resume_of(&data(), Fault::Swap);
        refused(&kernel);
        assert_eq!(changes(&kernel), ["load data", "resume data", "clear data", "resume data"]);
    }

    #[test]
    fn a_table_that_gives_up_when_it_is_live_already_is_replaced_by_the_old_one() {
        let kernel = kernel(&["data"]);
        kernel.fail_resume_of(&data(), Fault::Preresume);
        refused(&kernel);
    }

    #[test]
    fn what_was_suspended_before_stays_so_when_the_resume_fails() {
        for fault in [Fault::Swap, Fault::Preresume, Fault::Refuse(Errno::ENOMEM)] {
            let kernel = kernel_with(&["data"], |mappings| mappings[0].suspended = true);
            kernel.fail_resume_of(&data(), fault);
            refused(&kernel);
        }
    }

    #[test]
    fn a_failed_recovery_is_told_with_its_cause() {
        let kernel = kernel(&["data"]);
        kernel.fail_resume_of(&data(), Fault::Swap);
        kernel.fail_resume_of(&data(), Fault::Refuse(Errno::EIO));
        let error = to_zeros(&kernel).unwrap_err();
        let OpError::NotRolledBack { cause, recovery, left } = &error else { panic!("{error:?}") };
        assert_eq!((cause.errno(), recovery.errno()), (Some(Errno::EINVAL), Some(Errno::EIO)));
        assert!(left.to_string().contains("dmctl resume data"), "{left}");
    }

    #[test]
    fn whichever_call_fails_the_old_table_or_the_new_one_serves() {
        for nth in 1..=2 {
            let kernel = kernel(&["data"]);
            kernel.fail_nth(nth, Errno::ENOMEM);
            refused(&kernel);
        }
    }

    #[test]
    fn a_table_that_leads_back_to_the_device_is_refused() {
        let kernel = kernel_with(&["data", "top"], |mappings| {
            mappings[1].live = Some(vec![row("linear", "254:0 0")]);
            mappings[0].open_count = 1;
        });
        let on = |params: &str| {
            let row = RawRow::new(0, 8, "linear", params.to_string());
            reload(&kernel, &data(), &[row], Foreign::Refuse).unwrap_err().to_string()
        };
        assert_eq!(on("254:0 0"), "row 1: `data` would depend on itself");
        assert_eq!(on("254:1 0"), "row 1: `data` would depend on itself, through top (254:1)");
        assert_eq!(changes(&kernel), [""; 0]);
    }

    #[test]
    fn devices_of_others_are_left_alone() {
        let kernel = kernel_with(&["data"], |mappings| mappings[0].uuid = Some("LVM-abc".to_string()));
        let error = to_zeros(&kernel).unwrap_err();
        assert!(matches!(error, OpError::Foreign { subsystem: "LVM", .. }), "{error:?}");
        assert_eq!(changes(&kernel), [""; 0]);
        reload(&kernel, &data(), &[RawRow::new(0, 8, "zero", String::new())], Foreign::Allow).unwrap();
        assert_eq!(by_name(&kernel, &data()).unwrap().uuid, Uuid::new("LVM-abc").ok());
    }
}
