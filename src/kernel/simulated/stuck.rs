//! Calls that would never return: I/O of a mounted file system waits for a device below it that is suspended.
//!
//! To freeze a file system writes what it holds back, and to thaw it goes on with what waited (`freeze_bdev` and `thaw_bdev` in
//! `block/bdev.c`). The running kernel hangs then. This one refuses the call, so that a test that runs into it ends.

use std::collections::HashSet;

use nix::errno::Errno;

use super::model::Model;
use super::refusal::Refusal;
use crate::identity::DevNum;

/// Refuses to freeze a file system on a device above one that is suspended.
pub(super) fn frozen(model: &Model, number: DevNum) -> Result<(), Refusal> {
    let is_frozen = model.mapping(number).is_some_and(|mapping| mapping.suspended);
    if is_frozen { Ok(()) } else { thawed(model, number) }
}

/// Refuses to let a file system on a device go on above one that is suspended.
pub(super) fn thawed(model: &Model, number: DevNum) -> Result<(), Refusal> {
    if model.mapping(number).is_none_or(|mapping| mapping.mounts.is_empty()) {
        return Ok(());
    }
    match suspended_below(model, number) {
        None => Ok(()),
        Some(below) => Err(Refusal::new(
            Errno::EDEADLK,
            format!(
                "the file system on {number} waits for {below}, which is suspended: the running kernel hangs here"
            ),
        )),
    }
}

fn suspended_below(model: &Model, number: DevNum) -> Option<DevNum> {
    let (mut seen, mut left) = (HashSet::new(), lowers(model, number));
    while let Some(number) = left.pop() {
        if model.mapping(number).is_some_and(|mapping| mapping.suspended) {
            return Some(number);
        }
        if seen.insert(number) {
            left.extend(lowers(model, number));
        }
    }
    None
}

/// Returns the devices directly below one, by its live table.
fn lowers(model: &Model, number: DevNum) -> Vec<DevNum> {
    match model.mapping(number) {
        Some(mapping) => mapping.live.iter().flat_map(|live| live.devices.iter().copied()).collect(),
        None => model.lower(number),
    }
}
