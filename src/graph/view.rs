//! Reads a kernel of which parts may not be visible, and notes those.

use std::collections::BTreeSet;

use crate::device::{Device, Form};
use crate::identity::DevNum;
use crate::kernel::{Absence, BlockDevice, KernelError, ReadKernel, Unseen, Users};

/// A kernel, and what could not be seen of it.
pub(super) struct View<'k> {
    pub kernel: &'k dyn ReadKernel,
    pub unseen: BTreeSet<Unseen>,
}

impl<'k> View<'k> {
    pub(super) fn new(kernel: &'k dyn ReadKernel) -> Self {
        Self { kernel, unseen: BTreeSet::new() }
    }

    /// Reads a block device; `None` for one that does not exist.
    pub(super) fn block(
        &mut self,
        number: DevNum,
    ) -> Result<Result<Option<BlockDevice>, Unseen>, KernelError> {
        match self.kernel.block_device(number) {
            Ok(block) => Ok(Ok(block)),
            Err(error) => {
                let unseen = Unseen::of(error)?;
                self.unseen.insert(unseen.clone());
                Ok(Err(unseen))
            }
        }
    }

    /// Reads the users of a block device, as far as they can be seen.
    pub(super) fn users(&mut self, number: DevNum) -> Result<Users, KernelError> {
        let users = self.kernel.users(number)?;
        self.unseen.extend(users.unseen.iter().cloned());
        Ok(users)
    }

    /// Finds a lower device of a map. One that is written as its number is that number, seen or not.
    pub(super) fn resolve(&mut self, device: &Device) -> Result<Result<DevNum, Absence>, KernelError> {
        let unseen = match self.kernel.resolve(device) {
            Ok(Some(number)) => return Ok(Ok(number)),
            Ok(None) => return Ok(Err(self.kernel.absence(device))),
            Err(error) => Unseen::of(error)?,
        };
        let why = unseen.to_string();
        self.unseen.insert(unseen);
        Ok(match device.form {
            Form::Number(number) => Ok(number),
            _ => Err(Absence::Unreadable { why }),
        })
    }
}
