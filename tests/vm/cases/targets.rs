//! Targets in their typed form: what each does with what is written to it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};
use dmctl::access::Access;
use dmctl::kernel::{ChangeKernel, Suspend};

use crate::guest::{Disk, Guest, apply_ends, named, program, rows, with_map};

const NOTHING: &str = "[policy]\nprune = true\n[mappings]";

/// Removes what is left of a map, dirty caches and all.
fn remove_all(guest: &Guest) -> Result<()> {
    apply_ends(NOTHING, &["--allow", "loss,remap"], 0)?;
    ensure!(guest.states()?.is_empty());
    Ok(())
}

/// Whether the first sectors can be read past the page cache.
fn reads(name: &str, sector: u64) -> bool {
    Disk::mapping(name).and_then(|disk| disk.read(sector, 8)).is_ok()
}

/// One map each. What is written to `top` must be read back, and where the last column names a disk, there.
const KEEP_WHAT_IS_WRITTEN: &[(&str, &str, Option<usize>)] = &[
    (
        "mirror",
        "log = { type = 'core', region_size = 1024, sync = 'nosync' }\nlegs = [{ device = '/dev/ram0' }, { device = '/dev/ram1' }]",
        Some(1),
    ),
    (
        "raid",
        "level = 'raid1'\nsync = 'nosync'\ndevices = [{ data = '/dev/ram0' }, { data = '/dev/ram1' }]",
        Some(1),
    ),
    (
        "delay",
        "read = { device = '/dev/ram0', delay = 0 }\nwrite = { device = '/dev/ram1', delay = 20 }\n# Reads must see what is written.\nflush = { device = '/dev/ram1', delay = 0 }",
        None,
    ),
    ("flakey", "device = '/dev/ram0'\nup_interval = 3600\ndown_interval = 1\ndrop_writes = true", Some(0)),
    ("unstriped", "stripes = 2\nchunk = 16\nstripe = 1\ndevice = '/dev/ram0'", None),
    ("log-writes", "device = '/dev/ram0'\nlog_device = '/dev/ram1'", Some(0)),
    ("era", "metadata = '/dev/ram1'\norigin = '/dev/ram0'\nblock_size = 128", Some(0)),
    (
        "cache",
        "metadata = '/dev/ram1'\ncache = '/dev/ram2'\norigin = '/dev/ram0'\nblock_size = 64\nmode = 'writethrough'\npolicy = 'smq'",
        Some(0),
    ),
    (
        "writecache",
        "mode = 'ssd'\norigin = '/dev/ram0'\ncache = '/dev/ram1'\nblock_size = 4096\nhigh_watermark = 60",
        None,
    ),
    (
        // Hydration is an event of its own, at a moment of its own.
        "clone",
        "metadata = '/dev/ram1'\ndestination = '/dev/ram2'\nsource = '/dev/ram0'\nregion_size = 8\nno_hydration = true",
        Some(2),
    ),
    (
        "multipath",
        "queue_mode = 'bio'\ngroups = [{ selector = 'service-time', paths = [{ device = '/dev/ram0' }] }]",
        Some(0),
    ),
    ("integrity", "device = '/dev/ram0'\nmode = 'journal'\ninternal_hash = 'crc32c'", None),
    (
        "integrity",
        "device = '/dev/ram0'\nmode = 'direct'\nmeta_device = '/dev/ram1'\ninternal_hash = 'crc32c'",
        Some(0),
    ),
];

