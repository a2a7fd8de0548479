//! The target types of new tables that the kernel does not list: it loads their modules when it is given such a table, if
//! they are there.

use std::collections::{BTreeMap, BTreeSet};

use super::Observed;
use crate::kernel::{KernelError, ReadKernel};
use crate::targets;

/// Whether the module of a target type is in the module index of the running kernel; `None` where that has no index here.
pub(crate) type InIndex = Option<bool>;

impl Observed {
    /// Looks for these target types, of tables that will be loaded. Types of devices that were read are there, and so are
    /// those of Device Mapper itself: only others cost a call. Only the first call has an effect.
    ///
    /// # Errors
    ///
    /// The error of the kernel.
    pub fn read_types<'t>(
        &self,
        kernel: &dyn ReadKernel,
        wanted: impl IntoIterator<Item = &'t str>,
    ) -> Result<(), KernelError> {
        let is_loaded = |kind: &str| targets::module(kind) == "dm-mod" || self.has_row_of(kind);
        let wanted: BTreeSet<&str> = wanted.into_iter().collect();
        let wanted: Vec<&str> = wanted.into_iter().filter(|kind| !is_loaded(kind)).collect();
        let mut unlisted = BTreeMap::new();
        if !wanted.is_empty() {
            let listed = kernel.targets()?;
            for kind in wanted.into_iter().filter(|kind| !listed.contains_key(*kind)) {
                let loadable = kernel.loadable_targets();
                unlisted.insert(kind.to_string(), loadable.map(|types| types.contains(kind)));
            }
        }
        self.unlisted_types.get_or_init(|| unlisted);
        Ok(())
    }

    fn has_row_of(&self, kind: &str) -> bool {
        let tables = self.devices.iter().filter_map(|seen| seen.mapped.as_ref()).map(|mapped| &mapped.table);
        tables.flat_map(|table| table.iter()).any(|row| row.kind == kind)
    }

    /// Returns whether the module of a type is there that the kernel does not list; `None` for one that it lists.
    pub(crate) fn unlisted_type(&self, kind: &str) -> Option<InIndex> {
        self.unlisted_types.get()?.get(kind).copied()
    }

    /// Whether all types of the new tables are listed.
    pub(crate) fn lists_all_types(&self) -> bool {
        self.unlisted_types.get().is_none_or(BTreeMap::is_empty)
    }
}
