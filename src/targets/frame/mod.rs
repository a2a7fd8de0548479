//! What all targets share: the contract that each implements, and the tools to implement it with.
//!
//! [`contract`] has the traits. [`words`] reads a row, [`printer`] prints one, and [`options`] does both for
//! the optional words of a row, and compares and checks them. [`problems`] collects what the kernel would
//! refuse, [`difference`] how a wanted target differs from a live one, with the values of [`value`].
//! [`generic`] takes the place of a target that dmctl does not know.

pub mod argument;
pub(crate) mod choice;
mod contract;
mod device_use;
mod difference;
pub mod failed;
pub mod generic;
pub(crate) mod keyed;
mod kind;
mod metadata;
mod operand;
mod options;
mod printer;
mod problems;
mod remaining_length;
mod traits;
mod value;
mod words;

pub use contract::{ErasedTarget, Target, TargetKind};
pub use device_use::{DeviceAccess, DeviceUse, Handover, Hazards, Prepare};
pub use difference::{Change, Difference, Differences, Effect};
pub use kind::Kind;
pub use metadata::{Found, Metadata, begins_with};
pub(crate) use operand::{Given, Operand, Syntax};
pub(crate) use options::{Alternative, OptionRow, Options, alternatives, option};
pub use printer::{Printer, Style};
pub use problems::{Problem, Problems};
pub use remaining_length::{RemainingLength, SizeOf, in_whole_blocks};
pub use traits::{Doc, Mode, Traits};
pub use value::{FieldValue, Quantity, Unit, Value};
pub use words::{ParamsError, Words};
