//! Writes lines for a person to standard error.

use std::fmt::Display;
use std::io;

/// Writes a line to standard error. An error is ignored: there is no other place to report it.
pub(crate) fn note(line: impl Display) {
    let _ = io::Write::write_fmt(&mut anstream::stderr(), format_args!("{line}\n"));
}
