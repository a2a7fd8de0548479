//! What a live target tells of itself: the text of `DM_TABLE_STATUS` without `DM_STATUS_TABLE_FLAG`, read.
//!
//! Each target with a state reads its own text into its own type, which implements [`State`]: fields in the kernel's
//! words, and what follows from them. `reading` is how the rest of dmctl comes by one.

mod damage;
mod health;
mod left;
mod metadata_words;
mod progress;
mod remedy;
mod tally;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

pub use damage::Damage;
pub use health::Health;
pub use left::{Left, Unfinished};
pub(crate) use metadata_words::{MetadataMode, NeedsCheck};
pub use progress::{Progress, ProgressUnit};
pub use remedy::{Copy, Remedy};
pub(crate) use tally::Tally;

use super::{SizeOf, Words};

/// A row of a live table whose state is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveRow {
    /// The length, in sectors.
    pub length: u64,
    /// Whether the device is suspended.
    pub suspended: bool,
}

impl LiveRow {
    /// A row of a device that serves I/O.
    pub const fn of(length: u64) -> Self {
        Self { length, suspended: false }
    }
}

/// A row that was just made, for the state that the kernel prints of it.
#[derive(Clone, Copy)]
pub struct FreshRow<'a> {
    /// The length, in sectors.
    pub length: u64,
    /// The size of a lower device, in sectors.
    pub(crate) size_of: SizeOf<'a>,
}

/// The state of a live target, of one row.
pub trait State: fmt::Debug + Send + Sync + Fields {
    /// Returns how the row fares, going by its own words alone: those of the devices below are not in them.
    fn health(&self) -> Health;

    /// Returns the figures that tell how it fares, with units, in a clause.
    fn figures(&self) -> Option<String> {
        None
    }

    /// Returns what there is to say of it: a clause each, with figures and units, the worst first.
    fn findings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns how far the process is that runs, where the kernel counts it from a start to an end.
    fn progress(&self) -> Option<Progress> {
        None
    }

    /// Returns what would be lost, or wrong, if the table were replaced now by one without the target. `None` where
    /// nothing is left.
    fn left(&self) -> Option<Left> {
        None
    }

    /// Whether the target may copy data by itself now. A suspend, and so a swap and a removal, waits for the copies that are
    /// on their way (`presuspend` and `postsuspend` of the targets).
    fn may_copy(&self) -> bool {
        self.progress().is_some() || self.left().is_some()
    }

    /// Tells why the process does not go on by itself; `None` where it does, and where none runs.
    fn stands(&self) -> Option<&'static str> {
        None
    }

    /// Returns how many sectors it counts of the lower device whose size it took at its load, where that has more now: `size`
    /// sectors.
    fn outgrown_by(&self, size: u64) -> Option<u64> {
        let _ = size;
        None
    }

    /// Returns how many sectors it has in use, from the first one on, of the lower device that it fills; `None` for a state
    /// that counts none.
    fn in_use(&self) -> Option<u64> {
        None
    }

    /// Tells why it can't write its metadata any more; `None` where it can, and where the table asks for no more.
    fn damage(&self) -> Option<Damage> {
        None
    }

    /// Lists the paths that serve I/O, as the kernel prints them.
    fn working_paths(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Lists the legs, by their place from 0, that are declared and that the target does no I/O to any more.
    fn lost_legs(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Names the fields that only grow while the table is live.
    fn counters(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns what would be lost if that one of the target's [copies](crate::targets::Target::copies) were all that stays.
    fn left_on(&self, copy: usize) -> Option<Left> {
        let _ = copy;
        self.left()
    }
}

/// The fields of a state, as JSON has them. Implemented for everything that serde can write.
pub trait Fields {
    /// Returns the typed fields.
    fn fields(&self) -> Value;
}

impl<T: Serialize> Fields for T {
    fn fields(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The state of a target that has no words for one: the kernel serves I/O, and knows nothing else.
#[derive(Debug, Serialize)]
pub(crate) struct Wordless {}

impl State for Wordless {
    fn health(&self) -> Health {
        Health::Ok
    }
}

/// The state of a target that can't do any I/O any more: `Fail`, or `Error` where its metadata can't be read.
#[derive(Debug, Serialize)]
pub(crate) struct Dead {
    mode: DeadMode,
    /// What the target keeps that has no other copy, where that can't be told any more.
    #[serde(skip)]
    keeps: Option<Unfinished>,
}

/// In which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum DeadMode {
    Fail,
    Error,
}

impl Dead {
    /// Takes the one word that the kernel prints for a target that is dead, if it is that. `keeps` is what the target
    /// may have kept that has no other copy.
    pub(crate) fn take(words: &mut Words<'_>, keeps: Option<Unfinished>) -> Option<Box<dyn State>> {
        let mode = match words.peek()? {
            "Fail" => DeadMode::Fail,
            "Error" => DeadMode::Error,
            _ => return None,
        };
        words.skip();
        Some(Box::new(Self { mode, keeps }))
    }
}

impl State for Dead {
    fn health(&self) -> Health {
        Health::Failed
    }

    fn findings(&self) -> Vec<String> {
        vec![
            match self.mode {
                DeadMode::Fail => "the target is in fail mode: the kernel could not write its metadata",
                DeadMode::Error => "the state can't be read: the metadata does not answer",
            }
            .to_string(),
        ]
    }

    fn left(&self) -> Option<Left> {
        self.keeps.map(Left::Untold)
    }

    fn damage(&self) -> Option<Damage> {
        Some(Damage::Failed)
    }
}
