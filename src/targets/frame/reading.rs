//! Reads the state of a live row. A text that is not understood is [`Unreadable`], never a state.

use std::fmt;

use super::state::{LiveRow, State};
use super::{ParamsError, Status, Target, Words};

/// What was read of the text of a row.
#[derive(Debug)]
pub struct Reading {
    /// The state.
    pub state: Box<dyn State>,
    /// Words at the end that dmctl does not know, of a newer kernel. They are shown, and count for nothing.
    pub more: Vec<String>,
}

/// Why the state of a row can't be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// The text is not as the kernel writes it.
    Text(ParamsError),
    /// The words of a suspended device are not its state.
    Suspended,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => write!(f, "the kernel's words are not understood: {error}"),
            Self::Suspended => f.write_str("the device is suspended: the kernel's words are not its state"),
        }
    }
}

impl From<ParamsError> for Unreadable {
    fn from(error: ParamsError) -> Self {
        Self::Text(error)
    }
}

/// Reads the text that the kernel prints of a live row.
pub fn read_state(target: &dyn Target, text: &str, row: LiveRow) -> Result<Reading, Unreadable> {
    if row.suspended && target.traits().status == Status::WhileActive {
        return Err(Unreadable::Suspended);
    }
    let mut words = Words::new(text)?;
    let state = target.read_state(&mut words, row)?;
    Ok(Reading { state, more: words.rest() })
}
