//! The ways out and in: what a kernel has, written for dmctl, for other tools, and for the kernel itself.
//!
//! [`map`] writes mappings as a map file that changes nothing; [`state`] writes a whole kernel as the file of
//! a simulated one; [`concise`] and [`dm_init`] write what `dmsetup create --concise` and `dm-mod.create=` read,
//! and [`import`] makes a map of the former. All of them read with a [`ReadKernel`](crate::kernel::ReadKernel), which can't be changed, and
//! none writes a key.

pub mod concise;
mod defaults;
mod devices;
pub mod dm_init;
mod draft;
pub mod import;
mod names;
mod note;
mod specs;
mod state;
mod text;
mod verify;

use std::collections::BTreeSet;

use thiserror::Error;

pub use state::state;
pub use verify::map;

use crate::identity::{DevNum, Name, Owner};
use crate::kernel::KernelError;

/// Which devices are exported.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only these, whoever has them.
    pub only: Option<BTreeSet<DevNum>>,
    /// Only those of this owner.
    pub owner: Option<Owner>,
}

/// A device that a format can't hold, and the rule that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The device; none where it is about all of them together.
    pub name: Option<Name>,
    /// The rule.
    pub rule: String,
}

/// Why an export could not be made.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The kernel could not be read.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// What the format can't hold. Nothing is written then, for a part of a stack is no stack.
    #[error("{} can't hold these devices, so nothing was written:{}", .format, lines(.broken))]
    Broken {
        /// The format.
        format: &'static str,
        /// All that is in the way.
        broken: Vec<Broken>,
    },
}

impl Broken {
    /// Of the device of this name, in the kernel's spelling.
    fn of(name: &str, rule: String) -> Self {
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
