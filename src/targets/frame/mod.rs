//! What all targets share: the contract that each implements, and the tools to implement it with.
//!
//! [`contract`] is the trait, [`words`] reads a row, [`printer`] prints one, [`problems`] collects what the
//! kernel would refuse, [`difference`] how a wanted target differs from a live one,
//! [`value`] the values that a difference tells. [`generic`] stands in for
//! a target that dmctl does not know.

pub mod argument;
pub(crate) mod choice;
pub(crate) mod contract;
pub(crate) mod difference;
pub mod failed;
pub mod generic;
pub(crate) mod keyed;
pub(crate) mod kind;
pub(crate) mod printer;
pub(crate) mod problems;
pub mod superblock;
pub(crate) mod typed;
pub(crate) mod value;
pub(crate) mod words;

pub use contract::{
    DeviceAccess, Doc, Found, Handover, Lower, Metadata, Mode, Prepare, TargetKind, Traits, rest_of,
};
pub use difference::{Change, Difference, Differences, Effect};
pub use kind::Kind;
pub use printer::{Printer, Style};
pub use problems::{Problem, Problems};
pub use typed::Target;
pub use value::{FieldValue, Quantity, Unit, Value};
pub use words::{ParamsError, Words};
