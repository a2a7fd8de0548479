//! The operations on one device, as library calls.
//!
//! These are what the verbs of the command line do, and what a program does that wants a device and no
//! map: [`create`], [`reload`], [`rename`], [`remove`], [`table`], [`list`], [`info`], [`suspend`] and
//! [`resume`]; the rows of a table are [`RawRow`](crate::table::RawRow)s. Each takes the kernel to act on.
//! The reading ones are content with a [`ReadKernel`](crate::kernel::ReadKernel), which can't be changed.
//!
//! They act on the device that is named, as `dmsetup` does, with three differences:
//!
//! - A device that its uuid marks as another subsystem's is refused unless [`Foreign::Allow`] says otherwise.
//! - An operation of several calls is undone when one of them fails: the device is as it was before, or the
//!   error is [`OpError::NotPutBack`] and says what is left.
//! - What is wrong with a table is explained: lower devices may be written as paths, and when the kernel
//!   refuses a table the error carries what dmctl knows about its rows.
//!
//! ```
//! use dmctl::access::Access;
//! use dmctl::identity::Name;
//! use dmctl::kernel::simulated::{Simulated, State};
//! use dmctl::kernel::{ChangeKernel, Slot};
//! use dmctl::ops::{self, Foreign, OpError, Removal};
//! use dmctl::table::{self, RawRow};
//!
//! /// Joins two disks, counts the sectors, and takes them apart again.
//! fn join(kernel: &dyn ChangeKernel) -> Result<u64, OpError> {
//!     let name = Name::new("joined")?;
//!     let rows = [
//!         RawRow::new(0, 2048, "linear", "/dev/sda 0".to_string()),
//!         RawRow::new(2048, 2048, "linear", "/dev/sdb 0".to_string()),
//!     ];
//!     ops::create(kernel, &name, None, &rows, Access::Writable, Foreign::Refuse)?;
//!     let sectors = table::sectors(&ops::table(kernel, &name, Slot::Live)?);
//!     ops::remove(kernel, &name, Removal::default(), Foreign::Refuse)?;
//!     Ok(sectors)
//! }
//!
//! let disks = ["/dev/sda=1MiB".parse().unwrap(), "/dev/sdb=1MiB".parse().unwrap()];
//! let kernel = Simulated::new(&State::from_disks(&disks).unwrap()).unwrap();
//! assert_eq!(join(&kernel).unwrap(), 4096);
//! ```

mod advice;
mod create;
mod error;
mod find;
#[cfg(test)]
mod fixture;
mod foreign;
mod read;
mod reload;
mod remove;
mod rename;
mod rows;
mod settle;
mod suspend;
mod swap;
mod taken;
mod usage;

pub use create::{Created, create};
pub use error::OpError;
pub use find::{by_name, find, new_name};
pub use foreign::Foreign;
pub use read::{info, list, table};
pub use reload::reload;
pub use remove::{Removal, Removed, remove};
pub use rename::rename;
pub use suspend::{resume, suspend};
pub use usage::Usage;
