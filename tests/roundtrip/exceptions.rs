//! The exceptions to the laws of the corpus, each with its reason. One that no row needs any more is a failure.

use super::laws::{is_loaded_as_printed, is_reprinted};
use super::row::{Row, rows};

/// Types whose live tables are read and never judged.
pub const UNJUDGED: &[&str] = &["inlinecrypt"];

/// Rows that a kernel takes and dmctl refuses, on purpose: target, parameters, reason.
pub const REFUSED_HERE: &[(&str, &str, &str)] = &[
    ("linear", "/dev/ram0 18446744073709551616", "the kernel wraps the number around to 0"),
    ("linear", r"\/dev/ram0 0", "a backslash means different things to the kernel and to other tools"),
    ("linear", "0100 0", "a hexadecimal device number, which kernel 6.12 does not read"),
    ("delay", "/dev/ram0 0 4294967396", "the kernel wraps the number around to 100"),
    ("unstriped", "2 16 2 /dev/ram0 0", "the kernel lets the index be one too large"),
    ("snapshot-merge", "/dev/ram0 /dev/ram1 N 8", "kernel 6.1.176 panics at the resume"),
    ("striped", "2 +32 /dev/ram0 0 /dev/ram1 0", "a sign, which most targets refuse"),
    ("delay", "/dev/ram0 0 4294967296", "the kernel wraps the number around to 0"),
    ("flakey", "/dev/ram0 0 4294967296 5", "the kernel wraps the number around to 0"),
    (
        "flakey",
        "/dev/ram0 0 5 5 5 corrupt_bio_byte 1 r 1 4294967296",
        "the kernel wraps the number around to 0",
    ),
    ("clone", "/dev/ram1 /dev/ram0 /dev/ram0 8", "the destination would be overwritten with itself"),
    ("clone", "/dev/ram1 /dev/ram1 /dev/ram0 8", "the metadata and the data would overwrite each other"),
    ("era", "/dev/ram1 /dev/ram1 128", "the metadata and the data would overwrite each other"),
    (
        "raid",
        "raid10 4 64 raid10_use_near_sets raid10_format far 4 /dev/mapper/meta4 /dev/ram0 /dev/mapper/meta5 /dev/ram1 \
         /dev/mapper/meta6 /dev/ram2 /dev/mapper/meta7 /dev/ram3",
        "the kernel prints it with a word less than it counts",
    ),
];

/// Rows with words that the kernel leaves out without saying so, mostly behind a count that is too small.
pub const LEFT_OUT: &[(&str, &str)] = &[
    ("crypt", "1 allow_discards same_cpu_crypt"),
    ("verity", "1 ignore_corruption check_at_most_once"),
    ("verity", "2 fec_roots 2"),
    ("thin-pool", "1 skip_block_zeroing error_if_no_space"),
    ("cache", "smq 0 extra"),
    ("writecache", "4096 0 cleaner"),
    ("flakey", " 5 5 0 drop_writes"),
    ("multipath", "service-time 1 x 1 0 /dev/ram0"),
    ("log-writes", "/dev/ram1 x"),
];

/// Rows that the kernel refuses and dmctl takes, since it writes what is missing.
pub const COMPLETED: &[(&str, &str)] =
    &[("verity", " 0102 6 use_fec_from_device /dev/ram2 fec_blocks 260 fec_start 0")];

/// Rows that a kernel takes without an error and then ignores: they must compare as different, so that
/// verification reports them. Target, parameters, what is ignored.
pub const IGNORED_BY_THE_KERNEL: &[(&str, &str, &str)] = &[
    ("thin-pool", "/dev/ram1 /dev/ram0 256 100", "the block size of a live pool"),
    ("snapshot", "/dev/ram0 /dev/ram1 P 16", "the chunk size, where the header has another"),
    ("snapshot", "/dev/ram0 /dev/ram1 p 16", "the chunk size, where the header has another"),
    (
        "raid",
        "raid5_ls 1 256 3 /dev/mapper/meta4 /dev/ram0 /dev/mapper/meta5 /dev/ram1 /dev/mapper/meta6 /dev/ram2",
        "the chunk size, where there is no room to reshape",
    ),
];

