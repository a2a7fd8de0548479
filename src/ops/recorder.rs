//! A kernel for the tests of this folder: it keeps a few devices, writes down every changing call, and
//! refuses those it was told to refuse.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use nix::errno::Errno;

use crate::device::{Device, Form};
use crate::identity::{DevNum, Name, Uuid};
use crate::kernel::{
    BlockDevice, Call, ChangeKernel, Id, Info, KernelError, Listed, Mapped, ReadKernel, Slot, Suspend, Users,
    Version,
};
use crate::table::{Table, Target};

/// The kernel. Its one disk is `/dev/sda`, 8:0, of 4096 sectors.
#[derive(Default)]
pub(super) struct Recorder {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    devices: Vec<Fake>,
    users: Users,
    refusals: BTreeMap<Call, VecDeque<Errno>>,
    changes: Vec<String>,
}

struct Fake {
    info: Info,
    live: Table,
    inactive: Option<Table>,
}

impl Recorder {
    /// With running devices of these names, numbered from 254:0 on.
    pub(super) fn with(names: &[&str]) -> Self {
        let recorder = Self::default();
        for name in names {
            let uuid = Uuid::new(&format!("uuid-of-{name}")).unwrap();
            recorder.lock().add(Name::from_kernel(name.as_bytes()), Some(uuid));
            recorder.set_table(name, "0 8 linear 8:0 0");
        }
        recorder
    }

    /// Refuses the next calls of this kind, with these errnos.
    pub(super) fn refusing(self, call: Call, errnos: &[Errno]) -> Self {
        self.lock().refusals.insert(call, errnos.iter().copied().collect());
        self
    }

    pub(super) fn set_table(&self, name: &str, row: &str) {
        let mut state = self.lock();
        let fake = state.devices.iter_mut().find(|fake| fake.info.name.kernel() == name).unwrap();
        fake.live = vec![Target::parse(row).unwrap()];
        fake.info.live_table = true;
    }

    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut Info)) {
        let mut state = self.lock();
        change(&mut state.devices.iter_mut().find(|fake| fake.info.name.kernel() == name).unwrap().info);
    }

    pub(super) fn set_users(&self, users: Users) {
        self.lock().users = users;
    }

    /// The changing calls so far.
    pub(super) fn changes(&self) -> Vec<String> {
        self.lock().changes.clone()
    }

    /// The live rows of a device.
    pub(super) fn table_of(&self, name: &str) -> Vec<String> {
        let mapped = self.device(&Id::Name(Name::new(name).unwrap()), Slot::Live).unwrap().unwrap();
        mapped.table.iter().map(ToString::to_string).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Writes a call down, and refuses it if it is to be refused.
    fn call(&self, call: Call, id: &Id, verb: &str) -> Result<MutexGuard<'_, State>, KernelError> {
        let mut state = self.lock();
        let name = match id {
            Id::Name(name) => name.to_string(),
            Id::Uuid(_) => state.find(id).map_or_else(|| "?".to_string(), |fake| fake.info.name.to_string()),
        };
        state.changes.push(format!("{verb} {name}"));
        match state.refusals.get_mut(&call).and_then(VecDeque::pop_front) {
            Some(errno) => Err(KernelError::Refused { call, device: name, errno, log: None }),
            None => Ok(state),
        }
    }
}

impl State {
    fn add(&mut self, name: Name, uuid: Option<Uuid>) -> DevNum {
        let number = DevNum::new(254, u32::try_from(self.devices.len()).unwrap());
        let info = Info {
            name,
            uuid,
            number,
            suspended: false,
            live_table: false,
            inactive_table: false,
            open_count: 0,
            event_nr: 0,
            read_only: false,
            target_count: 0,
            deferred_remove: false,
        };
        self.devices.push(Fake { info, live: Table::new(), inactive: None });
        number
    }

    fn find(&mut self, id: &Id) -> Option<&mut Fake> {
        self.devices.iter_mut().find(|fake| match id {
            Id::Name(name) => fake.info.name == *name,
            Id::Uuid(uuid) => fake.info.uuid.as_ref() == Some(uuid),
        })
    }
}

impl ReadKernel for Recorder {
    fn version(&self) -> Result<Version, KernelError> {
        Ok(Version(4, 47, 0))
    }

    fn list(&self) -> Result<Vec<Listed>, KernelError> {
        let listed = |fake: &Fake| Listed {
            name: fake.info.name.clone(),
            uuid: fake.info.uuid.clone(),
            number: fake.info.number,
        };
        Ok(self.lock().devices.iter().map(listed).collect())
    }

