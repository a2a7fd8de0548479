//! The volumes of a pool, read from its metadata on disk: against the tools of other hands, and while the kernel writes it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use dmctl::access::Access;
use dmctl::identity::Name;
use dmctl::kernel::{ChangeKernel, Id, ReadKernel, Removal};
use dmctl::thin_metadata::{PoolContent, ThinVolume};
use nix::errno::Errno;

use crate::guest::{Disk, Guest, apply_ends, dmctl, named, program, rows, with_map};

const POOL: &str = "0 65536 thin-pool /dev/ram0 /dev/ram1 128 0";
/// The sectors of a block of the pool.
const BLOCK: u64 = 128;

struct Pool<'g> {
    guest: &'g Guest,
    id: Id,
    volumes: Disk,
}

impl<'g> Pool<'g> {
    fn new(guest: &'g Guest) -> Result<Self> {
        guest.needs("thin-pool")?;
        let id = guest.device("pool", POOL)?;
        Ok(Self { guest, id, volumes: Disk::mapping("pool")? })
    }

    fn message(&self, text: &str) -> Result<()> {
        self.guest.kernel.message(&self.id, 0, text)?;
        Ok(())
    }

    fn volume(&self, name: &str, id: u32) -> Result<Disk> {
        self.guest.device(name, &format!("0 65536 thin {} {id}", self.volumes.number))?;
        Disk::mapping(name)
    }

    fn content(&self) -> Result<PoolContent> {
        self.guest.kernel.thin_metadata(self.guest.disks[0].number, 0).context("the metadata")
    }
}

