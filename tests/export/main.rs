//! What is exported says what is there: a map that changes nothing, a file on which the same plan is made, and
//! forms that other tools read, for every target and for any state.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

mod concise;
mod every_target;
#[path = "../kernel_rows/mod.rs"]
mod kernel_rows;
mod keys;
mod strangers;

use std::collections::BTreeSet;

use dmctl::config::{self, Map};
use dmctl::identity::DevNum;
use dmctl::kernel::ReadKernel;
use dmctl::kernel::simulated::{Disk, KernelFacts, MappingState, Simulated, State, StateRow};
use dmctl::plan::{self, Plan};
use dmctl::secret::Secret;

/// A large disk with a node.
fn disk(major: u32, minor: u32, path: &str) -> Disk {
    Disk { paths: vec![path.to_string()], ..Disk::new(DevNum::new(major, minor), 1 << 40) }
}

/// A mapping with one row.
fn mapping(
    minor: u32,
    name: &str,
    uuid: Option<&str>,
    length: u64,
    kind: &str,
    params: &str,
) -> MappingState {
    let row = StateRow {
        start: 0,
        length,
        kind: kind.to_string(),
        params: Secret::new(params.to_string()),
        status: None,
    };
    MappingState {
        name: name.to_string(),
        name_is_bytes: false,
        uuid: uuid.map(ToString::to_string),
        uuid_is_bytes: false,
        number: DevNum::new(254, minor),
        paths: Vec::new(),
        suspended: false,
        read_only: false,
        open_count: 0,
        event_nr: 0,
        live: Some(vec![row]),
        inactive: None,
        inactive_read_only: false,
        deferred_remove: false,
        mounts: Vec::new(),
        swap: false,
        processes: Vec::new(),
        holders: Vec::new(),
        in_flight: 0,
        queue: None,
        torn: false,
        logical_block_size: None,
    }
}

/// A kernel with these, and nothing else.
fn kernel(block_devices: Vec<Disk>, mappings: Vec<MappingState>) -> Simulated {
    let kernel = KernelFacts::default();
    Simulated::new(&State { format_version: 1, kernel, block_devices, mappings, pools: Vec::new() }).unwrap()
}

/// The map that a text is; it must be one.
fn read(text: &str) -> Map {
    let loaded = config::parse_str("map.toml", text);
    let says = loaded.render();
    loaded.map.unwrap_or_else(|| panic!("{says}\n{text}"))
}

/// The plan of a map, with nothing approved.
fn planned(kernel: &dyn ReadKernel, text: &str) -> Plan {
    plan::plan(kernel, &read(text), &BTreeSet::new()).unwrap()
}
