//! Tests of vdo: its rows of every version, its limits, and what may change while it runs.

use proptest::prelude::*;

use super::*;
use crate::targets::kit::{
    argument, check, compare, device, parse, print, problems, resized, round_trip, try_parse, wrong_fields,
};

fn options() -> impl Strategy<Value = BTreeMap<String, Argument>> {
    let on_off = prop_oneof![Just("on"), Just("off")].prop_map(|value| Argument::new(value).unwrap());
    let option = prop_oneof![
        (Just("ack"), (0u32..=100).prop_map(Argument::from)),
        (Just("maxDiscard"), (1u32..=1_048_575).prop_map(Argument::from)),
        (Just("compression"), on_off),
    ];
    prop::collection::btree_map(option.clone().prop_map(|(name, _)| name), option, 0..3)
        .prop_map(|map| map.into_values().map(|(name, value)| (name.to_string(), value)).collect())
}

proptest! {
    #[test]
    fn rows_read_back(
        device in device(),
        storage_blocks in 1u64..=MAX_BLOCKS,
        small in any::<bool>(),
        cache_blocks in 32_768u32..,
        era_length in 1u32..=16_380,
        options in options(),
        version in prop::sample::select(Version::ALL),
        unused in prop::collection::vec(argument(), 5),
    ) {
        let minimum_io_size = Bytes(if small { 512 } else { 4096 });
        let storage_blocks = version.has_size().then_some(storage_blocks);
        let unused = unused[..version.unused()].to_vec();
        let mut options = options;
        options.retain(|name, _| name == "ack" || !version.has_thread_list());
        let vdo =
            Vdo { device, storage_blocks, minimum_io_size, cache_blocks, era_length, options, version, unused };
        prop_assert_eq!(problems(&vdo, Some(64)), []);
        round_trip(&vdo)?;
    }
}

const ROW: &str = "V4 8:0 262144 4096 32768 16380";

#[test]
fn only_some_changes_pass_while_it_runs() {
    let effect = |wanted: &str| compare::<Vdo>(wanted, ROW).effect();
    assert_eq!(effect("V4 8:0 294976 4096 32768 16380"), Some(Effect::Tune));
    assert_eq!(effect("V4 8:0 262145 4096 32768 16380"), Some(Effect::Recreate));
    assert_eq!(effect("V4 8:0 262143 4096 32768 16380"), Some(Effect::Recreate));
    assert_eq!(effect("V4 8:16 262144 4096 32768 16380"), Some(Effect::Remap));
    assert_eq!(effect("V4 8:0 262144 4096 32768 16380 compression on"), Some(Effect::Tune));
    assert_eq!(effect("V4 8:0 262144 4096 32768 16380 bio 5"), Some(Effect::Recreate));
    // An option that is set to its default is not a change, in any order.
    assert_eq!(effect("V4 8:0 262144 4096 32768 16380 bio 04 ack 1 deduplication on"), None);
}

#[test]
fn a_volume_grows_and_never_shrinks() {
    let vdo: Vdo = parse(ROW);
    assert_eq!(resized(&vdo, 16, 8), Some(Effect::Tune));
    assert_eq!(resized(&vdo, 8, 16), Some(Effect::Recreate));
    assert_eq!(vdo.remaining_length(&|_| Some(8)), RemainingLength::NotApplicable);
}

#[test]
fn limits() {
    for (row, field) in [
        ("V4 8:0 0 4096 32768 16380", "storage_blocks"),
        ("V4 8:0 262144 1024 32768 16380", "minimum_io_size"),
        ("V4 8:0 262144 4096 100 16380", "cache_blocks"),
        ("V4 8:0 262144 4096 32768 0", "era_length"),
        ("V4 8:0 262144 4096 32768 16380 ack 101", "options.ack"),
        ("V4 8:0 262144 4096 32768 16380 Ack 1", "options.Ack"),
        ("V4 8:0 262144 4096 32768 16380 compression yes", "options.compression"),
        ("V4 8:0 262144 4096 32768 16380 hash 1", "options"),
        ("V4 8:0 262144 4096 32768 16380 hash 1 physical 1 logical 9", "cache_blocks"),
    ] {
        assert_eq!(wrong_fields::<Vdo>(row, None), [field], "{row}");
    }
    assert_eq!(check::<Vdo>(ROW, Some(12))[0].field, "length");
    assert!(try_parse::<Vdo>("V3 8:0 262144 4096 32768 16380").is_err());
    assert!(try_parse::<Vdo>("V4 8:0 262144 4096 32768 16380 ack").is_err());
}

