//! Tests of the `raid` target.

use proptest::prelude::*;

use super::*;
use crate::targets::frame::ErasedTarget;
use crate::targets::kit::{self, device};
use crate::targets::{Effect, Found, Style, Target, read_state};

fn raids() -> impl Strategy<Value = Raid> {
    let pair = (prop::option::of(device()), prop::option::of(device()))
        .prop_map(|(metadata, data)| Pair { metadata, data });
    let shape = (prop::sample::select(Level::ALL), 3u32..30, prop::collection::vec(pair, 1..20));
    let number = || prop::option::of(0u64..1 << 31);
    let numbers = (number(), number(), number(), number(), number(), number(), number());
    let orders = (
        prop::option::of(prop::sample::select(Resync::ALL)),
        prop::collection::vec(0u32..20, 0..4),
        prop::collection::vec(0u32..20, 0..4),
        prop::option::of(-200i32..200),
    );
    let layout = (
        prop::option::of(2u32..9),
        prop::option::of(prop::sample::select(Raid10Format::ALL)),
        prop::option::of(device()),
        prop::option::of(prop::sample::select(JournalMode::ALL)),
    );
    (shape, numbers, orders, layout).prop_map(|(shape, numbers, orders, layout)| Raid {
        devices: shape.2,
        region_size: numbers.0.map(Sectors),
        sync: orders.0,
        rebuild: orders.1,
        write_mostly: orders.2,
        daemon_sleep: numbers.1,
        min_recovery_rate: numbers.2,
        max_recovery_rate: numbers.3,
        max_write_behind: numbers.4.map(Sectors),
        stripe_cache: numbers.5,
        raid10_copies: layout.0,
        raid10_format: layout.1,
        delta_disks: orders.3,
        data_offset: numbers.6.map(Sectors),
        journal_mode: layout.3.filter(|_| layout.2.is_some()),
        journal_device: layout.2,
        ..Raid { level: shape.0, chunk: Sectors(1 << shape.1), ..Raid::default() }
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(raid in raids()) {
        kit::round_trip(&raid)?;
    }

    #[test]
    fn checking_never_panics(raid in raids(), length in any::<u64>()) {
        let mut problems = Problems::default();
        raid.check(Some(length), &mut problems);
        raid.remaining_length(&|_| Some(length));
    }
}

#[test]
fn what_the_kernel_refuses_is_refused() {
    for (row, says) in [
        ("raid5 1 64 3 - 1:0 - 1:1 - 1:2", "not a level"),
        ("raid10 1 64 2 - 1:0 - 1:1", "raid10 needs a metadata device"),
        ("raid5_ls 1 100 3 - 1:0 - 1:1 - 1:2", "nearest is 128"),
        ("raid5_ls 1 4 3 - 1:0 - 1:1 - 1:2", "nearest is 8"),
        ("raid5_ls 5 64 sync rebuild 1 region_size 8192 3 - 1:0 - 1:1 - 1:2", "the row ends"),
        ("raid5_ls 6 64 sync rebuild 1 region_size 8192 3 - 1:0 - 1:1 - 1:2", "can't be combined"),
        ("raid5_ls 5 128 journal_mode writeback journal_dev 8:48 3 - 1:0 - 1:1 - 1:2", "must stand before"),
        ("raid6_zr 2 64 nosync 4 - 1:0 - 1:1 - 1:2 - 1:3", "refuses nosync"),
        ("raid6_zr 1 64 3 - 1:0 - 1:1 - 1:2", "devices must be from 4"),
        ("raid5_ls 2 64 nosync 3 - 1:0 - - - -", "2 devices are missing"),
        ("raid1 1 0 2 - 1:0 - 1:0", "two places"),
        ("raid1 3 0 write_mostly 2 2 - 1:0 - 1:1", "write_mostly must be from 0 to 1"),
        ("raid1 5 0 write_mostly 0 write_mostly 1 2 - 1:0 - 1:1", "can't name them all"),
        ("raid1 3 0 stripe_cache 8 2 - 1:0 - 1:1", "only for raid4"),
        ("raid1 3 0 region_size 1000 2 - 1:0 - 1:1", "nearest is 1024"),
        ("raid1 3 0 max_write_behind 40000 2 - 1:0 - 1:1", "nearest is 32767"),
        ("raid1 2 0 speed 2 - 1:0 - 1:1", "no option `speed`"),
        ("raid1 3 0 sync nosync 2 - 1:0 - 1:1", "only one of sync"),
        ("raid1 1 0 3 - 1:0 - 1:1", "pair of words each"),
        ("raid0 1 64 3 - 1:0 - 1:1 - 1:2", "multiple of 192 sectors"),
        ("raid0 2 64 sync 2 - 1:0 - 1:1", "levels with redundancy"),
    ] {
        kit::refused::<Raid>(row, says);
    }
}

/// A row, its length in sectors, and the lengths that are named where that one does not fill whole stripes.
const STRIPES: [(&str, u64, Option<&str>); 20] = [
    ("raid0 1 64 3 - 1:0 - 1:1 - 1:2", 1920, None),
    ("raid0 1 64 3 - 1:0 - 1:1 - 1:2", 1923, Some("the nearest are 1920 and 2112")),
    ("raid4 1 64 3 - 1:0 - 1:1 - 1:2", 1920, None),
    ("raid4 1 64 3 - 1:0 - 1:1 - 1:2", 64, Some("the shortest is 128")),
    ("raid5_ls 1 128 3 - 1:0 - 1:1 - 1:2", 65_280, None),
    ("raid5_ls 1 128 3 - 1:0 - 1:1 - 1:2", 65_534, Some("the nearest are 65280 and 65536")),
    ("raid5_n 1 128 4 - 1:0 - 1:1 - 1:2 - 1:3", 65_280, None),
    ("raid6_zr 1 128 5 - 1:0 - 1:1 - 1:2 - 1:3 - 1:4", 65_535, Some("the nearest are 65280 and 65664")),
    ("raid6_zr 1 128 5 - 1:0 - 1:1 - 1:2 - 1:3 - 1:4", 65_664, None),
    ("raid1 1 0 2 - 1:0 - 1:1", 65_535, None),
    ("raid10 1 64 2 1:4 1:0 1:5 1:1", 65, Some("the nearest are 64 and 128")),
    ("raid10 1 64 3 1:4 1:0 1:5 1:1 1:6 1:2", 96, Some("the shortest is 192")),
    ("raid10 1 64 3 1:4 1:0 1:5 1:1 1:6 1:2", 192, None),
    ("raid10 1 64 4 1:4 1:0 1:5 1:1 1:6 1:2 1:7 1:3", 384, None),
    ("raid10 1 64 4 1:4 1:0 1:5 1:1 1:6 1:2 1:7 1:3", 448, Some("the nearest are 384 and 512")),
    ("raid10_far 1 64 4 1:4 1:0 1:5 1:1 1:6 1:2 1:7 1:3", 384, Some("the nearest are 256 and 512")),
    ("raid10_offset 1 64 4 1:4 1:0 1:5 1:1 1:6 1:2 1:7 1:3", 512, None),
    ("raid10 5 64 raid10_copies 4 raid10_format near 4 1:4 1:0 1:5 1:1 1:6 1:2 1:7 1:3", 64, None),
    ("raid10 3 64 raid10_format far 2 1:4 1:0 1:5 1:1", 64, Some("the shortest is 128")),
    ("raid5_ls 3 64 delta_disks 1 3 1:4 1:0 1:5 1:1 1:6 1:2", 65, None),
];

#[test]
fn an_array_is_a_whole_number_of_stripes() {
    for (row, length, says) in STRIPES {
        let mut problems = Problems::default();
        kit::parse::<Raid>(row).check(Some(length), &mut problems);
        let problems: Vec<String> = problems.into_vec().iter().map(ToString::to_string).collect();
        match says {
            None => assert!(problems.is_empty(), "{row} {length}: {problems:?}"),
            Some(says) => {
                assert!(
                    problems.iter().any(|problem| problem.contains(says)),
                    "{row} {length}: {problems:?}"
                );
            }
        }
    }
}

#[test]
fn what_a_change_takes() {
    let live = kit::parse::<Raid>("raid5_ls 3 128 region_size 8192 3 1:4 1:0 1:5 1:1 1:6 1:2");
    let effect = |row| kit::effect(row, &live);
    assert_eq!(effect("raid5_ls 3 128 region_size 4096 3 1:4 1:0 1:5 1:1 1:6 1:2"), Some(Effect::Tune));
    assert_eq!(effect("raid6_zr 3 128 region_size 8192 3 1:4 1:0 1:5 1:1 1:6 1:2"), Some(Effect::Remap));
    assert_eq!(effect("raid5_ls 3 128 region_size 8192 3 1:4 1:0 1:5 1:1 1:6 1:3"), Some(Effect::Remap));
    assert_eq!(effect("raid5_ls 5 128 region_size 8192 rebuild 1 3 1:4 1:0 1:5 1:1 1:6 1:2"), None);
}

#[test]
fn write_behind_is_taken_in_sectors_and_printed_in_kib() {
    let printed = kit::parse::<Raid>("raid1 3 0 max_write_behind 128 2 1:4 1:0 1:5 1:1");
    let wanted = kit::parse::<Raid>("raid1 3 0 max_write_behind 256 2 1:4 1:0 1:5 1:1");
    assert!(kit::differences(&wanted, &printed).is_equal());
    assert_eq!(kit::differences(&printed, &printed).effect(), Some(Effect::Tune));
    assert_eq!(TargetKind::for_export(&printed), wanted);
}

#[test]
fn a_stripe_cache_that_has_grown_is_no_difference() {
    let row = |stripes| kit::parse::<Raid>(&format!("raid4 3 64 stripe_cache {stripes} 2 - 1:0 - 1:1"));
    assert_eq!(kit::differences(&row(128), &row(400)).effect(), None);
    assert_eq!(kit::differences(&row(400), &row(128)).effect(), Some(Effect::Tune));
    assert_eq!(
        kit::differences(&row(128), &kit::parse("raid4 1 64 2 - 1:0 - 1:1")).effect(),
        Some(Effect::Tune)
    );
}

#[test]
fn orders_are_not_carried_out_twice() {
    let live = kit::parse::<Raid>("raid1 5 0 rebuild 1 region_size 2048 2 1:4 1:0 1:5 1:1");
    let wanted = kit::parse::<Raid>("raid1 5 0 rebuild 1 region_size 1024 2 1:4 1:0 1:5 1:1");
    let over = TargetKind::for_reload(&wanted, &live, None);
    assert_eq!(over.params(Style::Kernel), "raid1 3 0 region_size 1024 2 1:4 1:0 1:5 1:1");
    // A leg that is lost again is filled again, whatever was ordered before.
    let words = |letters: &str| format!("raid1 2 {letters} 65536/65536 idle 0 0 -");
    for (letters, again, due) in [
        ("AA", "3 0 region_size", None),
        ("Aa", "3 0 region_size", None),
        ("DA", "3 0 region_size", None),
        ("AD", "5 0 rebuild 1 region_size", Some(Order::Rebuild(vec![1]))),
    ] {
        let state = read_state(&live, &words(letters), LiveRow::of(65536)).unwrap().state;
        let over = TargetKind::for_reload(&wanted, &live, Some(state.as_ref()));
        assert!(over.params(Style::Kernel).contains(again), "{letters}");
        assert_eq!(wanted.order_due(state.as_ref()), due, "{letters}");
    }
    assert_eq!(live.reloaded_state(&words("AD")), words("AA"));
    // Without a leg that has everything no load brings one back.
    assert_eq!(live.reloaded_state(&words("DD")), words("DD"));
    assert_eq!(TargetKind::for_export(&live).rebuild, Vec::<u32>::new());
    // The kernel refuses superblocks that were made with sync in a row without it.
    let synced = kit::parse::<Raid>("raid4 4 64 sync min_recovery_rate 20 3 1:4 1:0 1:5 1:1 1:6 1:2");
    assert_eq!(TargetKind::for_export(&synced), synced);
    assert_eq!(TargetKind::for_rollback(&synced).sync, None);
    // What superblocks know is not said over their heads.
    let nosync = kit::parse::<Raid>("raid1 2 0 nosync 2 1:4 1:0 1:5 1:1");
    assert_eq!(TargetKind::for_export(&nosync).sync, None);
    let bare = kit::parse::<Raid>("raid1 2 0 nosync 2 - 1:0 - 1:1");
    assert_eq!(TargetKind::for_export(&bare), bare);
}

#[test]
fn a_resync_is_announced() {
    let blank = |row: &str| {
        kit::parse::<Raid>(row).metadata().iter().filter(|m| (m.look)(b"DmRd") == Found::Blank).count()
    };
    assert_eq!(blank("raid1 1 0 2 - 1:0 - 1:1"), 1);
    assert_eq!(blank("raid1 2 0 nosync 2 - 1:0 - 1:1"), 0);
    assert_eq!(blank("raid1 1 0 2 1:4 1:0 1:5 1:1"), 0);
    assert_eq!(blank("raid0 1 64 2 - 1:0 - 1:1"), 0);
    assert_eq!(blank("raid1 3 0 rebuild 1 2 1:4 1:0 1:5 1:1"), 1);
    let raid = kit::parse::<Raid>("raid1 1 0 2 1:4 1:0 1:5 1:1");
    let metadata = raid.metadata();
    assert_eq!(metadata.len(), 2);
    assert_eq!((metadata[0].look)(&[7; 512]), Found::Blank);
}

#[test]
fn the_map_takes_the_words_of_the_kernel() {
    let read = |sync: &str| {
        toml::from_str::<Raid>(&format!("level = 'raid5_ls'\nchunk = 64\ndevices = [{{}}]\nsync = {sync}"))
    };
    assert_eq!(read("'nosync'").unwrap().sync, Some(Resync::Nosync));
    assert_eq!(read("true").unwrap().sync, Some(Resync::Sync));
    assert!(read("'later'").is_err());
    assert_eq!(read("'sync'").unwrap().fields()["sync"].as_str(), Some("sync"));
}

#[test]
fn the_length_follows_from_the_smallest_device() {
    let raid = kit::parse::<Raid>("raid5_ls 1 64 3 - 1:0 - 1:1 - 1:2");
    let size = |device: &Device| device.number.map(|number| 1000 + u64::from(number.minor));
    assert_eq!(raid.remaining_length(&size), RemainingLength::Sectors(1920));
    assert!(matches!(raid.remaining_length(&|_| Some(63)), RemainingLength::TooSmall(_)));
    let lengths: Vec<_> = raid.lower_devices(1920).iter().map(|lower| lower.length).collect();
    assert_eq!(lengths, [Some(960); 3]);
}
