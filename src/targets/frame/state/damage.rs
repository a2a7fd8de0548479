//! Metadata that a live target can't write any more.

/// Why a live target can't write its metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// A write failed, and the metadata needs a check.
    NeedsCheck,
    /// It has no room, or can't be written.
    ReadOnly,
    /// The target has failed.
    Failed,
}
