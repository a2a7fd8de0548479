//! Destroying a device.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;

use super::find::steady;
use super::settle::settled;
use super::{Foreign, OpError, Usage, by_name};
use crate::identity::Name;
use crate::kernel::removal::{self, NEVER, PATIENCE};
use crate::kernel::{ChangeKernel, Id, Info, Slot};

/// How a device is removed.
#[derive(Debug, Clone, Copy)]
pub struct Removal<'a> {
    /// Lets a device that is open go away when it is closed, instead of refusing.
    pub deferred: bool,
    /// How long to try while the device is open and nobody is known who keeps it open.
    pub patience: Duration,
    /// Once it is true, it is not tried again.
    pub stop: &'a AtomicBool,
}

impl Default for Removal<'_> {
    fn default() -> Self {
        Self { deferred: false, patience: PATIENCE, stop: &NEVER }
    }
}

/// What became of a device that was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Gone,
    /// It is open, and goes away when it is closed. Until then its name and uuid stay taken.
    WhenClosed,
}

/// Destroys a device. What is stored on its lower devices stays there.
///
/// A device in use is refused at once when its users are known (a device that stands on it, a mount, swap),
/// and after some seconds of trying when it is only open: most often it was looked at for a moment.
///
/// ```
/// # use dmctl::{identity::Name, kernel::ChangeKernel, ops::{self, Foreign, OpError, Removal}};
/// fn remove_or_tell(kernel: &dyn ChangeKernel, name: &Name) -> Result<(), OpError> {
///     match ops::remove(kernel, name, Removal::default(), Foreign::Refuse) {
///         Err(OpError::InUse { usage, .. }) => eprintln!("still needed: {usage}"),
///         other => drop(other?),
///     }
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// [`OpError::Missing`], [`OpError::Foreign`], [`OpError::InUse`]; [`OpError::Refused`] when the kernel
/// refuses for another reason. In all of them the device is as it was.
pub fn remove(
    kernel: &dyn ChangeKernel,
    name: &Name,
    how: Removal<'_>,
    foreign: Foreign,
) -> Result<Removed, OpError> {
    let info = by_name(kernel, name)?;
    foreign.check(name, info.uuid.as_ref())?;
    let removed =
        settled(kernel, || if how.deferred { defer(kernel, &info) } else { destroy(kernel, &info, how) })?;
    tracing::info!(
        "removed `{name}`{}",
        if removed == Removed::Gone { "" } else { ", as soon as it is closed" }
    );
    Ok(removed)
}

fn defer(kernel: &dyn ChangeKernel, info: &Info) -> Result<Removed, OpError> {
    let id = steady(info);
    kernel.remove(&id, true).map_err(OpError::refused)?;
    // The kernel's answer is the same whether it is gone or will go.
    Ok(if kernel.device(&id, Slot::Live)?.is_some() { Removed::WhenClosed } else { Removed::Gone })
}

fn destroy(kernel: &dyn ChangeKernel, info: &Info, how: Removal<'_>) -> Result<Removed, OpError> {
    let in_use = |usage| OpError::InUse { name: info.name.clone(), usage };
    let usage = Usage::of(kernel, info)?;
    if usage.lasts() {
        return Err(in_use(usage));
    }
    let id = steady(info);
    match removal::remove(kernel, &id, how.patience, &|| how.stop.load(Ordering::Relaxed)) {
        Ok(()) => Ok(Removed::Gone),
        Err(error) if error.errno() == Some(Errno::EBUSY) => Err(in_use(usage_now(kernel, &id, usage))),
        Err(error) => Err(OpError::refused(error)),
    }
}

/// Who uses the device after the last try; what was known before when that can't be read.
fn usage_now(kernel: &dyn ChangeKernel, id: &Id, before: Usage) -> Usage {
    let now = kernel.device(id, Slot::Live).ok().flatten();
    now.and_then(|mapped| Usage::of(kernel, &mapped.info).ok()).unwrap_or(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::simulated::Simulated;
    use crate::kernel::{Id, ReadKernel};
    use crate::ops::fixture::{changes, kernel, kernel_with, row};

    fn remove_data(kernel: &Simulated, how: Removal<'_>) -> Result<Removed, OpError> {
        remove(kernel, &Name::new("data").unwrap(), how, Foreign::Refuse)
    }

    fn soon(deferred: bool) -> Removal<'static> {
        Removal { deferred, patience: Duration::from_millis(120), ..Removal::default() }
    }

    #[test]
    fn a_device_that_is_busy_for_a_moment_is_waited_for() {
        let kernel = kernel(&["data"]);
        kernel.fail_nth(1, Errno::EBUSY);
        kernel.fail_nth(2, Errno::EBUSY);
        assert_eq!(remove_data(&kernel, Removal::default()).unwrap(), Removed::Gone);
        assert_eq!(changes(&kernel), ["remove data"; 3]);
        assert!(kernel.list().unwrap().is_empty());
    }

    #[test]
    fn the_wait_has_an_end() {
        let kernel = kernel_with(&["data"], |mappings| mappings[0].open_count = 2);
        let error = remove_data(&kernel, soon(false)).unwrap_err();
        assert_eq!(error.to_string(), "`data` is in use: open 2 times, by a program");
        assert!(changes(&kernel).len() > 1);
    }

    #[test]
    fn known_users_are_named_at_once() {
        let kernel = kernel_with(&["data", "top"], |mappings| {
            mappings[0].open_count = 2;
            mappings[0].mounts = vec!["/srv/data".to_string()];
            mappings[1].live = Some(vec![row("linear", "254:0 0")]);
        });
        let error = remove_data(&kernel, Removal::default()).unwrap_err();
        let expected = "`data` is in use: `top` (254:1) stands on it, mounted on /srv/data";
        assert_eq!(error.to_string(), expected);
        assert_eq!(changes(&kernel), [""; 0]);
    }

    #[test]
    fn an_open_device_may_go_later() {
        let open = kernel_with(&["data"], |mappings| mappings[0].open_count = 1);
        assert_eq!(remove_data(&open, soon(true)).unwrap(), Removed::WhenClosed);
        assert!(open.list().unwrap()[0].name.kernel() == "data");
        assert_eq!(remove_data(&kernel(&["data"]), soon(true)).unwrap(), Removed::Gone);
    }

    #[test]
    fn a_device_that_goes_by_itself_is_gone() {
        let gone = Id::Name(Name::new("data").unwrap());
        let remove = |kernel: &Simulated| removal::remove(kernel, &gone, Duration::ZERO, &|| false);
        assert!(remove(&kernel(&[])).is_ok());
        let there = kernel(&["data"]);
        there.fail_nth(1, Errno::ENXIO);
        assert!(remove(&there).is_err());
    }

    #[test]
    fn another_refusal_is_the_answer() {
        let kernel = kernel(&["data"]);
        kernel.fail_nth(1, Errno::ENOMEM);
        assert!(matches!(remove_data(&kernel, Removal::default()), Err(OpError::Refused { .. })));
    }
}