pub fn what_is_written_is_read(guest: &Guest) -> Result<()> {
    for (kind, fields, below) in KEEP_WHAT_IS_WRITTEN {
        if !guest.has(kind)? {
            continue;
        }
        // Reads of a delay that leads writes elsewhere see what was there.
        let reads_elsewhere = *kind == "delay";
        guest.blank()?;
        let map =
            format!("[mappings.top]\n[[mappings.top.targets]]\ntype = '{kind}'\nlength = 2048\n{fields}");
        let checked = || -> Result<()> {
            apply_ends(&map, &["--allow", "format"], 0)?;
            let top = Disk::mapping("top")?;
            top.fill(64, 8, 0xc3)?;
            if reads_elsewhere {
                ensure!(guest.disks[1].read(64, 8)? == [0xc3; 4096]);
            } else {
                ensure!(top.read(64, 8)? == [0xc3; 4096]);
            }
            if let Some(disk) = below {
                ensure!(guest.disks[*disk].read(64, 8)? == [0xc3; 4096], "it did not arrive below");
            }
            guest.in_sync(&map)?;
            remove_all(guest)
        };
        checked().with_context(|| (*kind).to_string())?;
    }
    Ok(())
}

pub fn dust_hears_its_messages(guest: &Guest) -> Result<()> {
    guest.needs("dust")?;
    let map = r#"
        [mappings.bad]
        targets = [{ type = "dust", length = 1024, device = "/dev/ram0", block_size = 512,
                     messages = ["addbadblock 64", "enable"] }]"#;
    guest.apply(map, &[])?;
    ensure!(reads("bad", 0) && !reads("bad", 64), "the bad block is not bad");
    // A reload forgets the blocks, so they are told again.
    guest.apply(&map.replace("1024", "2048"), &[])?;
    ensure!(reads("bad", 0) && !reads("bad", 64), "the bad block is forgotten");
    remove_all(guest)
}

pub fn switch_hears_its_messages(guest: &Guest) -> Result<()> {
    let map = r#"
        [mappings.either]
        targets = [{ type = "switch", length = 32, region_size = 8,
                     paths = [{ device = "/dev/ram0" }, { device = "/dev/ram1" }],
                     messages = ["set_region_mappings 0:0 1:1 2:0 3:1"] }]"#;
    guest.apply(map, &[])?;
    for disk in &guest.disks[..2] {
        disk.fill(0, 32, 0)?;
    }
    Disk::mapping("either")?.fill(0, 32, 9)?;
    ensure!(guest.disks[0].read(0, 8)? == [9; 4096] && guest.disks[1].read(0, 8)? == [0; 4096]);
    ensure!(guest.disks[0].read(8, 8)? == [0; 4096] && guest.disks[1].read(8, 8)? == [9; 4096]);
    remove_all(guest)
}

pub fn a_snapshot_keeps_what_the_origin_had(guest: &Guest) -> Result<()> {
    guest.blank()?;
    guest.disks[0].fill(0, 64, 1)?;
    let map = r#"
        [mappings.base]
        targets = [{ type = "linear", length = 2048, device = "/dev/ram0" }]
        [mappings.origin]
        targets = [{ type = "snapshot-origin", length = 2048, device = "@base" }]
        [mappings.then]
        targets = [{ type = "snapshot", length = 2048, origin = "@base", cow = "/dev/ram1", persistent = true, chunk = "4KiB" }]"#;
    guest.apply(map, &["--allow", "format"])?;
    Disk::mapping("origin")?.fill(0, 8, 2)?;
    ensure!(Disk::mapping("then")?.read(0, 8)? == [1; 4096], "the snapshot changed with its origin");
    ensure!(Disk::mapping("origin")?.read(0, 8)? == [2; 4096]);
    Disk::mapping("then")?.fill(8, 8, 3)?;
    ensure!(Disk::mapping("origin")?.read(8, 8)? == [1; 4096], "the origin changed with its snapshot");
    guest.in_sync(map)?;
    remove_all(guest)
}

