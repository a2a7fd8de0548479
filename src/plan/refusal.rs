//! Why a step may not be carried out.

use std::fmt;

use super::InUse;
use crate::policy::Class;

/// Why a step may not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The class of the step is not allowed; `--allow` with this class would allow it.
    Policy(Class),
    /// The mapping is protected, which no flag overrides.
    Protected,
    /// The device is in use.
    InUse(Box<InUse>),
}

impl Refusal {
    /// Whether the refusal may pass by itself: programs have the device open, and it is not used otherwise.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::InUse(users) if users.only_open())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(class) => write!(f, "needs --allow {class}"),
            Self::Protected => f.write_str("the mapping is protected"),
            Self::InUse(users) => write!(f, "in use: {}", users.describe()),
        }
    }
}
