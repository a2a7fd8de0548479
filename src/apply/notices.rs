//! What is told of an apply while it goes on, by whoever looks on and when nothing is held back.
//!
//! The tasks note what they begin and end. The calling thread hands that on, but never while a stack is
//! suspended for a swap: whoever is told may be waiting for one of its devices.

use std::sync::MutexGuard;

use super::Progress;
use super::tasks::Swapped;
use crate::plan::{Plan, StepId};
use crate::sync::Mutex;

/// Something to be told; steps are told by their places in the plan.
#[derive(Debug, Clone, Copy)]
enum Notice {
    Begun(StepId),
    Done(StepId),
}

#[derive(Default)]
struct Noted {
    notices: Vec<Notice>,
    /// How many swaps are going on.
    swaps: usize,
}

/// What was noted and not told yet.
#[derive(Default)]
pub struct Notices(Mutex<Noted>);

impl Notices {
    /// A step begins.
    pub fn begun(&self, step: StepId) {
        self.noted().notices.push(Notice::Begun(step));
    }

    /// A step was carried out.
    pub fn done(&self, step: StepId) {
        self.noted().notices.push(Notice::Done(step));
    }

    /// The steps of a stack begin. Until they end nothing is told.
    pub fn swap_begun(&self, stack: &[Swapped<'_>]) {
        let mut noted = self.noted();
        noted.swaps += 1;
        noted.notices.extend(stack.iter().map(|swapped| Notice::Begun(swapped.place)));
    }

    /// The steps of a stack were carried out, or failed.
    pub fn swap_ended(&self, stack: &[Swapped<'_>], done: bool) {
        let mut noted = self.noted();
        noted.swaps -= 1;
        noted.notices.extend(stack.iter().filter(|_| done).map(|swapped| Notice::Done(swapped.place)));
    }

    /// Tells what was noted, unless something is suspended.
    pub fn tell(&self, plan: &Plan, progress: &mut dyn Progress) {
        let mut noted = self.noted();
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

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock()
    }
}
