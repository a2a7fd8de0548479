//! How devices fare: the state of each row of a live table, read and judged.
//!
//! A table says what a device should be, its state how it fares. [`read`] reads both, asks for no state where no target
//! has one, and never asks a suspended `era`, which would not answer. What can't be told is [`Untold`], never well.

mod document;
mod outlook;
mod read;

use std::fmt;

use smol_str::SmolStr;

use crate::identity::{DevNum, Name, Uuid};
use crate::targets::{Health, Left, ParamsError, Progress, Reading, State, Unreadable};

pub use document::{Fares, HealthDevice, HealthDocument, HealthLeft, HealthTarget};
pub use outlook::Outlook;
pub use read::{all, all_of, has_state, of, read};
pub(crate) use read::{answered, fares_of, may_be_unwell, may_leave, may_matter};

/// A mapped device, and how each row of its live table fares.
#[derive(Debug)]
pub struct DeviceHealth {
    /// The name of the device.
    pub name: Name,
    /// Its number.
    pub number: DevNum,
    /// Its uuid, when it has one.
    pub uuid: Option<Uuid>,
    /// Whether I/O is held back.
    pub suspended: bool,
    /// The rows of its live table, in order; none where it has no table.
    pub rows: Vec<RowHealth>,
}

/// One row of a live table, and how it fares.
#[derive(Debug)]
pub struct RowHealth {
    /// The first sector of the device that the target serves.
    pub start: u64,
    /// The number of sectors.
    pub length: u64,
    /// The target type.
    pub kind: SmolStr,
    /// The kernel's words, with what may be a key replaced. `None` for a target that has none, and where it was not asked.
    pub text: Option<String>,
    /// What the words mean.
    pub reading: Result<Reading, Untold>,
    /// The pool of a thin volume: what it can't do the volume can't.
    pub pool: Option<Pool>,
}

/// The pool of a thin volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its number.
    pub number: DevNum,
    /// Its name and how it fares; `None` where that was not read.
    pub fares: Option<(Name, Health)>,
}

impl Pool {
    fn unread(number: DevNum) -> Self {
        Self { number, fares: None }
    }

    /// Returns name and health of a pool that is not well.
    fn unwell(&self) -> Option<&(Name, Health)> {
        self.fares.as_ref().filter(|(_, health)| !health.is_well())
    }
}

/// Why the state of a row can't be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untold {
    /// The row of the table is not understood.
    Table(ParamsError),
    /// The words are not understood, or are not the state.
    Words(Unreadable),
    /// The target would not answer before the device is resumed, so that it was not asked.
    Suspended,
    /// Another process that may suspend devices holds the lock, and the target would not answer while it is suspended.
    Locked,
    /// The table was replaced while it was read.
    Changing,
}

impl DeviceHealth {
    /// Returns the health of the worst row. A device without a table serves no I/O.
    pub fn health(&self) -> Health {
        self.rows.iter().map(RowHealth::health).max().unwrap_or(Health::Failed)
    }

    /// Returns the state of the row at this place; `None` where it can't be told.
    pub fn state(&self, start: u64, length: u64) -> Option<&dyn State> {
        let row = self.rows.binary_search_by_key(&start, |row| row.start).ok().map(|at| &self.rows[at])?;
        row.reading.as_ref().ok().filter(|_| row.length == length).map(|reading| reading.state.as_ref())
    }

    /// Returns what there is to say of the device, a clause each.
    pub fn says(&self) -> Vec<String> {
        if self.rows.is_empty() {
            return vec!["it has no table: it serves no I/O".to_string()];
        }
        self.rows.iter().flat_map(RowHealth::says).collect()
    }
}

impl RowHealth {
    /// Returns how the row fares.
    pub fn health(&self) -> Health {
        let own = self.reading.as_ref().map_or(Health::Unknown, |reading| reading.state.health());
        self.pool.as_ref().and_then(Pool::unwell).map_or(own, |(_, pool)| own.max(*pool))
    }

    /// Returns what there is to say of the row, a clause each, the worst first.
    pub fn says(&self) -> Vec<String> {
        let pool = self.pool.as_ref().and_then(Pool::unwell);
        let pool = pool.map(|(name, health)| format!("its pool `{name}` is {health}"));
        let own = match &self.reading {
            Ok(reading) => {
                let more = (!reading.more.is_empty())
                    .then(|| format!("words that dmctl does not know: {}", reading.more.join(" ")));
                reading.state.findings().into_iter().chain(more).collect()
            }
            Err(untold) => vec![untold.to_string()],
        };
        pool.into_iter().chain::<Vec<String>>(own).collect()
    }

    /// Returns the figures that tell how it fares.
    pub fn figures(&self) -> Option<String> {
        self.reading.as_ref().ok().and_then(|reading| reading.state.figures())
    }

    /// Returns the figures, and what there is to say of the row, in one line.
    pub fn tells(&self) -> String {
        self.figures().into_iter().chain(self.says()).collect::<Vec<String>>().join("; ")
    }

    /// Returns how far its process is, where one runs.
    pub fn progress(&self) -> Option<Progress> {
        self.reading.as_ref().ok().and_then(|reading| reading.state.progress())
    }

    /// Returns what would be lost without the target now, where that is known.
    pub fn left(&self) -> Option<Left> {
        self.reading.as_ref().ok().and_then(|reading| reading.state.left())
    }
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(error) => write!(f, "the row of the table is not understood: {error}"),
            Self::Words(why) => why.fmt(f),
            Self::Suspended => {
                f.write_str("the device is suspended: the target does not answer before it is resumed")
            }
            Self::Locked => f.write_str("another dmctl holds the lock, and may suspend the device"),
            Self::Changing => f.write_str("the table was replaced while it was read"),
        }
    }
}

impl From<Unreadable> for Untold {
    fn from(why: Unreadable) -> Self {
        Self::Words(why)
    }
}
