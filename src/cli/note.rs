//! Lines for a person, on standard error.

use std::fmt::Display;
use std::io;

/// Writes a line to standard error. When nobody can read it there is nobody to tell.
pub(crate) fn note(line: impl Display) {
    let _ = io::Write::write_fmt(&mut anstream::stderr(), format_args!("{line}\n"));
}
