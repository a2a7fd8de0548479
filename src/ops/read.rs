//! The operations that only look.

use super::{OpError, by_name};
use crate::identity::Name;
use crate::kernel::{Id, Info, ListEntry, ReadKernel, Slot};
use crate::table::Table;

/// Every mapped device of this machine, by name. One call to the kernel, however many there are.
///
/// ```
/// # use dmctl::{kernel::ReadKernel, ops::{self, OpError}};
/// fn names(kernel: &dyn ReadKernel) -> Result<Vec<String>, OpError> {
///     Ok(ops::list(kernel)?.iter().map(|device| device.name.to_string()).collect())
/// }
/// ```
///
/// # Errors
///
/// [`OpError::Kernel`] when the kernel can't be read.
pub fn list(kernel: &dyn ReadKernel) -> Result<Vec<ListEntry>, OpError> {
    let mut listed = kernel.list()?;
    listed.sort_by(|one, two| one.name.plain().cmp(&two.name.plain()));
    Ok(listed)
}

/// The state of the device of this name, or none when there is no such device.
///
/// ```
/// # use dmctl::{identity::Name, kernel::ReadKernel, ops::{self, OpError}};
/// fn exists(kernel: &dyn ReadKernel, name: &Name) -> Result<bool, OpError> {
///     Ok(ops::info(kernel, name)?.is_some())
/// }
/// ```
///
/// # Errors
///
/// [`OpError::Kernel`] when the kernel can't be read.
pub fn info(kernel: &dyn ReadKernel, name: &Name) -> Result<Option<Info>, OpError> {
    Ok(kernel.device(&Id::Name(name.clone()), Slot::Live)?.map(|mapped| mapped.info))
}

/// One of the two tables of a device; empty when that slot is empty.
///
/// The rows hold keys as the kernel has them. Their [`Display`](std::fmt::Display) shows none.
///
/// ```
/// # use dmctl::{identity::Name, kernel::{ReadKernel, Slot}, ops::{self, OpError}};
/// fn show(kernel: &dyn ReadKernel, name: &Name) -> Result<(), OpError> {
///     for row in ops::table(kernel, name, Slot::Live)? {
///         println!("{row}");
///     }
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// [`OpError::Missing`] when there is no such device, [`OpError::Kernel`] when the kernel can't be read.
pub fn table(kernel: &dyn ReadKernel, name: &Name, slot: Slot) -> Result<Table, OpError> {
    match kernel.device(&Id::Name(name.clone()), slot)? {
        Some(mapped) => Ok(mapped.table.to_vec()),
        // Gone, or never there: the same answer, with its hint.
        None => by_name(kernel, name).map(|_| Table::new()),
    }
}
