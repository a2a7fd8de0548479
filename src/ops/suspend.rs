//! Holding I/O back, and letting it through again.

use super::find::{mapped, steady};
use super::settle::settled;
use super::{Foreign, OpError, by_name, swap};
use crate::identity::Name;
use crate::kernel::{ChangeKernel, Suspend};

/// Flushes what is in flight and holds back what comes. A suspended device stays suspended.
///
/// ```
/// # use dmctl::{identity::Name, kernel::{ChangeKernel, Suspend}, ops::{self, Foreign, OpError}};
/// /// Does `work` while the device is quiet.
/// fn quietly(kernel: &dyn ChangeKernel, name: &Name, work: impl FnOnce()) -> Result<(), OpError> {
///     ops::suspend(kernel, name, Suspend::default(), Foreign::Refuse)?;
///     work();
///     ops::resume(kernel, name, Foreign::Refuse)
/// }
/// ```
///
/// # Errors
///
/// [`OpError::Missing`], [`OpError::Foreign`]; [`OpError::Refused`] when the kernel refuses, and then the
/// device runs as before.
pub fn suspend(
    kernel: &dyn ChangeKernel,
    name: &Name,
    how: Suspend,
    foreign: Foreign,
) -> Result<(), OpError> {
    let info = by_name(kernel, name)?;
    foreign.check(name, info.uuid.as_ref())?;
    settled(kernel, || kernel.suspend(&steady(&info), how).map_err(OpError::refused))?;
    tracing::info!("suspended `{name}`");
    Ok(())
}

/// Cancels a suspension. A table that waits in the inactive slot becomes live by it.
///
/// A table that can't become live is dropped, and the device runs on with the one it had, or stays
/// suspended if it was so before.
///
/// # Errors
///
/// [`OpError::Missing`], [`OpError::Foreign`]; [`OpError::Refused`] when the kernel refuses;
/// [`OpError::NotPutBack`] when after that the old table can't be resumed either.
pub fn resume(kernel: &dyn ChangeKernel, name: &Name, foreign: Foreign) -> Result<(), OpError> {
    let before = mapped(kernel, name)?;
    foreign.check(name, before.info.uuid.as_ref())?;
    settled(kernel, || swap::resume(kernel, &before, Vec::new))?;
    tracing::info!("resumed `{name}`");
    Ok(())
}
