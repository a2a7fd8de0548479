//! The layout of requests and answers: `struct dm_ioctl` and what follows it, as bytes.
//!
//! Fields are read and written at their offsets in `linux/dm-ioctl.h`, with a bounds check each: an answer
//! that is shorter than it claims is no more than [`Malformed`]. Requests carry the lowest version of the
//! interface, 4.0.0, because a kernel refuses a caller that is newer than itself.
//!
//! A table may hold keys, so every buffer here is wiped when it is dropped.

use zeroize::Zeroizing;

use super::zeroizing::ZeroizingBuf;
use crate::identity::{DevNum, Name, Uuid};
use crate::kernel::{Id, Info, ListEntry, StatusRow, Version};
use crate::table::{RawRow, Table};
use crate::targets::MAX_TYPE;

/// The length of the header, `struct dm_ioctl`.
pub(super) const HEADER: usize = 312;

// Where the fields of the header are.
const VERSION: usize = 0;
pub(super) const DATA_SIZE: usize = 12;
const DATA_START: usize = 16;
const TARGET_COUNT: usize = 20;
const OPEN_COUNT: usize = 24;
const FLAGS: usize = 28;
const EVENT_NR: usize = 32;
const DEV: usize = 40;
const NAME: usize = 48;
const NAME_LENGTH: usize = 128;
const UUID: usize = NAME + NAME_LENGTH;
const UUID_LENGTH: usize = 129;

/// The length of `struct dm_target_spec`, which precedes the parameters of a row.
const SPEC: usize = 40;
/// The length of the name of a target type in it, with its NUL.
const SPEC_TYPE: usize = MAX_TYPE + 1;

/// The flags of the header (`DM_*_FLAG`).
pub(super) mod flag {
    pub(crate) const READ_ONLY: u32 = 1 << 0;
    pub(crate) const SUSPENDED: u32 = 1 << 1;
    pub(crate) const STATUS_TABLE: u32 = 1 << 4;
    pub(crate) const LIVE_TABLE: u32 = 1 << 5;
    pub(crate) const INACTIVE_TABLE: u32 = 1 << 6;
    pub(crate) const BUFFER_FULL: u32 = 1 << 8;
    pub(crate) const SKIP_LOCKFS: u32 = 1 << 10;
    pub(crate) const NO_FLUSH: u32 = 1 << 11;
    pub(crate) const QUERY_INACTIVE: u32 = 1 << 12;
    pub(crate) const UEVENT_GENERATED: u32 = 1 << 13;
    pub(crate) const UUID: u32 = 1 << 14;
    pub(crate) const SECURE_DATA: u32 = 1 << 15;
    pub(crate) const DATA_OUT: u32 = 1 << 16;
    pub(crate) const DEFERRED_REMOVE: u32 = 1 << 17;
}

/// Marks a record of the list that carries a uuid (`DM_NAME_LIST_FLAG_HAS_UUID`), and one of a device that
/// has no uuid. Kernels before 4.45 of the interface write neither.
const RECORD_HAS_UUID: u32 = 1;
const RECORD_HAS_NO_UUID: u32 = 2;

/// An answer that is shorter than its own fields claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A request that can't be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwritable {
    /// A NUL inside a text would cut it short without a word.
    Nul,
    /// A name, a uuid or a type that is longer than its field, or a table longer than the kernel reads.
    TooLong,
}

/// A request to the kernel.
pub(super) struct Request(ZeroizingBuf);

impl Request {
    /// Creates a request that is not about a device.
    pub(crate) fn new(flags: u32) -> Self {
        let mut bytes = ZeroizingBuf::zeroes(HEADER);
        put(&mut bytes, VERSION, &4u32.to_ne_bytes());
        put(&mut bytes, DATA_START, &312u32.to_ne_bytes());
        put(&mut bytes, FLAGS, &flags.to_ne_bytes());
        Self(bytes)
    }

    /// Creates a request about a device.
    pub(crate) fn about(id: &Id, flags: u32) -> Result<Self, Unwritable> {
        let mut request = Self::new(flags);
        match id {
            Id::Name(name) => put_text(&mut request.0, NAME, NAME_LENGTH, name.bytes())?,
            Id::Uuid(uuid) => put_text(&mut request.0, UUID, UUID_LENGTH, uuid.bytes())?,
        }
        Ok(request)
    }

    /// Adds a uuid beside the name.
    pub(crate) fn and_uuid(mut self, uuid: &Uuid) -> Result<Self, Unwritable> {
        put_text(&mut self.0, UUID, UUID_LENGTH, uuid.bytes())?;
        Ok(self)
    }

    /// Adds the value that udev gets with the event of the call: flags in the upper half, and in the lower half a
    /// cookie when a process waits for the answer.
    pub(crate) fn for_udev(mut self, cookie: u32) -> Self {
        put(&mut self.0, EVENT_NR, &cookie.to_ne_bytes());
        self
    }

