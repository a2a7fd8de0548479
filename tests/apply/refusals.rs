//! What the kernel refuses is told with its answer, its log, and the row.

use std::collections::BTreeSet;

use dmctl::apply::{self, Options, Silent};
use dmctl::config;
use dmctl::kernel::simulated::{Simulated, State};
use dmctl::plan;

#[test]
fn the_row_the_errno_and_the_log_are_told() {
    let disks = ["/dev/sda=65536".parse().unwrap(), "/dev/sdb=65536".parse().unwrap()];
    let mut state = State::from_disks(&disks).unwrap();
    state.block_devices[1].exclusive = true;
    let kernel = Simulated::new(&state).unwrap();
    let text = "format = 1\n[mappings.data]\ntargets = [{ type = 'linear', length = 8, device = '/dev/sda' }, { type = 'delay', length = 8, read = { device = '/dev/sdb', delay = 1 } }]\n";
    let map = config::parse_str("map.toml", text).map.expect("a valid map");
    let plan = plan::plan(&kernel, &map, &BTreeSet::new()).unwrap();
    let error = apply::apply(&kernel, &plan, Options::default(), &mut Silent).unwrap_err().to_string();
    for says in ["create data", "EBUSY", "delay: Device lookup failed", "`8 8 delay 8:16 0 1`", "put back"] {
        assert!(error.contains(says), "{says}: {error}");
    }
    assert_eq!(kernel.state(), state);
}
