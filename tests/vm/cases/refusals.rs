//! What the kernel refuses, and how: the facts that apply and the simulated kernel are built on.

use std::fs::{self, File};

use anyhow::{Context, Result, ensure};
use dmctl::access::Access;
use dmctl::identity::{Name, Uuid};
use dmctl::kernel::{ChangeKernel, Id, KernelError, ReadKernel, Removal, Slot, Suspend};
use nix::errno::Errno;

use crate::guest::{Guest, Release, named, program, rows};

/// Whether a call was refused with this errno.
fn refused<T>(outcome: Result<T, KernelError>, errno: Errno) -> Result<KernelError> {
    let error = outcome.err().with_context(|| format!("the kernel did not refuse with {errno:?}"))?;
    ensure!(error.errno() == Some(errno), "expected {errno:?}: {error}");
    Ok(error)
}

pub fn create_and_rename(guest: &Guest) -> Result<()> {
    let kernel = &guest.kernel;
    let (a, b) = (Name::new("a")?, Name::new("b")?);
    let uuid = Uuid::new("DMCTL-lab-a")?;
    kernel.create(&a, Some(&uuid))?;
    kernel.create(&b, None)?;
    refused(kernel.create(&a, None), Errno::EBUSY)?;
    refused(kernel.create(&Name::new("c")?, Some(&uuid)), Errno::EBUSY)?;
    refused(kernel.rename(&a, &b), Errno::EBUSY)?;
    refused(kernel.rename(&a, &a), Errno::EBUSY)?;
    refused(kernel.rename(&Name::new("absent")?, &Name::new("d")?), Errno::ENXIO)?;
    refused(kernel.set_uuid(&b, &uuid), Errno::EBUSY)?;
    refused(kernel.set_uuid(&a, &Uuid::new("DMCTL-lab-other")?), Errno::EINVAL)?;
    kernel.remove(&Id::Name(a), Removal::Now)?;
    kernel.remove(&Id::Name(b), Removal::Now)?;
    Ok(())
}

pub fn remove_of_a_device_in_use(guest: &Guest) -> Result<()> {
    let kernel = &guest.kernel;
    let lower = guest.device("lower", "0 8 zero")?;
    let number = kernel.device(&lower, Slot::Live)?.context("no such device")?.info.number;
    let upper = guest.device("upper", &format!("0 8 linear {number} 0"))?;
    refused(kernel.remove(&lower, Removal::Now), Errno::EBUSY)?;
    let holder = File::open("/dev/mapper/upper")?;
    let begin = std::time::Instant::now();
    refused(kernel.remove(&upper, Removal::Now), Errno::EBUSY)?;
    ensure!(begin.elapsed().as_millis() < 150, "a refusal was tried again");
    drop(holder);
    kernel.suspend(&upper, Suspend::default())?;
    kernel.remove(&upper, Removal::Now).context("a suspended device can be removed")?;
    kernel.remove(&lower, Removal::Now)?;
    Ok(())
}

pub fn absent_devices(guest: &Guest) -> Result<()> {
    let kernel = &guest.kernel;
    for id in [named("absent"), Id::Uuid(Uuid::new("DMCTL-lab-absent")?)] {
        ensure!(kernel.device(&id, Slot::Live)?.is_none());
        ensure!(kernel.device(&id, Slot::Inactive)?.is_none());
        refused(kernel.load(&id, &rows("0 8 zero"), Access::Writable), Errno::ENXIO)?;
        refused(kernel.clear(&id), Errno::ENXIO)?;
        refused(kernel.suspend(&id, Suspend::default()), Errno::ENXIO)?;
        refused(kernel.resume(&id), Errno::ENXIO)?;
        refused(kernel.remove(&id, Removal::Now), Errno::ENXIO)?;
        refused(kernel.remove(&id, Removal::Deferred), Errno::ENXIO)?;
        refused(kernel.message(&id, 0, "x"), Errno::ENXIO)?;
    }
    Ok(())
}

