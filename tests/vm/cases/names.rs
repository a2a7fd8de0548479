//! Names: renames that keep the number, names that need mangling, nodes that follow.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::guest::{Disk, Guest, Mounted, apply_ends, dmctl, program, with_map};

pub fn a_rename_keeps_the_number(guest: &Guest) -> Result<()> {
    let map = |name: &str| {
        format!(
            r#"
            [mappings.root]
            name = "{name}"
            targets = [{{ type = "linear", length = "4MiB", device = "/dev/ram0" }}]"#
        )
    };
    guest.apply(&map("old"), &[])?;
    let number = Disk::mapping("old")?.number;
    guest.apply(&map("new"), &[])?;
    ensure!(Disk::mapping("new")?.number == number);
    ensure!(!Path::new("/dev/mapper/old").exists(), "the old node is still there");

    let mounted = Mounted::fresh("/dev/mapper/new", "ext2", "/run/tmp/renamed")?;
    fs::write(mounted.file("kept"), "kept")?;
    guest.apply(&map("newer"), &[])?;
    ensure!(Disk::mapping("newer")?.number == number);
    ensure!(fs::read(mounted.file("kept"))? == b"kept");
    fs::write(mounted.file("more"), "more")?;
    drop(mounted);
    guest.apply("mappings.root.state = \"absent\"", &[])?;
    ensure!(!Path::new("/dev/mapper/newer").exists(), "the node outlived its device");
    Ok(())
}

pub fn two_names_change_places(guest: &Guest) -> Result<()> {
    let map = |one: &str, two: &str| {
        format!(
            r#"
            [mappings.one]
            name = "{one}"
            targets = [{{ type = "linear", length = 64, device = "/dev/ram0" }}]
            [mappings.two]
            name = "{two}"
            targets = [{{ type = "linear", length = 64, device = "/dev/ram1" }}]"#
        )
    };
    guest.apply(&map("a", "b"), &[])?;
    Disk::mapping("a")?.fill(0, 8, 1)?;
    Disk::mapping("b")?.fill(0, 8, 2)?;
    let (a, b) = (Disk::mapping("a")?, Disk::mapping("b")?);
    guest.apply(&map("b", "a"), &[])?;
    ensure!(Disk::mapping("a")?.number == b.number && Disk::mapping("b")?.number == a.number);
    ensure!(Disk::mapping("a")?.read(0, 8)? == [2; 4096] && Disk::mapping("b")?.read(0, 8)? == [1; 4096]);
    ensure!(fs::read_dir("/dev/mapper")?.count() == 3, "a node of the temporary name is left");
    guest.apply("mappings.one.state = \"absent\"\nmappings.two.state = \"absent\"", &[])
}

pub fn names_are_mangled_and_as_long_as_can_be(guest: &Guest) -> Result<()> {
    let map = |name: &str| {
        format!("[mappings.odd]\nname = \"{name}\"\ntargets = [{{ type = \"zero\", length = 64 }}]")
    };
    let longest = "n".repeat(127);
    for (name, kernel) in [
        ("with a blank", "with\\x20a\\x20blank"),
        ("ümlaut", "\\xc3\\xbcmlaut"),
        (longest.as_str(), longest.as_str()),
    ] {
        guest.apply(&map(name), &[])?;
        let listed = guest.states()?;
        ensure!(listed.len() == 1 && listed[0].0.name.kernel() == kernel, "{listed:?}");
        ensure!(Path::new("/dev/mapper").join(kernel).exists(), "{name} has no node");
    }
    for name in ["n".repeat(128), "ü".repeat(16), "..".to_string(), "control".to_string()] {
        let refused = guest.refused(&map(&name), &[], 1)?;
        ensure!(refused.stderr.contains("map.toml:4"), "{refused:?}");
    }
    guest.apply("mappings.odd.state = \"absent\"", &[])
}

pub fn a_file_in_the_place_of_a_node_is_kept(guest: &Guest) -> Result<()> {
    let map = r#"mappings.taken.targets = [{ type = "zero", length = 64 }]"#;
    fs::write("/dev/mapper/taken", "mine")?;
    let ran = apply_ends(map, &[], 6);
    let contents = fs::read("/dev/mapper/taken");
    fs::remove_file("/dev/mapper/taken")?;
    let ran = ran?;
    ensure!(contents? == b"mine", "the file was overwritten");
    ensure!(ran.stderr.contains("/dev/mapper/taken"), "{ran:?}");
    ensure!(guest.states()?.is_empty(), "not everything was put back");
    Ok(())
}

