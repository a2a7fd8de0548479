//! Changes the running kernel.

use nix::errno::Errno;

use super::Live;
use super::control::{label, malformed, unwritable};
use super::raw::Command;
use super::wire::{Answer, Request, flag};
use crate::access::Access;
use crate::identity::{DevNum, Name, Uuid};
use crate::kernel::{Call, ChangeKernel, Id, KernelError, MemoryLock, ReadKernel, Removal, Suspend};
use crate::table::RawRow;

/// What [`Live::identify`] gives a device: `DM_DEV_RENAME` takes either (`dev_rename` in `drivers/md/dm-ioctl.c`).
enum Given<'a> {
    Name(&'a Name),
    Uuid(&'a Uuid),
}

impl Live {
    /// Makes a call that waits for I/O in flight. A signal ends it, and it is made again unless this process is to end.
    fn ask_waiting(&self, call: Call, id: &Id, request: &Request) -> Result<Answer, KernelError> {
        loop {
            let waiting = self.waits.begin(call, label(id));
            let outcome = self.ask(call, Command::Suspend, id, request);
            drop(waiting);
            match outcome {
                Err(error) if error.errno() == Some(Errno::EINTR) => {
                    if !self.waits.goes_on(self.udev.stop.as_deref()) {
                        return Err(KernelError::GaveUp { call, device: label(id) });
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Makes a call about one device that udev answers.
    fn ioctl_with_cookie(
        &self,
        call: Call,
        command: Command,
        id: &Id,
        request: Request,
        also: Option<&Name>,
    ) -> Result<Answer, KernelError> {
        self.udev.call(also, |cookie| self.ask(call, command, id, &request.for_udev(cookie)))
    }

    /// Gives the device `name` a name or a uuid, and returns its number.
    fn identify(&self, name: &Name, given: &Given<'_>) -> Result<DevNum, KernelError> {
        let (call, flags, text, also) = match *given {
            Given::Name(new) => (Call::Rename, 0, new.bytes(), Some(new)),
            Given::Uuid(uuid) => (Call::SetUuid, flag::UUID, uuid.bytes().into(), None),
        };
        let id = Id::Name(name.clone());
        let request = Request::about(&id, flags)
            .and_then(|request| request.text(&text))
            .map_err(|why| unwritable(call, &label(&id), why))?;
        let answer = self.ioctl_with_cookie(call, Command::Rename, &id, request, also)?;
        answer.info().map(|info| info.number).map_err(|why| malformed(call, &label(&id), why))
    }
}

impl ChangeKernel for Live {
    fn create(&self, name: &Name, uuid: Option<&Uuid>) -> Result<DevNum, KernelError> {
        self.check_node(name)?;
        let id = Id::Name(name.clone());
        let request = Request::about(&id, 0)
            .and_then(|request| uuid.into_iter().try_fold(request, Request::and_uuid))
            .map_err(|why| unwritable(Call::Create, &label(&id), why))?;
        let answer = self.control.call(Command::Create, &request).map_err(|errno| KernelError::Refused {
            call: Call::Create,
            device: label(&id),
            errno,
            log: None,
        })?;
        let number = answer.info().map_err(|why| malformed(Call::Create, &label(&id), why))?.number;
        self.with_nodes(|nodes| nodes.make(name, number, || self.list()));
        Ok(number)
    }

    fn load(&self, id: &Id, table: &[RawRow], access: Access) -> Result<(), KernelError> {
        let flags = flag::SECURE_DATA | if access.is_read_only() { flag::READ_ONLY } else { 0 };
        let request = Request::about(id, flags)
            .and_then(|request| request.table(table))
            .map_err(|why| unwritable(Call::Load, &label(id), why))?;
        self.explained(id, || self.ask(Call::Load, Command::TableLoad, id, &request)).map(drop)
    }

    fn clear(&self, id: &Id) -> Result<(), KernelError> {
        let request = Request::about(id, 0).map_err(|why| unwritable(Call::Clear, &label(id), why))?;
        self.ask(Call::Clear, Command::TableClear, id, &request).map(drop)
    }

    fn suspend(&self, id: &Id, how: Suspend) -> Result<(), KernelError> {
        let flags = flag::SUSPENDED
            | if how.flush { 0 } else { flag::NO_FLUSH }
            | if how.freeze { 0 } else { flag::SKIP_LOCKFS };
        let request = Request::about(id, flags).map_err(|why| unwritable(Call::Suspend, &label(id), why))?;
        self.ask_waiting(Call::Suspend, id, &request).map(drop)
    }

    fn resume(&self, id: &Id) -> Result<(), KernelError> {
        let request = Request::about(id, 0).map_err(|why| unwritable(Call::Resume, &label(id), why))?;
        let resume =
            || self.udev.call(None, |cookie| self.ask_waiting(Call::Resume, id, &request.for_udev(cookie)));
        self.explained(id, resume).map(drop)
    }

    fn rename(&self, name: &Name, new: &Name) -> Result<(), KernelError> {
        self.check_node(new)?;
        let number = self.identify(name, &Given::Name(new))?;
        self.with_nodes(|nodes| nodes.rename(name, new, number, || self.list()));
        Ok(())
    }

    fn set_uuid(&self, name: &Name, uuid: &Uuid) -> Result<(), KernelError> {
        self.identify(name, &Given::Uuid(uuid)).map(drop)
    }

    fn remove(&self, id: &Id, how: Removal) -> Result<(), KernelError> {
        let flags = if how == Removal::Deferred { flag::DEFERRED_REMOVE } else { 0 };
        let request = Request::about(id, flags).map_err(|why| unwritable(Call::Remove, &label(id), why))?;
        // Once it is removed its number is not known any more, and the next device may get it.
        let before = if self.udev.is_alone() { self.info(id).ok().flatten() } else { None };
        self.ioctl_with_cookie(Call::Remove, Command::Remove, id, request, None)?;
        if let Some(info) = before {
            // The node of a device that waits for its last close goes at once, as libdevmapper does it: dmctl does not
            // run any more at that moment, and the next device with this number would be reached by the old name.
            self.with_nodes(|nodes| nodes.remove(&info.name, Some(info.number), || self.list()));
        }
        Ok(())
    }

    fn message(&self, id: &Id, sector: u64, message: &str) -> Result<Option<String>, KernelError> {
        let request = Request::about(id, flag::SECURE_DATA)
            .and_then(|request| request.message(sector, message))
            .map_err(|why| unwritable(Call::Message, &label(id), why))?;
        let answer = self.explained(id, || self.ask(Call::Message, Command::TargetMessage, id, &request))?;
        answer.reply().map_err(|why| malformed(Call::Message, &label(id), why))
    }

    fn lock_memory(&self) -> Option<MemoryLock> {
        MemoryLock::acquire()
    }

    fn begin(&self) -> Result<(), KernelError> {
        self.waits.put_back(false);
        self.log.open();
        self.begin_beside_udev()
    }

    fn put_back(&self) {
        self.waits.put_back(true);
    }

    fn gave_up(&self) -> bool {
        self.waits.gave_up()
    }

    fn catch_up(&self) {
        self.wait_for_udev();
    }

    fn settle(&self) -> Result<(), KernelError> {
        self.wait_for_udev();
        self.keep_nodes()
    }
}
