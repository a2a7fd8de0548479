//! Any text, and any sequence of calls: no panic, and a state that reads back as it was.

use dmctl::access::Access;
use dmctl::identity::{DevNum, Uuid};
use dmctl::kernel::simulated::{MappingState, Simulated, State};
use dmctl::kernel::{ChangeKernel, ReadKernel, Removal, Slot, Suspend};
use dmctl::table::RawRow;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{disks, id, make, name};

/// A call, with small numbers so that calls meet.
#[derive(Debug, Clone)]
enum Step {
    Create(u8, Option<u8>),
    Load(u8, Vec<(u8, u64)>, bool),
    Clear(u8),
    Suspend(u8),
    Resume(u8),
    Rename(u8, u8),
    SetUuid(u8, u8),
    Remove(u8, Removal),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let device = 0u8..4;
    let rows = vec((0u8..8, 0u64..70_000), 1..3);
    let step = prop_oneof![
        (device.clone(), proptest::option::of(device.clone())).prop_map(|(d, u)| Step::Create(d, u)),
        (device.clone(), rows, any::<bool>()).prop_map(|(d, rows, ro)| Step::Load(d, rows, ro)),
        device.clone().prop_map(Step::Clear),
        device.clone().prop_map(Step::Suspend),
        device.clone().prop_map(Step::Resume),
        device.clone().prop_map(Step::Resume),
        (device.clone(), device.clone()).prop_map(|(a, b)| Step::Rename(a, b)),
        (device.clone(), device.clone()).prop_map(|(a, b)| Step::SetUuid(a, b)),
        (device, prop_oneof![Just(Removal::Now), Just(Removal::Deferred)])
            .prop_map(|(d, how)| Step::Remove(d, how)),
    ];
    vec(step, 1..40)
}

fn table(rows: &[(u8, u64)]) -> Vec<RawRow> {
    let mut start = 0;
    let row = |(below, length): &(u8, u64)| {
        let params = match below {
            0..3 => format!("1:{below} 0"),
            3..7 => format!("254:{} 0", below - 3),
            _ => String::new(),
        };
        let target = RawRow::new(start, *length, if *below < 7 { "linear" } else { "zero" }, params);
        start += length;
        target
    };
    rows.iter().map(row).collect()
}

fn take(kernel: &Simulated, step: &Step) {
    let device = |n: &u8| id(&format!("d{n}"));
    let uuid = |n: &u8| Uuid::new(&format!("U{n}")).unwrap();
    // Refusals are expected here; what matters is what they leave.
    let _ = match step {
        Step::Create(n, u) => {
            kernel.create(&name(&format!("d{n}")), u.as_ref().map(uuid).as_ref()).map(|_| ())
        }
        Step::Load(n, rows, read_only) => {
            kernel.load(&device(n), &table(rows), Access::from_read_only(*read_only))
        }
        Step::Clear(n) => kernel.clear(&device(n)),
        Step::Suspend(n) => kernel.suspend(&device(n), Suspend::default()),
        Step::Resume(n) => kernel.resume(&device(n)),
        Step::Rename(a, b) => kernel.rename(&name(&format!("d{a}")), &name(&format!("d{b}"))),
        Step::SetUuid(n, u) => kernel.set_uuid(&name(&format!("d{n}")), &uuid(u)),
        Step::Remove(n, how) => kernel.remove(&device(n), *how),
    };
}

/// Open counts and holders, counted again from the tables.
fn books_are_true(kernel: &Simulated) {
    let state = kernel.state();
    for mapping in &state.mappings {
        let below = |row: &dmctl::kernel::simulated::StateRow| {
            row.params.reveal().starts_with(&format!("{} ", mapping.number))
        };
        let opens = |other: &MappingState| {
            let uses = |table: &Option<Vec<_>>| table.iter().flatten().any(below);
            let (live, inactive) = (uses(&other.live), uses(&other.inactive));
            let one_mode = other.read_only == other.inactive_read_only;
            u32::from(live) + u32::from(inactive) - u32::from(live && inactive && one_mode)
        };
        let expected: u32 = state.mappings.iter().map(opens).sum();
        assert_eq!(mapping.open_count, expected, "{}: {state:#?}", mapping.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_calls_leave_a_state_that_reads_back(steps in steps()) {
        let kernel = Simulated::new(&disks()).unwrap();
        for step in &steps {
            take(&kernel, step);
            books_are_true(&kernel);
        }
        let state = kernel.state();
        let again = Simulated::new(&State::parse(&state.to_json(), "x").unwrap()).unwrap();
        prop_assert_eq!(again.state(), state);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*", cut in 0usize..2000) {
        let _ = State::parse(&text, "x");
        let whole = Simulated::new(&disks()).unwrap().state().to_json();
        let cut = whole.chars().take(cut).collect::<String>() + &text;
        if let Ok(state) = State::parse(&cut, "x") {
            let _ = Simulated::new(&state);
        }
    }
}

#[test]
fn depth_is_bounded() {
    let deep = ["[", "{\"a\":"].map(|open| open.repeat(100_000));
    for text in deep {
        for whole in [text.clone(), format!("{{\"format_version\":1,\"mappings\":{text}")] {
            let says = State::parse(&whole, "x").unwrap_err();
            assert!(says.contains("recursion limit") || says.contains("expected"), "{says}");
        }
    }
}

#[test]
fn a_tall_stack_goes_away_at_once() {
    let kernel = Simulated::new(&disks()).unwrap();
    make(&kernel, "d0", "0 8 linear 1:0 0").unwrap();
    for n in 1..1000 {
        make(&kernel, &format!("d{n}"), &format!("0 8 linear 254:{} 0", n - 1)).unwrap();
        kernel.remove(&id(&format!("d{}", n - 1)), Removal::Deferred).unwrap();
    }
    assert_eq!(kernel.peek(DevNum::new(254, 999), 0, 1), None, "too deep to be followed");
    kernel.remove(&id("d999"), Removal::Now).unwrap();
    assert!(kernel.device(&id("d0"), Slot::Live).unwrap().is_none());
    assert!(kernel.list().unwrap().is_empty());
}
