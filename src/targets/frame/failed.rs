//! A live target whose parameters the kernel does not show.
//!
//! Where the kernel has given up on a thin pool it prints `Fail` in place of the parameters of each
//! target above it, and `-` for a volume that it could not open. Such a row is real, so it must be readable, but no
//! map can ask for it and no file can be written from it.

use serde::ser::Error;
use serde::{Serialize, Serializer};

use super::Words;

/// Whether the kernel printed a failure in place of the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Failed(bool);

impl Failed {
    /// The message about such a target.
    pub(crate) const WHY: &'static str =
        "the kernel prints `Fail` in place of its parameters: the thin pool has failed";

    /// Reads the word that stands for a failure, if the row is nothing but that.
    pub(crate) fn parse(words: &mut Words<'_>) -> Self {
        let failed = words.left() == 1 && matches!(words.peek(), Some("Fail" | "-"));
        Self(failed && words.next("the failure").is_ok())
    }

    /// Returns whether the target has failed.
    pub(crate) fn is(self) -> bool {
        self.0
    }

    /// Returns whether the target has not failed, in the form that serde needs.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub(crate) fn is_not(&self) -> bool {
        !self.0
    }
}

impl Serialize for Failed {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom(Self::WHY))
    }
}
