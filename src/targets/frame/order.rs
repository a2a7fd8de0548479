//! Orders of a table: what the kernel does once, when the table is loaded.

use std::fmt;

/// An order of a table that its live device has not carried out, as its state shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// These legs, by their place from 0, are to be filled from the others, and are lost.
    Rebuild(Vec<u32>),
}

impl Order {
    /// Returns the field of the map that gives it.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Rebuild(_) => "rebuild",
        }
    }

    /// Returns the value of the field, as far as it is not carried out.
    pub fn value(&self) -> String {
        match self {
            Self::Rebuild(legs) => format!("{legs:?}"),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Rebuild(legs) = self;
        write!(f, "{} {} is not carried out: ", self.field(), self.value())?;
        match legs.as_slice() {
            [leg] => write!(f, "leg {leg} is lost"),
            legs => write!(f, "{} legs are lost", legs.len()),
        }
    }
}