/// Returns the value of an attribute.
fn attribute<T: std::str::FromStr>(line: &str, name: &str) -> Result<T> {
    let value = line.split_once(&format!(" {name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
    let (value, _) = value.with_context(|| format!("{name} in {line}"))?;
    value.parse().ok().with_context(|| format!("{name} in {line}"))
}

/// What `thin_dump` tells: transaction, time, size of a block, blocks of data, and the volumes.
fn dumped(arguments: &[&str]) -> Result<([u64; 4], Vec<ThinVolume>)> {
    let text = program("thin_dump", &[arguments, &["/dev/ram0"]].concat())?;
    let head = text.lines().next().unwrap_or_default();
    let figures = [
        attribute(head, "transaction")?,
        attribute(head, "time")?,
        attribute(head, "data_block_size")?,
        attribute(head, "nr_data_blocks")?,
    ];
    let volume = |line: &str| -> Result<ThinVolume> {
        Ok(ThinVolume {
            id: attribute(line, "dev_id")?,
            mapped_blocks: attribute(line, "mapped_blocks")?,
            transaction_id: attribute(line, "transaction")?,
            creation_time: attribute(line, "creation_time")?,
            snapshotted_time: attribute(line, "snap_time")?,
        })
    };
    let devices = text.lines().filter(|line| line.contains("<device "));
    Ok((figures, devices.map(volume).collect::<Result<_>>()?))
}

fn same(content: &PoolContent, dump: &([u64; 4], Vec<ThinVolume>)) -> Result<()> {
    let figures = [content.transaction_id, u64::from(content.time), content.block_size.0];
    ensure!(figures == dump.0[..3], "{figures:?} {:?}", dump.0);
    ensure!(content.volumes == dump.1, "{:?}\n{:?}", content.volumes, dump.1);
    Ok(())
}

/// Plain volumes, snapshots, deleted ones and a tree of two levels: live beside a metadata snapshot, and with the pool down.
pub fn all_fields_are_those_of_thin_dump(guest: &Guest) -> Result<()> {
    let pool = Pool::new(guest)?;
    ensure!(pool.content()?.volumes.is_empty());
    pool.message("create_thin 1")?;
    let one = pool.volume("one", 1)?;
    one.fill(0, 512, b'1')?;
    pool.message("set_transaction_id 0 5")?;
    pool.message("create_snap 2 1")?;
    pool.message("create_snap 16777215 2")?;
    one.fill(BLOCK * 100, 256, b'2')?;
    pool.message("create_thin 7")?;
    pool.message("delete 2")?;
    pool.message("create_snap 2 1")?;
    for id in 100..400 {
        pool.message(&format!("create_thin {id}"))?;
    }
    for id in (100..400).step_by(3) {
        pool.message(&format!("delete {id}"))?;
    }
    pool.message("set_transaction_id 5 6")?;
    pool.message("create_thin 100")?;
    pool.message("reserve_metadata_snap")?;
    let held = dumped(&["--metadata-snap"])?;
    let content = pool.content()?;
    same(&content, &held)?;
    ensure!(content.held_root_block.is_some());
    let status = program("dmsetup", &["status", "pool"])?;
    let used = format!(" {}/{} ", content.data_blocks.used, content.data_blocks.total);
    ensure!(status.contains(&used), "{used} is not in {status}");
    ensure!(content.volume(1).is_some_and(|volume| volume.mapped_blocks == 6), "{:?}", content.volume(1));
    pool.message("release_metadata_snap")?;

    let ran = dmctl(&["volumes", "pool"])?;
    ensure!(ran.status == Some(0), "{ran:?}");
    ensure!(ran.stdout.lines().count() == 1 + content.volumes.len(), "{ran:?}");
    let line = ran.stdout.lines().find(|line| line.starts_with("1 ")).unwrap_or_default();
    ensure!(
        line.contains("6 blocks (384.0 KiB)") && line.ends_with(&format!("one ({})", one.number)),
        "{line}"
    );
    let line = ran.stdout.lines().find(|line| line.starts_with("100 ")).unwrap_or_default();
    ensure!(line.contains("made at transaction 6, time 3") && line.ends_with("no device"), "{line}");

    let content = pool.content()?;
    dmctl(&["remove", "one"])?;
    dmctl(&["remove", "pool"])?;
    let down = dumped(&[])?;
    same(&content, &down)?;
    ensure!(content.data_blocks.total == down.0[3], "{:?}", down.0);
    same(&pool.content()?, &down)
}

/// What is read while the pool is written to is one commit, and a message that has returned is in it, whatever the page cache of the
/// metadata device has.
pub fn a_pool_that_is_written_to_tells_no_half_truth(guest: &Guest) -> Result<()> {
    let pool = Pool::new(guest)?;
    for id in 1..=200 {
        pool.message(&format!("create_thin {id}"))?;
    }
    let written = pool.volume("written", 1)?;
    let most_blocks = 200;
    // The page cache has the superblock of now, for as long as the file is open.
    let cached = File::open("/dev/ram0")?;
    let mut old = vec![0; 4096];
    cached.read_exact_at(&mut old, 0)?;

    let (stop, blocks) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let writer = scope.spawn(|| -> Result<()> {
            let file = written.direct(dmctl::access::Access::Writable)?;
            for write in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                written.fill(write % most_blocks * BLOCK, 8, b'w')?;
                blocks.store(most_blocks.min(write + 1), Ordering::SeqCst);
                // Each flush of a volume with new blocks is a commit.
                file.sync_all()?;
            }
            Ok(())
        });
        let read = || -> Result<(u32, u64)> {
            let (mut changing, mut most) = (0, 0);
            for round in 0..50 {
                // What is written is shared with the snapshot, so that each block is new once more.
                let new = 1000 + round;
                pool.message(&format!("create_snap {new} 1"))?;
                if round > 0 {
                    pool.message(&format!("delete {}", new - 1))?;
                }
                let before = blocks.load(Ordering::SeqCst);
                let content = match guest.kernel.thin_metadata(guest.disks[0].number, 0) {
                    Ok(content) => content,
                    Err(dmctl::thin_metadata::Unreadable::Changing) => {
                        changing += 1;
                        continue;
                    }
                    Err(why) => bail!("round {round}: {why}"),
                };
                let after = blocks.load(Ordering::SeqCst);
                let ids: Vec<u32> = content.volumes.iter().map(|volume| volume.id).collect();
                let expected: Vec<u32> = (1..=200).chain([new]).collect();
                ensure!(ids == expected, "round {round}: {ids:?}");
                let mapped = content.volume(1).map_or(0, |volume| volume.mapped_blocks);
                // A block counts once it is committed: the last write but one was flushed.
                ensure!(
                    mapped + 1 >= before && mapped <= after + 1 && mapped >= most,
                    "round {round}: {mapped} of {before} to {after}, before that {most}"
                );
                most = mapped;
                ensure!(content.data_blocks.used >= mapped, "{:?} {mapped}", content.data_blocks);
                ensure!(content.time == new - 999, "{} {new}", content.time);
                let made = content.volume(new).map(|volume| volume.creation_time);
                ensure!(made == Some(content.time), "{made:?} {}", content.time);
            }
            Ok((changing, most))
        };
        let outcome = read();
        stop.store(true, Ordering::Relaxed);
        match writer.join() {
            Ok(ended) => ended?,
            Err(_) => bail!("the writer panicked"),
        }
        let (changing, most) = outcome?;
        eprintln!("volumes: {most} blocks written meanwhile, {changing} of 50 reads ended in changing");
        ensure!(changing <= 5 && most > 0);
        Ok(())
    })?;
    let mut now = vec![0; 4096];
    cached.read_exact_at(&mut now, 0)?;
    eprintln!("volumes: the page cache is {}", if now == old { "stale" } else { "not stale" });
    dmctl(&["remove", "written"])?;
    dmctl(&["remove", "pool"])?;
    Ok(())
}

