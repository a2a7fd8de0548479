//! Snapshots keep what their origin had, byte by byte, whatever their chunks and however large the writes: made in one map
//! with their origin, added later, and merged back.

use std::fs;

use anyhow::{Result, ensure};

use crate::guest::{Disk, Guest, Mounted, apply_ends, comes, dmctl, program, with_map};

/// The size of the origin, in sectors.
const SIZE: usize = 8192;

/// The largest write, in sectors: 1 MiB.
const WRITE: usize = 2048;

const NOTHING: &str = "[policy]\nprune = true\n[mappings]";

const BASE: &str = "[mappings.base]\ntargets = [{ type = 'linear', length = 8192, device = '/dev/ram0' }]\n";

const ORIGIN: &str = "[mappings.o]\ntargets = [{ type = 'snapshot-origin', device = '@base' }]\n";

/// A snapshot that keeps its chunks, of this size in sectors, on this ram disk.
fn snapshot(name: &str, disk: usize, chunk: usize) -> String {
    format!(
        "[mappings.{name}]\ntargets = [{{ type = 'snapshot', origin = '@base', cow = '/dev/ram{disk}', persistent = true, \
         chunk = {chunk} }}]\n"
    )
}

/// Bytes of which every sector is another.
fn old() -> Vec<u8> {
    (0..=250).cycle().take(SIZE).flat_map(|byte| [byte; 512]).collect()
}

/// Writes the origin over, in large requests.
fn overwrite(name: &str, size: usize) -> Result<()> {
    let origin = Disk::mapping(name)?;
    (0..SIZE).step_by(size).try_for_each(|sector| origin.fill(sector as u64, size, 0xff))
}

/// What is read from a device must be the old content.
fn keeps(name: &str) -> Result<()> {
    let (found, old) = (Disk::mapping(name)?.read(0, SIZE)?, old());
    let torn = found.chunks(512).zip(old.chunks(512)).filter(|(found, old)| found != old).count();
    ensure!(torn == 0, "{torn} of {SIZE} sectors of {name} are not the old ones");
    Ok(())
}

fn begin(guest: &Guest) -> Result<()> {
    guest.blank()?;
    guest.disks[0].write(0, &old())
}

fn end(guest: &Guest) -> Result<()> {
    apply_ends(NOTHING, &["--allow", "loss,remap"], 0)?;
    ensure!(guest.states()?.is_empty());
    Ok(())
}

pub fn one_of_each_chunk_is_whole(guest: &Guest) -> Result<()> {
    for (chunk, write) in [(8, 128), (8, WRITE), (32, WRITE), (128, WRITE), (2048, WRITE)] {
        begin(guest)?;
        guest.apply(&[BASE, ORIGIN, &snapshot("s", 1, chunk)].concat(), &["--allow", "format"])?;
        overwrite("o", write)?;
        keeps("s")?;
        end(guest)?;
    }
    Ok(())
}

pub fn several_with_other_chunks_are_whole(guest: &Guest) -> Result<()> {
    begin(guest)?;
    let all =
        [("s", 1, 2048), ("t", 2, 8), ("u", 3, 128)].map(|(name, disk, chunk)| snapshot(name, disk, chunk));
    guest.apply(&[BASE, ORIGIN, &all.concat()].concat(), &["--allow", "format"])?;
    overwrite("o", WRITE)?;
    ["s", "t", "u"].into_iter().try_for_each(keeps)?;
    end(guest)
}

pub fn those_that_come_later_are_whole(guest: &Guest) -> Result<()> {
    begin(guest)?;
    guest.apply(&[BASE, ORIGIN].concat(), &[])?;
    Disk::mapping("o")?.write(0, &old())?;
    let mut map = [BASE, ORIGIN].concat();
    for (name, disk, chunk) in [("s", 1, 2048), ("t", 2, 128), ("u", 3, 8)] {
        map += &snapshot(name, disk, chunk);
        guest.apply(&map, &["--allow", "format"])?;
    }
    ensure!(!guest.state("o")?.0.suspended);
    overwrite("o", WRITE)?;
    ["s", "t", "u"].into_iter().try_for_each(keeps)?;
    end(guest)
}

pub fn an_origin_that_was_suspended_is_resumed_after_them(guest: &Guest) -> Result<()> {
    begin(guest)?;
    guest.apply(&[BASE, ORIGIN].concat(), &[])?;
    let suspended = dmctl(&["suspend", "o"])?;
    ensure!(suspended.status == Some(0), "{suspended:?}");
    let map = [BASE, ORIGIN, &snapshot("s", 1, 8)].concat();
    guest.apply(&map, &["--allow", "format"])?;
    ensure!(!guest.state("o")?.0.suspended);
    overwrite("o", WRITE)?;
    keeps("s")?;
    // One that is to be suspended stays so, and is resumed with all its snapshots there.
    Disk::mapping("o")?.write(0, &old())?;
    let held = ORIGIN.replace("targets", "state = 'suspended'\ntargets");
    guest.apply(
        &[BASE, &held, &snapshot("s", 1, 8), &snapshot("t", 2, 16)].concat(),
        &["--allow", "format"],
    )?;
    ensure!(guest.state("o")?.0.suspended);
    let resumed = dmctl(&["resume", "o"])?;
    ensure!(resumed.status == Some(0), "{resumed:?}");
    overwrite("o", WRITE)?;
    keeps("t")?;
    end(guest)
}

