//! Sectors, disks and partitions that other devices use, and sectors that change hands.

use std::fs;

use anyhow::{Context, Result, ensure};
use dmctl::kernel::{ChangeKernel, Removal};

use crate::guest::{Disk, Guest, Mounted, Ran, apply_ends, dmctl, named, program, with_map};

/// A plan of this map must have a conflict with each of these words, and an apply must change nothing.
fn in_conflict(guest: &Guest, map: &str, words: &[&str]) -> Result<()> {
    let plan = with_map("plan", map, &[])?;
    ensure!(plan.status == Some(1), "{plan:?}");
    for word in words {
        ensure!(plan.stdout.contains(word), "`{word}` is missing: {plan:?}");
    }
    guest.refused(map, &["--allow", "remap,format,loss"], 1)?;
    Ok(())
}

fn linear(key: &str, length: u64, device: &str, offset: u64) -> String {
    format!(
        "[mappings.{key}]\ntargets = [{{ type = \"linear\", length = {length}, device = \"{device}\", offset = {offset} }}]\n"
    )
}

pub fn what_a_device_outside_the_map_writes_is_a_conflict(guest: &Guest) -> Result<()> {
    let arguments = ["create", "vg-lv", "--noudevsync", "--noudevrules", "--uuid", "LVM-abc", "--table"];
    program("dmsetup", &[&arguments[..], &["0 32768 linear 1:0 2048"]].concat())?;
    let mounted = Mounted::fresh("/dev/mapper/vg-lv", "ext2", "/run/tmp/lv")?;
    fs::write(mounted.file("kept"), "kept")?;
    let over = linear("a", 4096, "/dev/ram0", 0);
    in_conflict(guest, &over, &["sectors 2048 to 4095", "`vg-lv`", "LVM", "mounted on /run/tmp/lv"])?;
    // The same sectors as a growth, and beside them.
    let beside = linear("a", 2048, "/dev/ram0", 0);
    guest.apply(&beside, &[])?;
    in_conflict(guest, &over, &["sectors 2048 to 4095", "`vg-lv`"])?;
    let shared = over.replace("[mappings.a]", "[mappings.a]\nshared = true");
    guest.apply(&shared, &[])?;
    // A live table that has them already is not in conflict.
    guest.in_sync(&over)?;
    guest.apply("mappings.a.state = \"absent\"", &[])?;
    ensure!(fs::read_to_string(mounted.file("kept"))? == "kept");
    drop(mounted);
    guest.kernel.remove(&named("vg-lv"), Removal::Now)?;
    Ok(())
}

pub fn a_volume_needs_a_pool_below(guest: &Guest) -> Result<()> {
    let volume = |pool: &str| {
        format!("[mappings.v]\ntargets = [{{ type = \"thin\", length = 2048, pool = \"{pool}\", id = 1 }}]\n")
    };
    // What the kernel would tell, after the plan was made.
    let kernel = |pool: &str| -> Result<String> {
        let table = format!("0 2048 thin {pool} 1");
        let refused = dmctl(&["create", "v", "--table", &table])?;
        ensure!(refused.status == Some(6), "{refused:?}");
        Ok(refused.stderr)
    };
    in_conflict(guest, &volume("/dev/ram1"), &["is not a Device Mapper device, thin needs a thin-pool"])?;
    ensure!(kernel("/dev/ram1")?.contains("Couldn't get pool mapped device"));
    let lower = linear("d", 4096, "/dev/ram0", 0);
    in_conflict(guest, &(lower + &volume("@d")), &["@d is a device of linear, thin needs a thin-pool"])?;
    program("dmsetup", &["create", "lv", "--noudevsync", "--noudevrules", "--table", "0 4096 linear 1:0 0"])?;
    in_conflict(guest, &volume("/dev/mapper/lv"), &["is a device of linear, thin needs a thin-pool"])?;
    ensure!(kernel("/dev/mapper/lv")?.contains("Couldn't find pool object"));
    guest.kernel.remove(&named("lv"), Removal::Now)?;
    Ok(())
}

