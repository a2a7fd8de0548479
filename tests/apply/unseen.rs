//! Metadata that shows up only when the mapping below it is there.

use std::collections::BTreeSet;

use dmctl::apply::{self, ApplyError, Options, Silent};
use dmctl::config;
use dmctl::kernel::simulated::{Simulated, State};
use dmctl::plan;
use dmctl::policy::Class;

/// What a cipher shows of a disk can't be told before its device is there.
const MAP: &str = "format = 1
[mappings.md]
targets = [{ type = 'crypt', length = 8192, device = '/dev/sda', cipher = 'aes-cbc-essiv:sha256', key = { hex = '00112233445566778899aabbccddeeff' } }]
[mappings.pool]
targets = [{ type = 'thin-pool', length = 8192, metadata = '@md', data = '/dev/sdb', block_size = 128 }]
";

#[test]
fn it_is_looked_at_during_the_apply_and_not_formatted_unasked() {
    let disks = ["/dev/sda=16384", "/dev/sdb=16384"].map(|disk| disk.parse().unwrap());
    let kernel = Simulated::new(&State::from_disks(&disks).unwrap()).unwrap();
    let map = config::parse_str("map.toml", MAP).map.expect("a valid map");
    let unasked = plan::plan(&kernel, &map, &BTreeSet::new()).unwrap();
    assert!(unasked.steps.iter().all(|step| step.refused.is_none()), "a plan can't tell");
    let failed = apply::apply(&kernel, &unasked, Options::default(), &mut Silent).unwrap_err();
    let ApplyError::Refused(refused) = failed else { panic!("{failed}") };
    assert!(refused[0].to_string().contains("the kernel formats a new, empty pool"), "{}", refused[0]);
    assert!(kernel.state().mappings.is_empty(), "something is left");

    let asked = plan::plan(&kernel, &map, &BTreeSet::from([Class::Format])).unwrap();
    apply::apply(&kernel, &asked, Options::default(), &mut Silent).unwrap();
    assert_eq!(kernel.state().mappings.len(), 2);
}
