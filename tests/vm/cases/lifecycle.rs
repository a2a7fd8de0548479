//! The life of a device, call by call.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use anyhow::{Context, Result, ensure};
use dmctl::access::Access;
use dmctl::identity::{Name, Uuid};
use dmctl::kernel::{ChangeKernel, Id, Info, ReadKernel, Removal, Slot, Suspend};
use nix::unistd::gettid;

use crate::guest::{Disk, Guest, comes, named, rows};
use crate::processes::state;

/// The state of a device that must exist.
fn info(guest: &Guest, id: &Id) -> Result<Info> {
    Ok(guest.kernel.device(id, Slot::Live)?.context("no such device")?.info)
}

pub fn a_device_comes_and_goes(guest: &Guest) -> Result<()> {
    let kernel = &guest.kernel;
    let (name, uuid) = (Name::new("data")?, Uuid::new("DMCTL-lab-data")?);
    let number = kernel.create(&name, Some(&uuid))?;
    let id = Id::Name(name.clone());

    let shell = info(guest, &id)?;
    ensure!(shell.number == number && shell.uuid.as_ref() == Some(&uuid), "{shell:?}");
    ensure!(!shell.live_table && !shell.inactive_table && !shell.suspended, "{shell:?}");
    ensure!(shell.target_count == 0 && shell.open_count == 0, "{shell:?}");

    let table =
        format!("0 1024 linear {} 0\n1024 1024 linear {} 8", guest.disks[0].number, guest.disks[1].number);
    kernel.load(&id, &rows(&table), Access::Writable)?;
    let loaded = info(guest, &id)?;
    ensure!(!loaded.live_table && loaded.inactive_table, "{loaded:?}");

    kernel.resume(&id)?;
    let active = info(guest, &id)?;
    ensure!(active.live_table && !active.inactive_table && active.target_count == 2, "{active:?}");
    ensure!(!active.suspended && !active.read_only && !active.deferred_remove, "{active:?}");
    ensure!(guest.table(&id)? == table);

    guest.disks[1].fill(8, 8, 0xa5)?;
    ensure!(Disk::mapping("data")?.read(1024, 8)? == [0xa5; 4096]);

    kernel.remove(&id, Removal::Now)?;
    ensure!(kernel.device(&id, Slot::Live)?.is_none());
    Ok(())
}

pub fn resume_swaps_the_tables(guest: &Guest) -> Result<()> {
    guest.disks[0].fill(0, 8, 1)?;
    guest.disks[1].fill(0, 8, 2)?;
    let id = guest.device("swap", &format!("0 8 linear {} 0", guest.disks[0].number))?;
    let mapping = Disk::mapping("swap")?;
    ensure!(mapping.read(0, 8)? == [1; 4096]);
    guest.kernel.load(&id, &rows(&format!("0 8 linear {} 0", guest.disks[1].number)), Access::Writable)?;
    ensure!(mapping.read(0, 8)? == [1; 4096], "a load alone changed what is read");
    guest.kernel.resume(&id)?;
    ensure!(mapping.read(0, 8)? == [2; 4096]);
    ensure!(!info(guest, &id)?.suspended);
    guest.kernel.remove(&id, Removal::Now)?;
    Ok(())
}

pub fn clear_empties_the_inactive_slot(guest: &Guest) -> Result<()> {
    let id = guest.device("slots", "0 8 zero")?;
    guest.kernel.load(&id, &rows("0 16 zero"), Access::Writable)?;
    ensure!(info(guest, &id)?.inactive_table);
    guest.kernel.clear(&id)?;
    ensure!(!info(guest, &id)?.inactive_table);
    guest.kernel.clear(&id)?;
    ensure!(guest.table(&id)? == "0 8 zero");
    guest.kernel.remove(&id, Removal::Now)?;
    Ok(())
}

pub fn suspend_holds_writes_back(guest: &Guest) -> Result<()> {
    let table = format!("0 8 linear {} 0", guest.disks[0].number);
    let id = guest.device("held", &table)?;
    guest.disks[0].fill(0, 8, 0)?;
    for how in [Suspend::default(), Suspend { flush: false, freeze: false }] {
        guest.kernel.suspend(&id, how)?;
        ensure!(info(guest, &id)?.suspended);
        let written = AtomicBool::new(false);
        let (sender, thread) = channel();
        thread::scope(|scope| -> Result<()> {
            let writer = scope.spawn(|| {
                sender.send(gettid()).expect("the case waits for it");
                let outcome = Disk::mapping("held").and_then(|mapping| mapping.fill(0, 8, 7));
                written.store(true, Ordering::SeqCst);
                outcome
            });
            let thread = PathBuf::from(format!("/proc/self/task/{}", thread.recv()?));
            comes("a write that is held back", || {
                Ok(written.load(Ordering::SeqCst) || state(&thread) == Some('D'))
            })?;
            let early = written.load(Ordering::SeqCst);
            guest.kernel.resume(&id)?;
            writer.join().expect("the writer does not panic")?;
            ensure!(!early, "a write went through a suspended device");
            Ok(())
        })?;
        ensure!(!info(guest, &id)?.suspended);
        ensure!(guest.disks[0].read(0, 8)? == [7; 4096]);
    }
    guest.kernel.remove(&id, Removal::Now)?;
    Ok(())
}