/// Refusals that depend on the state of the machine, so that parsing can't foresee them: target, a part of
/// the parameters, the end of what the kernel said, what it depends on.
pub const STATE: &[(&str, &str, &str, &str)] = &[
    ("linear", "", "dev_size=131072", "the size of the device below"),
    ("linear", "nonexist", "Device lookup failed", "whether the device exists"),
    ("linear", "", "!load EINVAL", "the live table, which is of an immutable type or request-based"),
    ("linear", "/dev/null", "Device lookup failed", "what the file is"),
    ("linear", "/bin/busybox", "Device lookup failed", "what the file is"),
    ("snapshot-origin", "/dev/absent", "Cannot get target device", "whether the device exists"),
    ("thin", "/dev/ram1", "Couldn't get pool mapped device", "whether the device is a pool"),
    ("cache", " 2097152 ", "Data block size is larger than the cache device", "the size of the device below"),
    ("verity", "", "Cannot initialize hash function", "the hashes of the kernel"),
    ("integrity", " recalculate", "use the argument \"legacy_recalculate\"", "the metadata"),
    ("crypt", ":32:logon:", "Error decoding and setting key", "the keyring"),
    ("integrity", "", "information in superblock", "the metadata"),
    ("integrity", "", "Journal mac mismatch", "the metadata"),
    ("integrity", "", "requested mapping size", "the metadata and the length of the row"),
    ("integrity", "", "not initialized", "the metadata"),
    ("integrity", " I ", "Integrity profile not supported", "whether the device below keeps tags"),
    ("verity", "", "Device must be readonly", "the read-only flag of the table"),
    ("verity", "root_hash_sig_key_desc", "Unrecognized verity feature request", "how the kernel was built"),
    ("verity", "", "Data device is too small", "the length of the row"),
    ("thin-pool", "", "once enabled", "the live table"),
    ("thin-pool", "", "preresume failed, error = -22", "the metadata"),
    ("thin-pool", "", "already in use by a pool", "other devices"),
    ("thin-pool", "", "different pool cannot replace a pool", "the live table"),
    ("thin-pool", "", "!load ENOTBLK: Error creating metadata object", "the metadata"),
    ("thin", "", "Couldn't open thin internal device", "the metadata of the pool"),
    ("snapshot", "", "Failed to read snapshot metadata", "the metadata"),
    ("raid", "", "Invalid superblocks", "the metadata"),
    ("cache", "", "Error creating metadata object", "the metadata"),
    ("writecache", "", "does not match superblock", "the metadata"),
    ("writecache", "", "not supported on this system", "the memory of the machine"),
    ("flakey", "", "Unrecognised flakey feature requested", "the kernel: 6.1 lacks it, 6.12 has it"),
    ("clone", "", "Failed to load metadata", "the metadata"),
    ("multipath", "", "unknown path selector type", "the modules of the kernel"),
    ("multipath", " hp_sw ", "unable to set hardware handler parameters", "the disk below"),
    ("multipath", "", "!load EINVAL", "whether the devices below are request-based"),
];

/// Types of which a kernel prints other words than dmctl, for the same target: target, what the kernel does.
pub const PRINTED_OTHERWISE: &[(&str, &str)] = &[
    ("cache", "it repeats the words as they were loaded"),
    ("clone", "it repeats the words as they were loaded"),
    ("flakey", "6.1 counts no features, and 6.12 names two, where none are given"),
    ("multipath", "it prints the group that is in use"),
    ("pcache", "it prints `crc` for `data_crc`"),
];

/// Types of which a kernel prints other values than were loaded: target, what the kernel does.
pub const COMPLETED_BY_THE_KERNEL: &[(&str, &str)] = &[
    ("integrity", "it adds the values of the superblock"),
    ("multipath", "it adds the state of groups and paths"),
    ("raid", "it rounds, and prints max_write_behind in KiB"),
    ("snapshot", "it takes the chunk size from the header"),
];

/// Values of which a map can't hold one, for an integer of TOML ends with 2^63: rows with them have no fields.
pub const BEYOND_A_MAP: &[&str] = &["18446744073709551615"];

pub fn is_in(list: &[(&str, &str)], row: &Row) -> bool {
    list.iter().any(|exception| ends_so(row, exception))
}

fn ends_so(row: &Row, (target, end): &(&str, &str)) -> bool {
    row.target == *target && row.loaded.ends_with(end)
}

/// Whether a row is one of those that an entry of [`STATE`] excuses.
fn is_refused_so(row: &Row, (target, params, says, _): &(&str, &str, &str, &str)) -> bool {
    row.target == *target && row.loaded.contains(params) && row.printed.ends_with(says)
}

/// What the refusal of a row depends on, when it depends on the machine.
pub fn state(row: &Row) -> Option<&'static str> {
    STATE.iter().find(|exception| is_refused_so(row, exception)).map(|(.., reason)| *reason)
}

/// Whether a list of types names that of the row.
pub fn names(list: &[(&str, &str)], row: &Row) -> bool {
    list.iter().any(|(target, _)| row.target == *target)
}

#[test]
fn every_exception_is_needed() {
    let rows = rows();
    for (target, params, reason) in REFUSED_HERE.iter().chain(IGNORED_BY_THE_KERNEL) {
        assert!(rows.iter().any(|row| row.is(target, params)), "{target} `{params}`: {reason}");
    }
    for exception in LEFT_OUT.iter().chain(COMPLETED) {
        assert!(rows.iter().any(|row| ends_so(row, exception)), "{exception:?}");
    }
    for exception in STATE {
        assert!(rows.iter().any(|row| is_refused_so(row, exception)), "{exception:?}");
    }
    let needed = |target: &str, keeps: fn(&Row) -> Result<bool, String>| {
        let taken = rows.iter().filter(|row| row.target == target && row.is_taken());
        taken.into_iter().any(|row| keeps(row) == Ok(false))
    };
    for (target, reason) in PRINTED_OTHERWISE {
        assert!(needed(target, is_reprinted), "{target}: {reason}");
    }
    for (target, reason) in COMPLETED_BY_THE_KERNEL {
        assert!(needed(target, is_loaded_as_printed), "{target}: {reason}");
    }
    for value in BEYOND_A_MAP {
        assert!(rows.iter().any(|row| row.is_taken() && row.loaded.contains(value)), "{value}");
    }
}
