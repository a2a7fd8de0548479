//! Writes the notices of the crates that `dmctl` is linked with: run when the package is made.
//!
//! ```text
//! dmctl-notices FILE
//! ```
//!
//! It fails for a crate without a licence text, and then there is no package.

mod crates;
mod texts;

use std::{env, fs, io};

fn main() -> io::Result<()> {
    let Some(file) = env::args().nth(1) else { return Err(io::Error::other("usage: dmctl-notices FILE")) };
    let crates = crates::linked().map_err(io::Error::other)?;
    fs::write(file, texts::notices(&crates).map_err(io::Error::other)?)
}
