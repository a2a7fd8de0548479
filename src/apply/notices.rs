//! Collects the progress of an apply while it goes on, and passes it on while no device is suspended for a swap.
//!
//! The tasks note the steps that they begin and end. The calling thread passes these notices on, but never while a
//! stack is suspended: the receiver may wait for one of its devices.

use std::sync::MutexGuard;

use super::Progress;
use super::swapped::Swapped;
use crate::plan::{Plan, StepId};
use crate::sync::Mutex;

/// A notice that a step began or was carried out. A step is given by its place in the plan.
#[derive(Debug, Clone, Copy)]
enum Notice {
    Begun(StepId),
    Done(StepId),
}

#[derive(Default)]
struct Reported {
    notices: Vec<Notice>,
    /// The number of swaps that are going on.
    swaps: usize,
}

/// How the swap of a stack ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SwapEnd {
    /// All tables of the stack are live.
    CarriedOut,
    /// The kernel refused a call.
    Failed,
}

/// The notices that were collected and not passed on yet.
#[derive(Default)]
pub(crate) struct Notices(Mutex<Reported>);

impl Notices {
    /// Notes that a step begins.
    pub(crate) fn begun(&self, step: StepId) {
        self.reported().notices.push(Notice::Begun(step));
    }

    /// Notes that a step was carried out.
    pub(crate) fn done(&self, step: StepId) {
        self.reported().notices.push(Notice::Done(step));
    }

    /// Notes that the steps of a stack begin. Until they end no notice is passed on.
    pub(crate) fn swap_begun(&self, stack: &[Swapped<'_>]) {
        let mut noted = self.reported();
        noted.swaps += 1;
        noted.notices.extend(stack.iter().map(|swapped| Notice::Begun(swapped.place)));
    }

    /// Notes how the steps of a stack ended.
    pub(crate) fn swap_ended(&self, stack: &[Swapped<'_>], end: SwapEnd) {
        let mut noted = self.reported();
        noted.swaps -= 1;
        if end == SwapEnd::CarriedOut {
            noted.notices.extend(stack.iter().map(|swapped| Notice::Done(swapped.place)));
        }
    }

    /// Notes that devices are suspended while snapshots are made. Until that ends no notice is passed on.
    pub(crate) fn hold_begun(&self) {
        self.reported().swaps += 1;
    }

    /// Notes that snapshots were made, by `steps`.
    pub(crate) fn hold_ended(&self, steps: &[StepId]) {
        let mut noted = self.reported();
        noted.swaps -= 1;
        noted.notices.extend(steps.iter().copied().map(Notice::Done));
    }

    /// Notes that a device is suspended until its swap ends. Until then no notice is passed on.
    pub(crate) fn suspended_until_swap(&self) {
        self.reported().swaps += 1;
    }

    /// Notes that the swap of such a device ended.
    pub(crate) fn resumed_by_swap(&self, devices: usize) {
        self.reported().swaps -= devices;
    }

    /// Passes the notices on, unless a stack is suspended.
    pub(crate) fn tell(&self, plan: &Plan, progress: &mut dyn Progress) {
        let mut noted = self.reported();
        if noted.swaps > 0 {
            return;
        }
        let notices = std::mem::take(&mut noted.notices);
        drop(noted);
        for notice in notices {
            match notice {
                Notice::Begun(step) => progress.begun(step, &plan.steps[step]),
                Notice::Done(step) => progress.done(step, &plan.steps[step]),
            }
        }
        progress.tick();
    }

    fn reported(&self) -> MutexGuard<'_, Reported> {
        self.0.lock()
    }
}
