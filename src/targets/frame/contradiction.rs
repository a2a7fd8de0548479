//! Metadata on a lower device that a table contradicts.
//!
//! Several targets keep on disk what was fixed when they were formatted, and the kernel refuses, or ignores, a table
//! with other values. It does so when the table is loaded or made live, so after the old one was taken away. The values
//! are read before anything is changed instead.

use std::borrow::Cow;
use std::fmt;

use smol_str::SmolStr;

use super::metadata::{Found, Metadata};
use super::remaining_length::SizeOf;
use super::repair::Repair;
use super::value::FieldValue;
use crate::device::{Device, Written};

/// The content of the places where the metadata of a row is, and the room that the row has.
pub struct OnDisk<'a> {
    /// The places, as [`metadata`](super::Target::metadata) gives them.
    pub places: &'a [Metadata<'a>],
    /// The bytes of each place, in the same order. `None` for a place that can't be read, or not yet.
    pub heads: &'a [Option<Cow<'a, [u8]>>],
    /// The length of the row, in sectors.
    pub length: u64,
    /// The sizes of the lower devices.
    pub size_of: SizeOf<'a>,
    /// Whether a live row of this type begins at the same sector. What it has may be changed in other ways than by a
    /// first load.
    pub live: bool,
}

impl OnDisk<'_> {
    /// Returns the bytes of the first place, unless it holds something else.
    pub(crate) fn first(&self) -> Option<&[u8]> {
        self.head(0)
    }

    /// Returns the bytes of the place at this index, unless it holds something else.
    pub(crate) fn head(&self, index: usize) -> Option<&[u8]> {
        let bytes = self.heads.get(index)?.as_deref()?;
        ((self.places.get(index)?.look)(bytes) != Found::Other).then_some(bytes)
    }
}

/// Values on disk and in a table that can't both be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contradiction {
    /// The metadata can't be used before it is repaired.
    Repair(Repair),
    /// A value was fixed when the metadata was written, and the table has another.
    Fixed {
        /// The device that holds the metadata.
        device: Written,
        /// The metadata, as in `the superblock`.
        metadata: &'static str,
        /// The field, in the words of the map file.
        field: &'static str,
        /// The value on disk.
        on_disk: String,
        /// The value of the table.
        wanted: String,
    },
    /// The metadata counts more than there is.
    TooSmall {
        /// The metadata, as in `the superblock`.
        metadata: &'static str,
        /// The number that the metadata counts.
        counted: u64,
        /// The unit of both numbers, as in `blocks`.
        unit: &'static str,
        /// The device or row that has fewer.
        room: &'static str,
        /// The number that it has.
        there: u64,
        /// The way out.
        remedy: &'static str,
    },
    /// The metadata does not fit on a device behind sectors that are skipped. All numbers are sectors.
    TooSmallBehind {
        /// The metadata, in the plural.
        metadata: &'static str,
        /// The sectors that the metadata takes.
        needed: u64,
        /// The sectors that are skipped before it.
        reserved: u64,
        /// The device.
        device: Written,
        /// The size of the device.
        there: u64,
        /// The way out.
        remedy: &'static str,
    },
    /// The metadata leaves no room for data.
    NoRoom {
        /// The device that holds both.
        device: Written,
        /// The size of the device, in sectors.
        size: u64,
        /// The least size, in sectors.
        least: u64,
        /// The metadata, as in `a journal`.
        rest: &'static str,
    },
    /// A device of an existing set holds no metadata, and is not to be filled from the others.
    NewMember {
        /// The device without metadata.
        device: Written,
        /// Its place in the set, from 0.
        place: usize,
    },
    /// The place holds something else, and the kernel refuses to write over it.
    Foreign {
        /// The device with that place.
        device: Written,
        /// The target type.
        kind: SmolStr,
        /// What makes the device ready, where the kernel does not format a blank one.
        unready: Option<&'static str>,
    },
}

impl Contradiction {
    /// Tells that a place of the metadata of a target holds something else.
    pub(crate) fn foreign(place: &Metadata<'_>, kind: &str) -> Self {
        let is_formatted = (place.look)(&vec![0; place.length]) == Found::Blank;
        let unready = (!is_formatted).then_some(place.otherwise);
        Self::Foreign { device: place.device.into(), kind: kind.into(), unready }
    }

    /// Returns the contradiction of two values of a field, if they differ.
    pub(crate) fn field<T: PartialEq + FieldValue>(
        device: &Device,
        metadata: &'static str,
        field: &'static str,
        on_disk: &T,
        wanted: &T,
    ) -> Option<Self> {
        (on_disk != wanted).then(|| Self::Fixed {
            device: device.into(),
            metadata,
            field,
            on_disk: on_disk.to_string(),
            wanted: wanted.to_string(),
        })
    }
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repair(repair) => repair.fmt(f),
            Self::Fixed { device, metadata, field, on_disk, wanted } => write!(
                f,
                "{metadata} on {} has {field} {on_disk}, the map has {wanted}; give the map the value on disk, or use other \
                 metadata",
                device.described()
            ),
            Self::TooSmall { metadata, counted, unit, room, there, remedy } => {
                write!(f, "{metadata} counts {counted} {unit}, {room} has {there}; {remedy}")
            }
            Self::TooSmallBehind { metadata, needed, reserved, device, there, remedy } => write!(
                f,
                "{metadata} need {needed} sectors behind {reserved} reserved ones, {} in all, {} has {there}; {remedy}",
                needed.saturating_add(*reserved),
                device.described()
            ),
            Self::NoRoom { device, size, least, rest } => write!(
                f,
                "{} is too small: it has {size} sectors, and {rest} leave room for data from {least} sectors on; make it larger",
                device.described()
            ),
            Self::NewMember { device, place } => write!(
                f,
                "{} has no superblock, and other devices of the array have one; write rebuild = [{place}] to fill device \
                 {place} from the others",
                device.described()
            ),
            Self::Foreign { device, kind, unready: Some(unready) } => {
                write!(f, "{} does not hold metadata of {kind}; {unready}", device.described())
            }
            Self::Foreign { device, kind, unready: None } => write!(
                f,
                "{} holds neither zeros nor metadata of {kind}, and the kernel refuses it; clear its first 4 KiB if that \
                 content is not needed",
                device.described()
            ),
        }
    }
}

/// Reads a little-endian number of 2 bytes at `at`; `None` behind the end.
pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|number| u16::from_le_bytes(*number))
}

/// Reads a little-endian number of 4 bytes at `at`; `None` behind the end.
pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|number| u32::from_le_bytes(*number))
}

/// Reads a little-endian number of 8 bytes at `at`; `None` behind the end.
pub(crate) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|number| u64::from_le_bytes(*number))
}
