//! What of an apply may be done side by side, and how much of it.
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
//! A suspend and a remove wait for grace periods of the kernel, and those overlap. A create and a load work,
//! and those who do it at the same time are in each other's way. But a device can be loaded and resumed while the next
//! is created. By such a program, on a machine that was less busy, in milliseconds from the first call to the last:
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

/// How much is done side by side on the running kernel, unless something else was asked for: more than this
/// makes nothing faster.
pub const JOBS: usize = 32;

/// The most that can be asked for. Each costs a thread, which is kept in memory while devices are suspended.
pub const MAX_JOBS: usize = 256;

/// What a task does with its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// It makes a device. Those who did that together would wait for one lock.
    Make,
    /// It loads a table: work, and sometimes a read of the disk.
    Load,
    /// It speaks to a target. Two messages to one pool must not meet, nor two copies of one volume.
    Message,
    /// It waits for the kernel.
    Wait,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Make, Self::Load, Self::Message, Self::Wait];

    /// How many tasks of the lane are done at the same time, when there are `jobs` altogether.
    pub fn room(self, jobs: usize) -> usize {
        match self {
            Self::Make | Self::Message => 1,
            Self::Load => jobs.min(2),
            Self::Wait => jobs,
        }
    }
}
