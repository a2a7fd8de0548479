//! A table as a kernel has it: read into targets once, however many questions are asked of it.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{RawRow, Row};
use crate::identity::DevNum;
use crate::targets::{self, ParamsError};

/// A table as a kernel has it: shared instead of copied once it is read, with the keys in it.
#[derive(Clone, Default)]
pub struct ReadTable(Arc<Shared>);

#[derive(Default)]
struct Shared {
    raw: Box<[RawRow]>,
    parsed: OnceLock<Parsed>,
}

/// The targets of a table.
struct Parsed {
    /// The rows; `None` where one holds a key, which is in memory once: such a table is parsed for each question.
    rows: Option<Arc<[Row]>>,
    /// The first row that can't be read.
    unread: Option<UnreadRow>,
    /// Whether a row has a type that dmctl does not know.
    has_unknown: bool,
    /// The lower devices of all rows that can be read, each once, in the order of their numbers.
    lower_devices: SmallVec<[DevNum; 2]>,
}

/// A row that the kernel prints and that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadRow {
    /// The type of the row.
    pub kind: SmolStr,
    /// The wrong word.
    pub error: ParamsError,
}

impl ReadTable {
    /// Returns the rows with their targets.
    ///
    /// # Errors
    ///
    /// The first row that can't be read.
    pub(crate) fn understood(&self) -> Result<Arc<[Row]>, &UnreadRow> {
        self.parsed().unread.as_ref().map_or_else(|| Ok(self.readable()), Err)
    }

    /// Returns the rows that can be read, with their targets.
    pub(crate) fn readable(&self) -> Arc<[Row]> {
        let rows = self.parsed().rows.as_ref().map(Arc::clone);
        rows.unwrap_or_else(|| self.iter().filter_map(|row| parse(row).ok()).collect())
    }

    /// Returns the rows of the types that dmctl knows, and whether these are all rows.
    pub(crate) fn known(&self) -> (Arc<[Row]>, bool) {
        let parsed = self.parsed();
        let rows = self.readable();
        if !parsed.has_unknown {
            return (rows, parsed.unread.is_none());
        }
        (rows.iter().filter(|row| is_known(row)).cloned().collect(), false)
    }

    /// Lists the lower devices, each once, as far as the rows can be read.
    pub(crate) fn lower_devices(&self) -> &[DevNum] {
        &self.parsed().lower_devices
    }

    fn parsed(&self) -> &Parsed {
        self.0.parsed.get_or_init(|| Parsed::of(&self.0.raw))
    }
}

impl Parsed {
    fn of(raw: &[RawRow]) -> Self {
        let (mut rows, mut unread) = (Vec::with_capacity(raw.len()), None);
        let (mut has_unknown, mut has_key) = (false, false);
        for row in raw {
            match parse(row) {
                Ok(mut row) => {
                    has_unknown |= !is_known(&row);
                    has_key |= !row.target.keys_mut().is_empty();
                    rows.push(row);
                }
                Err(unreadable) => unread = unread.or(Some(unreadable)),
            }
        }
        let lower_devices = below(&rows);
        // The words of an unknown type may be a key.
        let rows = (!has_key && !has_unknown).then(|| rows.into());
        Self { rows, unread, has_unknown, lower_devices }
    }
}

/// Reads the rows of a table that is not kept.
///
/// # Errors
///
/// The first row that can't be read.
pub(crate) fn understand(table: &[RawRow]) -> Result<Vec<Row>, UnreadRow> {
    table.iter().map(parse).collect()
}

/// Lists the lower devices of a table that is not kept, each once, as far as its rows can be read.
pub(crate) fn lower_devices(table: &[RawRow]) -> SmallVec<[DevNum; 2]> {
    let rows: SmallVec<[Row; 1]> = table.iter().filter_map(|row| parse(row).ok()).collect();
    below(&rows)
}

fn below(rows: &[Row]) -> SmallVec<[DevNum; 2]> {
    let mut numbers = SmallVec::new();
    for row in rows {
        numbers.extend(row.lower_devices().iter().filter_map(|lower| lower.device.number));
    }
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn is_known(row: &Row) -> bool {
    targets::find(row.target.kind()).is_some()
}

fn parse(row: &RawRow) -> Result<Row, UnreadRow> {
    let target = targets::parse(&row.kind, row.params())
        .map_err(|error| UnreadRow { kind: row.kind.clone(), error })?;
    Ok(Row { start: row.start, length: row.length, target, messages: Vec::new(), provisional: false })
}

impl Deref for ReadTable {
    type Target = [RawRow];

    fn deref(&self) -> &[RawRow] {
        &self.0.raw
    }
}

impl From<Vec<RawRow>> for ReadTable {
    fn from(rows: Vec<RawRow>) -> Self {
        Self(Arc::new(Shared { raw: rows.into(), parsed: OnceLock::new() }))
    }
}

impl FromIterator<RawRow> for ReadTable {
    fn from_iter<I: IntoIterator<Item = RawRow>>(rows: I) -> Self {
        Self::from(Vec::from_iter(rows))
    }
}

impl PartialEq for ReadTable {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || **self == **other
    }
}

impl Eq for ReadTable {}

/// Prints the rows, with keys replaced.
impl fmt::Debug for ReadTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