/// Makes a device that writes to `/dev/ram1`, with a name and a uuid as only a careless program would give them.
fn careless(name: &str, uuid: &str, offset: u32) -> Result<()> {
    let create = format!(
        "dmsetup --noudevsync --manglename none create \"$(printf '{name}')\" --uuid \"$(printf '{uuid}')\" \
         --table '0 64 linear 1:1 {offset}'"
    );
    program("sh", &["-c", &create]).map(drop)
}

pub fn bytes_that_are_not_utf_8_are_shown_escaped_and_left_out_nowhere(guest: &Guest) -> Result<()> {
    careless(r"odd \377", r"raw-\376", 0)?;
    careless(r"seen\033[2J", r"DMCTL-lab-\302\233", 64)?;
    let says = |arguments: &[&str], parts: &[&str]| -> Result<()> {
        let ran = dmctl(arguments)?;
        ensure!(ran.status == Some(0), "{arguments:?}: {ran:?}");
        ensure!(!ran.stdout.contains(['\u{1b}', '\u{9b}', '\u{fffd}']), "{arguments:?}: {ran:?}");
        for part in parts {
            ensure!(ran.stdout.contains(part), "{arguments:?}: {part:?} is missing: {ran:?}");
        }
        Ok(())
    };
    says(&["list", "--long"], &[r"odd\x20\xff ", r" raw-\xfe ", r"seen\u{1b}[2J ", r" DMCTL-lab-\u{9b} "])?;
    says(
        &["list", "--json"],
        &[r#""odd\\x20\\xff""#, r#""raw-\\xfe""#, r#""seen\u001b[2J""#, r#""DMCTL-lab-\u009b""#],
    )?;
    says(&["info", r"odd\x20\xff"], &[r"name: odd\x20\xff", r"uuid: raw-\xfe"])?;
    says(&["info", r"odd \xFF", "--json"], &[r#""uuid": "raw-\\xfe""#])?;
    says(&["table", r"odd\x20\xff"], &["0 64 linear 1:1 0"])?;
    says(&["table", r"seen\x1b[2J"], &["0 64 linear 1:1 64"])?;
    says(&["graph"], &[r"odd\x20\xff ", r"seen\u{1b}[2J "])?;
    says(&["graph", "--json"], &[r#""raw-\\xfe""#])?;
    says(&["status"], &[r"seen\u{1b}[2J "])?;
    says(
        &["export"],
        &[r"Left out: odd\x20\xff (", "its name is not UTF-8 text", r"Left out: seen\u{1b}[2J ("],
    )?;
    let host = dmctl(&["export", "--format", "json"])?.stdout;
    ensure!(host.contains(r#""name": "odd\\x20\\xff""#) && host.contains("name_is_bytes"), "{host}");
    let refused = dmctl(&["export", "--format", "concise"])?;
    ensure!(
        refused.status == Some(1) && refused.stderr.contains(r"odd\x20\xff: its name is not"),
        "{refused:?}"
    );
    let map = "[mappings.x]\ntargets = [{ type = 'linear', length = 8, device = '/dev/ram1' }]";
    let plan = with_map("plan", map, &[])?;
    let told = r"`odd\x20\xff` (";
    ensure!(
        plan.status == Some(1) && plan.stdout.contains(told) && plan.stdout.contains(r"raw-\xfe"),
        "{plan:?}"
    );
    // A plan made on the file is the plan of the host.
    fs::write("/run/tmp/host.json", &host)?;
    let rehearsed = with_map("plan", map, &["--kernel", "/run/tmp/host.json"])?;
    ensure!(rehearsed.stdout == plan.stdout, "{rehearsed:?}");

    for arguments in
        [&["suspend", r"odd\x20\xff"][..], &["resume", r"odd\x20\xff"], &["rename", r"odd\x20\xff", "even"]]
    {
        let ran = dmctl(arguments)?;
        ensure!(ran.status == Some(0), "{arguments:?}: {ran:?}");
    }
    ensure!(guest.state("even")?.0.uuid.is_some_and(|uuid| uuid.bytes() == b"raw-\xfe"));
    for name in ["even", r"seen\u{1b}[2J"] {
        let ran = dmctl(&["remove", name, "--foreign"])?;
        ensure!(ran.status == Some(0), "{ran:?}");
    }
    ensure!(guest.states()?.is_empty());
    Ok(())
}
