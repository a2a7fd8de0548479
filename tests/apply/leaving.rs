//! A table that has something left is looked at once more before another one takes its place.

use std::collections::BTreeSet;

use dmctl::apply::{self, ApplyError, Options, Silent};
use dmctl::config;
use dmctl::identity::Name;
use dmctl::kernel::simulated::{Simulated, State};
use dmctl::kernel::{Call, ChangeKernel, Id, ReadKernel, Slot};
use dmctl::plan::{self, Plan};
use dmctl::policy::Class;
use dmctl::table::RawRow;

/// A table that may have something left: finished, then not, and the table that takes its place.
struct Case {
    live: &'static str,
    finished: &'static str,
    unfinished: &'static str,
    wanted: &'static str,
    /// What is told of what is left.
    told: &'static str,
}

const ORIGIN: &str = "type = 'linear', length = 16384, device = '/dev/sdc'";

const CASES: [Case; 5] = [
    Case {
        live: "0 16384 cache /dev/sda /dev/sdb /dev/sdc 64 1 writeback smq 0",
        finished: "8 7/512 64 20/1024 0 0 0 0 0 20 0 1 writeback 2 migration_threshold 2048 smq 0 rw - ",
        unfinished: "8 7/512 64 20/1024 0 0 0 0 0 20 3 1 writeback 2 migration_threshold 2048 smq 0 rw - ",
        wanted: ORIGIN,
        told: "3 dirty blocks (96.0 KiB) are on the cache alone",
    },
    Case {
        live: "0 16384 writecache s /dev/sdc /dev/sdb 4096 0",
        finished: "0 1020 1020 0 0 0 0 0 0 0 0 0 0 0",
        unfinished: "0 1020 1018 0 0 0 0 0 0 0 0 0 0 0",
        wanted: ORIGIN,
        told: "2 dirty blocks (8.0 KiB) are on the cache alone",
    },
    Case {
        live: "0 16384 clone /dev/sda /dev/sdc /dev/sdb 64 0 0",
        finished: "8 6/128 64 256/256 0 0 4 hydration_threshold 1 hydration_batch_size 1 rw",
        unfinished: "8 6/128 64 255/256 0 0 4 hydration_threshold 1 hydration_batch_size 1 ro",
        wanted: ORIGIN,
        told: "1 region (32.0 KiB) is not hydrated",
    },
    Case {
        live: "0 16384 mirror core 1 1024 2 /dev/sdb 0 /dev/sdc 0 1 handle_errors",
        finished: "2 8:16 8:32 16/16 1 AA 1 core",
        unfinished: "2 8:16 8:32 15/16 1 AD 1 core",
        wanted: ORIGIN,
        told: "1 region (512.0 KiB) is not in sync",
    },
    Case {
        live: "0 16384 snapshot-merge /dev/sdc /dev/sdb P 8",
        finished: "16/1024 16",
        unfinished: "24/1024 16",
        wanted: ORIGIN,
        told: "8 sectors (4.0 KiB) are not merged into the origin",
    },
];

fn name() -> Name {
    Name::new("v").unwrap()
}

/// Makes a kernel with the live table, finished.
fn kernel(case: &Case) -> Simulated {
    let disks = ["/dev/sda=65536", "/dev/sdb=65536", "/dev/sdc=65536"].map(|disk| disk.parse().unwrap());
    let kernel = Simulated::new(&State::from_disks(&disks).unwrap()).unwrap();
    let uuid = dmctl::identity::Uuid::from_kernel(b"DMCTL-dmctl-v").unwrap();
    kernel.create(&name(), Some(&uuid)).unwrap();
    let row = RawRow::parse(case.live).unwrap();
    // The last word of an array of numbers is a device, by its number.
    kernel.load(&Id::Name(name()), &[numbered(&row)], dmctl::access::Access::Writable).unwrap();
    kernel.resume(&Id::Name(name())).unwrap();
    kernel.go_on(&name(), 0, case.finished);
    kernel
}

/// Writes the disks of a row by their numbers.
fn numbered(row: &RawRow) -> RawRow {
    let params =
        row.params().replace("/dev/sda", "8:0").replace("/dev/sdb", "8:16").replace("/dev/sdc", "8:32");
    RawRow::new(row.start, row.length, &row.kind, params)
}

