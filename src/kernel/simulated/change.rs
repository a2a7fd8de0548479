//! The calls that change the kernel.
//!
//! The life cycle is that of `drivers/md/dm-ioctl.c`: a resume swaps the tables, a rename and a uuid are events,
//! a device that is open is not removed.

use nix::errno::Errno;

use super::check;
use super::faults::Fault;
use super::refusal::Refusal;
use smol_str::{SmolStr, ToSmolStr};

use super::mapping::Mapping;
use super::model::Model;
use super::{Inner, Simulated, integrity, messages, metadata, snapshots, status, stuck, thin};
use crate::access::Access;
use crate::identity::{DevNum, MAX_NAME, MAX_UUID, Name, Uuid};
use crate::kernel::{Call, ChangeKernel, Id, KernelError, Removal, Suspend};
use crate::table::RawRow;

impl Inner {
    /// Returns the label of the device that `id` finds.
    fn called(&self, id: &Id) -> SmolStr {
        called(self.model.find(id), id)
    }

    /// Carries out a changing call, unless a fault refuses it.
    fn change<T>(
        &mut self,
        call: Call,
        id: &Id,
        work: impl FnOnce(&mut Model, Option<Fault>) -> Result<T, Refusal>,
    ) -> Result<T, KernelError> {
        let device = self.called(id);
        let mut fault = self.faults.change(call, device.clone())?;
        if call == Call::Resume && fault.is_none() {
            let mapping = self.model.find(id);
            fault = mapping.map(|mapping| mapping.name.clone()).and_then(|name| self.faults.resume_of(&name));
        }
        let refused = |refusal: Refusal| KernelError::Refused {
            call,
            device: device.to_string(),
            errno: refusal.errno,
            log: refusal.log,
        };
        if let Some(errno) = fault.and_then(|fault| fault.refuses(call)) {
            return Err(refused(Refusal::silent(errno)));
        }
        let result = work(&mut self.model, fault).map_err(refused);
        // A resume is the only call that changes the kernel when it fails.
        self.changed |= result.is_ok() || call == Call::Resume;
        result
    }
}

/// Returns the label of a device for errors and the log of calls: its name, or the `id` that does not find it.
pub(super) fn called(found: Option<&Mapping>, id: &Id) -> SmolStr {
    match (found, id) {
        (Some(mapping), _) => mapping.name.to_smolstr(),
        (None, Id::Name(name)) => name.to_smolstr(),
        (None, Id::Uuid(uuid)) => uuid.to_smolstr(),
    }
}

/// Returns the number of a device that was found; ENXIO when it was not.
fn number(found: Option<&Mapping>) -> Result<DevNum, Refusal> {
    found.map(|mapping| mapping.number).ok_or_else(|| Refusal::silent(Errno::ENXIO))
}

impl Simulated {
    /// Carries out a changing call on a device that exists.
    fn on<T>(
        &self,
        call: Call,
        id: &Id,
        work: impl FnOnce(&mut Model, DevNum) -> Result<T, Refusal>,
    ) -> Result<T, KernelError> {
        self.inner().change(call, id, |model, _| {
            let number = number(model.find(id))?;
            work(model, number)
        })
    }
}

impl ChangeKernel for Simulated {
    fn create(&self, name: &Name, uuid: Option<&Uuid>) -> Result<DevNum, KernelError> {
        self.inner().change(Call::Create, &Id::Name(name.clone()), |model, _| create(model, name, uuid))
    }

    fn load(&self, id: &Id, table: &[RawRow], access: Access) -> Result<(), KernelError> {
        self.inner().change(Call::Load, id, |model, fault| {
            let number = number(model.find(id))?;
            load(model, number, table, access)?;
            if fault == Some(Fault::Ignore) {
                keep_parameters(model, number);
            }
            Ok(())
        })
    }

    fn clear(&self, id: &Id) -> Result<(), KernelError> {
        self.on(Call::Clear, id, |model, number| {
            if let Some(mapping) = model.mapping_mut(number) {
                mapping.inactive = None;
            }
            model.retable(number);
            Ok(())
        })
    }

