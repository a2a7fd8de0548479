//! Refuses tables that would close a circle, and changes that would wait for a circle for ever.
//!
//! Linux takes a table that leads back to its own device, and the first read or write never ends. Until then another table
//! opens the circle; after it a suspend, which every swap of tables begins with, waits for ever.

use std::collections::HashMap;

use super::{OpError, rows};
use crate::identity::{Called, DevNum, Name};
use crate::kernel::{DeviceState, Id, Info, KernelError, ReadKernel, Slot};
use crate::stack::{NamedStacks, Reach, position};
use crate::table::RawRow;

position! {
    /// A device that a table leads to.
    struct Node;
}

/// Which tables of the devices below count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tables {
    /// Those in both slots, of devices of every driver: a table that waits may be made live at any time.
    Both,
    /// The live ones alone.
    Live,
}

/// Refuses a table that would make the device one of its own lower devices, directly or through devices of any driver.
pub(super) fn refuse(kernel: &dyn ReadKernel, table: &[RawRow], own: &Info) -> Result<(), OpError> {
    let below = table.iter().flat_map(rows::devices).collect();
    let Some(way) = way_back(kernel, own.number, below, Tables::Both)? else { return Ok(()) };
    let row = table.iter().position(|row| rows::devices(row).contains(&way[0])).unwrap_or_default() + 1;
    let through = between(kernel, own.number, &way)?;
    Err(OpError::Loop { row, name: own.name.clone(), through })
}

/// Refuses a change that suspends a device where requests are in flight that never end.
pub(super) fn refuse_stuck(kernel: &dyn ReadKernel, device: &DeviceState) -> Result<(), OpError> {
    let own = &device.info;
    // A device in a circle is open; most devices have nothing in flight.
    if own.open_count == 0 || kernel.in_flight(own.number) == 0 {
        return Ok(());
    }
    let below = device.table.iter().flat_map(rows::devices).collect();
    let Some(way) = way_back(kernel, own.number, below, Tables::Live)? else { return Ok(()) };
    Err(OpError::StuckInLoop { name: own.name.clone(), through: between(kernel, own.number, &way)? })
}

/// Returns the devices from the one below `own` on that lead back to it, `own` last.
fn way_back(
    kernel: &dyn ReadKernel,
    own: DevNum,
    below: Vec<DevNum>,
    tables: Tables,
) -> Result<Option<Vec<DevNum>>, KernelError> {
    let mut reach = Reach::from_iter([own]);
    reach.extend(below.iter().copied());
    let mut nodes = vec![(own, below)];
    let names = if tables == Tables::Live { names(kernel)? } else { HashMap::new() };
    while let Some(number) = reach.next() {
        if number == own {
            continue;
        }
        let mapped = names.get(&number).map(|name| kernel.device(&Id::Name(name.clone()), Slot::Live));
        let lowers: Vec<DevNum> = match mapped.transpose()?.flatten() {
            Some(device) => device.table.iter().flat_map(rows::devices).collect(),
            None => kernel.block_device(number)?.map(|block| block.lower).unwrap_or_default(),
        };
        reach.extend(lowers.iter().copied());
        nodes.push((number, lowers));
    }
    let stacks: NamedStacks<DevNum, Node> = nodes.into_iter().collect();
    let way = stacks.position(&own).and_then(|node| stacks.path(node, node));
    Ok(way.map(|way| way.into_iter().skip(1).map(|node| *stacks.name(node)).collect()))
}

/// Names the devices of a way but the last.
fn between(kernel: &dyn ReadKernel, own: DevNum, way: &[DevNum]) -> Result<Vec<Called>, KernelError> {
    let names = names(kernel)?;
    let called = |number: DevNum| {
        let mapped = names.get(&number).map(ToString::to_string);
        Called { name: mapped.or_else(|| kernel.driver_name(number)), number }
    };
    Ok(way.iter().copied().filter(|number| *number != own).map(called).collect())
}

fn names(kernel: &dyn ReadKernel) -> Result<HashMap<DevNum, Name>, KernelError> {
    Ok(kernel.list()?.into_iter().map(|listed| (listed.number, listed.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::simulated::Simulated;
    use crate::ops::find::state_of;
    use crate::ops::fixture::{kernel_with, row};
    use crate::ops::{Foreign, reload, suspend};

    fn data() -> Name {
        Name::new("data").unwrap()
    }

    fn in_circle(in_flight: u64) -> Simulated {
        kernel_with(&["data", "top"], |mappings| {
            mappings[0].live = Some(vec![row("linear", "254:1 0")]);
            mappings[1].live = Some(vec![row("linear", "254:0 0")]);
            mappings[0].open_count = 1;
            mappings[1].open_count = 1;
            mappings[0].in_flight = in_flight;
        })
    }

    #[test]
    fn a_circle_is_opened_before_the_first_request() {
        let kernel = in_circle(0);
        assert!(refuse_stuck(&kernel, &state_of(&kernel, &data()).unwrap()).is_ok());
        let disk = RawRow::new(0, 8, "linear", "8:0 0".to_string());
        reload(&kernel, &data(), &[disk], Foreign::Refuse).unwrap();
    }

    #[test]
    fn a_table_that_waits_is_not_made_live_where_it_closes_a_circle() {
        let kernel = kernel_with(&["data", "top"], |mappings| {
            mappings[0].inactive = Some(vec![row("linear", "254:1 0")]);
            mappings[1].live = Some(vec![row("linear", "254:0 0")]);
            mappings[0].open_count = 1;
        });
        let error = crate::ops::resume(&kernel, &data(), Foreign::Refuse).unwrap_err();
        assert_eq!(error.to_string(), "row 1: `data` would depend on itself, through top (254:1)");
    }

    #[test]
    fn with_requests_in_flight_nothing_waits_for_a_circle() {
        let kernel = in_circle(2);
        let disk = RawRow::new(0, 8, "linear", "8:0 0".to_string());
        let reloaded = reload(&kernel, &data(), &[disk], Foreign::Refuse).unwrap_err();
        let suspended =
            suspend(&kernel, &data(), crate::kernel::Suspend::default(), Foreign::Refuse).unwrap_err();
        for error in [reloaded, suspended] {
            assert!(
                error.to_string().starts_with("`data` depends on itself, through top (254:1), and"),
                "{error}"
            );
        }
    }
}
