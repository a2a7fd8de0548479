//! The metadata that targets look for on their devices.
//!
//! Several targets write fresh metadata when they find zeros in its place: most when the table is loaded, a few
//! when it is made live. They refuse any other content. The model writes only the signature that each looks for.

use std::borrow::Cow;

use nix::errno::Errno;

use super::bytes::{MAX_HEAD, Write};
use super::mapping::Loaded;
use super::model::Model;
use super::refusal::Refusal;
use super::{integrity, superblock};
use crate::device::Device;
use crate::identity::DevNum;
use crate::table::RawRow;
use crate::targets::cache::Cache;
use crate::targets::{self, Found, Metadata, Need, OnDisk, Target, of_type};
use crate::units::SECTOR;

/// When fresh metadata is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// At load, even if the table is cleared afterwards.
    Load,
    /// When the table is made live.
    Resume,
}

/// The signature of a target's metadata.
struct Signature {
    kind: &'static str,
    /// Its offset, in bytes from the start of the metadata.
    at: u64,
    bytes: &'static [u8],
    when: When,
    /// The refusal of a load that finds other content there.
    refusal: Option<(Errno, &'static str)>,
}

impl Signature {
    const fn at_load(
        kind: &'static str,
        at: u64,
        bytes: &'static [u8],
        errno: Errno,
        log: &'static str,
    ) -> Self {
        Self { kind, at, bytes, when: When::Load, refusal: Some((errno, log)) }
    }

    const fn at_resume(kind: &'static str, bytes: &'static [u8]) -> Self {
        Self { kind, at: 0, bytes, when: When::Resume, refusal: None }
    }
}

/// Magic numbers and versions from the `struct`s of the superblocks in `drivers/md/`.
const SIGNATURES: &[Signature] = &[
    Signature::at_load(
        "thin-pool",
        32,
        b"\xba\x52\x9c\x01\0\0\0\0\x02\0\0\0",
        Errno::ENOTBLK,
        "Error creating metadata object",
    ),
    Signature::at_load(
        "cache",
        32,
        b"\x03\xc4\x18\0\0\0\0\0\x01\0\0\0",
        Errno::EINVAL,
        "Error creating metadata object",
    ),
    Signature::at_load(
        "era",
        32,
        b"\x7b\x07\xc1\x7e\0\0\0\0\x01\0\0\0",
        Errno::EINVAL,
        "Error opening metadata",
    ),
    Signature::at_load(
        "clone",
        32,
        b"\x64\x7f\xf2\x8a\0\0\0\0\x01\0\0\0",
        Errno::EINVAL,
        "Failed to load metadata",
    ),
    Signature::at_load("integrity", 0, b"integrt\0\x01", Errno::EINVAL, "The device is not initialized"),
    Signature::at_load(
        "writecache",
        0,
        b"\x21\x93\x48\x23\x01\0\0\0",
        Errno::EINVAL,
        "Invalid magic in the superblock",
    ),
    Signature::at_load(
        "snapshot",
        0,
        b"SnAp\x01\0\0\0\x01\0\0\0",
        Errno::ENXIO,
        "Failed to read snapshot metadata",
    ),
    Signature::at_resume("raid", b"DmRd"),
    Signature::at_resume("mirror", b"rRiM\x02\0\0\0"),
];

/// The number of bytes of a signature that identify a target; versions follow.
const MAGIC: usize = 4;

/// Tells whether the first bytes of a device are the metadata of a target.
pub fn is_metadata(head: &[u8]) -> bool {
    let there = |signature: &Signature| {
        let at = usize::try_from(signature.at).ok()?;
        Some(head.get(at..at + MAGIC)? == signature.bytes.get(..MAGIC)?)
    };
    SIGNATURES.iter().any(|signature| there(signature) == Some(true))
}

/// Returns the writes of a load of a target, or its refusal.
pub(super) fn at_load(
    model: &Model,
    holder: DevNum,
    row: &RawRow,
    typed: &dyn Target,
) -> Result<Vec<Write>, Refusal> {
    let writes = writes(model, row, typed, When::Load)?;
    if typed.keeps_metadata() && !writes.is_empty() {
        let log = format!("{}: Error creating metadata object", typed.kind());
        return Err(Refusal::new(Errno::EPERM, log));
    }
    contradicts(model, holder, row, typed)?;
    Ok(writes)
}

/// Refuses a row that the metadata on disk contradicts. A pool is held to its sizes when it is resumed only, and the
/// chunk of a snapshot is that of its header.
fn contradicts(model: &Model, holder: DevNum, row: &RawRow, typed: &dyn Target) -> Result<(), Refusal> {
    if matches!(typed.kind(), "thin-pool" | "snapshot" | "snapshot-merge") {
        return Ok(());
    }
    let head = |metadata: Metadata<'_>| {
        model.peek(metadata.device.number?, metadata.offset, metadata.length).map(Cow::Owned)
    };
    let heads: Vec<_> = typed.metadata().into_iter().map(head).collect();
    let places = typed.metadata();
    let live = model.mapping(holder).and_then(|mapping| mapping.live.as_ref());
    let live = live.is_some_and(|live| {
        live.rows.iter().any(|live| live.start == row.start && live.kind == typed.kind())
    });
    let size_of = |device: &Device| model.sectors(device.number?);
    let on_disk = OnDisk { places: &places, heads: &heads, length: row.length, size_of: &size_of, live };
    // Blocks of metadata that are in use and not there can't be read (`dm_tm_open_with_sm`).
    let in_use = superblock::blocks_in_use(typed.kind()).and_then(|at| long_at(on_disk.first()?, at));
    let there = || Some(model.sectors(places.first()?.device.number?)? / 8);
    if in_use.is_some_and(|in_use| there().is_some_and(|there| there < in_use)) {
        return Err(Refusal::new(Errno::EIO, format!("{}: couldn't open metadata space map", typed.kind())));
    }
    // `create_log_context` in `drivers/md/dm-log.c`.
    let short = |need: &Need<'_>| size_of(need.device).is_some_and(|size| need.shortage(size).is_some());
    if typed.kind() == "mirror" && typed.needs(&on_disk, None).iter().any(short) {
        return Err(Refusal::invalid("mirror: Error creating mirror dirty log"));
    }
    match typed.contradiction(&on_disk) {
        Some(contradiction) => Err(Refusal::new(Errno::EINVAL, format!("{}: {contradiction}", typed.kind()))),
        None => Ok(()),
    }
}

