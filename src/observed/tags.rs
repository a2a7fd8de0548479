//! The tags that devices keep with their blocks, for a device above to fill.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::Observed;
use crate::identity::DevNum;
use crate::kernel::{KernelError, ReadKernel, Version};

/// What a kernel has of tags.
#[derive(Debug, Default)]
pub(super) struct Tags {
    /// The devices below those of the map that are not mapped, and keep tags.
    keeping: FxHashSet<DevNum>,
    /// The versions of the target types that are loaded.
    versions: BTreeMap<String, Version>,
}

impl Observed {
    /// Looks for the devices that keep tags, for new tables of which any needs them. Only the first call has an effect.
    ///
    /// # Errors
    ///
    /// The error of the kernel.
    pub fn read_tags(&self, kernel: &dyn ReadKernel) -> Result<(), KernelError> {
        let plain = self.blocks.keys().copied().filter(|number| self.by_number(*number).is_none());
        let keeping = plain.filter(|number| kernel.keeps_tags(*number)).collect();
        let versions = kernel.targets()?;
        self.tags.get_or_init(|| Tags { keeping, versions });
        Ok(())
    }

    /// Whether a device that is not mapped keeps tags. It does where that was not looked for.
    pub(crate) fn keeps_tags(&self, number: DevNum) -> bool {
        self.tags.get().is_none_or(|tags| tags.keeping.contains(&number))
            || !self.blocks.contains_key(&number)
    }

    /// Whether a target type takes a device with longer tags than it uses, from this version on.
    pub(crate) fn takes_longer_tags(&self, kind: &str, since: (u32, u32, u32)) -> bool {
        let is_new = |version: &Version| (version.0, version.1, version.2) >= since;
        self.tags.get().is_none_or(|tags| tags.versions.get(kind).is_some_and(is_new))
    }
}
