//! A device under test, and the words in which a case states what it expects.

use std::cell::RefCell;
use std::fmt::Debug;

use dmctl::access::Access;
use dmctl::identity::{DevNum, Name, Uuid};
use dmctl::kernel::{ChangeKernel, Id, Info, KernelError, Removal, Slot, Suspend};
use dmctl::table::{RawRow, parse_table};
use nix::errno::Errno;

use super::Outcome;

/// A device that goes away with the case that made it.
pub struct Device<'k> {
    kernel: &'k dyn ChangeKernel,
    name: RefCell<Name>,
    /// Its number.
    pub number: DevNum,
}

impl<'k> Device<'k> {
    /// Makes one without a table.
    pub fn create(kernel: &'k dyn ChangeKernel, name: &str) -> Result<Self, String> {
        Self::create_with(kernel, &plain(name)?, None)
    }

    pub fn create_with(
        kernel: &'k dyn ChangeKernel,
        name: &Name,
        uuid: Option<&Uuid>,
    ) -> Result<Self, String> {
        let number = works("create", kernel.create(name, uuid))?;
        Ok(Self { kernel, name: RefCell::new(name.clone()), number })
    }

    /// Makes one with a live table.
    pub fn active(kernel: &'k dyn ChangeKernel, name: &str, rows: &str) -> Result<Self, String> {
        let device = Self::create(kernel, name)?;
        works("load", device.load(rows))?;
        works("resume", device.resume())?;
        Ok(device)
    }

    pub fn name(&self) -> Name {
        self.name.borrow().clone()
    }

    pub fn id(&self) -> Id {
        Id::Name(self.name())
    }

    pub fn load(&self, rows: &str) -> Result<(), KernelError> {
        self.load_rows(&rows_of(rows), Access::Writable)
    }

    pub fn load_read_only(&self, rows: &str) -> Result<(), KernelError> {
        self.load_rows(&rows_of(rows), Access::ReadOnly)
    }

    pub fn load_rows(&self, rows: &[RawRow], access: Access) -> Result<(), KernelError> {
        self.kernel.load(&self.id(), rows, access)
    }

    pub fn resume(&self) -> Result<(), KernelError> {
        self.kernel.resume(&self.id())
    }

    pub fn suspend(&self) -> Result<(), KernelError> {
        self.kernel.suspend(&self.id(), Suspend::default())
    }

    pub fn clear(&self) -> Result<(), KernelError> {
        self.kernel.clear(&self.id())
    }

    pub fn remove(&self) -> Result<(), KernelError> {
        self.kernel.remove(&self.id(), Removal::Now)
    }

    pub fn rename(&self, new: &Name) -> Result<(), KernelError> {
        let old = self.name();
        self.kernel.rename(&old, new)?;
        self.name.replace(new.clone());
        Ok(())
    }

    pub fn message(&self, sector: u64, text: &str) -> Result<Option<String>, KernelError> {
        self.kernel.message(&self.id(), sector, text)
    }

    /// Its state with one of its tables, a row a line.
    fn read(&self, slot: Slot) -> Result<(Info, String), String> {
        let found = works("read", self.kernel.device(&self.id(), slot))?;
        let mapped = found.ok_or_else(|| format!("{} does not exist", self.name()))?;
        let rows: Vec<String> =
            mapped.table.iter().map(|row| row.to_string().trim_end().to_string()).collect();
        Ok((mapped.info, rows.join("\n")))
    }

    pub fn info(&self) -> Result<Info, String> {
        Ok(self.read(Slot::Live)?.0)
    }

    /// Its state when it is asked for its inactive table.
    pub fn inactive_info(&self) -> Result<Info, String> {
        Ok(self.read(Slot::Inactive)?.0)
    }

    pub fn live(&self) -> Result<String, String> {
        Ok(self.read(Slot::Live)?.1)
    }

    pub fn inactive(&self) -> Result<String, String> {
        Ok(self.read(Slot::Inactive)?.1)
    }

    pub fn exists(&self) -> Result<bool, String> {
        Ok(works("read", self.kernel.device(&self.id(), Slot::Live))?.is_some())
    }
}

impl Drop for Device<'_> {
    fn drop(&mut self) {
        // A case that failed may leave it in any state, and one that passed may have removed it already.
        let _ = self.clear();
        if self.info().is_ok_and(|info| info.suspended) {
            let _ = self.resume();
        }
        let _ = self.remove();
    }
}

/// A name as a person writes it.
pub fn plain(name: &str) -> Result<Name, String> {
    Name::new(name).map_err(|error| error.to_string())
}

/// A uuid.
pub fn uuid(text: &str) -> Result<Uuid, String> {
    Uuid::new(text).map_err(|error| error.to_string())
}

/// Rows as dmsetup writes them; none for text that is no table, which no case may hold by mistake.
fn rows_of(text: &str) -> Vec<RawRow> {
    parse_table(text).unwrap_or_default()
}

/// States that a call works.
pub fn works<T>(what: &str, result: Result<T, KernelError>) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error}"))
}

/// States that a call is refused, and with what.
pub fn refused<T>(what: &str, result: Result<T, KernelError>, errno: Errno) -> Outcome {
    match result {
        Ok(_) => Err(format!("{what}: done, where {errno:?} was expected")),
        Err(error) if error.errno() == Some(errno) => Ok(()),
        Err(error) => Err(format!("{what}: {error}, where {errno:?} was expected")),
    }
}

/// States that a call is refused, by the kernel or on the way to it.
#[expect(clippy::needless_pass_by_value, reason = "a call stands in its place")]
pub fn fails<T>(what: &str, result: Result<T, KernelError>) -> Outcome {
    if result.is_err() { Ok(()) } else { Err(format!("{what}: done, where a refusal was expected")) }
}

/// States that two values are the same.
#[expect(clippy::needless_pass_by_value, reason = "values are written in their place")]
pub fn same<T: PartialEq + Debug>(what: &str, seen: T, expected: T) -> Outcome {
    if seen == expected { Ok(()) } else { Err(format!("{what}: {seen:?}, where {expected:?} was expected")) }
}
