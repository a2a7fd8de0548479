//! A pair of counts as the kernel prints it: `used/total`.

use std::fmt;

use serde::Serialize;

use crate::targets::frame::{ParamsError, Words};

/// How many of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    /// How many are used, done or free: the target tells.
    pub used: u64,
    /// How many there are.
    pub total: u64,
}

impl Tally {
    /// Takes the next word, `what` names it. More than there are is refused: the line lies.
    pub(crate) fn take(words: &mut Words<'_>, what: &str) -> Result<Self, ParamsError> {
        let word = words.next(what)?;
        let (used, total) = word
            .split_once('/')
            .ok_or_else(|| words.wrong(format!("{what} must be two numbers with `/` between them")))?;
        let tally = Self { used: words.to_number(used, what)?, total: words.to_number(total, what)? };
        if tally.used > tally.total {
            return Err(words.wrong(format!("{what} counts {} of {}", tally.used, tally.total)));
        }
        Ok(tally)
    }

    /// Returns how many are not used.
    pub(crate) fn rest(self) -> u64 {
        self.total - self.used
    }
}

impl Tally {
    /// Returns how many of a hundred are used, rounded down. All of none is 0.
    pub(crate) fn percent(self) -> u64 {
        u64::try_from(u128::from(self.used) * 100 / u128::from(self.total.max(1))).unwrap_or(100)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.used, self.total)
    }
}