pub fn a_rename_keeps_number_and_uuid(guest: &Guest) -> Result<()> {
    let (old, new) = (Name::new("old")?, Name::new("my new name")?);
    let number = guest.kernel.create(&old, Some(&Uuid::new("DMCTL-lab-r")?))?;
    guest.kernel.rename(&old, &new)?;
    let renamed = info(guest, &Id::Name(new.clone()))?;
    ensure!(renamed.number == number && renamed.name == new, "{renamed:?}");
    ensure!(renamed.uuid == Some(Uuid::new("DMCTL-lab-r")?), "{renamed:?}");
    ensure!(guest.kernel.device(&Id::Name(old), Slot::Live)?.is_none());
    guest.kernel.remove(&Id::Name(new), Removal::Now)?;
    Ok(())
}

pub fn a_uuid_is_given_once(guest: &Guest) -> Result<()> {
    let (name, uuid) = (Name::new("bare")?, Uuid::new("DMCTL-lab-bare")?);
    guest.kernel.create(&name, None)?;
    ensure!(info(guest, &named("bare"))?.uuid.is_none());
    guest.kernel.set_uuid(&name, &uuid)?;
    ensure!(info(guest, &named("bare"))?.uuid == Some(uuid));
    let again = guest.kernel.set_uuid(&name, &Uuid::new("DMCTL-lab-other")?);
    ensure!(again.is_err_and(|error| error.errno() == Some(nix::errno::Errno::EINVAL)));
    guest.kernel.remove(&named("bare"), Removal::Now)?;
    Ok(())
}

pub fn a_device_is_found_by_its_uuid(guest: &Guest) -> Result<()> {
    let uuid = Uuid::new(&format!("DMCTL-lab-{}", "u".repeat(118)))?;
    let id = Id::Uuid(uuid.clone());
    guest.kernel.create(&Name::new(&"n".repeat(127))?, Some(&uuid))?;
    guest.kernel.load(&id, &rows("0 8 zero"), Access::Writable)?;
    guest.kernel.resume(&id)?;
    guest.kernel.suspend(&id, Suspend::default())?;
    guest.kernel.resume(&id)?;
    let found = info(guest, &id)?;
    ensure!(found.name.kernel() == "n".repeat(127) && found.uuid == Some(uuid), "{found:?}");
    guest.kernel.remove(&id, Removal::Now)?;
    Ok(())
}

pub fn a_deferred_remove_waits_for_the_last_close(guest: &Guest) -> Result<()> {
    let id = guest.device("open", "0 8 zero")?;
    let holder = File::open("/dev/mapper/open")?;
    guest.kernel.remove(&id, Removal::Deferred)?;
    let pending = info(guest, &id)?;
    ensure!(pending.deferred_remove && pending.open_count == 1, "{pending:?}");
    drop(holder);
    // The kernel leaves the rest to a worker of its own.
    comes("a deferred removal", || Ok(guest.kernel.device(&id, Slot::Live)?.is_none()))?;
    // Its node outlived it, and goes when things settle.
    guest.kernel.settle()?;
    Ok(())
}

pub fn targets_take_messages_and_answer(guest: &Guest) -> Result<()> {
    let [one, other] = [&guest.disks[0], &guest.disks[1]];
    one.fill(0, 8, 1)?;
    other.fill(0, 8, 2)?;
    let id = guest.device("either", &format!("0 1024 switch 2 8 0 {} 0 {} 0", one.number, other.number))?;
    ensure!(Disk::mapping("either")?.read(0, 8)? == [1; 4096]);
    ensure!(guest.kernel.message(&id, 0, "set_region_mappings 0:1")?.is_none());
    ensure!(Disk::mapping("either")?.read(0, 8)? == [2; 4096], "the message was not heard");
    let refused = guest.kernel.message(&id, 0, "no such message");
    ensure!(refused.is_err_and(|error| error.errno() == Some(nix::errno::Errno::EINVAL)));
    // Messages to Device Mapper itself are the ones that answer on every kernel.
    let region = guest.kernel.message(&id, 0, "@stats_create - 8")?.context("no answer")?;
    let stats = guest.kernel.message(&id, 0, &format!("@stats_print {}", region.trim()))?;
    ensure!(stats.is_some_and(|text| text.lines().count() == 128));
    guest.kernel.remove(&id, Removal::Now)?;
    Ok(())
}

pub fn calls_run_side_by_side(guest: &Guest) -> Result<()> {
    let work = |thread: usize| -> Result<()> {
        for n in 0..10 {
            let id = guest.device(&format!("t{thread}-{n}"), "0 8 zero")?;
            guest.kernel.suspend(&id, Suspend::default())?;
            guest.kernel.resume(&id)?;
            guest.kernel.remove(&id, Removal::Now)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || work(n))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no thread panics"))
    })
}
