//! One row of a table, as the kernel takes it and prints it, and a table of them.

mod read;

use std::fmt;

use smol_str::SmolStr;
use thiserror::Error;

use crate::device::Device;
use crate::redact::{redact_hex, redact_quoted};
use crate::secret::Secret;
use crate::targets::{self, DeviceUses, MessageText, State, Style, Target};
use crate::units::{MAX_BYTES, SECTOR};

pub use read::{ReadTable, UnreadRow};
pub(crate) use read::{lower_devices, understand};

/// One row of a table: `length` sectors from `start` on are served by a target of this type.
///
/// This is the raw row. The meaning of its parameters is known to [`crate::targets`].
///
/// ```
/// use dmctl::table::RawRow;
/// let row = RawRow::parse("0 1024 linear 253:1 2048").unwrap();
/// assert_eq!((row.start, row.length, row.kind.as_str()), (0, 1024, "linear"));
/// assert_eq!(row.params(), "253:1 2048");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RawRow {
    /// The first sector of the mapping that this target serves.
    pub start: u64,
    /// The number of sectors that this target serves.
    pub length: u64,
    /// The name of the target type, at most 15 bytes.
    pub kind: SmolStr,
    /// The parameters of the row. They may hold a key, so they are kept like one.
    params: Secret,
}

/// A row whose target is understood.
#[derive(Clone)]
pub struct Row {
    /// The first sector of the mapping that the target serves.
    pub start: u64,
    /// The number of sectors.
    pub length: u64,
    /// The target that serves the sectors.
    pub target: Box<dyn Target>,
    /// The messages sent to the target after each load.
    pub messages: Vec<MessageText>,
    /// Whether the length is that of a first load only: the length that the target may have is known after
    /// that load ([`Target::first_length`]).
    pub provisional: bool,
}

impl Row {
    /// Returns the first sector after this row.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// Returns a device and an offset when sector `n` of the row is sector `offset + n` of that device.
    pub fn linear_map(&self) -> Option<(&Device, u64)> {
        self.placed(self.target.linear_map())
    }

    /// Returns a device and an offset when sector `n` of the row is read from sector `offset + n` of that device, as long as the
    /// metadata of the target is blank ([`Target::fresh_map`]).
    pub fn fresh_map(&self) -> Option<(&Device, u64)> {
        self.placed(self.target.fresh_map())
    }

    /// Returns the devices that have all sectors of the row, as far as nothing is left that one lacks
    /// ([`Target::copies`]): each with the sector that is the first of the row.
    pub fn finished_copies(&self, state: Option<&dyn State>) -> Vec<(&Device, u64)> {
        let Some(state) = state else { return Vec::new() };
        let copies = self.target.copies(Some(state)).into_iter().enumerate();
        let finished = copies.filter(|(place, _)| state.left_on(*place).is_none());
        finished.filter_map(|(_, copy)| self.placed(Some((copy.device, copy.sector)))).collect()
    }

    fn placed<'d>(&self, map: Option<(&'d Device, u64)>) -> Option<(&'d Device, u64)> {
        let before = self.target.sectors_before(self.start);
        map.and_then(|(device, offset)| Some((device, offset.checked_add(before)?)))
    }

    /// Lists the lower devices of the row, and the part of each that its sectors are in.
    pub(crate) fn lower_devices(&self) -> DeviceUses<'_> {
        self.target.lower_sectors(self.start, self.length)
    }

    /// Prints the row as one line: `start length type params`.
    pub fn line(&self, style: Style) -> String {
        let params = self.target.params(style);
        let line = format!("{} {} {} {params}", self.start, self.length, self.target.kind());
        line.trim_end().to_string()
    }
}

impl fmt::Display for Row {
    /// Prints the row as `dmsetup table` does, with keys replaced.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line(Style::Redacted))
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row({self})")
    }
}

/// A table: its targets in order, from sector 0, without gaps.
pub type Table = Vec<RawRow>;

/// Why a text is not a table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TableError {
    /// The text does not hold any row.
    #[error("the table has no row: write `start length type params`, one target a line")]
    Empty,
    /// A row lacks one of its first three words, or one of its numbers can't be read.
    #[error("line {line}: {what}: write `start length type params`, with start and length in sectors")]
    Row {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with the row.
        what: String,
    },
    /// A row does not start where the row before ends.
    #[error("line {line}: this target starts at {start}, the one before it ends at {expected}")]
    Gap {
        /// The line, counted from 1.
        line: usize,
        /// The sector at which the row starts.
        start: u64,
        /// The sector at which the row must start.
        expected: u64,
    },
    /// The table is longer than a device can be.
    #[error("line {line}: the table reaches past 2^63-1 bytes, the largest device the kernel accepts")]
    TooLarge {
        /// The line, counted from 1.
        line: usize,
    },
}