/// A block that was written over, the mark of the kernel, and something else on the disk.
pub fn damaged_metadata_is_told(guest: &Guest) -> Result<()> {
    let pool = Pool::new(guest)?;
    pool.message("create_thin 1")?;
    let metadata = &guest.disks[0];
    let told = |words: &str| -> Result<()> {
        let ran = dmctl(&["volumes", "pool"])?;
        ensure!(ran.status == Some(1) && ran.stdout.is_empty() && ran.stderr.contains(words), "{ran:?}");
        ensure!(ran.stderr.contains("thin_repair"), "{ran:?}");
        Ok(())
    };
    let superblock = metadata.read(0, 8)?;
    let root =
        superblock[328..336].first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).context("a root")?;
    let node = metadata.read(root * 8, 8)?;
    let mut wrong = node.clone();
    wrong[40] ^= 1;
    metadata.write(root * 8, &wrong)?;
    told(&format!("block {root} of the metadata is damaged: its checksum is wrong"))?;
    metadata.write(root * 8, &node)?;
    let mut wrong = superblock.clone();
    wrong[100] ^= 1;
    metadata.write(0, &wrong)?;
    told("block 0 of the metadata is damaged: its checksum is wrong")?;
    metadata.write(0, &superblock)?;
    let ran = dmctl(&["volumes", "pool"])?;
    ensure!(ran.status == Some(0), "{ran:?}");
    dmctl(&["remove", "pool"])?;
    Ok(())
}

/// Volumes that the pool has are used as they are, also when the pool was down, and are told; a snapshot that is there keeps what it
/// has.
pub fn a_plan_tells_made_volumes_from_kept_ones(guest: &Guest) -> Result<()> {
    guest.needs("thin-pool")?;
    let map = "[mappings.meta]\ntargets = [{ type = 'linear', length = 16384, device = '/dev/ram0', offset = 2048 }]\n\
        [mappings.pool]\ntargets = [{ type = 'thin-pool', metadata = '@meta', data = '/dev/ram1', block_size = 128, length = 65536 }]\n\
        [mappings.one]\ntargets = [{ type = 'thin', length = 8192, pool = '@pool', id = 1, create = true }]\n";
    let snapshot = "[mappings.two]\ntargets = [{ type = 'thin', length = 8192, pool = '@pool', id = 2, snapshot_of = 1 }]\n";
    guest.disks[0].fill(2048, 8, 0)?;
    let told = |text: &str, words: &[&str], not: &[&str]| -> Result<()> {
        let plan = with_map("plan", text, &[])?;
        for word in words {
            ensure!(plan.stdout.contains(word), "`{word}` is not in {plan:?}");
        }
        ensure!(not.iter().all(|word| !plan.stdout.contains(word)), "{plan:?}");
        Ok(())
    };
    told(map, &["it makes volume 1 of one"], &["not known"])?;
    apply_ends(map, &["--allow", "format"], 0)?;
    let one = Disk::mapping("one")?;
    one.fill(0, 8, b'o')?;
    let both = format!("{map}{snapshot}");
    told(&both, &["it makes volume 2 of two", "one is suspended meanwhile"], &["already"])?;
    apply_ends(&both, &[], 0)?;
    one.fill(0, 8, b'n')?;
    // The device is gone, its volume is not.
    dmctl(&["remove", "two"])?;
    let kept = "volume 2 is in the pool already (made at transaction 0): it is used as it is, and is not a snapshot of volume 1 as that is now";
    told(&both, &[kept], &["> message", "suspended meanwhile"])?;
    let ran = with_map("apply", &both, &[])?;
    ensure!(ran.status == Some(0) && ran.stderr.contains(kept), "{ran:?}");
    ensure!(Disk::mapping("two")?.read(0, 8)?.iter().all(|byte| *byte == b'o'), "it is another snapshot");
    // All of it down, as after a boot.
    ensure!(with_map("deactivate", &both, &[])?.status == Some(0), "it can't be taken down");
    told(&both, &["volume 1 is in the pool already", kept], &["> message"])?;
    apply_ends(&both, &[], 0)?;
    ensure!(Disk::mapping("two")?.read(0, 8)?.iter().all(|byte| *byte == b'o'), "it is another snapshot");
    ensure!(Disk::mapping("one")?.read(0, 8)?.iter().all(|byte| *byte == b'n'), "it is another volume");
    ensure!(with_map("deactivate", &both, &[])?.status == Some(0), "it can't be taken down");
    guest.disks[0].fill(2048, 8, 0)
}