pub fn a_merge_takes_over_only_a_suspended_snapshot(guest: &Guest) -> Result<()> {
    guest.blank()?;
    guest.disks[0].fill(0, 64, 1)?;
    let base = "[mappings.base]\ntargets = [{ type = 'linear', length = 2048, device = '/dev/ram0' }]\n";
    let cow = "length = 2048, origin = '@base', cow = '/dev/ram1', persistent = true, chunk = '4KiB'";
    let origin =
        "[mappings.origin]\ntargets = [{ type = 'snapshot-origin', length = 2048, device = '@base' }]\n";
    let then = format!("[mappings.then]\ntargets = [{{ type = 'snapshot', {cow} }}]\n");
    let merge = format!(
        "[mappings.origin]\ntargets = [{{ type = 'snapshot-merge', {cow} }}]\n[mappings.then]\nstate = 'absent'"
    );
    guest.apply(&format!("{base}{origin}{then}"), &["--allow", "format"])?;
    Disk::mapping("origin")?.fill(0, 8, 2)?;
    let refused = guest.refused(&format!("{base}{merge}"), &["--allow", "remap"], 1)?;
    ensure!(refused.stderr.contains("`then` keeps on 1:1, and that is not suspended"), "{refused:?}");
    guest.kernel.load(&named("origin"), &rows("0 2048 snapshot-merge 254:0 1:1 P 8"), Access::Writable)?;
    let refused = guest.kernel.resume(&named("origin")).err().context("the kernel took it")?;
    ensure!(refused.to_string().contains("until source is suspended"), "{refused}");
    guest.kernel.load(&named("origin"), &rows("0 2048 snapshot-origin 254:0"), Access::Writable)?;
    guest.kernel.resume(&named("origin"))?;

    let suspended = then.replace("targets", "state = 'suspended'\ntargets");
    guest.apply(&format!("{base}{origin}{suspended}"), &[])?;
    // What is overwritten meanwhile is still kept.
    Disk::mapping("origin")?.fill(8, 8, 2)?;
    guest.apply(&format!("{base}{merge}"), &["--allow", "remap"])?;
    ensure!(Disk::mapping("origin")?.read(0, 16)? == [1; 8192], "the origin is not as it was");
    remove_all(guest)
}

pub fn thin_volumes_come_out_of_a_pool(guest: &Guest) -> Result<()> {
    guest.blank()?;
    let map = r#"
        [mappings.pool]
        targets = [{ type = "thin-pool", length = 16384, metadata = "/dev/ram1", data = "/dev/ram0", block_size = 128 }]
        [mappings.one]
        targets = [{ type = "thin", length = "1GiB", pool = "@pool", id = 1, create = true }]
        [mappings.two]
        targets = [{ type = "thin", length = "1GiB", pool = "@pool", id = 2, create = true }]"#;
    guest.apply(map, &["--allow", "format"])?;
    // Far behind the end of the pool, which is where nothing is taken from it yet.
    Disk::mapping("one")?.fill(2_000_000, 8, 4)?;
    Disk::mapping("two")?.fill(2_000_000, 8, 5)?;
    guest.apply("[policy]\nprune = true\n[mappings]", &["--allow", "loss,remap"])?;

    // The pool remembers what it made.
    guest.apply(map, &[])?;
    ensure!(Disk::mapping("one")?.read(2_000_000, 8)? == [4; 4096]);
    ensure!(Disk::mapping("two")?.read(2_000_000, 8)? == [5; 4096]);
    // It grows under its volumes.
    guest.apply(&map.replace("16384", "32768"), &[])?;
    ensure!(Disk::mapping("one")?.read(2_000_000, 8)? == [4; 4096]);
    remove_all(guest)
}

/// 32 bytes, and the same in digits.
const KEY: [u8; 32] = *b"an example of a key of 32 bytes.";

/// Writes a file that only its owner can read.
fn secret_file(path: &str, contents: &[u8]) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all_at(contents, 0)?)
}

/// A map sends its messages to an active device.
pub fn a_message_about_the_key_is_told_before(guest: &Guest) -> Result<()> {
    let digits = "0f".repeat(32);
    let table = |messages: &str| {
        format!(
            "[mappings.k]\ntargets = [{{ type = 'crypt', length = 2048, cipher = 'aes-xts-plain64', device = '/dev/ram0', \
             key = {{ hex = '{digits}' }}{messages} }}]"
        )
    };
    let told = guest.refused(&table(", messages = ['key wipe']"), &["--allow", "remap"], 1)?;
    ensure!(format!("{told:?}").contains("only while the device is suspended"), "{told:?}");
    guest.apply(&table(""), &[])?;
    let kernel = &guest.kernel;
    let wipe = || kernel.message(&named("k"), 0, "key wipe");
    ensure!(wipe().is_err(), "an active device took it");
    kernel.suspend(&named("k"), Suspend::default())?;
    wipe()?;
    remove_all(guest)
}

