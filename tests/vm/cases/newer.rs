//! Targets that the older of the two kernels lacks.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use dmctl::kernel::ReadKernel;

use crate::guest::{Disk, Guest, Skipped, ZONED_SECTORS, ZonedDisk, apply_ends, format_vdo};

const NOTHING: &str = "[policy]\nprune = true\n[mappings]";

pub fn a_vdo_volume_keeps_what_is_written(guest: &Guest) -> Result<()> {
    guest.needs("vdo")?;
    let disk = &guest.disks[0];
    let sectors = guest.kernel.block_device(disk.number)?.context("no block device")?.sectors;
    let map = |length: u64, blocks: u64, options: &str| {
        format!(
            "[mappings.saver]\n[[mappings.saver.targets]]\ntype = 'vdo'\nlength = {length}\n\
             device = '/dev/ram0'\nstorage_blocks = {blocks}\nminimum_io_size = 4096\ncache_blocks = 32768\n\
             era_length = 1000\noptions = {{ {options} }}"
        )
    };
    let blocks = sectors / 8;
    disk.fill(0, 8, 0)?;
    let blank = map(65536, blocks, "deduplication = 'off'");
    let refused = guest.refused(&blank, &["--allow", "format"], 1)?;
    ensure!(refused.stderr.contains("make it ready with vdoformat first"), "{refused:?}");

    ensure!(format_vdo(disk, sectors, 8192)? == blocks);
    guest.apply(&map(65536, blocks, "deduplication = 'off', ack = 1"), &[])?;
    Disk::mapping("saver")?.fill(64, 8, 0xd0)?;
    ensure!(Disk::mapping("saver")?.read(64, 8)? == [0xd0; 4096]);
    // What is left out is the default, in whatever order the rest stands.
    guest.in_sync(&map(65536, blocks, "bio = 4, deduplication = 'off'"))?;
    guest.apply(&map(65536, blocks, "deduplication = 'off', compression = 'on', maxDiscard = 16"), &[])?;
    // The volume grows; it does not shrink.
    guest.apply(&map(131_072, blocks, "deduplication = 'off'"), &[])?;
    ensure!(Disk::mapping("saver")?.read(64, 8)? == [0xd0; 4096]);
    guest.refused(&map(65536, blocks, "deduplication = 'off'"), &[], 3)?;
    apply_ends(NOTHING, &["--allow", "loss,remap"], 0)?;

    // It comes back with what was written.
    guest.apply(&map(131_072, blocks, "deduplication = 'off'"), &[])?;
    ensure!(Disk::mapping("saver")?.read(64, 8)? == [0xd0; 4096]);
    apply_ends(NOTHING, &["--allow", "loss,remap"], 0)?;
    Ok(())
}

pub fn a_zoned_disk_takes_writes_anywhere(guest: &Guest) -> Result<()> {
    guest.needs("zoned")?;
    let zoned = ZonedDisk::new("nullb0")?;
    let map = "[mappings.anywhere]\ntargets = [{ type = 'zoned', devices = ['/dev/nullb0'] }]";
    // Without its metadata the kernel crashes over it: it is not asked.
    let refused = guest.refused(map, &[], 1)?;
    ensure!(refused.stderr.contains("dmzadm"), "{refused:?}");
    zoned.format()?;
    guest.apply(map, &[])?;
    let (_, live, _) = guest.state("anywhere")?;
    ensure!(live == format!("0 {ZONED_SECTORS} zoned {}", zoned.disk.number), "{live}");
    // In no order at all.
    for sector in [100_000, 64, 70_000] {
        Disk::mapping("anywhere")?.fill(sector, 8, 0x2d)?;
        ensure!(Disk::mapping("anywhere")?.read(sector, 8)? == [0x2d; 4096]);
    }
    guest.in_sync(map)?;
    apply_ends(NOTHING, &["--allow", "loss,remap"], 0)?;
    guest.apply(map, &[])?;
    ensure!(Disk::mapping("anywhere")?.read(70_000, 8)? == [0x2d; 4096]);
    apply_ends(NOTHING, &["--allow", "loss,remap"], 0)?;
    Ok(())
}

/// The disk that keeps a tag of 64 bytes beside each block (`tests/vm/boot-qemu`).
const TAGGED: &str = "/dev/nvme0n1";

/// Skips the case where there is no such disk.
fn tagged() -> Result<Disk> {
    if !Path::new(TAGGED).exists() {
        return Err(Skipped("no disk keeps tags here".to_string()).into());
    }
    Disk::open(TAGGED)
}

pub fn integrity_keeps_its_tags_inline(guest: &Guest) -> Result<()> {
    let disk = tagged()?;
    disk.fill(0, 8, 0)?;
    let map = format!(
        "[mappings.sound]\n[[mappings.sound.targets]]\ntype = 'integrity'\ndevice = '{TAGGED}'\nmode = 'inline'\n\
         internal_hash = 'sha256'"
    );
    guest.apply(&map, &["--allow", "format"])?;
    let (_, live, _) = guest.state("sound")?;
    ensure!(live.contains(&format!("integrity {} 0 32 I ", disk.number)), "{live}");
    Disk::mapping("sound")?.fill(64, 8, 0x1a)?;
    ensure!(Disk::mapping("sound")?.read(64, 8)? == [0x1a; 4096]);
    guest.in_sync(&map)?;
    // Another mode is another format.
    let refused = guest.refused(&map.replace("inline", "journal"), &["--allow", "format"], 1)?;
    ensure!(refused.stderr.contains("has mode inline, the map has journal"), "{refused:?}");
    apply_ends(NOTHING, &["--allow", "loss,remap"], 0)?;
    guest.apply(&map, &[])?;
    ensure!(Disk::mapping("sound")?.read(64, 8)? == [0x1a; 4096]);
    apply_ends(NOTHING, &["--allow", "loss,remap"], 0)?;
    Ok(())
}

pub fn crypt_keeps_its_tags_beside_the_blocks(guest: &Guest) -> Result<()> {
    tagged()?;
    let key = "5a".repeat(96);
    let map = format!(
        "[mappings.sealed]\n[[mappings.sealed.targets]]\ntype = 'crypt'\nlength = 2048\ndevice = '{TAGGED}'\n\
         cipher = 'capi:authenc(hmac(sha256),xts(aes))-random'\nkey = {{ hex = '{key}' }}\n\
         integrity = {{ tag_size = 48, type = 'aead' }}\nintegrity_key_size = 32\nhigh_priority = true"
    );
    guest.apply(&map, &[])?;
    Disk::mapping("sealed")?.fill(0, 8, 0x5e)?;
    ensure!(Disk::mapping("sealed")?.read(0, 8)? == [0x5e; 4096]);
    ensure!(Disk::mapping("sealed")?.read(64, 8).is_err(), "blocks without a tag were read");
    guest.in_sync(&map)?;
    apply_ends(NOTHING, &["--allow", "loss,remap"], 0)?;
    Ok(())
}
