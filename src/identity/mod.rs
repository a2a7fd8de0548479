//! The identity of a device: name, number, uuid, owner and key. Every name and uuid that dmctl gives is built here.
//!
//! The kernel identifies a device by a name (at most 127 bytes) and by a uuid (at most 128 bytes) that can be set once
//! and never changed. dmctl keeps ownership in the uuid, `DMCTL-<owner>-<key>`, so there is not a state file to lose.
//! Names outside libdevmapper's whitelist are written to the kernel in mangled form (`\xNN`), as other tools expect
//! them, and shown plain.

mod called;
mod error;
mod key;
mod name;
mod number;
mod printable;
mod uuid;

pub use called::Called;
pub use error::IdentityError;
pub use key::{DEFAULT_OWNER, Key, Owner};
pub use name::{MAX_NAME, Name, TEMPORARY_PREFIX};
pub use number::{DevNum, MINORS};
pub use printable::printable;
pub(crate) use printable::{hides, printable_json, printable_path};
pub use uuid::{MAX_UUID, UUID_PREFIX, Uuid};
