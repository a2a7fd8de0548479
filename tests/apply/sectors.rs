//! Sectors that change hands within a plan are let go before they are taken: at no moment do two devices write to them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dmctl::apply::{self, Options, Silent};
use dmctl::config::{self, Map};
use dmctl::kernel::Call;
use dmctl::kernel::simulated::{Simulated, State};
use dmctl::plan::{self, Plan};
use dmctl::policy::Class;

/// The golden plans in which sectors change hands.
const CASES: [&str; 7] = [
    "sectors-split",
    "sectors-joined",
    "sectors-go-from-one-to-another",
    "sectors-of-a-pruned-leftover",
    "sectors-of-a-pruned-leftover-on-growth",
    "sectors-exchanged",
    "sectors-exchanged-by-three",
];

fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(case)
}

fn kernel(case: &str) -> Simulated {
    let text = fs::read_to_string(folder(case).join("kernel.json")).unwrap();
    Simulated::new(&State::parse(&text, "kernel.json").unwrap()).unwrap()
}

fn map(case: &str) -> Map {
    config::load(&[folder(case).join("map.toml")]).map.unwrap()
}

fn plan(kernel: &Simulated, map: &Map) -> Plan {
    plan::plan(kernel, map, &BTreeSet::from(Class::ALL)).unwrap()
}

fn options(jobs: usize) -> Options<'static> {
    Options { jobs, ..Options::default() }
}

/// The devices that write to sectors which another one writes to, too.
fn torn(state: &State) -> Vec<String> {
    let mut uses: Vec<(&str, u64, u64, &str)> = Vec::new();
    for mapping in state.mappings.iter().filter(|mapping| !mapping.suspended) {
        for row in mapping.live.iter().flatten().filter(|row| row.kind == "linear") {
            let (device, offset) = row.params.reveal().split_once(' ').unwrap();
            let start: u64 = offset.trim().parse().unwrap();
            if !device.starts_with("254:") {
                uses.push((device, start, start + row.length, &mapping.name));
            }
        }
    }
    let meets = |one: &(&str, u64, u64, &str), two: &(&str, u64, u64, &str)| {
        one.0 == two.0 && one.1 < two.2 && two.1 < one.2 && one.3 < two.3
    };
    let pairs =
        uses.iter().flat_map(|one| uses.iter().filter(|two| meets(one, two)).map(move |two| (one, two)));
    pairs.map(|(one, two)| format!("{} and {}", one.3, two.3)).collect()
}

#[test]
fn at_no_moment_do_two_devices_write_to_the_same_sectors() {
    for case in CASES {
        for jobs in [1, 8] {
            let (whole, map) = (kernel(case), map(case));
            let steps = plan(&whole, &map);
            whole.forget_calls();
            apply::apply(&whole, &steps, options(jobs), &mut Silent).unwrap();
            for calls in 0..=whole.changes() {
                let kernel = kernel(case);
                let steps = plan(&kernel, &map);
                kernel.die_after(calls);
                let _ = apply::apply(&kernel, &steps, options(jobs), &mut Silent);
                assert!(
                    torn(&kernel.state()).is_empty(),
                    "{case}, {calls} calls: {:?}",
                    torn(&kernel.state())
                );
            }
        }
    }
}

#[test]
fn on_the_way_back_neither() {
    for case in CASES {
        let (whole, map) = (kernel(case), map(case));
        let steps = plan(&whole, &map);
        whole.forget_calls();
        apply::apply(&whole, &steps, options(1), &mut Silent).unwrap();
        for failing in 1..=whole.changes() {
            for more in 0..12 {
                let kernel = kernel(case);
                let steps = plan(&kernel, &map);
                kernel.fail_nth(failing, nix::errno::Errno::EIO);
                kernel.die_after(failing + more);
                let _ = apply::apply(&kernel, &steps, options(1), &mut Silent);
                let torn = torn(&kernel.state());
                assert!(torn.is_empty(), "{case}, call {failing} fails, {more} more: {torn:?}");
            }
        }
    }
}

/// The calls that change the kernel: `resume a`.
fn calls(case: &str) -> Vec<String> {
    let (kernel, map) = (kernel(case), map(case));
    let steps = plan(&kernel, &map);
    kernel.forget_calls();
    apply::apply(&kernel, &steps, options(1), &mut Silent).unwrap();
    let reading =
        |call| matches!(call, Call::Version | Call::List | Call::Targets | Call::Table | Call::Status);
    let calls = kernel.calls().into_iter().filter(|(call, _)| !reading(*call));
    calls.map(|(call, device)| format!("{call:?} {device}").to_lowercase()).collect()
}

#[test]
fn the_device_that_has_the_sectors_lets_go_first() {
    assert_eq!(calls("sectors-split"), ["load d", "resume d", "create d2", "load d2", "resume d2"]);
    assert_eq!(calls("sectors-joined"), ["load d", "remove d2", "resume d"]);
    assert_eq!(
        calls("sectors-of-a-pruned-leftover"),
        ["remove data", "create data2", "load data2", "resume data2"]
    );
    let exchange = calls("sectors-exchanged-by-three");
    assert!(exchange[3..6].iter().all(|call| call.starts_with("suspend ")), "{exchange:?}");
    assert!(exchange[6..].iter().all(|call| call.starts_with("resume ")), "{exchange:?}");
}

#[test]
fn tables_of_other_devices_are_read_only_where_a_table_takes_sectors() {
    let tables = |kernel: &Simulated, map: &Map| {
        kernel.forget_calls();
        plan(kernel, map);
        kernel.count(Call::Table)
    };
    // The own device and the logical volume beside it.
    let case = "sectors-of-a-logical-volume-on-growth";
    assert_eq!(tables(&kernel(case), &map(case)), 2);
    // A map that changes nothing does not look at the logical volume, nor does one that only shrinks its device.
    let text = fs::read_to_string(folder(case).join("map.toml")).unwrap();
    for length in ["2048", "1024"] {
        let map = config::parse_str("map.toml", &text.replace("4096", length)).map.unwrap();
        assert_eq!(tables(&kernel(case), &map), 1, "{length}");
    }
}
