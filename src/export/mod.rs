//! Exports the devices of a kernel for dmctl, for other tools and for the kernel itself, and imports a map.
//!
//! [`map`] writes mappings as a map file that changes nothing; [`state`] writes a whole kernel as the file of a
//! simulated one; [`concise`] and `dm_init` write the forms that `dmsetup create --concise` and `dm-mod.create=` read,
//! and [`import`] makes a map of the former. An export reads with a [`ReadKernel`](crate::kernel::ReadKernel), which
//! can't be changed, and writes no key.

mod command_line;
pub mod concise;
mod defaults;
mod devices;
pub mod dm_init;
mod draft;
mod hidden_keys;
pub mod import;
mod key_files;
mod names;
mod note;
mod rule;
mod specs;
mod state;
mod text;
mod verify;

use std::collections::BTreeSet;

use thiserror::Error;

#[cfg(any(test, fuzzing))]
pub(crate) use import::placed as read_parameter;
pub use rule::{NotText, Rule};
pub use state::state;
pub use verify::map;

use crate::identity::{DevNum, Name, Owner};
use crate::kernel::KernelError;

/// The devices that are exported.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only the devices with these numbers, of any owner.
    pub only: Option<BTreeSet<DevNum>>,
    /// Only the devices of this owner.
    pub owner: Option<Owner>,
}

/// A rule of a format that a device breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The name of the device; `None` for a rule about all devices together.
    pub name: Option<Name>,
    /// The rule, whose sentence is the message.
    pub rule: Rule,
}

/// Why an export can't be made.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The kernel can't be read.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// Devices break rules of the format. Nothing is written then: a part of a stack would not work.
    #[error("{} can't hold these devices, so nothing was written:{}", .format, lines(.broken))]
    Broken {
        /// The name of the format.
        format: &'static str,
        /// The rules that are broken.
        broken: Vec<Broken>,
    },
}

impl Broken {
    /// Makes the problem of the device with this mangled name.
    fn of(name: &str, rule: Rule) -> Self {
        Self { name: Some(Name::from_kernel(name.as_bytes())), rule }
    }
}

fn lines(broken: &[Broken]) -> String {
    broken
        .iter()
        .map(|Broken { name, rule }| match name {
            Some(name) => format!("\n  {name}: {rule}"),
            None => format!("\n  {rule}"),
        })
        .collect()
}
