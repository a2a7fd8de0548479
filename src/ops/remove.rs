//! Removes a device.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;

use super::find::stable_id;
use super::settle::settled;
use super::{Foreign, OpError, Usage, by_name, waits};
use crate::identity::Name;
use crate::kernel::retry::{self, NEVER, PATIENCE};
use crate::kernel::{ChangeKernel, Id, Info, Removal, Slot};

/// How a device is removed. By default the call waits up to five seconds for a device that is open.
#[derive(Debug, Clone, Copy)]
pub struct RemoveOptions<'a> {
    /// Lets the kernel remove a device that is open when it is closed, instead of refusing.
    pub deferred: bool,
    /// How long to retry while the device is open and its user is not known.
    pub patience: Duration,
    /// Ends the retries once it is true.
    pub stop: &'a AtomicBool,
    /// Whether the device may belong to another subsystem.
    pub foreign: Foreign,
}

impl Default for RemoveOptions<'_> {
    fn default() -> Self {
        Self { deferred: false, patience: PATIENCE, stop: &NEVER, foreign: Foreign::Refuse }
    }
}

/// The outcome of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// The device does not exist any more.
    Gone,
    /// The device is open, and the kernel removes it when it is closed. Until then its name and uuid are taken.
    WhenClosed,
}

/// Removes a device. The data on its lower devices stays there.
///
/// A device in use is refused at once when its users are known and last (a device above it, a mount, swap). A device
/// that is only open is tried again for [`patience`](RemoveOptions::patience): most often udev or blkid reads it for a
/// moment.
///
/// ```
/// # use dmctl::{identity::Name, kernel::ChangeKernel, ops::{self, OpError, RemoveOptions}};
/// fn remove_or_report(kernel: &dyn ChangeKernel, name: &Name) -> Result<(), OpError> {
///     match ops::remove(kernel, name, RemoveOptions::default()) {
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
/// refuses for another reason. In all of them the device is as it was. [`OpError::Unsettled`] when the device is removed
/// and its node is not.
pub fn remove(
    kernel: &dyn ChangeKernel,
    name: &Name,
    options: RemoveOptions<'_>,
) -> Result<Removed, OpError> {
    let info = by_name(kernel, name)?;
    options.foreign.check(name, info.uuid.as_ref())?;
    if let Some(live) = kernel.device(&stable_id(&info), Slot::Live)? {
        waits::refuse_end(kernel, &live)?;
    }
    let removed = settled(kernel, || {
        if options.deferred { defer(kernel, &info) } else { destroy(kernel, &info, options) }
    })?;
    tracing::info!(
        "removed `{name}`{}",
        if removed == Removed::Gone { "" } else { ", as soon as it is closed" }
    );
    Ok(removed)
}

fn defer(kernel: &dyn ChangeKernel, info: &Info) -> Result<Removed, OpError> {
    let id = stable_id(info);
    kernel.remove(&id, Removal::Deferred).map_err(OpError::refused)?;
    // The kernel answers the same whether the device is gone or will go.
    Ok(if kernel.device(&id, Slot::Live)?.is_some() { Removed::WhenClosed } else { Removed::Gone })
}

fn destroy(kernel: &dyn ChangeKernel, info: &Info, options: RemoveOptions<'_>) -> Result<Removed, OpError> {
    let in_use = |usage| OpError::InUse { name: info.name.clone(), usage: Box::new(usage) };
    let usage = Usage::of(kernel, info)?;
    if usage.is_lasting() {
        return Err(in_use(usage));
    }
    let id = stable_id(info);
    match retry::remove(kernel, &id, options.patience, &|| options.stop.load(Ordering::Relaxed)) {
        Ok(()) => Ok(Removed::Gone),
        Err(error) if error.errno() == Some(Errno::EBUSY) => Err(in_use(usage_now(kernel, &id, usage))),
        Err(error) => Err(OpError::refused(error)),
    }
}

/// Reads the users of the device after the last try. Returns `before` when they can't be read.
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

    fn remove_data(kernel: &Simulated, options: RemoveOptions<'_>) -> Result<Removed, OpError> {
        remove(kernel, &Name::new("data").unwrap(), options)
    }

    /// Options with a short patience.
    fn impatient() -> RemoveOptions<'static> {
        RemoveOptions { patience: Duration::from_millis(120), ..RemoveOptions::default() }
    }

    #[test]
    fn a_device_that_is_busy_for_a_moment_is_waited_for() {
        let kernel = kernel(&["data"]);
        kernel.fail_nth(1, Errno::EBUSY);
        kernel.fail_nth(2, Errno::EBUSY);
        assert_eq!(remove_data(&kernel, RemoveOptions::default()).unwrap(), Removed::Gone);
        assert_eq!(changes(&kernel), ["remove data"; 3]);
        assert!(kernel.list().unwrap().is_empty());
    }

    #[test]
    fn the_wait_has_an_end() {
        let kernel = kernel_with(&["data"], |mappings| mappings[0].open_count = 2);
        let error = remove_data(&kernel, impatient()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`data` is in use: open 2 times, and no program has it open: a mount that was detached lazily (`umount -l`) and is still in use, a mapped file, or a part of the kernel keeps it"
        );
        assert!(changes(&kernel).len() > 1);
    }

    #[test]
    fn known_users_are_named_at_once() {
        let kernel = kernel_with(&["data", "top"], |mappings| {
            mappings[0].open_count = 2;
            mappings[0].mounts = vec!["/srv/data".to_string()];
            mappings[1].live = Some(vec![row("linear", "254:0 0")]);
        });
        let error = remove_data(&kernel, RemoveOptions::default()).unwrap_err();
        let expected = "`data` is in use: `top` (254:1) depends on it, mounted on /srv/data";
        assert_eq!(error.to_string(), expected);
        assert_eq!(changes(&kernel), [""; 0]);
    }

    #[test]
    fn an_open_device_may_go_later() {
        let open = kernel_with(&["data"], |mappings| mappings[0].open_count = 1);
        let deferred = RemoveOptions { deferred: true, ..impatient() };
        assert_eq!(remove_data(&open, deferred).unwrap(), Removed::WhenClosed);
        assert!(open.list().unwrap()[0].name.kernel() == "data");
        assert_eq!(remove_data(&kernel(&["data"]), deferred).unwrap(), Removed::Gone);
    }

    #[test]
    fn a_device_that_goes_by_itself_is_gone() {
        let gone = Id::Name(Name::new("data").unwrap());
        let remove = |kernel: &Simulated| retry::remove(kernel, &gone, Duration::ZERO, &|| false);
        assert!(remove(&kernel(&[])).is_ok());
        let there = kernel(&["data"]);
        there.fail_nth(1, Errno::ENXIO);
        assert!(remove(&there).is_err());
    }

    #[test]
    fn another_refusal_is_the_answer() {
        let kernel = kernel(&["data"]);
        kernel.fail_nth(1, Errno::ENOMEM);
        assert!(matches!(remove_data(&kernel, RemoveOptions::default()), Err(OpError::Refused { .. })));
    }
}