/// The tags of a crypt must be those of the devices below: a plan tells what the kernel would refuse, and takes what it takes.
pub fn tags_need_a_device_that_keeps_them(guest: &Guest) -> Result<()> {
    guest.needs("crypt")?;
    guest.needs("integrity")?;
    guest.blank()?;
    let integrity = |key: &str, disk: u32, fields: &str| {
        format!(
            "[mappings.{key}]\ntargets = [{{ type = 'integrity', length = 8192, device = '/dev/ram{disk}', {fields} }}]\n"
        )
    };
    let below = integrity("i48", 0, "tag_size = 48")
        + &integrity("i16", 1, "tag_size = 16")
        + &integrity("own", 2, "internal_hash = 'sha256'")
        + &linear("over", 2048, "@i48", 0)
        + "[mappings.half]\ntargets = [{ type = 'linear', length = 2048, device = '@i48', offset = 2048 }, { type = 'linear', \
           length = 2048, device = '/dev/ram3' }]\n\
           [mappings.differ]\ntargets = [{ type = 'linear', length = 2048, device = '@i48', offset = 4096 }, { type = \
           'linear', length = 2048, device = '@i16' }]\n";
    guest.apply(&below, &["--allow", "format"])?;
    let number = |name: &str| anyhow::Ok(Disk::mapping(name)?.number);
    let (key, short) = ("5a".repeat(96), "5a".repeat(64));
    let authenc = |iv: &str| format!("capi:authenc(hmac(sha256),xts(aes))-{iv}");
    let rows: [(&str, String, u32, &str, u64, &str, &str); 13] = [
        ("i48", authenc("random"), 48, "aead", 6144, "", ""),
        ("over", authenc("random"), 48, "aead", 0, "", ""),
        ("ram4", authenc("random"), 48, "aead", 0, "", "keeps no tags with its blocks"),
        ("half", authenc("random"), 48, "aead", 0, "", "keeps no tags with its blocks"),
        ("differ", authenc("random"), 48, "aead", 0, "", "keep different tags"),
        (
            "i16",
            authenc("random"),
            48,
            "aead",
            2048,
            "",
            "keeps tags of 16 bytes, crypt has a tag_size of 48",
        ),
        (
            "i48",
            authenc("random"),
            32,
            "aead",
            6144,
            "",
            "keeps tags of 48 bytes, crypt has a tag_size of 32",
        ),
        ("own", authenc("random"), 32, "aead", 0, "", "keeps the tags of its own internal_hash"),
        (
            "i48",
            authenc("random"),
            48,
            "aead",
            6144,
            ", sector_size = 4096",
            "keeps a tag with each 512 bytes",
        ),
        ("i48", authenc("plain64"), 48, "aead", 6144, "", "does not fit"),
        ("i16", authenc("plain64"), 16, "aead", 2048, "", ""),
        ("i16", "aes-xts-random".into(), 16, "none", 2048, "", ""),
        ("i48", "aes-xts-random".into(), 48, "none", 6144, "", "crypt uses 16 bytes of the tags of 48 bytes"),
    ];
    for (lower, cipher, tag, kind, offset, more, told) in rows {
        let (device, by_number) = match lower {
            "ram4" => ("/dev/ram4".to_string(), "1:4".to_string()),
            _ => (format!("@{lower}"), number(lower)?.to_string()),
        };
        let key = if kind == "aead" { &key } else { &short };
        let map = format!(
            "{below}[mappings.c]\ntargets = [{{ type = 'crypt', length = 1024, cipher = '{cipher}', key = {{ hex = '{key}' }}, \
             device = '{device}', offset = {offset}, integrity = {{ tag_size = {tag}, type = '{kind}' }}{more} }}]\n"
        );
        let (count, large) = if more.is_empty() { (1, "") } else { (2, " sector_size:4096") };
        let table = format!(
            "0 1024 crypt {cipher} {key} 0 {by_number} {offset} {count} integrity:{tag}:{kind}{large}"
        );
        let created = dmctl(&["create", "c", "--table", &table])?;
        let loads = created.status == Some(0);
        if loads {
            guest.kernel.remove(&named("c"), Removal::Now)?;
        }
        // From 6.12 on the kernel takes longer tags than it uses.
        let plan = with_map("plan", &map, &[])?;
        ensure!(loads == (plan.status == Some(0)), "{table}: {created:?} {plan:?}");
        let is_told = format!("{}{}", plan.stdout, plan.stderr).contains(told);
        ensure!(loads || (is_told && !told.is_empty()), "{table}: {plan:?}");
    }
    for name in ["over", "half", "differ", "i48", "i16", "own"] {
        guest.kernel.remove(&named(name), Removal::Now)?;
    }
    Ok(())
}