    /// Adds the rows of a table to load.
    ///
    /// The kernel takes a backslash before a character for that character alone; a row means its words as
    /// they stand, so backslashes are doubled, as libdevmapper does.
    pub(crate) fn table(mut self, rows: &[RawRow]) -> Result<Self, Unwritable> {
        let count = u32::try_from(rows.len()).map_err(|_| Unwritable::TooLong)?;
        put(&mut self.0, TARGET_COUNT, &count.to_ne_bytes());
        let escaped: Vec<Zeroizing<String>> =
            rows.iter().map(|row| Zeroizing::new(row.params().replace('\\', "\\\\"))).collect();
        // All the room at once: a buffer that grows would leave unwiped copies behind.
        let length = escaped.iter().map(|params| spec_length(params)).sum::<usize>();
        let mut grown = ZeroizingBuf::from(Vec::with_capacity(self.0.len() + length));
        grown.extend_from_slice(&self.0);
        for (row, params) in rows.iter().zip(&escaped) {
            let start = grown.len();
            let next = u32::try_from(spec_length(params)).map_err(|_| Unwritable::TooLong)?;
            grown.resize(start + spec_length(params), 0);
            put(&mut grown, start, &row.start.to_ne_bytes());
            put(&mut grown, start + 8, &row.length.to_ne_bytes());
            put(&mut grown, start + 20, &next.to_ne_bytes());
            put_text(&mut grown, start + 24, SPEC_TYPE, &row.kind)?;
            put_text(&mut grown, start + SPEC, params.len() + 1, params)?;
        }
        Ok(Self(grown))
    }

    /// Adds a text: a new name, or a uuid.
    pub(crate) fn text(mut self, text: &[u8]) -> Result<Self, Unwritable> {
        let mut grown = ZeroizingBuf::zeroes(self.0.len() + text.len() + 1);
        put(&mut grown, 0, &self.0);
        put_text(&mut grown, HEADER, text.len() + 1, text)?;
        self.0 = grown;
        Ok(self)
    }

    /// Adds a message for the target at `sector`.
    pub(crate) fn message(mut self, sector: u64, text: &str) -> Result<Self, Unwritable> {
        let mut grown = ZeroizingBuf::zeroes(self.0.len() + 8 + text.len() + 1);
        put(&mut grown, 0, &self.0);
        put(&mut grown, HEADER, &sector.to_ne_bytes());
        put_text(&mut grown, HEADER + 8, text.len() + 1, text)?;
        self.0 = grown;
        Ok(self)
    }

    /// Writes the request into a buffer of `room` bytes or more, which the answer replaces.
    pub(crate) fn buffer(&self, room: usize) -> ZeroizingBuf {
        let mut buffer = ZeroizingBuf::zeroes(room.max(self.0.len()));
        put(&mut buffer, 0, &self.0);
        buffer
    }
}

