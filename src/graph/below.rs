//! The devices below those that are not mapped, where that leads back to a mapped device: loop devices, arrays and
//! partitions between mapped devices.

use std::collections::{BTreeMap, BTreeSet};

use super::view::View;
use crate::identity::DevNum;
use crate::kernel::KernelError;
use crate::stack::Reach;

/// The devices directly below each of some devices.
pub(super) type Below = BTreeMap<DevNum, Vec<DevNum>>;

/// Reads the devices from `bottom` on down to mapped devices. Others are left out: below them is nothing that the graph
/// does not show already.
pub(super) fn down_to_mapped(
    view: &mut View<'_>,
    bottom: &BTreeSet<DevNum>,
    is_mapped: impl Fn(DevNum) -> bool,
) -> Result<Below, KernelError> {
    let mut below = Below::new();
    for first in bottom {
        let mut way = Below::new();
        let mut leads_to_mapped = false;
        let mut reach = Reach::from_iter([*first]);
        while let Some(number) = reach.next() {
            let lower = view.block(number)?.ok().flatten().map(|block| block.lower).unwrap_or_default();
            leads_to_mapped |= lower.iter().any(|lower| is_mapped(*lower));
            reach.extend(lower.iter().copied().filter(|lower| !is_mapped(*lower)));
            way.insert(number, lower);
        }
        if leads_to_mapped {
            below.append(&mut way);
        }
    }
    Ok(below)
}
