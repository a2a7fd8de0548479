//! The kernels that the tests of this folder work on.

use serde_json::json;

use crate::identity::{DevNum, Name};
use crate::kernel::simulated::{MappingState, Simulated, State, StateRow};
use crate::kernel::{Call, Id, ReadKernel, Slot};

/// Creates a kernel with the disk `/dev/sda` (8:0) of 4096 sectors, and running devices of these names: 254:0 and so on, of
/// 8 sectors of the disk each.
pub(super) fn kernel(names: &[&str]) -> Simulated {
    kernel_with(names, |_| {})
}

/// Creates the same kernel, after changes to its mappings.
pub(super) fn kernel_with(names: &[&str], change: impl FnOnce(&mut [MappingState])) -> Simulated {
    let mut state = State::from_disks(&["/dev/sda=4096".parse().unwrap()]).unwrap();
    state.mappings = names.iter().zip(0..).map(|(name, minor)| mapping(name, minor)).collect();
    change(&mut state.mappings);
    Simulated::new(&state).unwrap()
}

fn mapping(name: &str, minor: u32) -> MappingState {
    let state = json!({
        "name": name,
        "uuid": format!("uuid-of-{name}"),
        "number": DevNum::new(254, minor),
        "live": [{ "start": 0, "length": 8, "type": "linear", "params": "8:0 0" }],
    });
    serde_json::from_value(state).unwrap()
}

/// Makes a row of 8 sectors.
pub(super) fn row(kind: &str, params: &str) -> StateRow {
    serde_json::from_value(json!({ "start": 0, "length": 8, "type": kind, "params": params })).unwrap()
}

/// Lists the calls so far that could change a device: `load data`.
pub(super) fn changes(kernel: &Simulated) -> Vec<String> {
    let reading =
        |call| matches!(call, Call::Version | Call::List | Call::Targets | Call::Table | Call::Status);
    let calls = kernel.calls().into_iter().filter(|(call, _)| !reading(*call));
    calls.map(|(call, device)| format!("{call:?} {device}").to_lowercase()).collect()
}

/// Returns the live rows of a device.
pub(super) fn rows(kernel: &Simulated, name: &str) -> Vec<String> {
    let mapped = kernel.device(&Id::Name(Name::new(name).unwrap()), Slot::Live).unwrap().unwrap();
    mapped.table.iter().map(ToString::to_string).collect()
}
