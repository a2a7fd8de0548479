//! Values that the kernel takes and forgets: a plan says before, or the apply after, which they are.

use anyhow::{Result, ensure};

use crate::guest::{Guest, State, apply_ends, with_map};

/// How a change ends that the kernel would ignore.
enum Ends {
    /// There is nothing to do, and the plan tells what is ignored.
    Told(&'static str),
    /// It means nothing to the kernel, whatever it is: there is nothing to do.
    Nothing,
    /// The metadata on disk has another value: a conflict.
    Contradicted(&'static str),
    /// The kernel takes the table, the value is not there afterwards, and everything is put back.
    Noticed(&'static str),
}
use Ends::{Contradicted, Nothing, Noticed, Told};

struct Change {
    name: &'static str,
    /// A target, and the same with another value.
    before: &'static str,
    after: (&'static str, &'static str),
    ends: Ends,
}

fn mapping(target: &str) -> String {
    format!("[mappings.data]\ntargets = [{{ {target} }}]\n")
}

fn goes(guest: &Guest, change: &Change) -> Result<()> {
    // What is left of another case is no metadata of this one.
    for disk in &guest.disks {
        disk.fill(0, 128, 0)?;
    }
    apply_ends(&mapping(change.before), &["--allow", "format"], 0)?;
    let before = guest.states()?;
    let (value, other) = change.after;
    ensure!(change.before.contains(value), "nothing changes");
    let after = mapping(&change.before.replace(value, other));
    let plan = with_map("plan", &after, &[])?.stdout;
    let ran = with_map("apply", &after, &["--allow", "remap,format,loss"])?;
    let (says, status) = match change.ends {
        Told(says) => {
            ensure!(plan.contains(says) && plan.ends_with("Nothing to do.\n"), "{plan}");
            let status = with_map("status", &after, &[])?;
            ensure!(status.status == Some(0) && status.stdout.contains(says), "{status:?}");
            ("", 0)
        }
        Nothing => {
            ensure!(plan == "Nothing to do.\n", "{plan}");
            ("", 0)
        }
        Contradicted(says) => {
            ensure!(plan.contains(says), "{plan}");
            (says, 1)
        }
        Noticed(says) => (says, 6),
    };
    ensure!(ran.status == Some(status) && ran.stderr.contains(says), "{ran:?}");
    let facts = |states: Vec<State>| -> Vec<_> {
        states.into_iter().map(|(info, live, inactive)| (info.name, info.suspended, live, inactive)).collect()
    };
    let after = guest.states()?;
    ensure!(facts(after.clone()) == facts(before.clone()), "{before:?}, then {after:?}");
    Ok(())
}

const CHANGES: &[Change] = &[
    Change {
        name: "the block size of a thin pool",
        before: "type = 'thin-pool', length = 2048, metadata = '/dev/ram0', data = '/dev/ram1', block_size = 128",
        after: ("block_size = 128", "block_size = 256"),
        ends: Contradicted("the pool's metadata on /dev/ram0 (1:0) has block_size 128, the map has 256"),
    },
    Change {
        name: "the chunk of a persistent snapshot",
        before: "type = 'snapshot', length = 1024, origin = '/dev/ram0', cow = '/dev/ram1', persistent = true, chunk = 16",
        after: ("chunk = 16", "chunk = 32"),
        ends: Contradicted("has chunk 16, the map has 32"),
    },
    Change {
        name: "the journal of an integrity device",
        before: "type = 'integrity', length = 1024, device = '/dev/ram0', internal_hash = 'crc32c'",
        after: ("internal_hash = 'crc32c'", "internal_hash = 'crc32c', journal_sectors = 2000"),
        ends: Told("journal_sectors is 880, as it was when the device was formatted"),
    },
    Change {
        name: "the chunk of a raid5",
        before: "type = 'raid', length = 32768, level = 'raid5_ls', chunk = 64, devices = [{ metadata = '/dev/ram3', data = '/dev/ram0' }, { metadata = '/dev/ram4', data = '/dev/ram1' }, { metadata = '/dev/ram5', data = '/dev/ram2' }]",
        after: ("chunk = 64", "chunk = 128"),
        ends: Noticed("chunk 64 -> 128"),
    },
    Change {
        name: "the chunk of a raid1",
        before: "type = 'raid', length = 16384, level = 'raid1', devices = [{ metadata = '/dev/ram3', data = '/dev/ram0' }, { metadata = '/dev/ram4', data = '/dev/ram1' }]",
        after: ("level = 'raid1'", "level = 'raid1', chunk = 64"),
        ends: Nothing,
    },
    Change {
        name: "how far a raid1 may be behind",
        before: "type = 'raid', length = 16384, level = 'raid1', write_mostly = [1], max_write_behind = 256, devices = [{ metadata = '/dev/ram3', data = '/dev/ram0' }, { metadata = '/dev/ram4', data = '/dev/ram1' }]",
        after: ("max_write_behind = 256", "max_write_behind = 512"),
        ends: Noticed("max_write_behind 256 -> 512"),
    },
    Change {
        name: "how often a path is used in a row",
        before: "type = 'multipath', length = 1024, queue_mode = 'bio', groups = [{ selector = 'round-robin', paths = [{ device = '/dev/ram0', args = [1] }] }]",
        after: ("args = [1]", "args = [100]"),
        ends: Nothing,
    },
];

pub fn a_value_that_the_kernel_ignores_is_named(guest: &Guest) -> Result<()> {
    for change in CHANGES {
        goes(guest, change).map_err(|error| error.context(change.name))?;
        guest.apply("mappings.data.state = \"absent\"", &["--allow", "loss"])?;
    }
    Ok(())
}