fn plan(kernel: &Simulated, case: &Case, allow: &[Class]) -> Plan {
    let text = format!("format = 1\n[mappings.v]\ntargets = [{{ {} }}]\n", case.wanted);
    let map = config::parse_str("map.toml", &text).map.expect("a valid map");
    plan::plan(kernel, &map, &allow.iter().copied().collect::<BTreeSet<_>>()).unwrap()
}

fn live_row(kernel: &Simulated) -> String {
    let device = kernel.device(&Id::Name(name()), Slot::Live).unwrap().unwrap();
    assert!(!device.info.suspended && !device.info.inactive_table, "{:?}", device.info);
    device.table[0].kind.to_string()
}

#[test]
fn what_is_finished_gives_way_without_a_word() {
    for case in &CASES {
        let kernel = kernel(case);
        let plan = plan(&kernel, case, &[]);
        apply::apply(&kernel, &plan, Options::default(), &mut Silent).unwrap();
        assert_eq!(live_row(&kernel), "linear", "{}", case.live);
    }
}

#[test]
fn what_has_something_left_is_refused_with_the_count() {
    for case in &CASES {
        let kernel = kernel(case);
        kernel.go_on(&name(), 0, case.unfinished);
        let plan = plan(&kernel, case, &[Class::Remap]);
        let error = apply::apply(&kernel, &plan, Options::default(), &mut Silent).unwrap_err();
        assert!(matches!(error, ApplyError::Refused(_)), "{error}");
        assert!(error.to_string().contains(case.told), "{}: {error}", case.live);
        assert_ne!(live_row(&kernel), "linear");
    }
}

#[test]
fn what_was_approved_as_a_loss_is_lost() {
    for case in &CASES {
        let kernel = kernel(case);
        kernel.go_on(&name(), 0, case.unfinished);
        let plan = plan(&kernel, case, &[Class::Loss]);
        apply::apply(&kernel, &plan, Options::default(), &mut Silent).unwrap();
        assert_eq!(live_row(&kernel), "linear", "{}", case.live);
    }
}

/// Between the plan and the swap a cache takes in a write: the device goes on with its old table.
#[test]
fn what_came_after_the_plan_is_found_while_the_device_is_suspended() {
    for case in &CASES {
        let kernel = kernel(case);
        let plan = plan(&kernel, case, &[]);
        kernel.go_on(&name(), 0, case.unfinished);
        kernel.forget_calls();
        let error = apply::apply(&kernel, &plan, Options::default(), &mut Silent).unwrap_err();
        assert!(matches!(error, ApplyError::RolledBack { .. }), "{error}");
        assert!(error.to_string().contains(case.told), "{}: {error}", case.live);
        assert_ne!(live_row(&kernel), "linear");
        let calls: Vec<Call> = kernel.calls().into_iter().map(|(call, _)| call).collect();
        let place = |wanted| calls.iter().position(|call| *call == wanted);
        assert!(place(Call::Suspend) < place(Call::Status), "{calls:?}");
    }
}

/// A state that can't be read any more at the last look is not finished.
#[test]
fn what_can_not_be_told_at_the_last_look_is_not_finished() {
    for case in &CASES {
        let kernel = kernel(case);
        let plan = plan(&kernel, case, &[]);
        kernel.go_on(&name(), 0, "lies");
        let error = apply::apply(&kernel, &plan, Options::default(), &mut Silent).unwrap_err();
        assert!(error.to_string().contains("an unknown count of"), "{}: {error}", case.live);
        assert_ne!(live_row(&kernel), "linear");
    }
}

/// Tables of targets without a state cost not one call more.
#[test]
fn what_has_no_state_is_never_asked() {
    let kernel = Simulated::new(&State::from_disks(&["/dev/sdc=65536".parse().unwrap()]).unwrap()).unwrap();
    let case = Case { live: "", finished: "", unfinished: "", wanted: ORIGIN, told: "" };
    let first = plan(&kernel, &case, &[]);
    apply::apply(&kernel, &first, Options::default(), &mut Silent).unwrap();
    let grown = Case { wanted: "type = 'linear', length = 32768, device = '/dev/sdc'", ..case };
    let second = plan(&kernel, &grown, &[]);
    apply::apply(&kernel, &second, Options::default(), &mut Silent).unwrap();
    assert_eq!(kernel.count(Call::Status), 0);
}
