//! Names, uuids, and finding a device by them.

use dmctl::access::Access;
use dmctl::identity::{Name, Uuid};
use dmctl::kernel::{ChangeKernel, Id, Removal, Slot, Suspend};
use nix::errno::Errno;

use super::device::{Device, fails, plain, refused, same, uuid, works};
use super::{Disks, Outcome, cases};

cases![
    create_refuses_a_name_that_is_taken,
    create_refuses_a_uuid_that_is_taken,
    a_refused_create_leaves_nothing,
    a_name_of_127_bytes_is_kept_whole,
    a_name_of_128_bytes_is_refused,
    a_name_with_a_slash_is_refused,
    a_mangled_name_is_kept_as_it_is,
    a_uuid_finds_its_device,
    a_uuid_can_be_set_once,
    a_uuid_that_is_taken_is_refused,
    rename_moves_the_name,
    rename_refuses_a_name_that_is_taken,
    rename_refuses_the_name_it_has,
    rename_refuses_a_device_that_is_not_there,
    rename_refuses_a_taken_name_before_it_looks_for_the_device,
    rename_works_while_suspended,
    rename_counts_as_an_event,
    rename_without_a_table_is_no_event,
    every_call_refuses_a_device_that_is_not_there,
    the_list_is_sorted_by_name_and_has_uuids,
    a_removed_name_and_uuid_can_be_used_again,
];

fn create_refuses_a_name_that_is_taken(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-taken")?;
    refused("create", kernel.create(&device.name(), None), Errno::EBUSY)
}

fn create_refuses_a_uuid_that_is_taken(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let uuid = uuid("CASE-taken")?;
    let _device = Device::create_with(kernel, &plain("case-one")?, Some(&uuid))?;
    refused("create", kernel.create(&plain("case-two")?, Some(&uuid)), Errno::EBUSY)
}

fn a_refused_create_leaves_nothing(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let uuid = uuid("CASE-taken")?;
    let _device = Device::create_with(kernel, &plain("case-one")?, Some(&uuid))?;
    fails("create", kernel.create(&plain("case-two")?, Some(&uuid)))?;
    let found = works("read", kernel.device(&Id::Name(plain("case-two")?), Slot::Live))?;
    same("exists", found.is_some(), false)
}

fn a_name_of_127_bytes_is_kept_whole(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, &"n".repeat(127))?;
    same("name", device.info()?.name.kernel().len(), 127)
}

fn a_name_of_128_bytes_is_refused(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let long = Name::from_kernel("n".repeat(128).as_bytes());
    fails("create", kernel.create(&long, None))?;
    let device = Device::create(kernel, "case-short")?;
    fails("rename", kernel.rename(&device.name(), &long))?;
    same("still there", device.exists()?, true)
}

fn a_name_with_a_slash_is_refused(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let slash = Name::from_kernel(b"case/slash");
    fails("create", kernel.create(&slash, None))?;
    let device = Device::create(kernel, "case-plain")?;
    fails("rename", kernel.rename(&device.name(), &slash))?;
    same("still there", device.exists()?, true)
}

fn a_mangled_name_is_kept_as_it_is(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case of ü")?;
    same("name", device.info()?.name.kernel(), "case\\x20of\\x20\\xc3\\xbc")?;
    let listed = works("list", kernel.list())?;
    same("listed", listed.iter().any(|one| one.name == device.name()), true)
}

fn a_uuid_finds_its_device(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let uuid = uuid("CASE-found")?;
    let device = Device::create_with(kernel, &plain("case-found")?, Some(&uuid))?;
    let found = works("read", kernel.device(&Id::Uuid(uuid.clone()), Slot::Live))?;
    same("name", found.map(|mapped| mapped.info.name), Some(device.name()))?;
    works("suspend", kernel.suspend(&Id::Uuid(uuid), Suspend::default()))?;
    same("suspended", device.info()?.suspended, true)
}

fn a_uuid_can_be_set_once(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-once")?;
    let (first, second) = (uuid("CASE-first")?, uuid("CASE-second")?);
    works("set", kernel.set_uuid(&device.name(), &first))?;
    same("uuid", device.info()?.uuid, Some(first.clone()))?;
    refused("set again", kernel.set_uuid(&device.name(), &second), Errno::EINVAL)?;
    same("uuid", device.info()?.uuid, Some(first))
}