/// A pool with `read_only` formats nothing and makes no volume.
pub fn what_a_read_only_pool_does_not_make_is_told(guest: &Guest) -> Result<()> {
    guest.needs("thin-pool")?;
    guest.blank()?;
    let pool = |more: &str| {
        format!(
            "[mappings.pool]\ntargets = [{{ type = 'thin-pool', length = 65536, metadata = '/dev/ram0', data = '/dev/ram1', \
             block_size = 128{more} }}]\n"
        )
    };
    let volume = |id: u32| {
        format!(
            "[mappings.v{id}]\ntargets = [{{ type = 'thin', length = 65536, pool = '@pool', id = {id}, create = true }}]\n"
        )
    };
    let in_conflict = |map: &str, words: &str| -> Result<()> {
        let plan = with_map("plan", map, &[])?;
        ensure!(plan.status == Some(1) && plan.stdout.contains(words), "`{words}` is missing: {plan:?}");
        guest.refused(map, &["--allow", "remap,format,loss"], 1)?;
        Ok(())
    };
    guest.kernel.create(&Name::new("pool")?, None)?;
    let loaded = guest.kernel.load(&named("pool"), &rows(&format!("{POOL} 1 read_only")), Access::Writable);
    ensure!(loaded.err().and_then(|error| error.errno()) == Some(Errno::EPERM), "the kernel took it");
    guest.kernel.remove(&named("pool"), Removal::Now)?;

    let read_only = pool(", read_only = true");
    in_conflict(&read_only, "holds no metadata, and a thin-pool with read_only = true formats none")?;
    // The way out.
    guest.apply(&(pool("") + &volume(1)), &["--allow", "format"])?;
    guest.apply(&(read_only.clone() + &volume(1)), &[])?;
    let refused = guest.kernel.message(&named("pool"), 0, "create_thin 2");
    ensure!(refused.err().and_then(|error| error.errno()) == Some(Errno::EOPNOTSUPP), "the kernel made it");
    let both = volume(1) + &volume(2);
    in_conflict(&(read_only.clone() + &both), "has read_only = true, so that volume 2 can't be made")?;
    // A pool of another map.
    let foreign = volume(2).replace("@pool", "/dev/mapper/pool");
    in_conflict(&(read_only.clone() + &volume(1) + &foreign), "so that volume 2 can't be made")?;
    // The way out, and a volume that is there comes up in such a pool.
    guest.apply(&(pool("") + &both), &[])?;
    guest.apply("[policy]\nprune = true\n[mappings]", &["--allow", "loss,remap"])?;
    guest.apply(&(read_only + &both), &[])?;
    guest.apply("[policy]\nprune = true\n[mappings]", &["--allow", "loss,remap"])
}