/// What an empty layer is put over reads as before, and the plan tells that nothing moves.
pub fn an_empty_layer_moves_nothing(guest: &Guest) -> Result<()> {
    const LAYERS: [(&str, &str); 8] = [
        ("unstriped", "stripes = 1, chunk = 8, stripe = 0, device = '/dev/ram0'"),
        ("writecache", "mode = 'ssd', origin = '/dev/ram0', cache = '/dev/ram1', block_size = 512"),
        (
            "mirror",
            "log = { type = 'core', region_size = 8, sync = 'nosync' }, legs = [{ device = '/dev/ram0' }, { device = '/dev/ram1' }]",
        ),
        ("snapshot", "origin = '/dev/ram0', cow = '/dev/ram1', persistent = true, chunk = 8"),
        ("snapshot-origin", "device = '/dev/ram0'"),
        ("log-writes", "device = '/dev/ram0', log_device = '/dev/ram1'"),
        (
            "clone",
            "metadata = '/dev/ram1', destination = '/dev/ram2', source = '/dev/ram0', region_size = 8, no_hydration = true",
        ),
        (
            "cache",
            "metadata = '/dev/ram1', cache = '/dev/ram2', origin = '/dev/ram0', block_size = 64, mode = 'writethrough'",
        ),
    ];
    for (kind, fields) in LAYERS {
        guest.needs(kind)?;
        guest.blank()?;
        for sector in 0..64 {
            guest.disks[0].fill(sector, 1, u8::try_from(sector)?)?;
        }
        // The second row of a device: some targets count from its start, others from that of the device.
        let map = |row: &str| {
            format!("[mappings.d]\ntargets = [{{ type = 'zero', length = 8 }}, {{ length = 32, {row} }}]")
        };
        for (offset, keeps) in [(0, "keeps 0..20.0 KiB"), (8, "keeps 0..4.0 KiB, moves 4.0..20.0 KiB")] {
            let counts_from_device = kind.starts_with("snapshot") || matches!(kind, "log-writes" | "cache");
            let offset = if counts_from_device { 8 - offset } else { offset };
            guest.apply(&map(&format!("type = 'linear', device = '/dev/ram0', offset = {offset}")), &[])?;
            let before = Disk::mapping("d")?.read(8, 32)?;
            let layer = map(&format!("type = '{kind}', {fields}"));
            let plan = with_map("plan", &layer, &[])?.stdout;
            ensure!(plan.contains(&format!("    {keeps}\n")), "{kind}: {plan}");
            guest.apply(&layer, &["--allow", "format,remap"])?;
            let same = Disk::mapping("d")?.read(8, 32)? == before;
            ensure!(same != keeps.contains("moves"), "{kind} over {offset}");
            guest.apply("mappings.d.state = \"absent\"", &["--allow", "loss"])?;
            guest.disks[1].fill(0, 64, 0)?;
        }
    }
    Ok(())
}

