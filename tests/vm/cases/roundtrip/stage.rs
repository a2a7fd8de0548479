//! Rows that need more than blank disks, and rows of which dmctl makes something else than the kernel did.

use Before::{Garbage, Nothing};
use Outcome::{AsSeen, Refused};

use super::Row;

/// What must be there before a row is applied.
#[derive(Debug, Clone, Copy)]
pub enum Before {
    /// Blank disks.
    Nothing,
    /// The mapping exists already, with this table: type, parameters, length.
    Live(&'static str, &'static str, u64),
    /// It existed and was removed; what it wrote on its devices is still there.
    Gone(&'static str, &'static str, u64),
    /// The head of this disk holds what is no metadata.
    Garbage(usize),
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What the data says.
    AsSeen,
    /// The kernel has it, and prints this; the words of the data unless said otherwise.
    Taken(Option<&'static str>),
    /// It is refused, by dmctl or by the kernel, and nothing is left behind.
    Refused,
}

/// A row that is special.
struct Special {
    target: &'static str,
    loaded: &'static str,
    /// The beginning of what the data says was printed.
    printed: &'static str,
    before: Before,
    outcome: Outcome,
    why: &'static str,
}

const fn special(
    target: &'static str,
    loaded: &'static str,
    printed: &'static str,
    before: Before,
    outcome: Outcome,
    why: &'static str,
) -> Special {
    Special { target, loaded, printed, before, outcome, why }
}

const fn printed(words: &'static str) -> Outcome {
    Outcome::Taken(Some(words))
}

const fn live(target: &'static str, params: &'static str) -> Before {
    Before::Live(target, params, 2048)
}

const fn gone(target: &'static str, params: &'static str) -> Before {
    Before::Gone(target, params, 2048)
}

const POOL: &str = "/dev/ram1 /dev/ram0 128 100";
const INTEGRITY: &str = "/dev/ram0 0 4 J 1 internal_hash:crc32c";
const RAID5: &str =
    "raid5_ls 1 128 3 /dev/mapper/meta4 /dev/ram0 /dev/mapper/meta5 /dev/ram1 /dev/mapper/meta6 /dev/ram2";

#[rustfmt::skip]
static SPECIAL: &[Special] = &[
    special("linear", "1:99 0", "1:99", Nothing, Refused, "this driver makes a disk when it is opened, which dmctl does not do"),
    special("linear", "/dev/ram2 0", "!load", live("thin-pool", POOL), printed("1:2 0"), "the type can't be left by a reload: the device is made anew"),
    special("linear", "/dev/ram0 0", "!load", live("multipath", "0 0 1 1 service-time 0 1 0 /dev/loop0"), printed("1:0 0"), "the type can't be left by a reload: the device is made anew"),
    special("linear", "/dev/ram0 18446744073709551616", "", Nothing, Refused, "the kernel wraps the number around"),
    special("linear", r"\/dev/ram0 0", "", Nothing, Refused, "a backslash means different things to different readers"),
    special("linear", "0100 0", "", Nothing, Refused, "a form that newer kernels do not read"),
    special("unstriped", "2 16 2 /dev/ram0 0", "", Nothing, Refused, "the kernel lets the index be one too large"),
    special("delay", "/dev/ram0 0 4294967396", "", Nothing, Refused, "the kernel wraps the number around"),
    special("flakey", "/dev/ram0 0 5 5 2 error_writes error_reads", "!load", Nothing, printed("1:0 0 5 5 0"), "what flakey does without any feature; dmctl writes it so that every kernel takes it"),
    special("verity", "", "!load EINVAL: Device must be readonly", Nothing, printed("1 1:0 1:1 4096 4096 256 0 sha256 9d76377e809a72e5d7018fb6f58cbb8c0f28ee46674f1b4ec6d7b9ff6b3e9bac 0102"), "dmctl loads verity read-only without being told"),
    special("integrity", "", "!load EINVAL: Block size", live("integrity", INTEGRITY), Refused, "it is formatted otherwise"),
    special("integrity", "", "!load EINVAL: Tag size", live("integrity", INTEGRITY), Refused, "it is formatted otherwise"),
    special("integrity", "/dev/ram0 0 4 J 2 internal_hash:crc32c journal_mac:hmac(sha256):1122", "", live("integrity", INTEGRITY), Refused, "it is formatted otherwise"),
    special("integrity", "/dev/ram0 0 4 J 3 internal_hash:crc32c journal_sectors:64 buffer_sectors:64", "", live("integrity", INTEGRITY), AsSeen, "the size of the journal is that of the first format"),
    special("integrity", INTEGRITY, "!load EINVAL: The device is not init", Garbage(0), Refused, "the head of the device is in use"),
    special("integrity", "/dev/ram0 0 4 R 1 internal_hash:crc32c", "", live("integrity", INTEGRITY), AsSeen, "formatted without a journal it prints another interleave"),
    special("thin-pool", "/dev/ram1 /dev/ram0 128 100 1 ignore_discard", "", live("thin-pool", POOL), printed("1:1 1:0 128 100 1 ignore_discard"), "a live pool can't do so: the device is made anew"),
    special("thin-pool", "/dev/ram1 /dev/ram0 256 100", "", live("thin-pool", POOL), Refused, "the kernel ignores another block size, or refuses it when the pool is opened anew"),
    special("thin-pool", "/dev/ram1 /dev/ram0 128 100 0", "!resume", Before::Live("thin-pool", POOL, 4096), Refused, "a pool can't shrink"),
    special("thin-pool", "/dev/ram1 /dev/ram2 128 100 0", "", live("thin-pool", POOL), printed("1:1 1:2 128 100 0"), "another data device: the device is made anew"),
    special("thin-pool", "/dev/ram2 /dev/ram0 128 100 0", "", live("thin-pool", POOL), printed("1:2 1:0 128 100 0"), "another pool: the device is made anew"),
    special("thin-pool", "/dev/ram1 /dev/ram0 128 0", "!resume", Before::Gone("thin-pool", POOL, 4096), Refused, "its metadata records more blocks"),
    special("thin-pool", "/dev/ram1 /dev/ram0 128 0", "!load ENOTBLK", Garbage(1), Refused, "the head of the metadata device is in use"),
    special("thin-pool", "/dev/ram1 /dev/ram0 128 0 1 read_only", "", gone("thin-pool", POOL), AsSeen, "a pool that can't be written to can't be formatted"),
    special("snapshot", "/dev/ram0 /dev/ram1 P 16", "", live("snapshot", "/dev/ram0 /dev/ram1 P 8"), Refused, "the header has another chunk size, which the kernel goes by"),
    special("snapshot", "/dev/ram0 /dev/ram1 p 16", "", gone("snapshot", "/dev/ram0 /dev/ram1 P 8"), Refused, "the header has another chunk size, which the kernel goes by"),
    special("snapshot", "/dev/ram0 /dev/ram1 P 0", "", gone("snapshot", "/dev/ram0 /dev/ram1 P 8"), AsSeen, "the header says the chunk size"),
    special("snapshot", "/dev/ram0 /dev/ram1 P 8", "!load ENXIO", Garbage(1), Refused, "the head of the device is in use"),
    special("raid", "", "!load EINVAL: Unable to assemble array", live("raid", "raid1 3 0 region_size 2048 2 /dev/mapper/meta4 /dev/ram0 /dev/mapper/meta5 /dev/ram1"), Refused, "the new leg is of no set"),
    special("raid", "raid5_ls 1 256 3 /dev/mapper/meta4 /dev/ram0 /dev/mapper/meta5 /dev/ram1 /dev/mapper/meta6 /dev/ram2", "", live("raid", RAID5), Refused, "there is no room to change the chunk size, and the kernel ignores it"),
    special("cache", "/dev/ram1 /dev/ram2 /dev/ram0 64 1 WriteThrough smq 2 migration_threshold 4096", "", Nothing, printed("1:1 1:2 1:0 64 1 writethrough smq 2 migration_threshold 4096"), "dmctl writes one form of it"),
    special("cache", "/dev/ram1 /dev/ram2 /dev/ram0 064 3 no_discard_passdown metadata2 writeback smq 0", "", Nothing, printed("1:1 1:2 1:0 64 3 metadata2 writeback no_discard_passdown smq 0"), "dmctl writes one form of it"),
    special("cache", "/dev/ram1 /dev/ram2 /dev/ram0 128 1 writeback smq 0", "", gone("cache", "/dev/ram1 /dev/ram2 /dev/ram0 64 1 writeback smq 0"), Refused, "its metadata is of another block size"),
    special("writecache", "s /dev/ram0 /dev/ram1 512 0", "", gone("writecache", "s /dev/ram0 /dev/ram1 4096 0"), Refused, "its metadata is of another block size"),
    special("clone", "/dev/ram1 /dev/ram2 /dev/ram0 08", "", Nothing, printed("1:1 1:2 1:0 8"), "dmctl writes one form of it"),
    special("clone", "/dev/ram1 /dev/ram2 /dev/ram0 8 0", "", Nothing, printed("1:1 1:2 1:0 8"), "dmctl writes one form of it"),
    special("clone", "/dev/ram1 /dev/ram2 /dev/ram0 8 1 no_hydration 4 hydration_batch_size 2 hydration_threshold 3", "", Nothing, printed("1:1 1:2 1:0 8 1 no_hydration 4 hydration_threshold 3 hydration_batch_size 2"), "dmctl writes one form of it"),
    special("clone", "/dev/ram1 /dev/ram2 /dev/ram0 8", "!load", gone("clone", "/dev/ram1 /dev/ram2 /dev/ram0 16"), Refused, "its metadata is of another region size"),
];

fn find(row: Row) -> Option<&'static Special> {
    SPECIAL.iter().find(|special| {
        special.target == row.target
            && (special.loaded.is_empty() || special.loaded == row.loaded)
            && row.printed.starts_with(special.printed)
    })
}