pub fn one_key_in_every_form(guest: &Guest) -> Result<()> {
    let digits = KEY.iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"));
    secret_file("/run/tmp/raw", &KEY)?;
    secret_file("/run/tmp/text", format!("{digits}\n").as_bytes())?;
    secret_file("/run/tmp/other", &[0x77; 32])?;
    // The keyring that a process without a session of its own looks into is its user's.
    program("keyctl", &["add", "user", "dmctl:data", std::str::from_utf8(&KEY)?, "@u"])?;
    let map = |key: &str| {
        format!(
            "[mappings.vault]\n[[mappings.vault.targets]]\ntype = 'crypt'\nlength = 2048\ncipher = 'aes-xts-plain64'\n\
             key = {{ {key} }}\ndevice = '/dev/ram0'"
        )
    };
    let forms = [
        "file = '/run/tmp/raw'".to_string(),
        "file = '/run/tmp/text', encoding = 'hex'".to_string(),
        format!("hex = '{digits}'"),
    ];
    guest.disks[0].fill(0, 2048, 0)?;
    guest.apply(&map(&forms[0]), &[])?;
    Disk::mapping("vault")?.fill(0, 8, 0x5e)?;
    ensure!(guest.disks[0].read(0, 8)? != [0x5e; 4096], "nothing was encrypted");
    for form in &forms {
        guest.in_sync(&map(form)).with_context(|| form.clone())?;
    }
    // Another key makes what is there unreadable: not unasked, and neither of the two is shown.
    let other = guest.refused(&map("file = '/run/tmp/other'"), &[], 3)?;
    for said in [&other.stdout, &other.stderr] {
        ensure!(!said.contains(&digits) && !said.contains(&"77".repeat(32)), "a key is shown: {other:?}");
    }
    let table = crate::guest::dmctl(&["table", "vault"])?;
    ensure!(!table.stdout.contains(&digits), "{table:?}");
    let shown = crate::guest::dmctl(&["table", "vault", "--show-keys"])?;
    ensure!(shown.stdout.contains(&digits), "{shown:?}");
    remove_all(guest)?;

    let keyring = map("keyring = 'user:dmctl:data', bytes = 32");
    guest.apply(&keyring, &[])?;
    ensure!(Disk::mapping("vault")?.read(0, 8)? == [0x5e; 4096], "the same key reads something else");
    ensure!(guest.state("vault")?.1.contains(":32:user:dmctl:data"), "{:?}", guest.state("vault")?);
    let absent = guest.refused(&map("keyring = 'user:absent', bytes = 32"), &["--allow", "remap"], 1)?;
    ensure!(absent.stderr.contains("no keyring of this process holds the user key `absent`"), "{absent:?}");
    remove_all(guest)?;
    for path in ["/run/tmp/raw", "/run/tmp/text", "/run/tmp/other"] {
        fs::remove_file(path)?;
    }
    Ok(())
}

pub fn integrity_tells_what_was_tampered_with(guest: &Guest) -> Result<()> {
    guest.blank()?;
    let map = r#"
        [mappings.sound]
        targets = [{ type = "integrity", length = 2048, device = "/dev/ram0", meta_device = "/dev/ram1", mode = "direct",
                     internal_hash = { algorithm = "hmac(sha256)", key = { hex = "00112233445566778899aabbccddeeff" } } }]"#;
    guest.apply(map, &["--allow", "format"])?;
    Disk::mapping("sound")?.fill(0, 64, 6)?;
    ensure!(reads("sound", 0) && reads("sound", 32));
    guest.disks[0].fill(32, 8, 7)?;
    ensure!(reads("sound", 0) && !reads("sound", 32), "tampered sectors were read");
    remove_all(guest)
}

