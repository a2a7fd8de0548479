//! Replacing the table of a device.

use super::find::steady;
use super::settle::settled;
use super::swap::{self, not_put_back};
use super::{Foreign, OpError, advice, by_name, rows};
use crate::identity::Name;
use crate::kernel::{ChangeKernel, Info, KernelError, Suspend};
use crate::table::Target;
use crate::targets;

/// Replaces the table of a device in one step: I/O goes through the old one up to the swap and through
/// the new one after it. The device stays read-only or writable, as it is, and runs afterwards.
///
/// The kernel checks the new table while the old one still serves; a table it refuses changes nothing. A
/// table that can't become live is dropped, and the device runs on with the old one.
///
/// ```
/// # use dmctl::{identity::Name, kernel::ChangeKernel, ops::{self, Foreign, OpError}, table::Target};
/// /// Lets every access fail from now on.
/// fn pull_the_plug(kernel: &dyn ChangeKernel, name: &Name, sectors: u64) -> Result<(), OpError> {
///     let row = Target::new(0, sectors, "error", String::new());
///     ops::reload(kernel, name, &[row], Foreign::Refuse)
/// }
/// ```
///
/// # Errors
///
/// [`OpError::Missing`], [`OpError::Foreign`]; [`OpError::NoDevice`], [`OpError::KeyInTable`] and
/// [`OpError::Itself`] for a row; [`OpError::Refused`] when the kernel refuses, with all as it was;
/// [`OpError::NotPutBack`] when after that the old table can't be resumed either.
pub fn reload(
    kernel: &dyn ChangeKernel,
    name: &Name,
    table: &[Target],
    foreign: Foreign,
) -> Result<(), OpError> {
    let before = by_name(kernel, name)?;
    foreign.check(name, before.uuid.as_ref())?;
    let table = rows::resolve(kernel, table)?;
    rows::refuse_loop(kernel, &table, &before)?;
    settled(kernel, swap_in(kernel, &before, &table))?;
    tracing::info!("reloaded `{name}`");
    Ok(())
}

fn swap_in(kernel: &dyn ChangeKernel, before: &Info, table: &[Target]) -> Result<(), OpError> {
    let id = steady(before);
    let advice = || advice::on(kernel, table, before.read_only);
    let suspend_first = before.live_table && !before.suspended && reads_metadata(table);
    if suspend_first {
        kernel.suspend(&id, Suspend::default()).map_err(OpError::refused)?;
    }
    match kernel.load(&id, table, before.read_only) {
        Ok(()) => swap::resume(kernel, before, advice),
        Err(cause) if suspend_first => Err(after_refused_load(kernel, before, cause, advice)),
        Err(cause) => Err(OpError::Refused { cause, advice: advice() }),
    }
}

/// Whether a target of the table reads at load what the live table writes at suspend.
fn reads_metadata(table: &[Target]) -> bool {
    table.iter().any(|row| targets::find(&row.kind).is_some_and(|kind| kind.traits.suspend_before_load))
}

/// Lets the device run again that was suspended for the load.
fn after_refused_load(
    kernel: &dyn ChangeKernel,
    before: &Info,
    cause: KernelError,
    advice: impl FnOnce() -> Vec<String>,
) -> OpError {
    match kernel.resume(&steady(before)) {
        Ok(()) => OpError::Refused { cause, advice: advice() },
        Err(recovery) => not_put_back(before, cause, recovery),
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::kernel::Call;
    use crate::ops::recorder::Recorder;

    fn data() -> Name {
        Name::new("data").unwrap()
    }

    fn zeros() -> [Target; 1] {
        [Target::new(0, 8, "zero", String::new())]
    }

    #[test]
    fn a_reload_is_a_load_and_a_resume() {
        let kernel = Recorder::with(&["data"]);
        reload(&kernel, &data(), &zeros(), Foreign::Refuse).unwrap();
        assert_eq!(kernel.changes(), ["load data", "resume data", "settle"]);
        assert_eq!(kernel.table_of("data"), ["0 8 zero"]);
    }

    #[test]
    fn a_refused_load_leaves_nothing_to_undo() {
        let kernel = Recorder::with(&["data"]).refusing(Call::Load, &[Errno::EINVAL]);
        let error = reload(&kernel, &data(), &zeros(), Foreign::Refuse).unwrap_err();
        assert!(matches!(error, OpError::Refused { .. }), "{error:?}");
        assert_eq!(kernel.changes(), ["load data", "settle"]);
    }

    #[test]
    fn a_failed_resume_is_followed_by_a_second_one() {
        let kernel = Recorder::with(&["data"]).refusing(Call::Resume, &[Errno::EINVAL]);
        let error = reload(&kernel, &data(), &zeros(), Foreign::Refuse).unwrap_err();
        assert!(matches!(error, OpError::Refused { .. }), "{error:?}");
        assert_eq!(kernel.changes(), ["load data", "resume data", "clear data", "resume data", "settle"]);
        assert_eq!(kernel.table_of("data"), ["0 8 linear 8:0 0"]);
        assert!(!by_name(&kernel, &data()).unwrap().suspended);
    }

    #[test]
    fn a_failed_recovery_is_told_with_its_cause() {
        let kernel = Recorder::with(&["data"]).refusing(Call::Resume, &[Errno::EINVAL, Errno::EIO]);
        let error = reload(&kernel, &data(), &zeros(), Foreign::Refuse).unwrap_err();
        let OpError::NotPutBack { cause, recovery, left } = &error else { panic!("{error:?}") };
        assert_eq!((cause.errno(), recovery.errno()), (Some(Errno::EINVAL), Some(Errno::EIO)));
        assert!(left.contains("dmctl resume data"), "{left}");
    }

    #[test]
    fn what_was_suspended_before_stays_so_when_the_resume_fails() {
        let kernel = Recorder::with(&["data"]).refusing(Call::Resume, &[Errno::EINVAL]);
        kernel.change("data", |info| info.suspended = true);
        reload(&kernel, &data(), &zeros(), Foreign::Refuse).unwrap_err();
        assert_eq!(kernel.changes(), ["load data", "resume data", "clear data", "settle"]);
        assert!(by_name(&kernel, &data()).unwrap().suspended);
    }

    #[test]
    fn a_table_that_leads_back_to_the_device_is_refused() {
        let kernel = Recorder::with(&["data", "top"]);
        kernel.set_table("top", "0 8 linear 254:0 0");
        let on = |params: &str| {
            let row = Target::new(0, 8, "linear", params.to_string());
            reload(&kernel, &data(), &[row], Foreign::Refuse).unwrap_err().to_string()
        };
        assert_eq!(on("254:0 0"), "row 1: `data` would stand on itself");
        assert_eq!(on("254:1 0"), "row 1: `data` would stand on itself, through `top`");
        assert_eq!(kernel.changes(), [""; 0]);
    }

    #[test]
    fn devices_of_others_are_left_alone() {
        let kernel = Recorder::with(&["data"]);
        kernel.change("data", |info| info.uuid = crate::identity::Uuid::new("LVM-abc").ok());
        let error = reload(&kernel, &data(), &zeros(), Foreign::Refuse).unwrap_err();
        assert!(matches!(error, OpError::Foreign { subsystem: "LVM", .. }), "{error:?}");
        assert_eq!(kernel.changes(), [""; 0]);
        reload(&kernel, &data(), &zeros(), Foreign::Allow).unwrap();
    }
}