/// What must be there before a row is applied.
pub fn before(row: Row) -> Before {
    find(row).map_or(Nothing, |special| special.before)
}

/// What becomes of a row: as the data says, unless dmctl knows better.
pub fn outcome(row: Row) -> Outcome {
    match find(row).map_or(AsSeen, |special| special.outcome) {
        AsSeen if row.printed.starts_with('!') => Refused,
        AsSeen => Outcome::Taken(None),
        other => other,
    }
}

/// Why a row is special.
pub fn why(row: Row) -> &'static str {
    find(row).map_or("as was seen", |special| special.why)
}

/// How many sectors a row gets.
pub fn length(row: Row) -> u64 {
    match row.target {
        // Its regions want room.
        "raid" => 65536,
        // As much as no journal leaves.
        "integrity" if row.printed.contains("requested mapping size") => 131_072,
        _ => 2048,
    }
}

/// Entries of the table above that no row of the data needs.
pub fn unneeded(rows: &[Row]) -> Vec<String> {
    let needed = |special: &&Special| {
        rows.iter().any(|row| find(*row).is_some_and(|found| std::ptr::eq(found, *special)))
    };
    SPECIAL
        .iter()
        .filter(|special| !needed(special))
        .map(|special| format!("{} {}", special.target, special.loaded))
        .collect()
}