impl RawRow {
    /// Makes a row of its parts; `params` are the words after the type, with blanks between them.
    pub fn new(start: u64, length: u64, kind: &str, params: String) -> Self {
        Self { start, length, kind: kind.into(), params: Secret::new(params) }
    }

    /// Reads one row as `dmsetup` prints it.
    pub fn parse(line: &str) -> Result<Self, TableError> {
        Self::parse_line(line, 1)
    }

    fn parse_line(text: &str, line: usize) -> Result<Self, TableError> {
        let fail = |what: &str| TableError::Row { line, what: redact_quoted(what) };
        let mut rest = text.trim_start();
        let mut word = || {
            let (word, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            rest = tail.trim_start();
            word
        };
        let number = |word: &str, what: &str| {
            if word.is_empty() {
                return Err(fail(&format!("no {what}")));
            }
            if !word.bytes().all(|b| b.is_ascii_digit()) {
                return Err(fail(&format!("`{}` is not a {what}", redact_hex(word).escape_debug())));
            }
            word.parse::<u64>().map_err(|_| fail(&format!("the {what} `{}` is too large", redact_hex(word))))
        };
        let start = number(word(), "start sector")?;
        let length = number(word(), "length in sectors")?;
        let kind = word();
        if kind.is_empty() {
            return Err(fail("no target type"));
        }
        if kind.len() > targets::MAX_TYPE {
            return Err(fail(&format!(
                "the target type `{}` is longer than the {} bytes the kernel keeps",
                redact_hex(kind),
                targets::MAX_TYPE
            )));
        }
        if length == 0 {
            return Err(fail("a target of 0 sectors"));
        }
        Ok(Self::new(start, length, kind, rest.trim_end().to_string()))
    }

    /// Returns the parameters with one blank between words, keys included. To show a row to a person, print
    /// the row itself instead.
    pub fn params(&self) -> &str {
        self.params.reveal()
    }

    /// Returns the parameters with every key replaced.
    pub fn redacted_params(&self) -> String {
        targets::redact(&self.kind, self.params())
    }

    /// Returns the first sector after this target.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }
}

impl fmt::Display for RawRow {
    /// Prints the row as `dmsetup table` does, with keys replaced.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.start, self.length, self.kind)?;
        let params = self.redacted_params();
        if params.is_empty() { Ok(()) } else { write!(f, " {params}") }
    }
}

impl fmt::Debug for RawRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawRow({self})")
    }
}

/// Reads a table as dmsetup does: a target a line, blank lines and lines that start with `#` left out.
///
/// Unlike dmsetup, a `#` inside a row is kept: it is a legal character of a device's name.
pub fn parse_table(text: &str) -> Result<Table, TableError> {
    let mut table = Table::new();
    for (index, row) in text.lines().enumerate() {
        let row = row.trim();
        if row.is_empty() || row.starts_with('#') {
            continue;
        }
        let line = index + 1;
        let target = RawRow::parse_line(row, line)?;
        let expected = sectors(&table);
        if target.start != expected {
            return Err(TableError::Gap { line, start: target.start, expected });
        }
        if target.start.checked_add(target.length).is_none_or(|end| end > MAX_BYTES / SECTOR) {
            return Err(TableError::TooLarge { line });
        }
        table.push(target);
    }
    if table.is_empty() { Err(TableError::Empty) } else { Ok(table) }
}

/// Returns the size of the device that a table makes, in sectors.
pub fn sectors(table: &[RawRow]) -> u64 {
    table.last().map_or(0, RawRow::end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_read_and_print() {
        let text = "# two disks\n0 1024 linear 1:0 0\n\n  1024 512   linear  1:1   8 \n";
        let table = parse_table(text).unwrap();
        assert_eq!(table.len(), 2);
        assert_eq!(table[1].to_string(), "1024 512 linear 1:1   8");
        assert_eq!(sectors(&table), 1536);
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_line() {
        for (text, expected) in [
            ("", "no row"),
            ("0 x linear", "line 1: `x` is not a length"),
            ("0 8", "no target type"),
            ("0 0 zero", "0 sectors"),
            ("0 8 zero\n9 8 zero", "line 2: this target starts at 9, the one before it ends at 8"),
            ("1 8 zero", "starts at 1"),
            ("0 18014398509481984 zero", "2^63-1"),
            ("0 99999999999999999999 zero", "too large"),
            ("0 8 abcdefghijklmnop", "15 bytes"),
        ] {
            let message = parse_table(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text:?}: {message}");
        }
    }
}