pub fn load_of_a_bad_table_keeps_both_slots(guest: &Guest) -> Result<()> {
    let kernel = &guest.kernel;
    let id = guest.device("kept", "0 8 zero")?;
    kernel.load(&id, &rows("0 16 zero"), Access::Writable)?;
    refused(kernel.load(&id, &rows("0 8 nonsense 1 2"), Access::Writable), Errno::EINVAL)?;
    refused(kernel.load(&id, &rows("0 8 linear 4000:1 0"), Access::Writable), Errno::ENXIO)?;
    let absent = if guest.release < Release(6, 12) { Errno::ENODEV } else { Errno::ENOENT };
    refused(kernel.load(&id, &rows("0 8 linear /dev/absent 0"), Access::Writable), absent)?;
    ensure!(guest.table(&id)? == "0 8 zero");
    let inactive = kernel.device(&id, Slot::Inactive)?.context("no such device")?;
    ensure!(*inactive.table == *rows("0 16 zero"));
    kernel.remove(&id, Removal::Now)?;
    Ok(())
}

pub fn load_on_a_mounted_disk(guest: &Guest) -> Result<()> {
    let disk = &guest.disks[2];
    let path = disk.path.display().to_string();
    program("mke2fs", &["-q", "-F", "-t", "ext2", &path])?;
    fs::create_dir_all("/run/mounted")?;
    program("busybox", &["mount", "-t", "ext2", &path, "/run/mounted"])?;
    let kernel = &guest.kernel;
    kernel.create(&Name::new("claim")?, None)?;
    let outcome = refused(
        kernel.load(&named("claim"), &rows(&format!("0 8 linear {} 0", disk.number)), Access::Writable),
        Errno::EBUSY,
    );
    let users = kernel.users(disk.number)?;
    program("busybox", &["umount", "/run/mounted"])?;
    let text = outcome?.to_string();
    ensure!(text.contains("EBUSY") && text.contains("linear: Device lookup failed"), "{text}");
    ensure!(users.mounts == ["/run/mounted"], "{users:?}");
    kernel.load(&named("claim"), &rows(&format!("0 8 linear {} 0", disk.number)), Access::Writable)?;
    kernel.remove(&named("claim"), Removal::Now)?;
    Ok(())
}

pub fn resume_that_fails_comes_back_on_the_old_table(guest: &Guest) -> Result<()> {
    let kernel = &guest.kernel;
    let disk = guest.disks[0].number;
    let id = guest.device("grown", &format!("0 8 linear {disk} 0"))?;
    // Only the first table of a device is checked against the size of its disk when it is loaded.
    kernel.load(&id, &rows(&format!("0 262144 linear {disk} 0")), Access::Writable)?;
    let error = refused(kernel.resume(&id), Errno::EINVAL)?.to_string();
    ensure!(error.contains("too small for target"), "{error}");
    let after = kernel.device(&id, Slot::Live)?.context("no such device")?;
    ensure!(after.info.suspended && after.info.live_table && !after.info.inactive_table, "{after:?}");
    kernel.resume(&id)?;
    ensure!(guest.table(&id)? == format!("0 8 linear {disk} 0"));
    kernel.remove(&id, Removal::Now)?;
    Ok(())
}

pub fn the_log_says_what_the_errno_does_not(guest: &Guest) -> Result<()> {
    let kernel = &guest.kernel;
    kernel.create(&Name::new("wrong")?, None)?;
    let id = named("wrong");
    let says =
        |table: &str| kernel.load(&id, &rows(table), Access::Writable).err().map(|error| error.to_string());
    let unknown = says("0 8 nonsense 1 2").context("nonsense was loaded")?;
    ensure!(unknown.contains("load a table for wrong: EINVAL"), "{unknown}");
    ensure!(unknown.contains("nonsense: unknown target type"), "{unknown}");
    let count = says(&format!("0 8 linear {}", guest.disks[0].number)).context("it was loaded")?;
    ensure!(count.contains("linear: Invalid argument count"), "{count}");
    ensure!(!count.contains("nonsense"), "an older line was taken for a new one: {count}");
    kernel.remove(&id, Removal::Now)?;
    Ok(())
}