/// What an empty layer is put below of reads as before, and the plan tells that nothing moves.
pub fn an_empty_layer_below_moves_nothing(guest: &Guest) -> Result<()> {
    const LAYERS: [(&str, &str); 4] = [
        ("writecache", "mode = 'ssd', origin = '/dev/ram0', cache = '/dev/ram1', block_size = 512"),
        (
            "mirror",
            "log = { type = 'core', region_size = 8 }, legs = [{ device = '/dev/ram0' }, { device = '/dev/ram1' }]",
        ),
        ("snapshot", "origin = '/dev/ram0', cow = '/dev/ram1', persistent = true, chunk = 8"),
        (
            "raid",
            "level = 'raid1', region_size = 1024, devices = [{ metadata = '/dev/ram2', data = '/dev/ram0' }, { metadata = \
             '/dev/ram3', data = '/dev/ram1' }]",
        ),
    ];
    for (kind, fields) in LAYERS {
        guest.needs(kind)?;
        guest.blank()?;
        guest.disks[0].fill(64, 64, 0xa5)?;
        guest.apply(&linear("d", 64, "/dev/ram0", 64), &[])?;
        let layer = format!("[mappings.y]\ntargets = [{{ type = '{kind}', length = 8192, {fields} }}]\n")
            + &linear("d", 64, "@y", 64);
        let plan = with_map("plan", &layer, &[])?.stdout;
        ensure!(plan.contains("    keeps 0..32.0 KiB\n"), "{kind}: {plan}");
        guest.apply(&layer, &["--allow", "format"])?;
        ensure!(Disk::mapping("d")?.read(0, 64)? == vec![0xa5; 64 * 512], "{kind}");
        guest.apply("mappings.d.state = \"absent\"\nmappings.y.state = \"absent\"", &["--allow", "loss"])?;
        guest.disks[1].fill(0, 16384, 0)?;
    }
    Ok(())
}

/// Some targets find a sector below by its number in their device. The kernel checks the length of their rows alone, and fails
/// what is behind the end of the device below.
pub fn what_a_row_behind_another_reads(guest: &Guest) -> Result<()> {
    const ROWS: [(&str, &str, bool); 7] = [
        ("cache", "metadata = '/dev/ram1', cache = '/dev/ram2', origin = '@o', block_size = 64", true),
        ("log-writes", "device = '@o', log_device = '/dev/ram1'", true),
        ("snapshot", "origin = '@o', cow = '/dev/ram1', persistent = true, chunk = 8", true),
        ("snapshot-origin", "device = '@o'", true),
        ("snapshot-merge", "origin = '@o', cow = '/dev/ram1', persistent = true, chunk = 8", true),
        (
            "clone",
            "metadata = '/dev/ram1', destination = '/dev/ram2', source = '@o', region_size = 8, no_hydration = true",
            false,
        ),
        ("linear", "device = '@o'", false),
    ];
    for (kind, fields, counts_from_device) in ROWS {
        guest.needs(kind)?;
        guest.blank()?;
        let below = |sectors: u64| linear("o", sectors, "/dev/ram0", 0);
        let map = |sectors: u64, length: &str| {
            let rows = format!("{{ type = 'zero', length = 64 }}, {{ type = '{kind}', {fields}{length} }}");
            format!("{}[mappings.t]\ntargets = [{rows}]\n", below(sectors))
        };
        let length = ", length = 192";
        guest.apply(&below(192), &[])?;
        for sector in [0, 64, 128] {
            Disk::mapping("o")?.fill(sector, 1, u8::try_from(sector + 1)?)?;
        }
        if counts_from_device {
            in_conflict(guest, &map(192, length), &["the table reaches to sector 256, it has 192"])
                .with_context(|| kind.to_string())?;
            // The kernel takes it.
            guest.apply(&map(256, length), &["--allow", "format"])?;
            let table = program("dmsetup", &["table", "t"])?;
            guest.apply(
                &format!("{}[mappings.t]\nstate = \"absent\"\n", below(192)),
                &["--allow", "loss,remap"],
            )?;
            guest.disks[1].fill(0, 64, 0)?;
            fs::write("/run/tmp/table", table)?;
            program("dmsetup", &["create", "t", "--noudevsync", "--noudevrules", "/run/tmp/table"])?;
            program("dmsetup", &["mknodes"])?;
            ensure!(Disk::mapping("t")?.read(192, 8).is_err(), "{kind}: a read behind the end");
            guest.kernel.remove(&named("t"), Removal::Now)?;
            guest.disks[1].fill(0, 64, 0)?;
        }
        // A length that is left out ends with the device below.
        guest.apply(&map(192, ""), &["--allow", "format"]).with_context(|| kind.to_string())?;
        let sectors = if counts_from_device { 192 } else { 256 };
        ensure!(program("dmsetup", &["table", "t"])?.contains(&format!("64 {} {kind}", sectors - 64)));
        let first = if counts_from_device { 65 } else { 1 };
        let read = Disk::mapping("t")?.read(64, 1)?;
        ensure!(read == [first; 512], "{kind}: {}", read[0]);
        Disk::mapping("t")?.read(sectors - 8, 8)?;
        guest.apply("mappings.t.state = \"absent\"\nmappings.o.state = \"absent\"", &["--allow", "loss"])?;
    }
    // The sectors before those of the log are free, those of the log are not.
    let logged = "[mappings.t]\ntargets = [{ type = 'zero', length = 64 }, { type = 'log-writes', length = 64, device = '/dev/ram0', log_device = '/dev/ram1' }]\n";
    guest.apply(&(linear("a", 64, "/dev/ram0", 0) + logged), &["--allow", "format"])?;
    in_conflict(guest, &(linear("a", 64, "1:0", 64) + logged), &["sectors 64 to 127"])?;
    guest.apply("mappings.t.state = \"absent\"\nmappings.a.state = \"absent\"", &["--allow", "loss"])
}

