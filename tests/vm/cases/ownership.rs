//! Whose devices are touched, and whose are not.

use anyhow::{Context, Result, ensure};
use dmctl::access::Access;
use dmctl::identity::{Name, Uuid};
use dmctl::kernel::{ChangeKernel, Id, ReadKernel, Removal};

use crate::guest::{Guest, apply_ends, program, rows};

const OURS: &str = r#"
    [mappings.a]
    targets = [{ type = "linear", length = 64, device = "/dev/ram0" }]
    [mappings.b]
    targets = [{ type = "linear", length = 64, device = "@a" }]"#;

const NOTHING: &str = "[policy]\nprune = true\n[mappings]";

/// Devices of others, made as others make them.
fn strangers() -> Result<()> {
    for (name, uuid, table) in [
        (
            "vg-lv",
            Some("LVM-d8Yk2RrZ0Ck1G3kqHhsNq1xWn3bQ7o1pAbCdEfGhIjKlMnOpQrStUvWxYz012345"),
            "0 64 linear 1:6 0",
        ),
        ("luks", Some("CRYPT-LUKS2-0123456789abcdef0123456789abcdef-luks"), "0 64 linear 1:6 64"),
        ("other-owner", Some("DMCTL-other-a"), "0 64 linear 1:6 128"),
        // An owner whose name begins like ours.
        ("near", Some("DMCTL-lab2-a"), "0 64 linear 1:6 192"),
        ("bare", None, "0 64 linear 1:6 256\n64 64 striped 2 8 1:6 512 1:7 512"),
    ] {
        let mut arguments = vec!["create", name, "--noudevsync", "--noudevrules", "--table", table];
        if let Some(uuid) = uuid {
            arguments.extend(["--uuid", uuid]);
        }
        program("dmsetup", &arguments)?;
    }
    Ok(())
}

pub fn strangers_survive_everything(guest: &Guest) -> Result<()> {
    strangers()?;
    let before = guest.states()?;
    guest.apply(OURS, &[])?;
    let moved =
        OURS.replace("length = 64", "length = 32").replace("[mappings.b]", "[mappings.b]\nname = \"c\"");
    guest.apply(&moved, &["--allow", "remap"])?;
    apply_ends(NOTHING, &["--allow", "remap,format,loss"], 0)?;
    ensure!(guest.states()? == before, "a stranger's device was touched");
    for (info, ..) in before {
        guest.kernel.remove(&Id::Name(info.name), Removal::Now)?;
    }
    Ok(())
}

pub fn prune_removes_what_is_owned_and_undeclared(guest: &Guest) -> Result<()> {
    guest.apply(&format!("[policy]\nprune = true\n{OURS}"), &[])?;
    let only_a = OURS.split("[mappings.b]").next().context("no mapping b")?;
    // Without prune, nothing goes.
    guest.apply(only_a, &[])?;
    ensure!(guest.states()?.len() == 2);
    guest.apply(&format!("[policy]\nprune = true\n{only_a}"), &[])?;
    ensure!(guest.states()?.len() == 1);
    guest.apply(NOTHING, &[])?;
    ensure!(guest.states()?.is_empty());
    Ok(())
}

pub fn a_name_that_is_taken_is_a_conflict(guest: &Guest) -> Result<()> {
    for uuid in [None, Some("LVM-0123456789"), Some("DMCTL-other-a"), Some("DMCTL-lab-gone")] {
        let name = Name::new("a")?;
        guest.kernel.create(&name, uuid.map(Uuid::new).transpose()?.as_ref())?;
        guest.kernel.load(&Id::Name(name.clone()), &rows("0 8 zero"), Access::Writable)?;
        guest.kernel.resume(&Id::Name(name.clone()))?;
        let refused = guest.refused(OURS, &["--allow", "remap,format,loss"], 1)?;
        ensure!(refused.stderr.contains("taken"), "{refused:?}");
        guest.kernel.remove(&Id::Name(name), Removal::Now)?;
    }
    Ok(())
}

pub fn a_bare_device_is_adopted_when_asked(guest: &Guest) -> Result<()> {
    program("dmsetup", &["create", "a", "--noudevsync", "--table", "0 64 linear 1:0 0"])?;
    program("dmsetup", &["create", "former", "--noudevsync", "--table", "0 64 linear 1:1 0"])?;
    let numbers: Vec<_> = guest.kernel.list()?.into_iter().map(|listed| listed.number).collect();
    let map = r#"
        [mappings.a]
        adopt = true
        targets = [{ type = "linear", length = 64, device = "/dev/ram0" }]
        [mappings.z]
        renamed_from = "former"
        targets = [{ type = "linear", length = 64, device = "/dev/ram1" }]"#;
    guest.apply(map, &[])?;
    let listed = guest.kernel.list()?;
    let seen: Vec<_> =
        listed.iter().map(|l| (l.name.to_string(), l.uuid.as_ref().map(ToString::to_string))).collect();
    let expected = [("a", "DMCTL-lab-a"), ("z", "DMCTL-lab-z")];
    ensure!(seen == expected.map(|(name, uuid)| (name.to_string(), Some(uuid.to_string()))), "{seen:?}");
    ensure!(listed.iter().map(|listed| listed.number).eq(numbers), "they are other devices now");
    guest.apply(NOTHING, &[])
}