    fn device(&self, id: &Id, slot: Slot) -> Result<Option<Mapped>, KernelError> {
        Ok(self.lock().find(id).map(|fake| Mapped {
            info: fake.info.clone(),
            table: if slot == Slot::Live {
                fake.live.clone()
            } else {
                fake.inactive.clone().unwrap_or_default()
            },
        }))
    }

    fn targets(&self) -> Result<BTreeMap<String, Version>, KernelError> {
        Ok(["linear", "zero"].into_iter().map(|name| (name.to_string(), Version(1, 0, 0))).collect())
    }

    fn resolve(&self, device: &Device) -> Result<Option<DevNum>, KernelError> {
        let Form::Path(path) = &device.form else { return Ok(device.number) };
        Ok(match path.as_str() {
            "/dev/sda" => Some(DevNum::new(8, 0)),
            "/dev/dm-0" => Some(DevNum::new(254, 0)),
            _ => None,
        })
    }

    fn block_device(&self, number: DevNum) -> Result<Option<BlockDevice>, KernelError> {
        let disk = BlockDevice { number, sectors: 4096, read_only: false, logical_block_size: 512 };
        Ok((number == DevNum::new(8, 0)).then_some(disk))
    }

    fn users(&self, _: DevNum) -> Result<Users, KernelError> {
        Ok(self.lock().users.clone())
    }

    fn peek(&self, _: DevNum, _: u64, _: usize) -> Option<Vec<u8>> {
        None
    }
}

impl ChangeKernel for Recorder {
    fn create(&self, name: &Name, uuid: Option<&Uuid>) -> Result<DevNum, KernelError> {
        let mut state = self.call(Call::Create, &Id::Name(name.clone()), "create")?;
        Ok(state.add(name.clone(), uuid.cloned()))
    }

    fn load(&self, id: &Id, table: &[Target], read_only: bool) -> Result<(), KernelError> {
        let mut state = self.call(Call::Load, id, "load")?;
        let fake = state.find(id).unwrap();
        fake.inactive = Some(table.to_vec());
        fake.info.inactive_table = true;
        fake.info.read_only = read_only;
        Ok(())
    }

    fn clear(&self, id: &Id) -> Result<(), KernelError> {
        let mut state = self.call(Call::Clear, id, "clear")?;
        let fake = state.find(id).unwrap();
        fake.inactive = None;
        fake.info.inactive_table = false;
        Ok(())
    }

    fn suspend(&self, id: &Id, _: Suspend) -> Result<(), KernelError> {
        self.call(Call::Suspend, id, "suspend")?.find(id).unwrap().info.suspended = true;
        Ok(())
    }

    /// A refused resume leaves the device suspended and the new table gone, as the kernel does.
    fn resume(&self, id: &Id) -> Result<(), KernelError> {
        match self.call(Call::Resume, id, "resume") {
            Ok(mut state) => {
                let fake = state.find(id).unwrap();
                if let Some(table) = fake.inactive.take() {
                    fake.live = table;
                }
                fake.info.inactive_table = false;
                fake.info.live_table = true;
                fake.info.suspended = false;
                Ok(())
            }
            Err(error) => {
                let mut state = self.lock();
                let fake = state.find(id).unwrap();
                fake.inactive = None;
                fake.info.suspended = true;
                Err(error)
            }
        }
    }

    fn rename(&self, name: &Name, new: &Name) -> Result<(), KernelError> {
        let id = Id::Name(name.clone());
        let mut state = self.call(Call::Rename, &id, "rename")?;
        state.find(&id).unwrap().info.name = new.clone();
        state.changes.last_mut().unwrap().push_str(&format!(" {new}"));
        Ok(())
    }

    fn set_uuid(&self, name: &Name, uuid: &Uuid) -> Result<(), KernelError> {
        let id = Id::Name(name.clone());
        let mut state = self.call(Call::SetUuid, &id, "set-uuid")?;
        state.find(&id).unwrap().info.uuid = Some(uuid.clone());
        state.changes.last_mut().unwrap().push_str(&format!(" {uuid}"));
        Ok(())
    }

    fn remove(&self, id: &Id, deferred: bool) -> Result<(), KernelError> {
        let mut state = self.call(Call::Remove, id, "remove")?;
        let fake = state.find(id).unwrap();
        if deferred && fake.info.open_count > 0 {
            fake.info.deferred_remove = true;
        } else {
            let number = fake.info.number;
            state.devices.retain(|fake| fake.info.number != number);
        }
        Ok(())
    }

    fn message(&self, id: &Id, _: u64, _: &str) -> Result<Option<String>, KernelError> {
        self.call(Call::Message, id, "message").map(|_| None)
    }

    fn settle(&self) -> Result<(), KernelError> {
        self.lock().changes.push("settle".to_string());
        Ok(())
    }
}
