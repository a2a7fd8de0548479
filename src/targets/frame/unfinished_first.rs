//! A table that the kernel refuses as long as the live one has something left, as data.

use std::fmt;

use super::state::{Left, Remedy};

/// What is left, and what the kernel refuses meanwhile. Its `Display` is a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedFirst {
    /// What is left.
    pub left: Left,
    /// What the kernel refuses, as in `a shorter row`.
    pub refused: &'static str,
    /// What to do so that nothing is left.
    pub remedy: Remedy,
}

impl fmt::Display for UnfinishedFirst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { left, refused, remedy } = self;
        write!(f, "{left}, and the kernel refuses {refused} {}; ", left.of().end())?;
        match remedy {
            Remedy::Order(order) => write!(f, "{order}, and wait with `dmctl wait` first"),
            Remedy::Repair(repair) => repair.fmt(f),
            Remedy::Wait | Remedy::GoodLegFirst => f.write_str("wait with `dmctl wait` first"),
        }
    }
}