/// Reads a little-endian number of 8 bytes.
fn long_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|number| u64::from_le_bytes(*number))
}

/// Returns the parameters of a snapshot as the kernel has them: with the chunk size of its header, where there is one.
pub(super) fn with_header(model: &Model, typed: &dyn Target, params: String) -> String {
    const CHUNK: usize = 3;
    if !matches!(typed.kind(), "snapshot" | "snapshot-merge") {
        return params;
    }
    let header = typed.metadata().first().and_then(|metadata| {
        let head = model.peek(metadata.device.number?, metadata.offset, metadata.length)?;
        let chunk = u32::from_le_bytes(*head.get(12..)?.first_chunk()?);
        (chunk > 0 && (metadata.look)(&head) == Found::Right).then(|| chunk.to_string())
    });
    let Some(chunk) = header else { return params };
    let words = params.split(' ').enumerate().map(|(at, word)| if at == CHUNK { &chunk } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Returns the writes of a table that becomes live: the metadata of a cache counts the blocks of its fast device
/// (`dm_cache_resize` in `drivers/md/dm-cache-metadata.c`).
pub(super) fn at_swap(model: &Model, table: &Loaded) -> Vec<Write> {
    const CACHE_BLOCKS: usize = 240;
    const HEAD: usize = 512;
    let counted = |row: &RawRow| {
        let typed = targets::parse(&row.kind, row.params()).ok()?;
        let cache: &Cache = of_type(typed.as_ref())?;
        let number = cache.metadata.number?;
        let mut head = model.peek(number, 0, HEAD)?;
        let blocks = model.sectors(cache.cache.number?)?.checked_div(cache.block_size.0)?;
        head.get_mut(CACHE_BLOCKS..CACHE_BLOCKS + 4)?.copy_from_slice(&blocks.to_le_bytes()[..4]);
        model.writes(number, 0, &head)
    };
    table.rows.iter().filter_map(counted).flatten().collect()
}

/// Returns the writes of a resume that makes a table live.
pub(super) fn at_resume(model: &Model, table: &Loaded) -> Vec<Write> {
    let of_row = |row: &RawRow| {
        let typed = targets::parse(&row.kind, row.params()).ok()?;
        writes(model, row, typed.as_ref(), When::Resume).ok()
    };
    table.rows.iter().filter_map(of_row).flatten().collect()
}

fn writes(model: &Model, row: &RawRow, typed: &dyn Target, when: When) -> Result<Vec<Write>, Refusal> {
    let Some(signature) = SIGNATURES.iter().find(|s| s.kind == typed.kind() && s.when == when) else {
        return Ok(Vec::new());
    };
    let mut writes = Vec::new();
    for (index, metadata) in typed.metadata().into_iter().enumerate() {
        if metadata.length == 0 {
            continue;
        }
        let Some(number) = metadata.device.number else { continue };
        let found = model.peek(number, metadata.offset, metadata.length).map(|bytes| (metadata.look)(&bytes));
        match (found, signature.refusal) {
            // Fatal content crashes a kernel; the model handles it like other content.
            (Some(Found::Right), _) | (Some(Found::Other | Found::Fatal), None) => {}
            (Some(Found::Other | Found::Fatal), Some((errno, log))) => {
                return Err(Refusal::new(errno, format!("{}: {log}", typed.kind())));
            }
            // A place that can't be read counts as blank, as it does in a plan.
            (Some(Found::Blank) | None, _) => {
                let fresh =
                    fresh(model, (row, typed), number, (index, &metadata), signature).unwrap_or_default();
                writes.extend(fresh.into_iter().map(|write| Write { onto_blank: found.is_some(), ..write }));
            }
        }
    }
    Ok(writes)
}

/// Makes fresh metadata: the signature, the fields, and zeros as far as the target reads. It goes to all places that hold
/// a copy.
fn fresh(
    model: &Model,
    (row, typed): (&RawRow, &dyn Target),
    number: DevNum,
    (index, metadata): (usize, &Metadata<'_>),
    signature: &Signature,
) -> Option<Vec<Write>> {
    let sector = metadata.offset / SECTOR;
    let room = model.sectors(number).unwrap_or_default().saturating_sub(sector);
    // The part that the target reads starts, inside the metadata, at its head or at the signature itself.
    let inside = metadata.offset % SECTOR;
    let at = usize::try_from(signature.at.max(inside)).ok()?;
    let looked_at = usize::try_from(inside).ok()?.checked_add(metadata.length)?;
    let mut bytes = vec![0; looked_at.max(at + signature.bytes.len()).min(MAX_HEAD)];
    bytes.get_mut(at..at + signature.bytes.len())?.copy_from_slice(signature.bytes);
    for field in superblock::fields(row, index, room) {
        bytes.get_mut(field.at..field.at + field.bytes.len())?.copy_from_slice(&field.bytes);
    }
    if let Some(head) = integrity::fresh(model, typed) {
        bytes.get_mut(..head.len())?.copy_from_slice(&head);
    }
    model.writes(number, sector, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::simulated::Disk;

    /// A type that would not recognise its own fresh metadata would be formatted on every run.
    #[test]
    fn every_signature_is_the_one_its_target_looks_for() {
        for signature in SIGNATURES {
            let Some(kind) = targets::find(signature.kind) else { continue };
            let mut fields: toml::Table = toml::from_str(kind.doc.example).unwrap();
            for taken_out in ["type", "start", "length", "messages"] {
                fields.remove(taken_out);
            }
            let text = toml::to_string(&fields).unwrap();
            let typed = kind.deserialize(toml::de::Deserializer::parse(&text).unwrap()).unwrap();
            for metadata in typed.metadata() {
                let mut device = Disk { blank: true, ..Disk::new(DevNum::new(8, 0), 8) };
                device.write(signature.at, signature.bytes);
                let bytes = device.read(metadata.offset % SECTOR, metadata.length).unwrap();
                assert_eq!((metadata.look)(&bytes), Found::Right, "{}", kind.name);
            }
        }
    }
}
