//! Prepares the rows of a table for the kernel: turns paths into numbers.

use super::OpError;
use crate::device::{Device, Form};
use crate::identity::DevNum;
use crate::kernel::ReadKernel;
use crate::table::{RawRow, Table};
use crate::targets::{self, Mode, Style};

/// Writes every lower device of a table as its number, the one form that every kernel takes.
///
/// A row that dmctl can't read is left as it is: the kernel decides about it.
pub(super) fn resolve(kernel: &dyn ReadKernel, table: &[RawRow]) -> Result<Table, OpError> {
    table.iter().enumerate().map(|(index, row)| resolve_row(kernel, row, index + 1)).collect()
}

fn resolve_row(kernel: &dyn ReadKernel, row: &RawRow, number: usize) -> Result<RawRow, OpError> {
    let Ok(mut typed) = targets::parse(&row.kind, row.params()) else { return Ok(row.clone()) };
    let known_type = targets::find(&row.kind).is_some();
    let mut resolved = false;
    for device in typed.devices_mut() {
        if device.number.is_some() {
            continue;
        }
        if let Form::Mapping(_) = device.form {
            return Err(OpError::KeyInTable { row: number, device: device.clone() });
        }
        match kernel.resolve(device)? {
            Some(found) => device.number = Some(found),
            // In a row of an unknown type a word that looks like a path need not be a device.
            None if !known_type => continue,
            None => {
                let absence = kernel.absence(device);
                return Err(OpError::NoDevice { row: number, device: device.clone(), absence });
            }
        }
        resolved = true;
    }
    if !resolved {
        return Ok(row.clone());
    }
    Ok(RawRow::new(row.start, row.length, &row.kind, typed.params(Style::Kernel)))
}

/// Whether a target of the table is always read-only.
pub(super) fn are_read_only(table: &[RawRow]) -> bool {
    table.iter().any(|row| targets::find(&row.kind).is_some_and(|kind| kind.traits.mode == Mode::ReadOnly))
}

/// Returns the numbers of the lower devices of a row.
pub(super) fn devices(row: &RawRow) -> Vec<DevNum> {
    let Ok(mut typed) = targets::parse(&row.kind, row.params()) else { return Vec::new() };
    typed.devices_mut().into_iter().filter_map(|device: &mut Device| device.number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::kernel;

    fn row(kind: &str, params: &str) -> [RawRow; 1] {
        [RawRow::new(0, 8, kind, params.to_string())]
    }

    #[test]
    fn paths_become_numbers_and_all_else_stays() {
        let kernel = kernel(&[]);
        for (kind, given, sent) in [
            ("linear", "/dev/sda 16", "8:0 16"),
            ("linear", "8:0   16", "8:0   16"),
            ("linear", "/dev/sda", "/dev/sda"),
            ("future", "/dev/sda /not/a/device 3", "8:0 /not/a/device 3"),
            ("zero", "", ""),
        ] {
            assert_eq!(resolve(&kernel, &row(kind, given)).unwrap()[0].params(), sent, "{given}");
        }
    }

    #[test]
    fn a_row_without_its_device_is_named() {
        let kernel = kernel(&[]);
        let two = [row("zero", "").to_vec(), row("linear", "/dev/nope 0").to_vec()].concat();
        let message = resolve(&kernel, &two).unwrap_err().to_string();
        assert_eq!(message, "row 2: there is no block device `/dev/nope`");
        let message = resolve(&kernel, &row("linear", "@disk 0")).unwrap_err().to_string();
        assert!(message.starts_with("row 1: `@disk` is a key"), "{message}");
    }
}
