//! How many tasks of an apply may run at the same time.
//!
//! Measured on Linux 6.12 with two processors, 300 devices, by a program that does nothing but the calls, in
//! milliseconds:
//!
//! | threads | create | load | suspend and resume | remove |
//! |---|---|---|---|---|
//! | 1 | 1318 | 511 | 3123 | 10932 |
//! | 4 | 1621 | 319 | 140 | 1483 |
//! | 16 | 1937 | 1401 | 78 | 718 |
//!
//! A suspend and a remove wait for grace periods of the kernel, and those overlap. A create and a load use the
//! processor and locks, so several at the same time delay each other. But a device can be loaded and resumed while the
//! next is created. By such a program, on a machine that was less busy, in milliseconds from the first call to the last:
//!
//! | threads that create | that load and resume | |
//! |---|---|---|
//! | one that does everything | | 402 |
//! | 1 | 1 | 226 |
//! | 1 | 2 | 186 |
//! | 1 | 3 | 212 |
//! | 2 | 1 | 273 |
//! | 2 | 2 | 201 |
//!
//! To load changed tables with two threads or with four makes no difference.

use std::ops::{Index, IndexMut};

/// The number of tasks that run at the same time on the running kernel by default: more than this makes nothing faster.
pub const JOBS: usize = 32;

/// The largest number of jobs. Each costs a thread, which is kept in memory while devices are suspended.
pub const MAX_JOBS: usize = 256;

/// The lane of a task: tasks of one lane use the same resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Creates a device. Several at the same time would wait for one lock.
    Make,
    /// Loads a table: processor time, and sometimes a read of the disk.
    Load,
    /// Sends a message to a target. Two messages to one pool must not meet, nor two copies of one volume.
    Message,
    /// Waits for the kernel.
    Wait,
}

impl Lane {
    /// Every lane, in the order of their numbers.
    pub(crate) const ALL: [Self; 4] = [Self::Make, Self::Load, Self::Message, Self::Wait];

    /// Returns how many tasks of the lane may run at the same time, of `jobs` altogether.
    pub(crate) fn room(self, jobs: usize) -> usize {
        match self {
            Self::Make | Self::Message => 1,
            Self::Load => jobs.min(2),
            Self::Wait => jobs,
        }
    }
}

/// A value for each lane.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PerLane<T>([T; Lane::ALL.len()]);

impl<T> PerLane<T> {
    /// Makes the value of each lane.
    pub(crate) fn of(value: impl FnMut(Lane) -> T) -> Self {
        Self(Lane::ALL.map(value))
    }
}

impl<T> Index<Lane> for PerLane<T> {
    type Output = T;

    fn index(&self, lane: Lane) -> &T {
        &self.0[lane as usize]
    }
}

impl<T> IndexMut<Lane> for PerLane<T> {
    fn index_mut(&mut self, lane: Lane) -> &mut T {
        &mut self.0[lane as usize]
    }
}
