//! The operations on one device, as library calls.
//!
//! The verbs of the command line call these, and so can a program that manages devices without a map: [`create`],
//! [`reload`], [`rename`], [`remove`], [`table`], [`list`], [`info`], [`suspend`] and [`resume`]; the rows of a table are
//! [`RawRow`](crate::table::RawRow)s. Each takes the kernel to act on. Those that read take a
//! [`ReadKernel`](crate::kernel::ReadKernel), which can't be changed.
//!
//! They act on the device of the given name, as `dmsetup` does, with three differences:
//!
//! - A device that its uuid marks as another subsystem's is refused unless [`Foreign::Allow`] is given.
//! - An operation of several calls is undone when one of them fails: the device is as it was before, or the error is
//!   [`OpError::NotRolledBack`] with the [`LeftState`].
//! - Lower devices may be written as paths, and when the kernel refuses a table the error carries the likely problems of
//!   its rows.
//!
//! A length or position is a count of sectors of 512 bytes.
//!
//! ```
//! use dmctl::identity::Name;
//! use dmctl::kernel::simulated::{Simulated, State};
//! use dmctl::kernel::{ChangeKernel, Slot};
//! use dmctl::ops::{self, CreateOptions, OpError, RemoveOptions};
//! use dmctl::table::{self, RawRow};
//!
//! /// Joins two disks, counts the sectors, and takes them apart again.
//! fn join(kernel: &dyn ChangeKernel) -> Result<u64, OpError> {
//!     let name = Name::new("joined")?;
//!     let rows = [
//!         RawRow::new(0, 2048, "linear", "/dev/sda 0".to_string()),
//!         RawRow::new(2048, 2048, "linear", "/dev/sdb 0".to_string()),
//!     ];
//!     ops::create(kernel, &name, &rows, CreateOptions::default())?;
//!     let sectors = table::sectors(&ops::table(kernel, &name, Slot::Live)?);
//!     ops::remove(kernel, &name, RemoveOptions::default())?;
//!     Ok(sectors)
//! }
//!
//! let disks = ["/dev/sda=1MiB".parse().unwrap(), "/dev/sdb=1MiB".parse().unwrap()];
//! let kernel = Simulated::new(&State::from_disks(&disks).unwrap()).unwrap();
//! assert_eq!(join(&kernel).unwrap(), 4096);
//! ```

mod advice;
mod circle;
mod clear;
mod create;
mod error;
mod find;
#[cfg(test)]
mod fixture;
mod foreign;
mod message;
mod origins;
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
mod waits;

pub use advice::{Advice, RowProblem};
pub use clear::clear;
pub use create::{CreateOptions, Created, create};
pub use error::{LeftState, OpError};
pub(crate) use find::state_of;
pub use find::{by_name, find, new_name};
pub use foreign::Foreign;
pub use message::{MessageError, Order, message};
pub use read::{info, list, table};
pub use reload::reload;
pub use remove::{RemoveOptions, Removed, remove};
pub use rename::{RenameOptions, rename};
pub use suspend::{resume, suspend};
pub use usage::Usage;
