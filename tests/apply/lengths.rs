//! A target that decides by itself how long it is.

use std::collections::BTreeSet;

use dmctl::apply::{self, Options, Silent};
use dmctl::config;
use dmctl::identity::Name;
use dmctl::kernel::simulated::{Simulated, State};
use dmctl::kernel::{Call, ChangeKernel, Id, Removal};
use dmctl::plan;
use dmctl::policy::Class;

#[test]
fn it_is_loaded_with_one_block_and_then_with_all_that_it_offers() {
    let kernel = Simulated::new(&State::from_disks(&["/dev/sda=65536".parse().unwrap()]).unwrap()).unwrap();
    let text = "format = 1\n[mappings.data]\ntargets = [{ type = 'integrity', device = '/dev/sda', block_size = '4KiB', internal_hash = 'crc32c' }]\n";
    let map = config::parse_str("map.toml", text).map.expect("a valid map");
    let all = BTreeSet::from(Class::ALL);
    let first = plan::plan(&kernel, &map, &all).unwrap();
    let reason = first.steps.iter().next().unwrap().reason.to_string();
    assert!(reason.contains("length is known after"), "{reason}");
    apply::apply(&kernel, &first, Options::default(), &mut Silent).unwrap();
    assert_eq!(kernel.count(Call::Load), 2);
    let length = kernel.state().mappings[0].live.as_ref().unwrap()[0].length;
    assert!((32768..65536).contains(&length) && length.is_multiple_of(8), "{length}");
    assert!(plan::plan(&kernel, &map, &all).unwrap().is_empty());

    // Formatted already, it needs no first load: not even without being asked.
    kernel.remove(&Id::Name(Name::new("data").unwrap()), Removal::Now).unwrap();
    kernel.forget_calls();
    let again = plan::plan(&kernel, &map, &BTreeSet::new()).unwrap();
    apply::apply(&kernel, &again, Options::default(), &mut Silent).unwrap();
    assert_eq!(kernel.count(Call::Load), 1);
    assert_eq!(kernel.state().mappings[0].live.as_ref().unwrap()[0].length, length);
}
