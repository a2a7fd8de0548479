//! Builds the tables that are loaded: those of the plan, and the old ones in a rollback.

use std::collections::{BTreeMap, HashMap};

use nix::errno::Errno;

use super::cause::{Cause, RowFault};
use crate::device::Device;
use crate::identity::{DevNum, Key};
use crate::kernel::{Call, KernelError, ReadKernel};
use crate::keys::MissingKey;
use crate::table::{RawRow, Row, Table};
use crate::targets::{self, Style, Target};

/// Facts that are known only once devices were created.
#[derive(Default)]
pub(crate) struct Made {
    /// The device numbers of mappings.
    pub numbers: BTreeMap<Key, DevNum>,
    /// The lengths of mappings in sectors, where only a first load could tell them.
    pub lengths: BTreeMap<Key, u64>,
}

impl Made {
    /// Completes the rows of `table`, a table of the mapping `key`, with the numbers and lengths known by now.
    pub(crate) fn complete(&self, table: &[Row], key: Option<&Key>) -> Vec<Row> {
        let mut table = table.to_vec();
        for row in &mut table {
            for device in row.target.devices_mut() {
                if let (None, Some(key)) = (device.number, device.key()) {
                    device.number = self.numbers.get(key).copied();
                }
            }
            if let Some(length) = key.and_then(|key| self.lengths.get(key)).filter(|_| row.provisional) {
                row.length = *length;
                row.provisional = false;
                row.target.fill_defaults(*length);
            }
        }
        table
    }
}

/// Returns `table` as it is loaded: the plan has it without orders that the live table has carried out.
pub(crate) fn to_load(table: &[Row]) -> Table {
    table
        .iter()
        .map(|row| RawRow::new(row.start, row.length, row.target.kind(), row.target.params(Style::Kernel)))
        .collect()
}

/// Returns an old table as the kernel prints it once its lower devices were recreated with other numbers.
pub(crate) fn renumbered(old: &[RawRow], numbers: &HashMap<DevNum, DevNum>) -> Table {
    change(old, |target| {
        let mut changed = false;
        for device in target.devices_mut() {
            if let Some(now) = device.number.and_then(|number| numbers.get(&number)) {
                *device = Device::numbered(*now);
                changed = true;
            }
        }
        changed
    })
}

/// Returns an old table as it is loaded again: some targets print other parameters than they accept.
pub(crate) fn to_load_again(old: &[RawRow]) -> Table {
    change(old, |target| {
        let again = target.for_rollback();
        let changed = again.params(Style::Kernel) != target.params(Style::Kernel);
        *target = again;
        changed
    })
}

/// Changes the rows with `act`, which returns whether it did. The others, and rows that can't be parsed, stay as text.
fn change(rows: &[RawRow], act: impl Fn(&mut Box<dyn Target>) -> bool) -> Table {
    let row = |row: &RawRow| {
        let mut target = targets::parse(&row.kind, row.params()).ok()?;
        act(&mut target).then(|| RawRow::new(row.start, row.length, &row.kind, target.params(Style::Kernel)))
    };
    rows.iter().map(|old| row(old).unwrap_or_else(|| old.clone())).collect()
}

/// Returns the key that the kernel did not find for a row.
fn missing_key(row: &RawRow, error: &KernelError) -> Option<MissingKey> {
    if error.errno() != Some(Errno::ENOKEY) {
        return None;
    }
    let target = targets::parse(&row.kind, row.params()).ok()?;
    target.keyring_keys().into_iter().next().cloned().map(MissingKey)
}

/// Returns the cause of a refused load of `table`, with the row at fault where that is certain: the kernel's log names the
/// target type only.
pub(crate) fn blame(kernel: &dyn ReadKernel, table: &[RawRow], error: KernelError) -> Cause {
    let KernelError::Refused { call: Call::Load, log, .. } = &error else { return error.into() };
    if let Some(row) = table.iter().find(|row| !kernel.has_target(&row.kind)) {
        return Cause::Load { error: Box::new(error), fault: Box::new(RowFault::Type(row.clone())) };
    }
    let log = log.as_deref().unwrap_or_default();
    let named = |row: &&RawRow| {
        log.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == row.kind)
    };
    let mut rows = table.iter().filter(|row| table.len() == 1 || named(row));
    match (rows.next(), rows.next()) {
        (Some(row), None) => {
            let fault = RowFault::Row { row: row.clone(), missing: missing_key(row, &error) };
            Cause::Load { error: Box::new(error), fault: Box::new(fault) }
        }
        _ => error.into(),
    }
}
