//! A kernel that takes a table and keeps to the old parameters.

use std::collections::BTreeSet;

use dmctl::apply::{self, ApplyError, Options, Silent};
use dmctl::config::{self, Map};
use dmctl::kernel::simulated::{Fault, Simulated, State};
use dmctl::plan;
use dmctl::policy::Class;

fn map(target: &str) -> Map {
    let text = format!("format = 1\n[mappings.data]\ntargets = [{{ {target} }}]\n");
    config::parse_str("map.toml", &text).map.expect("a valid map")
}

fn apply(kernel: &Simulated, map: &Map) -> Result<(), ApplyError> {
    let plan = plan::plan(kernel, map, &BTreeSet::from(Class::ALL)).expect("a simulated kernel can be read");
    apply::apply(kernel, &plan, Options::default(), &mut Silent)
}

#[test]
fn a_value_that_the_kernel_ignores_is_named_and_everything_put_back() {
    let cases = [
        (
            "type = 'linear', length = 1024, device = '/dev/sda'",
            "type = 'linear', length = 1024, device = '/dev/sda', offset = 2048",
            "offset 0 -> 2048",
        ),
        (
            "type = 'delay', length = 1024, read = { device = '/dev/sda', delay = 10 }",
            "type = 'delay', length = 1024, read = { device = '/dev/sda', delay = 20 }",
            "20",
        ),
        (
            "type = 'raid', length = 1024, level = 'raid5_ls', chunk = 64, devices = [{ data = '/dev/sda' }, { data = '/dev/sdb' }, { data = '/dev/sdc' }]",
            "type = 'raid', length = 1024, level = 'raid5_ls', chunk = 128, devices = [{ data = '/dev/sda' }, { data = '/dev/sdb' }, { data = '/dev/sdc' }]",
            "chunk 64 -> 128",
        ),
        (
            "type = 'raid', length = 1024, level = 'raid1', write_mostly = [1], max_write_behind = 256, devices = [{ data = '/dev/sda' }, { data = '/dev/sdb' }]",
            "type = 'raid', length = 1024, level = 'raid1', write_mostly = [1], max_write_behind = 512, devices = [{ data = '/dev/sda' }, { data = '/dev/sdb' }]",
            "max_write_behind 256 -> 512",
        ),
    ];
    let disks = ["/dev/sda=65536", "/dev/sdb=65536", "/dev/sdc=65536"].map(|disk| disk.parse().unwrap());
    for (before, after, says) in cases {
        let kernel = Simulated::new(&State::from_disks(&disks).unwrap()).unwrap();
        apply(&kernel, &map(before)).unwrap();
        let was = kernel.state();
        kernel.inject(1, Fault::Ignore);
        let error = apply(&kernel, &map(after)).unwrap_err();
        let ApplyError::RolledBack { step, cause } = &error else { panic!("{error}") };
        assert_eq!(step.to_string(), "reload data");
        assert!(cause.to_string().contains(says), "{cause}");
        assert_eq!(kernel.state().mappings, was.mappings);
    }
}
