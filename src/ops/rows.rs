//! Prepares the rows of a table for the kernel: turns paths into numbers, and refuses loops.

use std::collections::HashMap;

use super::OpError;
use crate::device::{Device, Form};
use crate::identity::{DevNum, Name};
use crate::kernel::{Id, Info, ReadKernel, Slot};
use crate::stack::{NamedStacks, Reach, position};
use crate::table::{RawRow, ReadTable, Table};
use crate::targets::{self, Style};

position! {
    /// A mapped device that a table leads to.
    struct Node;
}

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
            None => return Err(OpError::NoDevice { row: number, device: device.clone() }),
        }
        resolved = true;
    }
    if !resolved {
        return Ok(row.clone());
    }
    Ok(RawRow::new(row.start, row.length, &row.kind, typed.params(Style::Kernel)))
}

/// Returns the numbers of the lower devices of a row.
pub(super) fn devices(row: &RawRow) -> Vec<DevNum> {
    let Ok(mut typed) = targets::parse(&row.kind, row.params()) else { return Vec::new() };
    typed.devices_mut().into_iter().filter_map(|device: &mut Device| device.number).collect()
}

/// Refuses a table that would make the device one of its own lower devices, directly or through other mapped devices.
/// The kernel would accept it, and the first I/O would never end.
pub(super) fn refuse_loop(kernel: &dyn ReadKernel, table: &[RawRow], own: &Info) -> Result<(), OpError> {
    let below = |table: &[RawRow]| table.iter().flat_map(devices).collect::<Vec<_>>();
    // All mapped devices share one major number; nothing else leads back to one.
    let is_mapped = |number: &DevNum| number.major == own.number.major;
    let mut nodes = vec![(own.number, below(table))];
    let mut names = HashMap::new();
    let mut reach = Reach::from_iter([own.number]);
    reach.extend(below(table).into_iter().filter(is_mapped));
    while let Some(number) = reach.next() {
        if number != own.number
            && let Some((name, table)) = lower(kernel, number)?
        {
            let lowers = below(&table);
            reach.extend(lowers.iter().copied().filter(is_mapped));
            names.insert(number, name);
            nodes.push((number, lowers));
        }
    }
    let stacks: NamedStacks<DevNum, Node> = nodes.into_iter().collect();
    let own_node = stacks.position(&own.number);
    let Some(path) = own_node.and_then(|node| stacks.path(node, node)) else { return Ok(()) };
    let path: Vec<DevNum> = path.into_iter().map(|node| *stacks.name(node)).collect();
    let row = table.iter().position(|row| devices(row).contains(&path[1])).unwrap_or_default() + 1;
    let through = path.iter().filter_map(|number| names.remove(number)).collect();
    Err(OpError::Loop { row, name: own.name.clone(), through })
}

/// Reads the name and the live table of a mapped device. `None` when it is not there.
fn lower(kernel: &dyn ReadKernel, number: DevNum) -> Result<Option<(Name, ReadTable)>, OpError> {
    let Some(listed) = kernel.list()?.into_iter().find(|listed| listed.number == number) else {
        return Ok(None);
    };
    let mapped = kernel.device(&Id::Name(listed.name.clone()), Slot::Live)?;
    Ok(mapped.map(|mapped| (listed.name, mapped.table)))
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