pub fn those_made_by_hand_are_whole(guest: &Guest) -> Result<()> {
    begin(guest)?;
    let run = |arguments: &[&str]| -> Result<()> {
        let ran = dmctl(arguments)?;
        ensure!(ran.status == Some(0) && ran.stderr.is_empty(), "{arguments:?}: {ran:?}");
        Ok(())
    };
    let row =
        |disk: usize, chunk: usize| format!("0 {SIZE} snapshot /dev/mapper/base /dev/ram{disk} P {chunk}");
    run(&["create", "base", "--table", &format!("0 {SIZE} linear /dev/ram0 0")])?;
    run(&["create", "o", "--table", &format!("0 {SIZE} snapshot-origin /dev/mapper/base")])?;
    run(&["create", "top", "--table", &format!("0 {SIZE} linear /dev/mapper/o 0")])?;
    Disk::mapping("top")?.write(0, &old())?;
    // Each has smaller chunks than those before it, and is made live by another verb.
    run(&["create", "s", "--table", &row(1, 2048)])?;
    run(&["create", "t", "--table", &format!("0 {SIZE} zero")])?;
    run(&["reload", "t", "--table", &row(2, 128)])?;
    run(&["create", "u", "--table", &format!("0 {SIZE} zero")])?;
    program("dmsetup", &["load", "u", "--table", &row(3, 8)])?;
    run(&["resume", "u"])?;
    // And one beside an origin that was suspended by hand.
    run(&["suspend", "top"])?;
    run(&["suspend", "o"])?;
    run(&["create", "v", "--table", &row(4, 4)])?;
    ensure!(guest.state("o")?.0.suspended && guest.state("top")?.0.suspended);
    run(&["resume", "o"])?;
    run(&["resume", "top"])?;
    overwrite("top", WRITE)?;
    ["s", "t", "u", "v"].into_iter().try_for_each(keeps)?;
    for name in ["s", "t", "u", "v", "top", "o", "base"] {
        run(&["remove", name])?;
    }
    Ok(())
}

pub fn what_is_merged_back_is_whole(guest: &Guest) -> Result<()> {
    begin(guest)?;
    let then = snapshot("s", 1, 8);
    guest.apply(&[BASE, ORIGIN, &then].concat(), &["--allow", "format"])?;
    overwrite("o", WRITE)?;
    let suspended = then.replace("targets", "state = 'suspended'\ntargets");
    guest.apply(&[BASE, ORIGIN, &suspended].concat(), &[])?;
    let merge = snapshot("o", 1, 8).replace("'snapshot'", "'snapshot-merge'");
    // One that is added with the merge keeps what was there before it.
    let absent = "[mappings.s]\nstate = 'absent'\n";
    let map = [BASE, &merge, absent, &snapshot("t", 2, 16)].concat();
    guest.apply(&map, &["--allow", "remap,format"])?;
    comes("the merge", || {
        let status = program("dmsetup", &["status", "o"])?;
        let mut numbers = status.split(' ').filter(|word| word.contains('/'));
        // Allocated sectors and those of metadata are the same once nothing is left.
        let allocated = numbers.next().and_then(|word| word.split('/').next()).map(str::to_string);
        Ok(allocated.is_some() && status.trim().rsplit(' ').next().map(str::to_string) == allocated)
    })?;
    keeps("o")?;
    ensure!(Disk::mapping("t")?.read(0, SIZE)? == vec![0xff; SIZE * 512], "the merge tore another snapshot");
    end(guest)
}

pub fn what_a_file_system_holds_back_is_in_the_snapshot(guest: &Guest) -> Result<()> {
    let top = "[mappings.top]\ntargets = [{ type = 'linear', device = '@o' }]\n";
    for (mounted, top, told) in
        [("o", "", "o is suspended meanwhile"), ("top", top, "top and o are suspended meanwhile")]
    {
        begin(guest)?;
        let base = BASE.replace("8192", "65536");
        let map = [&base, ORIGIN, top].concat();
        guest.apply(&map, &[])?;
        {
            let files = Mounted::fresh(&format!("/dev/mapper/{mounted}"), "ext4", "/run/tmp/live")?;
            fs::write(files.file("a"), b"written, and not on the disk yet")?;
            let map = map + &snapshot("s", 1, 8);
            let plan = with_map("plan", &map, &["--allow", "format"])?;
            ensure!(plan.stdout.contains(told), "{plan:?}");
            guest.apply(&map, &["--allow", "format"])?;
            fs::create_dir_all("/run/tmp/then")?;
            program("busybox", &["mount", "-t", "ext4", "/dev/mapper/s", "/run/tmp/then"])?;
            let found = fs::read("/run/tmp/then/a");
            program("busybox", &["umount", "/run/tmp/then"])?;
            ensure!(found? == b"written, and not on the disk yet");
        }
        end(guest)?;
    }
    Ok(())
}

pub fn the_origin_of_an_overlay_may_be_read_only(guest: &Guest) -> Result<()> {
    begin(guest)?;
    for (persistent, disk) in [(true, 1), (false, 2)] {
        let chunk = if persistent { "persistent = true, chunk = 8" } else { "chunk = 8" };
        let map = format!(
            "[mappings.img]\nreadonly = true\ntargets = [{{ type = 'linear', length = 8192, device = '/dev/ram0' }}]\n\
             [mappings.ov]\ntargets = [{{ type = 'snapshot', origin = '@img', cow = '/dev/ram{disk}', {chunk} }}]\n"
        );
        guest.apply(&map, &["--allow", "format"])?;
        keeps("ov")?;
        Disk::mapping("ov")?.fill(0, 128, 7)?;
        ensure!(Disk::mapping("ov")?.read(0, 128)? == vec![7; 128 * 512]);
        keeps("img")?;
        let exported = dmctl(&["export"])?;
        ensure!(
            exported.stdout.contains("mappings.ov") && !exported.stdout.contains("Left out"),
            "{exported:?}"
        );
        end(guest)?;
    }
    Ok(())
}