pub fn verity_reads_only_what_was_hashed(guest: &Guest) -> Result<()> {
    guest.disks[0].fill(0, 2048, 8)?;
    let format = ["format", "--no-superblock", "--data-blocks=256", "--salt=0102", "/dev/ram0", "/dev/ram1"];
    let said = program("veritysetup", &format)?;
    let root = said.lines().find_map(|line| line.strip_prefix("Root hash:")).context("no root hash")?.trim();
    let map = format!(
        "[mappings.root]\n[[mappings.root.targets]]\ntype = 'verity'\n\
         data = {{ device = '/dev/ram0', block_size = 4096, blocks = 256 }}\n\
         hash = {{ device = '/dev/ram1', block_size = 4096 }}\n\
         algorithm = 'sha256'\nroot_hash = '{root}'\nsalt = '0102'"
    );
    guest.apply(&map, &[])?;
    let (info, live, _) = guest.state("root")?;
    ensure!(info.read_only && live.starts_with("0 2048 verity"), "{info:?} {live}");
    ensure!(Disk::mapping("root")?.read(0, 2048)? == vec![8; 2048 * 512]);
    ensure!(Disk::mapping("root")?.fill(0, 8, 0).is_err(), "verity was written to");
    remove_all(guest)?;

    guest.disks[0].fill(1024, 8, 9)?;
    guest.apply(&map, &[])?;
    ensure!(reads("root", 0) && !reads("root", 1024), "changed blocks were read");
    remove_all(guest)
}

pub fn error_fails_and_zero_is_empty(guest: &Guest) -> Result<()> {
    let map = r#"
        [mappings.holes]
        targets = [
          { type = "linear", length = 64, device = "/dev/ram0" },
          { type = "error", length = 64 },
          { type = "zero", length = 64 },
        ]"#;
    guest.apply(map, &[])?;
    ensure!(reads("holes", 0) && !reads("holes", 64) && reads("holes", 128));
    ensure!(Disk::mapping("holes")?.read(128, 8)? == [0; 4096]);
    let plan = with_map("plan", map, &["--json"])?;
    ensure!(plan.status == Some(0), "{plan:?}");
    drop(File::open("/dev/mapper/holes")?);
    remove_all(guest)
}

/// The row of the mapping `swap` with its key.
fn row_with_key() -> Result<String> {
    program("dmsetup", &["table", "--showkeys", "swap"])
}

pub fn a_random_key_stays_while_its_device_is_there(guest: &Guest) -> Result<()> {
    let map = |more: &str| {
        format!(
            "[mappings.swap]\ntargets = [{{ type = 'crypt', length = 2048, cipher = 'aes-xts-plain64', key = {{ random = 64 }}, device = '/dev/ram0'{more} }}]"
        )
    };
    guest.apply(&map(""), &[])?;
    let first = row_with_key()?;
    let disk = Disk::mapping("swap")?;
    let data = [0x5a; 4096];
    disk.write(0, &data)?;
    guest.apply(&map(", allow_discards = true"), &[])?;
    ensure!(row_with_key()?.split(' ').nth(4) == first.split(' ').nth(4), "the key changed under its device");
    ensure!(disk.read(0, 8)? == data, "what was written can't be read any more");
    drop(disk);
    remove_all(guest)?;
    guest.apply(&map(""), &[])?;
    ensure!(row_with_key()?.split(' ').nth(4) != first.split(' ').nth(4), "the key was kept");
    ensure!(Disk::mapping("swap")?.read(0, 8)? != data, "what was written before can be read");
    remove_all(guest)?;

    // A file system on the disk is a loss.
    program("mkfs.ext4", &["-q", "/dev/ram0", "1024"])?;
    let refused = apply_ends(&map(""), &[], 3)?;
    ensure!(refused.stderr.contains("this loses the ext file system on /dev/ram0"), "{refused:?}");
    guest.apply(&map(""), &["--allow", "loss"])?;
    remove_all(guest)
}
