//! A target that decides by itself how long it is, and grows with what is below.

use std::collections::BTreeSet;

use dmctl::access::Access;
use dmctl::apply::{self, Options, Silent};
use dmctl::config;
use dmctl::identity::Name;
use dmctl::kernel::simulated::{Simulated, State};
use dmctl::kernel::{Call, ChangeKernel, Id, ReadKernel, Removal, Slot};
use dmctl::plan;
use dmctl::policy::Class;
use dmctl::table::RawRow;

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

fn stack(sectors: u64, row: &str) -> String {
    format!(
        "format = 1\n[mappings.o]\ntargets = [{{ type = 'linear', length = {sectors}, device = '/dev/sda' }}]\n[mappings.s]\ntargets = [{{ type = 'integrity', device = '@o', internal_hash = 'crc32c', {row} }}]\n"
    )
}

fn made(kernel: &Simulated, text: &str, allow: &[Class]) -> plan::Plan {
    let map = config::parse_str("map.toml", text).map.expect("a valid map");
    plan::plan(kernel, &map, &allow.iter().copied().collect()).unwrap()
}

/// Applies a map, and returns the length of `s`.
fn grown(kernel: &Simulated, text: &str, allow: &[Class]) -> u64 {
    apply::apply(kernel, &made(kernel, text, allow), Options::default(), &mut Silent).unwrap();
    assert!(made(kernel, text, &[]).is_empty(), "one apply is enough");
    let state = kernel.state();
    let device = state.mappings.iter().find(|mapping| mapping.name == "s").expect("it is there");
    device.live.as_ref().unwrap()[0].length
}

#[test]
fn it_grows_and_shrinks_with_what_is_below() {
    let disks = State::from_disks(&["/dev/sda=131072".parse().unwrap()]).unwrap();
    for row in
        ["mode = 'journal'", "mode = 'bitmap'", "mode = 'direct', block_size = 4096, fix_padding = true"]
    {
        let kernel = Simulated::new(&disks).unwrap();
        let small = grown(&kernel, &stack(65536, row), &[Class::Format]);
        let large = grown(&kernel, &stack(131_072, row), &[]);
        assert!(small < 65536 && large > 120_000, "{row}: {small} {large}");
        // Down meanwhile.
        let down = |sectors| format!("{}state = 'absent'\n", stack(sectors, row));
        apply::apply(&kernel, &made(&kernel, &down(65536), &Class::ALL), Options::default(), &mut Silent)
            .unwrap();
        assert_eq!(grown(&kernel, &stack(65536, row), &[Class::Remap]), small, "{row}");
        assert_eq!(grown(&kernel, &stack(131_072, row), &[]), large, "{row}");
        assert_eq!(grown(&kernel, &stack(65536, row), &[Class::Remap]), small, "{row}");
        // With a length in the map it stays, and may be as long as fits.
        let fixed = |length: u64| stack(131_072, &format!("{row}, length = {length}"));
        let plan = made(&kernel, &fixed(small), &[]);
        assert_eq!(plan.steps.iter().map(|step| step.name.to_string()).collect::<Vec<_>>(), ["o"]);
        assert_eq!(grown(&kernel, &fixed(large), &[]), large);
        let plan = made(&kernel, &fixed(large + 8), &[]);
        let conflict = plan.conflicts.iter().map(|conflict| conflict.reason.to_string()).collect::<String>();
        assert!(conflict.contains(&format!("counts {} sectors", large + 8)), "{conflict}");
        assert!(conflict.contains(&format!("has {large}")), "{conflict}");
        // The kernel refuses it as well.
        let id = Id::Name(Name::new("s").unwrap());
        let table = kernel.device(&id, Slot::Live).unwrap().unwrap().table;
        let longer = RawRow::new(0, large + 8, "integrity", table[0].params().to_string());
        assert!(kernel.load(&id, &[longer], Access::Writable).is_err(), "{row}");
    }
}
