//! Judges metadata that a plan could not see: it is on a mapping that had no device yet, or was not written yet.

use std::borrow::Cow;

use crate::device::Device;
use crate::kernel::ReadKernel;
use crate::table::Row;
use crate::targets::{Contradiction, Found, Metadata, OnDisk};

/// Why a table is not to be loaded unasked.
pub(crate) enum Unfit {
    /// The kernel would format this.
    Blank(&'static str),
    /// The metadata contradicts the table.
    Contradicts(Box<Contradiction>),
}

/// Reads the metadata of `table`, whose lower devices are all there, and judges it as a plan does.
pub(crate) fn judge(kernel: &dyn ReadKernel, table: &[Row]) -> Result<(), Unfit> {
    table.iter().try_for_each(|row| judge_row(kernel, row))
}

/// Reads the length of a row in sectors from its metadata, after a first load.
pub(crate) fn length(kernel: &dyn ReadKernel, row: &Row) -> Option<u64> {
    let metadata = row.target.metadata();
    let heads = heads(kernel, &metadata);
    let size_of = |device: &Device| size(kernel, device);
    let on_disk =
        OnDisk { places: &metadata, heads: &heads, length: row.length, size_of: &size_of, live: true };
    row.target.length_on_disk(&on_disk)
}

fn heads(kernel: &dyn ReadKernel, metadata: &[Metadata<'_>]) -> Vec<Option<Cow<'static, [u8]>>> {
    let read = |one: &Metadata<'_>| match one.length {
        0 => Some(Cow::Borrowed(&[][..])),
        length => kernel.peek(one.device.number?, one.offset, length).map(Cow::Owned),
    };
    metadata.iter().map(read).collect()
}

fn size(kernel: &dyn ReadKernel, device: &Device) -> Option<u64> {
    Some(kernel.block_device(device.number?).ok()??.sectors)
}

fn judge_row(kernel: &dyn ReadKernel, row: &Row) -> Result<(), Unfit> {
    let metadata = row.target.metadata();
    let heads = heads(kernel, &metadata);
    let found = |(one, head): (&Metadata<'_>, &Option<Cow<'_, [u8]>>)| head.as_deref().map(one.look);
    let both = || metadata.iter().zip(&heads);
    // An array with a device that can't be read is an array all the same.
    let exists = both().any(|pair| pair.0.is_copy && found(pair) == Some(Found::Right));
    for pair in both() {
        match found(pair) {
            None if pair.0.is_copy && exists => {}
            Some(Found::Blank) | None => return Err(Unfit::Blank(pair.0.otherwise)),
            Some(Found::Other | Found::Fatal) => {
                return Err(Unfit::Contradicts(Box::new(Contradiction::foreign(pair.0, row.target.kind()))));
            }
            Some(Found::Right) => {}
        }
    }
    let size_of = |device: &Device| size(kernel, device);
    let on_disk =
        OnDisk { places: &metadata, heads: &heads, length: row.length, size_of: &size_of, live: false };
    row.target
        .contradiction(&on_disk)
        .map_or(Ok(()), |contradiction| Err(Unfit::Contradicts(Box::new(contradiction))))
}
