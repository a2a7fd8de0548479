//! Lower devices whose path, link or tag is gone while a live table uses them.
//!
//! A table holds its devices by number: it goes on without their nodes. Where a record of the device in the same place of the
//! live table still has the path, that device is meant, provided that the table is as the map tells otherwise. Without such a
//! record the path may mean any device: the live table can't be judged. A table that is to be loaded needs the path.

use std::collections::BTreeMap;

use super::{Gone, Meaning, Observed};
use crate::config::{Map, Mapping, State};
use crate::device::{Device, Form};
use crate::identity::DevNum;
use crate::kernel::{KernelError, ReadKernel};
use crate::targets;

impl Observed {
    /// Finds what the live tables have in the places of devices that are not found, and reads those block devices.
    pub(super) fn read_vanished(&mut self, kernel: &dyn ReadKernel, map: &Map) -> Result<(), KernelError> {
        if self.absent.is_empty() {
            return Ok(());
        }
        for mapping in map.mappings.values().filter(|mapping| mapping.state != State::Absent) {
            for (form, number) in self.had(mapping) {
                let Some(number) = number else { continue };
                if !self.blocks.contains_key(&number)
                    && let Some(block) = self.read_known_block(kernel, number)?
                {
                    self.blocks.insert(number, block);
                }
                let recorded = kernel.recorded_paths(number);
                let device = Device { form, number: None };
                let is_recorded = device.paths().iter().any(|path| recorded.contains(path.as_ref()));
                let gone = Meaning::Gone(Gone { number, is_recorded });
                self.links.entry(mapping.key.clone()).or_default().insert(device.form, gone);
            }
        }
        Ok(())
    }

    /// Lists the devices of a mapping that are not found, with what its live table has in their places; `None` where it has
    /// several devices there.
    fn had(&self, mapping: &Mapping) -> BTreeMap<Form, Option<DevNum>> {
        let mut had = BTreeMap::new();
        let Some(live) = self.device_of(mapping).and_then(|seen| seen.mapped.as_ref()) else { return had };
        if live.table.len() != mapping.rows.len() {
            return had;
        }
        for (row, old) in
            mapping.rows.iter().zip(live.table.iter()).filter(|(row, old)| row.target.kind() == old.kind)
        {
            let Ok(old) = targets::parse(&old.kind, old.params()) else { continue };
            let (lowers, olds) = (row.target.lower_devices(0), old.lower_devices(0));
            if lowers.len() != olds.len() {
                continue;
            }
            for (lower, old) in lowers.iter().zip(&olds) {
                let form = &lower.device.form;
                // A number is what it is, there or not.
                let Some(number) = old.device.number.filter(|_| !matches!(form, Form::Number(_))) else {
                    continue;
                };
                if self.absent.contains_key(form) {
                    let known = had.entry(form.clone()).or_insert(Some(number));
                    *known = known.filter(|known| *known == number);
                }
            }
        }
        had
    }
}
