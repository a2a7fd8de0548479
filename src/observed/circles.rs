//! Circles of devices that live in the kernel.
//!
//! Linux takes a table that leads back to its own device, through whatever devices. The first read or write then goes
//! round for ever: it never ends, and no suspend ends that waits for it. Before it, another table opens the circle.
//!
//! They are looked for below the devices that a plan touches. A device in a circle is open, so a closed one costs nothing.
//! What is below comes from sysfs; only when that shows a circle are the live tables read, for sysfs does not tell the live
//! table from the inactive one.

use std::collections::HashMap;
use std::fmt;

use super::Observed;
use super::unseen::seen;
use crate::diff;
use crate::identity::{Called, DevNum};
use crate::kernel::{KernelError, ReadKernel, Slot};
use crate::stack::{NamedStacks, Reach, position};

position! {
    /// A device in a circle, above or below one.
    struct Node;
}

/// A circle, seen from one of its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circle {
    /// The other devices, from the one below on; the device itself where there is no other.
    pub through: Vec<Called>,
    /// Whether requests are in flight in it: they never end.
    pub in_flight: bool,
}

/// The sentence, with the way out.
impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let through = Called::list(&self.through);
        write!(f, "it depends on itself, through {through}, in the kernel already: ")?;
        f.write_str(if self.in_flight {
            "requests are in flight in that circle, and never end; no table can be swapped there any more, only a reboot \
             ends them"
        } else {
            "the first read or write would never end; before it, give the device another table, with a map or with \
             `dmctl reload`"
        })
    }
}

/// The circles that were found, by each of their devices.
pub(super) type Circles = HashMap<DevNum, Circle>;

type Below = HashMap<DevNum, Vec<DevNum>>;

impl Observed {
    /// Looks for circles through these devices. Only the first call has an effect.
    ///
    /// # Errors
    ///
    /// The error of the kernel.
    pub fn read_circles(
        &self,
        kernel: &dyn ReadKernel,
        numbers: impl IntoIterator<Item = DevNum>,
    ) -> Result<(), KernelError> {
        let open =
            |number: &DevNum| self.open_count(self.place_of_number(*number)).is_some_and(|count| count > 0);
        let below = self.walk_down(kernel, numbers.into_iter().filter(open).collect())?;
        let circles = self.find_circles(kernel, below)?;
        self.circles.get_or_init(|| circles);
        Ok(())
    }

    /// Returns the circle that a device is in; `None` as well where it was not looked for.
    pub fn circle(&self, number: DevNum) -> Option<&Circle> {
        self.circles.get()?.get(&number)
    }

    /// Reads the devices below each of those that can be reached.
    fn walk_down(&self, kernel: &dyn ReadKernel, mut reach: Reach<DevNum>) -> Result<Below, KernelError> {
        let mut below = Below::new();
        while let Some(number) = reach.next() {
            let mapped = self.by_number(number).and_then(|seen| seen.mapped.as_ref());
            let lower = match (mapped, self.block(number)) {
                (Some(mapped), _) => diff::lower_devices(&mapped.table).into_iter().collect(),
                (None, Some(block)) => block.lower.clone(),
                // What is below one that can't be seen is not known: a table that would use it is refused for that.
                (None, None) => match seen(kernel.block_device(number))? {
                    Ok(Some(block)) => block.lower,
                    Ok(None) | Err(_) => Vec::new(),
                },
            };
            reach.extend(lower.iter().copied());
            below.insert(number, lower);
        }
        Ok(below)
    }

    fn find_circles(&self, kernel: &dyn ReadKernel, mut below: Below) -> Result<Circles, KernelError> {
        let possible = inside(&below);
        for number in &possible {
            let foreign = self.by_number(*number).filter(|seen| seen.mapped.is_none());
            if let Some(seen) = foreign
                && let Some(device) = kernel.device(&seen.id(), Slot::Live)?
            {
                below.insert(*number, diff::lower_devices(&device.table).into_iter().collect());
            }
        }
        let stacks = stacks(&below);
        let mut circles = Circles::new();
        for number in possible {
            let way = stacks.position(&number).and_then(|node| stacks.path(node, node));
            let Some(way) = way else { continue };
            let way: Vec<DevNum> = way.into_iter().map(|node| *stacks.name(node)).collect();
            let between = if way.len() > 2 { &way[1..way.len() - 1] } else { &way[1..] };
            let through = between.iter().map(|number| self.called_by(kernel, *number)).collect();
            let in_flight = way.iter().any(|number| kernel.in_flight(*number) > 0);
            circles.insert(number, Circle { through, in_flight });
        }
        Ok(circles)
    }

    /// Names a device that may not have been read.
    fn called_by(&self, kernel: &dyn ReadKernel, number: DevNum) -> Called {
        let Called { name, number } = self.called(number);
        Called { name: name.or_else(|| kernel.driver_name(number)), number }
    }
}

fn stacks(below: &Below) -> NamedStacks<DevNum, Node> {
    let mut nodes: Vec<(DevNum, Vec<DevNum>)> =
        below.iter().map(|(number, lower)| (*number, lower.clone())).collect();
    nodes.sort_unstable();
    nodes.into_iter().collect()
}

/// Lists the devices that are below themselves.
fn inside(below: &Below) -> Vec<DevNum> {
    let stacks = stacks(below);
    stacks.circular().inside.into_iter().map(|node| *stacks.name(node)).collect()
}