    fn suspend(&self, id: &Id, how: Suspend) -> Result<(), KernelError> {
        self.on(Call::Suspend, id, |model, number| {
            if how.freeze {
                stuck::frozen(model, number)?;
            }
            stuck::suspended(model, number)?;
            if let Some(mapping) = model.mapping_mut(number) {
                mapping.suspended = true;
            }
            Ok(())
        })
    }

    fn resume(&self, id: &Id) -> Result<(), KernelError> {
        self.inner().change(Call::Resume, id, |model, fault| {
            let number = number(model.find(id))?;
            resume(model, number, fault)
        })
    }

    fn rename(&self, name: &Name, new: &Name) -> Result<(), KernelError> {
        self.inner().change(Call::Rename, &Id::Name(name.clone()), |model, _| rename(model, name, new))
    }

    fn set_uuid(&self, name: &Name, uuid: &Uuid) -> Result<(), KernelError> {
        self.inner().change(Call::SetUuid, &Id::Name(name.clone()), |model, _| set_uuid(model, name, uuid))
    }

    fn remove(&self, id: &Id, how: Removal) -> Result<(), KernelError> {
        self.on(Call::Remove, id, |model, number| {
            if model.open_count(number) == 0 {
                stuck::removed(model, number)?;
                model.remove(number);
                return Ok(());
            }
            match model.mapping_mut(number) {
                Some(mapping) if how == Removal::Deferred => {
                    mapping.deferred_remove = true;
                    Ok(())
                }
                _ => Err(Refusal::silent(Errno::EBUSY)),
            }
        })
    }

    fn message(&self, id: &Id, sector: u64, message: &str) -> Result<Option<String>, KernelError> {
        self.on(Call::Message, id, |model, number| messages::send(model, number, sector, message))?;
        Ok(None)
    }

    fn settle(&self) -> Result<(), KernelError> {
        // There is no udev and no `/dev` for this kernel: nothing to wait for.
        Ok(())
    }
}

fn check_name(name: &Name) -> Result<(), Refusal> {
    let bytes = name.bytes();
    if !(1..=MAX_NAME).contains(&bytes.len()) || bytes.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return Err(Refusal::new(Errno::EINVAL, "invalid device name"));
    }
    Ok(())
}

fn check_uuid(uuid: &Uuid) -> Result<(), Refusal> {
    if !(1..=MAX_UUID).contains(&uuid.bytes().len()) {
        return Err(Refusal::new(Errno::EINVAL, "Invalid new mapped device name or uuid string supplied."));
    }
    Ok(())
}

fn create(model: &mut Model, name: &Name, uuid: Option<&Uuid>) -> Result<DevNum, Refusal> {
    check_name(name)?;
    uuid.map_or(Ok(()), check_uuid)?;
    if model.named(name).is_some() || uuid.is_some_and(|uuid| model.with_uuid(uuid).is_some()) {
        return Err(Refusal::silent(Errno::EBUSY));
    }
    let number = model.free_number().ok_or_else(|| Refusal::silent(Errno::EBUSY))?;
    model.insert(Mapping::new(number, name.clone(), uuid.cloned()));
    Ok(number)
}

fn load(model: &mut Model, number: DevNum, table: &[RawRow], access: Access) -> Result<(), Refusal> {
    let passed = check::load(model, number, table, access)?;
    stuck::loaded(model, number, &passed.loaded.rows)?;
    if passed.writes.iter().any(|write| write.onto_blank) {
        thin::format(model, &passed.loaded);
    }
    thin::open(model, &passed.loaded);
    model.write(passed.writes);
    if let Some(mapping) = model.mapping_mut(number) {
        mapping.queue.get_or_insert(passed.queue);
        mapping.inactive = Some(passed.loaded);
    }
    model.retable(number);
    Ok(())
}

/// Gives the rows of the inactive table the parameters of the live ones of their type.
fn keep_parameters(model: &mut Model, number: DevNum) {
    let Some(Mapping { live: Some(live), inactive: Some(new), .. }) = model.mapping_mut(number) else {
        return;
    };
    let kept = |row: &RawRow| {
        let old = live.rows.iter().find(|old| old.start == row.start && old.kind == row.kind);
        let kept = |old: &RawRow| RawRow::new(row.start, row.length, &row.kind, old.params().to_string());
        old.map_or_else(|| row.clone(), kept)
    };
    new.rows = new.rows.iter().map(kept).collect();
}

