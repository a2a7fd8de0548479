//! The superblock of `integrity`, with the layout that it fixes and the count of what there is room for.

use super::bytes::Write;
use super::mapping::Loaded;
use super::model::Model;
use crate::device::Device;
use crate::table::RawRow;
use crate::targets::integrity::{Integrity, Layout, Sizes};
use crate::targets::{self, Found, OnDisk, Target, of_type};
use crate::units::SECTOR;

/// The bytes of a superblock that the model keeps.
const LENGTH: usize = 512;

/// Returns the first bytes of the superblock that a first load writes (`initialize_superblock`). `None` for other targets
/// and where the layout is not known.
pub(super) fn fresh(model: &Model, typed: &dyn Target) -> Option<Vec<u8>> {
    let integrity: &Integrity = of_type(typed)?;
    let data = model.sectors(integrity.device.number?)?;
    let tags = match &integrity.meta_device {
        Some(device) => model.sectors(device.number?)?,
        None => data,
    };
    let sizes = Sizes { data, tags };
    let layout = Layout::fresh(integrity, sizes)?;
    Some(layout.superblock(layout.room(sizes)))
}

/// Returns the writes of a table that becomes live: where the lower device has another size than when the superblock was
/// written, that counts again (`dm_integrity_resume`).
pub(super) fn at_swap(model: &Model, table: &Loaded) -> Vec<Write> {
    table.rows.iter().filter_map(|row| recount(model, row)).flatten().collect()
}

fn recount(model: &Model, row: &RawRow) -> Option<Vec<Write>> {
    let typed = targets::parse(&row.kind, row.params()).ok()?;
    let _: &Integrity = of_type(typed.as_ref())?;
    let places = typed.metadata();
    let place = places.first()?;
    let mut head = model.peek(place.device.number?, place.offset, LENGTH)?;
    let heads = [Some(head.clone().into())];
    let size_of = |device: &Device| model.sectors(device.number?);
    let on_disk =
        OnDisk { places: &places, heads: &heads, length: row.length, size_of: &size_of, live: true };
    let there = typed.length_on_disk(&on_disk).filter(|_| (place.look)(&head) == Found::Right)?;
    let count = head.get_mut(16..24)?;
    if count == there.to_le_bytes() {
        return None;
    }
    count.copy_from_slice(&there.to_le_bytes());
    model.writes(place.device.number?, place.offset / SECTOR, &head)
}
