//! What a crash may leave behind, and what the next apply makes of it.

use anyhow::{Result, ensure};
use dmctl::access::Access;
use dmctl::identity::{Name, Uuid};
use dmctl::kernel::{ChangeKernel, Id, Removal, Suspend};

use crate::guest::{Guest, dmctl, named, rows};

const STACK: &str = r#"
    [mappings.lower]
    targets = [{ type = "linear", length = 128, device = "/dev/ram0" }]
    [mappings.upper]
    targets = [{ type = "linear", length = 64, device = "@lower" }]"#;

/// The stack must be as its map says, whatever was done to it.
fn converges(guest: &Guest) -> Result<()> {
    guest.apply(STACK, &[])?;
    let states = guest.states()?;
    ensure!(states.len() == 2, "{states:?}");
    for (info, live, inactive) in &states {
        ensure!(!info.suspended && inactive.is_empty() && !live.is_empty(), "{states:?}");
    }
    Ok(())
}

pub fn leftovers_of_a_crash_are_cleared(guest: &Guest) -> Result<()> {
    guest.apply(STACK, &[])?;
    let before = guest.states()?;
    let (lower, upper) = (named("lower"), named("upper"));

    // Died after it had staged a table.
    guest.kernel.load(&lower, &rows("0 256 linear 1:1 0"), Access::Writable)?;
    converges(guest)?;
    // Died within the swap: suspended from the top down, resumed none, or one.
    guest.kernel.suspend(&upper, Suspend::default())?;
    guest.kernel.suspend(&lower, Suspend::default())?;
    converges(guest)?;
    guest.kernel.suspend(&upper, Suspend::default())?;
    guest.kernel.load(&upper, &rows("0 64 zero"), Access::Writable)?;
    converges(guest)?;
    // All of that without a change of the tables.
    let after = guest.states()?;
    ensure!(after == before, "{after:?}");

    // Died between create and load.
    guest.kernel.remove(&upper, Removal::Now)?;
    guest.kernel.create(&Name::new("upper")?, Some(&Uuid::new("DMCTL-lab-upper")?))?;
    converges(guest)?;
    // Died between load and resume.
    guest.kernel.remove(&upper, Removal::Now)?;
    guest.kernel.create(&Name::new("upper")?, Some(&Uuid::new("DMCTL-lab-upper")?))?;
    guest.kernel.load(&upper, &rows("0 8 zero"), Access::Writable)?;
    converges(guest)?;
    guest.apply("[policy]\nprune = true\n[mappings]", &[])
}

pub fn a_crash_between_two_renames_is_finished(guest: &Guest) -> Result<()> {
    guest.apply(STACK, &[])?;
    guest.kernel.rename(&Name::new("upper")?, &Name::new("halfway")?)?;
    guest.kernel.rename(&Name::new("lower")?, &Name::new("upper")?)?;
    converges(guest)?;
    guest.apply("[policy]\nprune = true\n[mappings]", &[])
}

pub fn what_should_be_suspended_stays_so(guest: &Guest) -> Result<()> {
    let map = r#"
        [mappings.held]
        state = "suspended"
        targets = [{ type = "linear", length = 64, device = "/dev/ram0" }]"#;
    guest.apply(map, &[])?;
    ensure!(guest.state("held")?.0.suspended);
    guest.kernel.resume(&Id::Uuid(Uuid::new("DMCTL-lab-held")?))?;
    guest.apply(map, &[])?;
    ensure!(guest.state("held")?.0.suspended);
    guest.apply(&map.replace("suspended", "active"), &[])?;
    ensure!(!guest.state("held")?.0.suspended);
    guest.apply("mappings.held.state = \"absent\"", &[])
}

/// Repairs, which must work.
fn repair(guest: &Guest) -> Result<String> {
    let ran = dmctl(&["repair", "--owner", "lab"])?;
    ensure!(ran.status == Some(0), "{ran:?}");
    for (info, live, inactive) in guest.states()? {
        ensure!(!info.suspended && inactive.is_empty() && !live.is_empty(), "{info:?} after {ran:?}");
    }
    Ok(ran.stdout)
}

pub fn a_crash_is_repaired_without_the_map(guest: &Guest) -> Result<()> {
    guest.apply(STACK, &[])?;
    let before = guest.states()?;
    let (lower, upper) = (named("lower"), named("upper"));
    // Within a swap, with a table staged, a shell made and a name on its way.
    guest.kernel.suspend(&upper, Suspend::default())?;
    guest.kernel.suspend(&lower, Suspend::default())?;
    guest.kernel.load(&lower, &rows("0 256 linear 1:1 0"), Access::Writable)?;
    let shell = Name::new("half")?;
    guest.kernel.create(&shell, Some(&Uuid::new("DMCTL-lab-half")?))?;
    // What the shell waits for is one of those that are suspended.
    guest.kernel.load(
        &named("half"),
        &rows(&format!("0 8 linear {} 0", before[0].0.number)),
        Access::Writable,
    )?;
    guest.kernel.rename(&Name::new("upper")?, &Name::new("dmctl-moving-lab-upper")?)?;
    // A node that no device has, which a crash between two calls leaves where there is no udev.
    std::os::unix::fs::symlink("/dev/ram0", "/dev/mapper/kept")?;
    nix::sys::stat::mknod(
        "/dev/mapper/gone",
        nix::sys::stat::SFlag::S_IFBLK,
        nix::sys::stat::Mode::S_IRUSR,
        nix::sys::stat::makedev(before[0].0.number.major.into(), 200),
    )?;
    let done = repair(guest)?;
    ensure!(done.ends_with("Plan: 1 rename, 1 remove, 2 resume.\n"), "{done}");
    let states = |states: Vec<crate::guest::State>| -> Vec<_> {
        // A rename is counted by the kernel.
        states.into_iter().map(|(info, live, _)| (info.name, info.uuid, info.number, live)).collect()
    };
    ensure!(states(guest.states()?) == states(before), "{:?}", guest.states()?);
    ensure!(!std::path::Path::new("/dev/mapper/gone").exists(), "a stale node is left");
    std::fs::remove_file("/dev/mapper/kept")?;
    ensure!(repair(guest)? == "Nothing to do.\n");
    guest.in_sync(STACK)?;
    guest.apply("[policy]\nprune = true\n[mappings]", &[])
}

pub fn strangers_are_not_repaired(guest: &Guest) -> Result<()> {
    guest.device("stranger", "0 8 zero")?;
    guest.kernel.suspend(&named("stranger"), Suspend::default())?;
    guest.kernel.create(&Name::new("shell")?, Some(&Uuid::new("LVM-half")?))?;
    let before = guest.states()?;
    for owner in ["lab", "dmctl"] {
        let ran = dmctl(&["repair", "--owner", owner])?;
        ensure!(ran.status == Some(0) && ran.stdout == "Nothing to do.\n", "{ran:?}");
    }
    ensure!(guest.states()? == before);
    guest.kernel.resume(&named("stranger"))?;
    guest.kernel.remove(&named("stranger"), Removal::Now)?;
    guest.kernel.remove(&named("shell"), Removal::Now)?;
    guest.kernel.settle()?;
    Ok(())
}
