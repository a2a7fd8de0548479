//! Circles of devices that live in the kernel.
//!
//! Linux takes a table that leads back to its own device, through whatever devices. The first read or write then goes
//! round for ever: it never ends, and no suspend ends that waits for it. Before it, another table opens the circle.
//!
//! They are looked for below the devices that a plan touches. A device in a circle is open, so a closed one costs nothing.
//! What is below comes from sysfs; only when that shows a circle are the live tables read, for sysfs does not tell the live
//! table from the inactive one.

use std::borrow::Cow;
use std::fmt;

use rustc_hash::FxHashMap;

use super::unseen::seen;
use super::{Observed, SeenId};
use crate::identity::{Called, DevNum};
use crate::kernel::{KernelError, ReadKernel, Slot};
use crate::stack::{IndexVec, NamedStacks, Reach, position};

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
pub(super) type Circles = FxHashMap<DevNum, Circle>;

type Below = FxHashMap<DevNum, Vec<DevNum>>;

/// How far a walk down is with a device.
#[derive(Clone, Copy, Default)]
enum Mark {
    /// It was not met.
    #[default]
    New,
    /// What is below it is being looked at.
    OnTheWay,
    /// All that is below it was looked at.
    Done,
}

/// A step of a walk down.
#[derive(Clone, Copy)]
enum Visit {
    Enter(DevNum),
    Leave(DevNum),
}

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
        let open: Vec<DevNum> = numbers.into_iter().filter(open).collect();
        let circles = if self.shows_circle(kernel, &open)? {
            let below = self.walk_down(kernel, open.into_iter().collect())?;
            self.find_circles(kernel, below)?
        } else {
            Circles::default()
        };
        self.circles.get_or_init(|| circles);
        Ok(())
    }

    /// Returns the circle that a device is in; `None` as well where it was not looked for.
    pub fn circle(&self, number: DevNum) -> Option<&Circle> {
        self.circles.get()?.get(&number)
    }

    /// Whether a circle shows below one of these devices. Mostly none does, so this keeps no more than a mark for each device.
    fn shows_circle(&self, kernel: &dyn ReadKernel, numbers: &[DevNum]) -> Result<bool, KernelError> {
        let mut mapped: IndexVec<SeenId, Mark> = IndexVec::filled(Mark::New, self.devices.len());
        let mut others: FxHashMap<DevNum, Mark> = FxHashMap::default();
        let mut left: Vec<Visit> = Vec::new();
        for number in numbers {
            left.push(Visit::Enter(*number));
            while let Some(visit) = left.pop() {
                let (Visit::Enter(number) | Visit::Leave(number)) = visit;
                let mark = match self.place_of_number(number) {
                    Some(place) => &mut mapped[place],
                    None => others.entry(number).or_default(),
                };
                match (visit, *mark) {
                    (Visit::Leave(_), _) => *mark = Mark::Done,
                    (Visit::Enter(_), Mark::OnTheWay) => return Ok(true),
                    (Visit::Enter(_), Mark::Done) => {}
                    (Visit::Enter(_), Mark::New) => {
                        *mark = Mark::OnTheWay;
                        left.push(Visit::Leave(number));
                        left.extend(self.lower(kernel, number)?.iter().copied().map(Visit::Enter));
                    }
                }
            }
        }
        Ok(false)
    }

    /// Lists the devices directly below one.
    fn lower(&self, kernel: &dyn ReadKernel, number: DevNum) -> Result<Cow<'_, [DevNum]>, KernelError> {
        let mapped = self.by_number(number).and_then(|seen| seen.mapped.as_ref());
        Ok(match (mapped, self.block(number)) {
            (Some(mapped), _) => mapped.table.lower_devices().into(),
            (None, Some(block)) => block.lower.as_slice().into(),
            // What is below one that can't be seen is not known: a table that would use it is refused for that.
            (None, None) => match seen(kernel.block_device(number))? {
                Ok(Some(block)) => block.lower.into(),
                Ok(None) | Err(_) => Cow::default(),
            },
        })
    }

    /// Reads the devices below each of those that can be reached.
    fn walk_down(&self, kernel: &dyn ReadKernel, mut reach: Reach<DevNum>) -> Result<Below, KernelError> {
        let mut below = Below::default();
        while let Some(number) = reach.next() {
            let lower = self.lower(kernel, number)?.into_owned();
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
                below.insert(*number, device.table.lower_devices().to_vec());
            }
        }
        let stacks = stacks(&below);
        let mut circles = Circles::default();
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