/// The kernel takes such rows, and fails what is written to them.
pub fn what_begins_its_device_is_behind_no_row(guest: &Guest) -> Result<()> {
    const ROWS: [(&str, &str, &str); 2] = [
        ("era", "metadata = '/dev/ram1', origin = '/dev/ram0', block_size = 64", "era 1:1 1:0 64"),
        (
            "raid",
            "level = 'raid1', region_size = 1024, devices = [{ data = '/dev/ram0' }, { data = '/dev/ram1' }]",
            "raid raid1 3 0 region_size 1024 2 - 1:0 - 1:1",
        ),
    ];
    for (kind, fields, row) in ROWS {
        guest.needs(kind)?;
        guest.blank()?;
        let map = format!(
            "[mappings.t]\ntargets = [{{ type = 'zero', length = 8192 }}, {{ type = '{kind}', length = 8192, {fields} }}]"
        );
        let refused = guest.refused(&map, &["--allow", "format,remap"], 1)?;
        ensure!(refused.stderr.contains(&format!("`{kind}` target must begin at sector 0")), "{refused:?}");
        fs::write("/run/tmp/table", format!("0 8192 zero\n8192 8192 {row}\n"))?;
        program("dmsetup", &["create", "t", "--noudevsync", "--noudevrules", "/run/tmp/table"])?;
        program("dmsetup", &["mknodes"])?;
        ensure!(Disk::mapping("t")?.fill(16376, 8, 1).is_err(), "{kind}: a write to it");
        guest.kernel.remove(&named("t"), Removal::Now)?;
        // The way out.
        let map = format!(
            "[mappings.l]\ntargets = [{{ type = '{kind}', length = 8192, {fields} }}]\n[mappings.t]\n\
             targets = [{{ type = 'zero', length = 8192 }}, {{ type = 'linear', length = 8192, device = '@l' }}]"
        );
        guest.disks[1].fill(0, 64, 0)?;
        guest.apply(&map, &["--allow", "format"])?;
        Disk::mapping("t")?.fill(16376, 8, 1)?;
        guest.apply(
            "mappings.t.state = \"absent\"\nmappings.l.state = \"absent\"",
            &["--allow", "loss,remap"],
        )?;
    }
    Ok(())
}

