//! The operations that read.

use super::{OpError, by_name};
use crate::identity::Name;
use crate::kernel::{Id, Info, ListEntry, ReadKernel, Slot};
use crate::table::Table;

/// Lists the mapped devices, sorted by their plain names. It is one ioctl (`DM_LIST_DEVICES`), however many there are.
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

/// Returns the state of the device of this name; `None` when it does not exist. [`by_name`] fails then instead.
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

/// Returns one of the two tables of a device; empty when the slot is empty. Starts and lengths are in sectors of 512
/// bytes.
///
/// The rows hold keys as the kernel returns them. Their [`Display`](std::fmt::Display) leaves keys out.
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
/// [`OpError::Missing`] when the device does not exist, [`OpError::Kernel`] when the kernel can't be read.
pub fn table(kernel: &dyn ReadKernel, name: &Name, slot: Slot) -> Result<Table, OpError> {
    match kernel.device(&Id::Name(name.clone()), slot)? {
        Some(mapped) => Ok(mapped.table.to_vec()),
        // The kernel has answered that the device is missing: this adds the name that is similar.
        None => by_name(kernel, name).map(|_| Table::new()),
    }
}
