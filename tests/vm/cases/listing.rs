//! The list of devices, which is one call.

use std::thread;

use anyhow::{Context, Result, ensure};
use dmctl::identity::{Name, Uuid};
use dmctl::kernel::{ChangeKernel, Id, ReadKernel, Removal, Slot};

use crate::guest::{Guest, Release, named, program};

pub fn the_list_has_every_uuid(guest: &Guest) -> Result<()> {
    ensure!(guest.kernel.list()?.is_empty());
    let uuid = Uuid::new("DMCTL-lab-with")?;
    let with = guest.kernel.create(&Name::new("with")?, Some(&uuid))?;
    let without = guest.kernel.create(&Name::new("without")?, None)?;
    let list = guest.kernel.list()?;
    let facts: Vec<_> =
        list.iter().map(|device| (device.name.kernel(), device.uuid.as_ref(), device.number)).collect();
    ensure!(facts == [("with", Some(&uuid), with), ("without", None, without)], "{facts:?}");
    for name in ["with", "without"] {
        guest.kernel.remove(&named(name), Removal::Now)?;
    }
    Ok(())
}

pub fn foreign_names_do_not_break_the_list(guest: &Guest) -> Result<()> {
    // Names as only a careless program would give them: dmsetup mangles unless it is told not to.
    let mut names = vec!["a blank", r"\303\274", r"broken \377"];
    // Older kernels give even this one away, which is the name of the node they are controlled by.
    if guest.release < Release(6, 12) {
        names.push("control");
    } else {
        let taken = program("dmsetup", &["--noudevsync", "create", "--notable", "control"]);
        ensure!(taken.is_err(), "`control` should be refused");
    }
    for name in &names {
        let create =
            format!("dmsetup --noudevsync --manglename none create --notable \"$(printf '{name}')\"");
        program("sh", &["-c", &create])?;
    }
    let list = guest.kernel.list()?;
    ensure!(list.len() == names.len(), "{list:?}");
    for (n, listed) in list.iter().enumerate() {
        let found = guest.kernel.device(&Id::Name(listed.name.clone()), Slot::Live)?;
        let found = found.with_context(|| format!("{} is listed and not found", listed.name))?;
        ensure!(found.info.number == listed.number, "{n}");
        guest.kernel.remove(&Id::Name(listed.name.clone()), Removal::Now)?;
    }
    ensure!(std::path::Path::new("/dev/mapper/control").exists());
    Ok(())
}

pub fn a_thousand_devices_in_one_call(guest: &Guest) -> Result<()> {
    let name = |n: usize| Name::new(&format!("{n:04}-{}", "x".repeat(60)));
    let each = |act: &(dyn Fn(usize) -> Result<()> + Sync)| -> Result<()> {
        thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|t| scope.spawn(move || (t..1000).step_by(8).try_for_each(act))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("no thread panics"))
        })
    };
    each(&|n| {
        guest.kernel.create(&name(n)?, Some(&Uuid::new(&format!("DMCTL-many-{n:04}"))?))?;
        Ok(())
    })?;
    let list = guest.kernel.list()?;
    ensure!(list.len() == 1000, "{}", list.len());
    for (n, device) in list.iter().enumerate() {
        ensure!(device.name == name(n)?, "{device:?}");
        let uuid = device.uuid.as_ref().map(Uuid::text);
        ensure!(uuid.as_deref() == Some(format!("DMCTL-many-{n:04}").as_str()), "{device:?}");
    }
    each(&|n| Ok(guest.kernel.remove(&Id::Name(name(n)?), Removal::Now)?))?;
    ensure!(guest.kernel.list()?.is_empty());
    Ok(())
}