pub fn a_leftover_keeps_its_sectors_until_it_is_pruned(guest: &Guest) -> Result<()> {
    guest.apply(&linear("data", 4096, "/dev/ram0", 0), &[])?;
    let other = linear("data2", 4096, "/dev/ram0", 0);
    in_conflict(guest, &other, &["`data`", "DMCTL-lab-data", "formerly = [\"data\"]", "prune = true"])?;
    let pruned = format!("[policy]\nprune = true\n{other}");
    let plan = with_map("plan", &pruned, &[])?.stdout;
    ensure!(plan.find("remove") < plan.find("create"), "{plan}");
    guest.apply(&pruned, &[])?;
    guest.apply("mappings.data2.state = \"absent\"", &[])
}

pub fn sectors_change_hands_in_one_apply(guest: &Guest) -> Result<()> {
    let one = linear("d", 8192, "/dev/ram0", 0);
    let two = linear("d", 4096, "/dev/ram0", 0) + &linear("e", 4096, "/dev/ram0", 4096);
    guest.apply(&one, &[])?;
    guest.disks[0].fill(4096, 8, 7)?;
    guest.apply(&two, &["--allow", "remap"])?;
    ensure!(Disk::mapping("e")?.read(0, 8)? == [7; 4096]);
    // Each has the sectors of the other, and back.
    let exchanged = linear("d", 4096, "/dev/ram0", 4096) + &linear("e", 4096, "/dev/ram0", 0);
    guest.apply(&exchanged, &["--allow", "remap"])?;
    ensure!(Disk::mapping("d")?.read(0, 8)? == [7; 4096]);
    guest.apply(&two, &["--allow", "remap"])?;
    let joined = format!("{one}[mappings.e]\nstate = \"absent\"\n");
    guest.apply(&joined, &[])?;
    ensure!(Disk::mapping("d")?.read(4096, 8)? == [7; 4096]);
    guest.apply("mappings.d.state = \"absent\"", &[])
}

/// A file system stays mounted while the layer below its device is replaced by one on the same sectors.
pub fn a_layer_is_replaced_beside_the_old_one(guest: &Guest) -> Result<()> {
    let on = |layer: &str| {
        let data = format!(
            "[mappings.data]\ntargets = [{{ type = \"linear\", length = 16384, device = \"@{layer}\" }}]\n"
        );
        linear(layer, 16384, "/dev/ram0", 0) + &data
    };
    guest.apply(&on("old"), &[])?;
    let mounted = Mounted::fresh("/dev/mapper/data", "ext2", "/run/tmp/layer")?;
    fs::write(mounted.file("kept"), "kept")?;
    guest.apply(&(on("new") + "[mappings.old]\nstate = \"absent\"\n"), &[])?;
    guest.apply(&format!("[policy]\nprune = true\n{}", on("next")), &[])?;
    ensure!(fs::read_to_string(mounted.file("kept"))? == "kept");
    drop(mounted);
    guest.apply("[mappings.data]\nstate = \"absent\"\n[mappings.next]\nstate = \"absent\"\n", &[])
}

/// A disk with two partitions, detached when this is dropped.
struct Partitioned {
    whole: String,
}

impl Partitioned {
    fn new() -> Result<Self> {
        let image = "/run/tmp/parts.img";
        let mut bytes = vec![0; 8 << 20];
        let entry = |start: u32, count: u32| {
            let mut entry = [0; 16];
            entry[4] = 0x83;
            entry[8..12].copy_from_slice(&start.to_le_bytes());
            entry[12..].copy_from_slice(&count.to_le_bytes());
            entry
        };
        bytes[446..462].copy_from_slice(&entry(2048, 4096));
        bytes[462..478].copy_from_slice(&entry(6144, 8192));
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        fs::write(image, bytes)?;
        let whole = program("losetup", &["--find", "--show", "--partscan", image])?.trim().to_string();
        Ok(Self { whole })
    }

    fn part(&self, number: u32) -> String {
        format!("{}p{number}", self.whole)
    }
}

impl Drop for Partitioned {
    fn drop(&mut self) {
        let _ = program("losetup", &["--detach", &self.whole]);
    }
}

