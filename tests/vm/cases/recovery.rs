//! What a crash may leave behind, and what the next apply makes of it.

use anyhow::{Result, ensure};
use dmctl::identity::{Name, Uuid};
use dmctl::kernel::{ChangeKernel, Id, Suspend};

use crate::guest::{Guest, named, rows};

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
    guest.kernel.load(&lower, &rows("0 256 linear 1:1 0"), false)?;
    converges(guest)?;
    // Died within the swap: suspended from the top down, resumed none, or one.
    guest.kernel.suspend(&upper, Suspend::default())?;
    guest.kernel.suspend(&lower, Suspend::default())?;
    converges(guest)?;
    guest.kernel.suspend(&upper, Suspend::default())?;
    guest.kernel.load(&upper, &rows("0 64 zero"), false)?;
    converges(guest)?;
    // All of that without a change of the tables.
    let after = guest.states()?;
    ensure!(after == before, "{after:?}");

    // Died between create and load.
    guest.kernel.remove(&upper, false)?;
    guest.kernel.create(&Name::new("upper")?, Some(&Uuid::new("DMCTL-lab-upper")?))?;
    converges(guest)?;
    // Died between load and resume.
    guest.kernel.remove(&upper, false)?;
    guest.kernel.create(&Name::new("upper")?, Some(&Uuid::new("DMCTL-lab-upper")?))?;
    guest.kernel.load(&upper, &rows("0 8 zero"), false)?;
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
