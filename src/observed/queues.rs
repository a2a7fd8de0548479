//! How the devices below new tables take I/O, where those need a kind of queue.

use std::collections::HashMap;

use super::Observed;
use crate::identity::DevNum;
use crate::kernel::{QueueFacts, ReadKernel};

impl Observed {
    /// Reads how these devices take I/O. Only the first call has an effect.
    pub fn read_queues(&self, kernel: &dyn ReadKernel, numbers: impl IntoIterator<Item = DevNum>) {
        let queues: HashMap<_, _> =
            numbers.into_iter().map(|number| (number, kernel.queue(number))).collect();
        self.queues.get_or_init(|| queues);
    }

    /// Returns how a device takes I/O; `None` where that was not read.
    pub(crate) fn queue(&self, number: DevNum) -> Option<QueueFacts> {
        self.queues.get()?.get(&number).copied()
    }
}
