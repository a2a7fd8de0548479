//! Names: renames that keep the number, names that need mangling, nodes that follow.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::guest::{Disk, Guest, Mounted, apply_ends};

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