/// Swaps the tables when there is a new one, then lets I/O through.
fn resume(model: &mut Model, number: DevNum, fault: Option<Fault>) -> Result<(), Refusal> {
    let is_swapped = model.mapping(number).is_some_and(|mapping| mapping.inactive.is_some());
    stuck::swapped(model, number)?;
    swap(model, number, fault)?;
    let Some(mapping) = model.mapping(number).filter(|mapping| mapping.suspended) else { return Ok(()) };
    let Some(live) = mapping.live.clone() else { return Err(Refusal::silent(Errno::EINVAL)) };
    if fault == Some(Fault::Preresume) {
        return Err(Refusal::new(Errno::EINVAL, "preresume failed, error = -22"));
    }
    thin::preresume(model, &live)?;
    status::shrunk(model, &live)?;
    if !is_swapped {
        status::preresume(model, &live)?;
    }
    snapshots::preresume(model, number, &live)?;
    let writes = metadata::at_resume(model, &live);
    model.write(writes);
    if is_swapped {
        model.write(integrity::at_swap(model, &live));
        model.write(metadata::at_swap(model, &live));
    }
    if let Some(mapping) = model.mapping_mut(number) {
        mapping.suspended = false;
    }
    stuck::thawed(model, number)?;
    snapshots::resumed(model, number);
    Ok(())
}

/// Makes the inactive table live, if there is one. Whether that works or not, its slot is empty afterwards and the
/// device is suspended.
fn swap(model: &mut Model, number: DevNum, fault: Option<Fault>) -> Result<(), Refusal> {
    let Some(mapping) = model.mapping_mut(number) else { return Ok(()) };
    let Some(mut new) = mapping.inactive.take() else {
        // Without a new table there is nothing to swap, so a fault of the swap is one of the resume.
        let failed = fault == Some(Fault::Swap);
        return if failed { Err(Refusal::silent(Errno::EINVAL)) } else { Ok(()) };
    };
    mapping.suspended = true;
    let fits = match fault {
        Some(Fault::Swap) => Err(Refusal::silent(Errno::EINVAL)),
        _ => check::limits(model, &new),
    };
    let live = model.mapping(number).and_then(|mapping| mapping.live.as_ref());
    status::inherit(live, &mut new);
    status::recount(model, &mut new);
    if let Some(mapping) = model.mapping_mut(number).filter(|_| fits.is_ok()) {
        mapping.access = new.access;
        mapping.live = Some(new);
        // The limits are those of now: a later change below does not reach them.
        mapping.block = fits.as_ref().copied().unwrap_or(1);
    }
    model.retable(number);
    fits.map(drop)
}

fn rename(model: &mut Model, name: &Name, new: &Name) -> Result<(), Refusal> {
    check_name(new)?;
    if model.named(new).is_some() {
        let log = format!("Unable to change name on mapped device {name} to one that already exists: {new}");
        return Err(Refusal::new(Errno::EBUSY, log));
    }
    let number = number(model.named(name))?;
    model.rename(name, new.clone());
    event(model, number);
    Ok(())
}

fn set_uuid(model: &mut Model, name: &Name, uuid: &Uuid) -> Result<(), Refusal> {
    check_uuid(uuid)?;
    if model.with_uuid(uuid).is_some() {
        let log = format!("Unable to change uuid on mapped device {name} to one that already exists: {uuid}");
        return Err(Refusal::new(Errno::EBUSY, log));
    }
    let number = number(model.named(name))?;
    if model.mapping(number).is_some_and(|mapping| mapping.uuid.is_some()) {
        let log = format!("Unable to change uuid of mapped device {name} because uuid is already set");
        return Err(Refusal::new(Errno::EINVAL, log));
    }
    model.set_uuid(name, uuid.clone());
    event(model, number);
    Ok(())
}

/// Counts an event of the live table; a device without one counts none.
fn event(model: &mut Model, number: DevNum) {
    if let Some(mapping) = model.mapping_mut(number).filter(|mapping| mapping.live.is_some()) {
        mapping.event_nr = mapping.event_nr.wrapping_add(1);
    }
}