fn a_uuid_that_is_taken_is_refused(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let taken = uuid("CASE-taken")?;
    let _one = Device::create_with(kernel, &plain("case-one")?, Some(&taken))?;
    let two = Device::create(kernel, "case-two")?;
    refused("set", kernel.set_uuid(&two.name(), &taken), Errno::EBUSY)?;
    same("uuid", two.info()?.uuid, None)
}

fn rename_moves_the_name(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-old")?;
    let old = device.id();
    works("rename", device.rename(&plain("case-new")?))?;
    same("number", device.info()?.number, device.number)?;
    same("old name", works("read", kernel.device(&old, Slot::Live))?.is_some(), false)
}

fn rename_refuses_a_name_that_is_taken(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let one = Device::create(kernel, "case-one")?;
    let two = Device::create(kernel, "case-two")?;
    refused("rename", kernel.rename(&one.name(), &two.name()), Errno::EBUSY)
}

fn rename_refuses_the_name_it_has(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-same")?;
    refused("rename", kernel.rename(&device.name(), &device.name()), Errno::EBUSY)
}

fn rename_refuses_a_device_that_is_not_there(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    refused("rename", kernel.rename(&plain("case-absent")?, &plain("case-new")?), Errno::ENXIO)
}

fn rename_refuses_a_taken_name_before_it_looks_for_the_device(
    kernel: &dyn ChangeKernel,
    _: &Disks,
) -> Outcome {
    let device = Device::create(kernel, "case-taken")?;
    refused("rename", kernel.rename(&plain("case-absent")?, &device.name()), Errno::EBUSY)
}

fn rename_works_while_suspended(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = Device::active(kernel, "case-old", &format!("0 8 linear {} 0", disks.number(0)))?;
    works("suspend", device.suspend())?;
    works("rename", device.rename(&plain("case-new")?))?;
    same("suspended", device.info()?.suspended, true)
}

fn rename_counts_as_an_event(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::active(kernel, "case-old", "0 8 zero")?;
    let before = device.info()?.event_nr;
    works("rename", device.rename(&plain("case-new")?))?;
    same("event_nr", device.info()?.event_nr, before + 1)
}

fn rename_without_a_table_is_no_event(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-old")?;
    let before = device.info()?.event_nr;
    works("rename", device.rename(&plain("case-new")?))?;
    same("event_nr", device.info()?.event_nr, before)
}

fn every_call_refuses_a_device_that_is_not_there(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let name = plain("case-absent")?;
    let id = Id::Name(name.clone());
    let table = dmctl::table::parse_table("0 8 zero").map_err(|error| error.to_string())?;
    same("read", works("read", kernel.device(&id, Slot::Live))?.is_some(), false)?;
    refused("load", kernel.load(&id, &table, Access::Writable), Errno::ENXIO)?;
    refused("clear", kernel.clear(&id), Errno::ENXIO)?;
    refused("suspend", kernel.suspend(&id, Suspend::default()), Errno::ENXIO)?;
    refused("resume", kernel.resume(&id), Errno::ENXIO)?;
    refused("remove", kernel.remove(&id, Removal::Now), Errno::ENXIO)?;
    refused("deferred remove", kernel.remove(&id, Removal::Deferred), Errno::ENXIO)?;
    refused("message", kernel.message(&id, 0, "hello"), Errno::ENXIO)?;
    refused("set uuid", kernel.set_uuid(&name, &uuid("CASE-absent")?), Errno::ENXIO)
}

fn the_list_is_sorted_by_name_and_has_uuids(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let uuid = uuid("CASE-listed")?;
    let _b = Device::create_with(kernel, &plain("case-b")?, Some(&uuid))?;
    let _c = Device::create(kernel, "case-c")?;
    let _a = Device::create(kernel, "case-a")?;
    let listed = works("list", kernel.list())?;
    let own = listed.iter().filter(|one| one.name.kernel().starts_with("case-"));
    let seen: Vec<(&str, Option<&Uuid>)> = own.map(|one| (one.name.kernel(), one.uuid.as_ref())).collect();
    same("list", seen, vec![("case-a", None), ("case-b", Some(&uuid)), ("case-c", None)])
}

fn a_removed_name_and_uuid_can_be_used_again(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let (name, uuid) = (plain("case-again")?, uuid("CASE-again")?);
    let first = Device::create_with(kernel, &name, Some(&uuid))?;
    works("remove", first.remove())?;
    let again = Device::create_with(kernel, &name, Some(&uuid))?;
    same("live table", again.info()?.live_table, false)
}