/// The row of each version for one volume.
const ROWS: [&str; 5] = [
    "8:0 4096 0 0 32768 16380 on auto vdo0 ack=1,bio=4",
    "V1 8:0 262144 4096 0 0 32768 16380 on auto vdo0 .",
    "V2 8:0 262144 4096 32768 16380 on auto vdo0 ack 1",
    "V3 8:0 262144 4096 32768 16380 auto ack 1 bio 4",
    ROW,
];

#[test]
fn every_version_is_printed_as_it_was_loaded() {
    for (row, version) in ROWS.into_iter().zip(Version::ALL) {
        let vdo: Vdo = parse(row);
        assert_eq!((vdo.version, print(&vdo).as_str()), (*version, row));
        assert_eq!(problems(&vdo, Some(64)), [], "{row}");
    }
    let oldest: Vdo = parse(ROWS[0]);
    assert_eq!(oldest.storage_blocks, None);
    assert_eq!(
        oldest.unused.iter().map(Argument::as_str).collect::<Vec<_>>(),
        ["0", "0", "on", "auto", "vdo0"]
    );
    assert_eq!((oldest.number("ack"), oldest.number("bio")), (1, 4));
    assert_eq!(oldest.lower_devices(64)[0].length, None);
}

#[test]
fn another_version_is_not_a_difference() {
    for row in &ROWS[1..] {
        for other in &ROWS[1..] {
            assert!(compare::<Vdo>(row, other).is_equal(), "{row}, {other}");
        }
    }
    assert!(compare::<Vdo>(ROWS[0], ROWS[0]).is_equal());
    // A size in place of that of the device is loaded, for the kernel alone knows whether it is the same.
    assert_eq!(compare::<Vdo>(ROW, ROWS[0]).effect(), Some(Effect::Tune));
    // A kernel that reads the write policy takes it with a load.
    let policy = ROWS[3].replace("auto", "sync");
    assert_eq!(compare::<Vdo>(&policy, ROWS[3]).effect(), Some(Effect::Tune));
    let tuned = format!("{ROW} compression on");
    assert_eq!(compare::<Vdo>(&tuned, ROWS[2]).effect(), Some(Effect::Tune));
}

#[test]
fn a_map_keeps_to_the_words_of_its_version() {
    let of = |version, storage_blocks, unused: &[&str]| {
        let unused = unused.iter().map(|word| Argument::new(word).unwrap()).collect();
        let vdo = Vdo { storage_blocks, version, unused, ..parse(ROW) };
        problems(&vdo, None).into_iter().map(|problem| problem.field).collect::<Vec<_>>()
    };
    assert_eq!(of(Version::V4, None, &[]), ["storage_blocks"]);
    assert_eq!(of(Version::V0, Some(262_144), &["0", "0", "on", "auto", "vdo0"]), ["storage_blocks"]);
    assert_eq!(of(Version::V2, Some(262_144), &["auto"]), ["unused"]);
    assert_eq!(of(Version::V4, Some(262_144), &["auto"]), ["unused"]);
    let threads = ROWS[1].replace(" .", " maxDiscard=2");
    assert_eq!(wrong_fields::<Vdo>(&threads, None), ["options.maxDiscard"]);
}

#[test]
fn words_that_no_version_has_are_refused() {
    for row in [
        "V0 8:0 262144 4096 32768 16380",
        "V5 8:0 262144 4096 32768 16380",
        "v4 8:0 262144 4096 32768 16380",
        "8:0 4096 0 0 32768 16380 on auto vdo0",
        "8:0 4096 0 0 32768 16380 on auto vdo0 . .",
        "V1 8:0 262144 4096 0 0 32768 16380 on auto vdo0",
        "V1 8:0 262144 4096 0 0 32768 16380 on auto vdo0 ack",
        "V1 8:0 262144 4096 0 0 32768 16380 on auto vdo0 ack 1",
        "V2 8:0 262144 4096 32768 16380 on auto",
        "V3 8:0 262144 4096 32768 16380 auto ack =k\" \" 2",
    ] {
        assert!(try_parse::<Vdo>(row).is_err(), "{row}");
    }
}

#[test]
fn a_formatted_device_is_known_by_its_magic() {
    assert_eq!(look(b"dmvdo001"), Found::Right);
    assert_eq!(look(&[0; 8]), Found::Other);
}