/// Returns the length of a row in a request: its fixed part, its parameters and their NUL, up to the next multiple
/// of 8, which is where the kernel wants the next one.
fn spec_length(params: &str) -> usize {
    (SPEC + params.len() + 1).next_multiple_of(8)
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Writes `text` and its NUL into a field of `room` bytes that holds zeroes.
fn put_text(bytes: &mut [u8], at: usize, room: usize, text: impl AsRef<[u8]>) -> Result<(), Unwritable> {
    let text = text.as_ref();
    if text.len() >= room {
        return Err(Unwritable::TooLong);
    }
    if text.contains(&0) {
        return Err(Unwritable::Nul);
    }
    put(bytes, at, text);
    Ok(())
}

/// The answer of the kernel.
pub(super) struct Answer(pub ZeroizingBuf);

impl Answer {
    /// Reads the flags of the header.
    pub(crate) fn flags(&self) -> Result<u32, Malformed> {
        u32_at(&self.0, FLAGS)
    }

    /// Returns the bytes after the header: as many as its `data_size` counts, within the buffer.
    fn data(&self) -> Result<&[u8], Malformed> {
        let start = index(u32_at(&self.0, DATA_START)?)?;
        let end = index(u32_at(&self.0, DATA_SIZE)?)?.min(self.0.len());
        Ok(self.0.get(start..end.max(start)).unwrap_or_default())
    }

    /// Reads the state of the requested device.
    pub(crate) fn info(&self) -> Result<Info, Malformed> {
        let flags = self.flags()?;
        let has = |bit: u32| flags & bit != 0;
        Ok(Info {
            name: Name::from_kernel(text(field(&self.0, NAME, NAME_LENGTH)?)),
            uuid: Uuid::from_kernel(text(field(&self.0, UUID, UUID_LENGTH)?)),
            number: number(u64_at(&self.0, DEV)?),
            suspended: has(flag::SUSPENDED),
            live_table: has(flag::LIVE_TABLE),
            inactive_table: has(flag::INACTIVE_TABLE),
            open_count: u32_at(&self.0, OPEN_COUNT)?,
            event_nr: u32_at(&self.0, EVENT_NR)?,
            read_only: has(flag::READ_ONLY),
            target_count: u32_at(&self.0, TARGET_COUNT)?,
            deferred_remove: has(flag::DEFERRED_REMOVE),
        })
    }

    /// Reads the rows of the requested table. Trailing blanks, which some targets print, are left out.
    pub(crate) fn table(&self) -> Result<Table, Malformed> {
        self.rows(|start, length, kind, params| {
            RawRow::new(start, length, kind, params.trim_end().to_string())
        })
    }

    /// Reads the state of each row.
    pub(crate) fn status(&self) -> Result<Vec<StatusRow>, Malformed> {
        self.rows(|start, length, kind, text| StatusRow {
            start,
            length,
            kind: kind.into(),
            text: text.to_string(),
        })
    }

    /// Reads what the kernel printed of each target: start, length, type and text.
    fn rows<R>(&self, row: impl Fn(u64, u64, &str, &str) -> R) -> Result<Vec<R>, Malformed> {
        let data = self.data()?;
        let mut rows = Vec::new();
        let (mut at, mut past) = (0, 0);
        for _ in 0..u32_at(&self.0, TARGET_COUNT)? {
            // Offsets grow from row to row: one that points backwards would never end.
            let spec = if at < past { None } else { data.get(at..) }.ok_or(Malformed)?;
            past = at + SPEC;
            let kind = String::from_utf8_lossy(text(field(spec, 24, SPEC_TYPE)?));
            let params = terminated(spec.get(SPEC..).ok_or(Malformed)?)?;
            rows.push(row(u64_at(spec, 0)?, u64_at(spec, 8)?, &kind, &String::from_utf8_lossy(params)));
            // Counted from the first row, unlike in a request.
            at = index(u32_at(spec, 20)?)?;
        }
        Ok(rows)
    }

    /// Reads the answer of a target to a message; `None` when it gave none.
    pub(crate) fn reply(&self) -> Result<Option<String>, Malformed> {
        if self.flags()? & flag::DATA_OUT == 0 {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(text(self.data()?)).into_owned()))
    }

    /// Reads the list of devices, with their uuids where this kernel lists uuids.
    pub(crate) fn list(&self) -> Result<Vec<Entry>, Malformed> {
        let version = Version(u32_at(&self.0, 0)?, u32_at(&self.0, 4)?, u32_at(&self.0, 8)?);
        let mut rest = self.data()?;
        let mut entries = Vec::new();
        // An empty list is one record with the number 0.
        if rest.len() < 12 || u64_at(rest, 0)? == 0 {
            return Ok(entries);
        }
        loop {
            let next = index(u32_at(rest, 8)?)?;
            let record = if next == 0 { rest } else { rest.get(..next).ok_or(Malformed)? };
            entries.push(Entry::parse(record, version)?);
            if next == 0 {
                return Ok(entries);
            }
            rest = &rest[next..];
        }
    }
}

/// A record of the list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub listed: ListEntry,
    /// Whether the record tells the uuid, or that the device has none.
    pub uuid_known: bool,
}

impl Entry {
    fn parse(record: &[u8], version: Version) -> Result<Self, Malformed> {
        let name = terminated(record.get(12..).ok_or(Malformed)?)?;
        let mut entry = Self {
            listed: ListEntry {
                name: Name::from_kernel(name),
                uuid: None,
                number: number(u64_at(record, 0)?),
            },
            uuid_known: false,
        };
        // After the name, at the next multiple of 8: the event number, the flags, the uuid.
        let tail = (12 + name.len() + 1).next_multiple_of(8);
        if version < Version(4, 45, 0) || record.len() < tail + 8 {
            return Ok(entry);
        }
        match u32_at(record, tail + 4)? {
            flags if flags & RECORD_HAS_UUID != 0 => {
                entry.listed.uuid = Uuid::from_kernel(terminated(&record[tail + 8..])?);
                entry.uuid_known = true;
            }
            flags => entry.uuid_known = flags & RECORD_HAS_NO_UUID != 0,
        }
        Ok(entry)
    }
}

fn field(bytes: &[u8], at: usize, length: usize) -> Result<&[u8], Malformed> {
    at.checked_add(length).and_then(|end| bytes.get(at..end)).ok_or(Malformed)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    let field = field(bytes, at, 4)?.try_into().map_err(|_| Malformed)?;
    Ok(u32::from_ne_bytes(field))
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Malformed> {
    let field = field(bytes, at, 8)?.try_into().map_err(|_| Malformed)?;
    Ok(u64::from_ne_bytes(field))
}

fn index(value: u32) -> Result<usize, Malformed> {
    usize::try_from(value).map_err(|_| Malformed)
}

/// Reads a text up to its NUL, or all of a field without one.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Reads a text up to its NUL, which must be there.
fn terminated(bytes: &[u8]) -> Result<&[u8], Malformed> {
    bytes.iter().position(|byte| *byte == 0).map(|end| &bytes[..end]).ok_or(Malformed)
}

/// A device number in the kernel's "huge" encoding: 12 bits of major between the low 8 and the high 12 bits
/// of minor (`linux/kdev_t.h`).
fn number(encoded: u64) -> DevNum {
    let bits = |shift: u32, mask: u64| u32::try_from((encoded >> shift) & mask).unwrap_or_default();
    DevNum::new(bits(8, 0xfff), bits(0, 0xff) | (bits(20, 0xfff) << 8))
}

#[cfg(test)]
mod tests;
