//! Reads the table of `create` and `reload`, from `--table` or from standard input.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use crate::files;
use crate::secret::Secret;
use crate::table::{Table, parse_table};
use anyhow::anyhow;
use zeroize::Zeroizing;

use super::exit::Exit;
use super::failure::Failure;

/// The largest table that is read, in bytes. The kernel takes far less in one load.
const LIMIT: u64 = 64 << 20;

/// The option of both verbs.
#[derive(Debug, clap::Args)]
pub(crate) struct Rows {
    /// The rows, `start length type params` each, one a line; standard input without this option. Give a table with a key on
    /// standard input: every user can read the words of a command until it has begun
    #[arg(long, value_name = "TABLE", value_parser = secret)]
    table: Option<Secret>,
}

/// A table may hold a key, so not even a debug print of the arguments shows it.
#[expect(clippy::unnecessary_wraps, reason = "the form that clap wants of a parser")]
pub(super) fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.to_string()))
}

impl Rows {
    /// Puts the table in, which was taken out of the words that were parsed.
    pub(super) fn put(&mut self, table: Secret) {
        self.table = self.table.as_ref().map(|_| table);
    }

    pub(crate) fn read(self) -> Result<Table, Failure> {
        let text = self.table.map_or_else(|| text_of_stdin("table"), Ok)?;
        parse_table(text.reveal()).map_err(|error| Failure::new(Exit::Error, error))
    }
}

/// Reads standard input; `what` names it in an error.
pub(super) fn text_of_stdin(what: &str) -> Result<Secret, Failure> {
    from_stdin(what).map_err(|error| Failure::new(Exit::Error, error))
}

fn from_stdin(what: &str) -> anyhow::Result<Secret> {
    let bytes = standard_input(LIMIT).map_err(|error| anyhow!("standard input can't be read: {error}"))?;
    if bytes.len() as u64 > LIMIT {
        return Err(anyhow!("the {what} on standard input is larger than {} MiB", LIMIT >> 20));
    }
    // The bytes are not put into the error: they may be a key.
    let mut text =
        files::wiped_text(bytes).map_err(|_| anyhow!("the {what} on standard input is not UTF-8 text"))?;
    Ok(Secret::new(std::mem::take(&mut *text)))
}

/// Reads standard input, a byte more than `limit` at most. The buffer of the library's `Stdin` would keep a copy.
pub(crate) fn standard_input(limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let size = file.metadata().map_or(0, |metadata| if metadata.is_file() { metadata.len() } else { 0 });
    files::read_wiped(file, size, limit + 1)
}