pub fn a_disk_and_its_partitions_are_never_both_in_use(guest: &Guest) -> Result<()> {
    let disk = Partitioned::new()?;
    let on_disk = linear("a", 8192, &disk.whole, 6144);
    let instead = format!("map {} with offset 0 instead", disk.part(2));
    {
        let _mounted = Mounted::fresh(&disk.part(1), "ext2", "/run/tmp/part")?;
        let mounted = format!("{} of the same disk is mounted on /run/tmp/part", disk.part(1));
        in_conflict(guest, &on_disk, &[&mounted, &instead])?;
        // The way out that it names.
        guest.apply(&linear("a", 8192, &disk.part(2), 0), &[])?;
        guest.apply("mappings.a.state = \"absent\"", &[])?;
        // The kernel refuses what the plan does.
        guest.kernel.create(&dmctl::identity::Name::new("x")?, None)?;
        let number = Disk::open(&disk.whole)?.number;
        let table = crate::guest::rows(&format!("0 64 linear {number} 6144"));
        let loaded = guest.kernel.load(&named("x"), &table, dmctl::access::Access::Writable);
        ensure!(loaded.is_err_and(|error| error.errno() == Some(nix::errno::Errno::EBUSY)));
        guest.kernel.remove(&named("x"), Removal::Now)?;
    }
    // Two mappings of one map, of which neither is there, and then one.
    let both = on_disk.clone() + &linear("b", 64, &disk.part(1), 0);
    in_conflict(guest, &both, &["the disk of that partition", "under the mapping `a`"])?;
    guest.apply(&on_disk, &[])?;
    in_conflict(guest, &both, &["under the mapping `a`", &format!("map {} with offset 2048", disk.whole)])?;
    // One that lets go first, in one apply: a removal, and another table.
    let moved = linear("a", 64, "/dev/ram1", 0) + &linear("b", 64, &disk.part(1), 0);
    guest.apply(&moved, &["--allow", "remap"])?;
    let back = linear("a", 64, &disk.whole, 0) + "[mappings.b]\nstate = \"absent\"\n";
    guest.apply(&back, &["--allow", "remap"])?;
    let ran: Ran = apply_ends("mappings.a.state = \"absent\"", &[], 0)?;
    ensure!(ran.status == Some(0));
    Ok(())
}

pub fn a_thin_volume_has_one_mapping(guest: &Guest) -> Result<()> {
    guest.needs("thin-pool")?;
    let pool = "[mappings.pool]\ntargets = [{ type = \"thin-pool\", length = 65536, metadata = \"/dev/ram2\", data = \"/dev/ram3\", block_size = 128 }]\n";
    let volume = |key: &str, more: &str| {
        format!(
            "[mappings.{key}]\nshared = true\ntargets = [{{ type = \"thin\", length = 2048, pool = \"@pool\", id = 1{more} }}]\n"
        )
    };
    let alone = |key: &str| volume(key, "").replace("shared = true\n", "");
    // The one without `create` waits for the other.
    let both = pool.to_string() + &volume("a", "") + &volume("b", ", create = true");
    guest.apply(&both, &["--allow", "format"])?;
    guest.apply(&(pool.to_string() + &volume("a", "") + "[mappings.b]\nstate = \"absent\"\n"), &[])?;
    let arguments = ["create", "docker", "--noudevsync", "--noudevrules", "--table"];
    let number = Disk::mapping("pool")?.number;
    program("dmsetup", &[&arguments[..], &[&format!("0 2048 thin {number} 1")]].concat())?;
    guest.apply(&(pool.to_string() + "[mappings.a]\nstate = \"absent\"\n"), &[])?;
    in_conflict(guest, &(pool.to_string() + &alone("a")), &["volume 1 of @pool", "`docker`"])?;
    guest.kernel.remove(&named("docker"), Removal::Now)?;
    guest.apply(&(pool.to_string() + &alone("a")), &[])?;
    guest.apply("mappings.a.state = \"absent\"\nmappings.pool.state = \"absent\"", &[])
}
