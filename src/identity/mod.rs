//! Who a device is: its name, its uuid, its owner and its key; every name dmctl gives is built here.
//!
//! The kernel knows a device by a name (at most 127 bytes) and by a uuid that can be set once and never
//! changed. dmctl keeps ownership in the uuid, `DMCTL-<owner>-<key>`, so there is no state file to lose.
//! Names outside libdevmapper's whitelist are written to the kernel in mangled form (`\xNN`), as every
//! other tool expects them, and shown plain.

mod error;
mod key;
mod name;
mod number;
mod printable;
mod uuid;

pub use error::IdentityError;
pub use key::{DEFAULT_OWNER, Key, Owner};
pub use name::{MAX_NAME, Name, TEMPORARY_PREFIX};
pub use number::{DevNum, MINORS};
pub use printable::printable;
pub use uuid::{MAX_UUID, UUID_PREFIX, Uuid};
