//! The last look at a live table before another one takes its place.
//!
//! A plan is made from a state that goes on changing: a cache takes in new writes. So the state is read again once the device
//! is suspended, when nothing can be written any more, and what the new table would leave behind ends the swap. The words of a
//! suspended array are not its state: an array is looked at just before.

use std::sync::Arc;

use crate::health;
use crate::kernel::{Id, KernelError, ReadKernel};
use crate::plan::{Reload, Step, leaving};
use crate::policy::Class;
use crate::table::{ReadTable, Row};
use crate::targets::{Leaving, Status};

/// What to look for in a device whose table is swapped.
pub(crate) struct Gate {
    /// The table that it has.
    table: ReadTable,
    /// Its rows.
    old: Arc<[Row]>,
    /// The rows that it gets.
    wanted: Arc<[Row]>,
    /// Whether the look is before the suspend.
    before: bool,
}

/// When a look is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    BeforeSuspend,
    Suspended,
}

impl Gate {
    /// Returns the gate of a swap; `None` where the new table can't leave anything behind, and where losing it was approved.
    pub(crate) fn of(step: &Step, reload: &Reload) -> Option<Self> {
        let table = &reload.old.rows;
        if step.class >= Class::Loss || !health::may_leave(table) {
            return None;
        }
        let old = table.understood().ok()?;
        // Without a state all is left that may be.
        leaving::by_reload(&old, &reload.table, None)?;
        let before = old.iter().any(|row| row.target.traits().status == Status::WhileActive);
        Some(Self { table: table.clone(), old, wanted: Arc::clone(&reload.table), before })
    }

    /// Looks at the device, if this is the moment: returns what the new table would leave behind.
    pub(crate) fn look(
        &self,
        kernel: &dyn ReadKernel,
        id: &Id,
        moment: Moment,
    ) -> Result<Option<Leaving>, KernelError> {
        if self.before != (moment == Moment::BeforeSuspend) {
            return Ok(None);
        }
        let status = kernel.status(id)?;
        let health = status.map(|status| health::answered(&self.table, status));
        Ok(leaving::by_reload(&self.old, &self.wanted, health.as_ref()))
    }
}
