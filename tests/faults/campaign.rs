//! Lets each scenario fail in every way.

use std::collections::BTreeSet;

use dmctl::apply::ApplyError;
use dmctl::config::State;
use dmctl::kernel::simulated::{Fault, Simulated};
use nix::errno::Errno;

use crate::picture::Picture;
use crate::scenario::{self, Case};
use crate::way_out;

/// Every way in which a call may fail. Those that are for a resume are a plain refusal to any other call.
const FAULTS: [Fault; 11] = [
    Fault::Refuse(Errno::EINVAL),
    Fault::Refuse(Errno::EBUSY),
    Fault::Refuse(Errno::ENXIO),
    Fault::Refuse(Errno::ENOMEM),
    Fault::Refuse(Errno::EINTR),
    Fault::Refuse(Errno::EEXIST),
    Fault::Refuse(Errno::EIO),
    Fault::Refuse(Errno::ENODEV),
    Fault::Refuse(Errno::EAGAIN),
    Fault::Swap,
    Fault::Preresume,
];

/// The jobs of an apply where several are put to the test.
const JOBS: usize = 8;

/// How often in a row a call on the way back fails.
const PERSISTENT: usize = 8;

/// A scenario, what it starts from and what it comes to.
pub struct Trial {
    pub case: Case,
    pub before: Picture,
    after: Picture,
    /// How many changing calls it takes.
    pub calls: usize,
}

impl Trial {
    fn new(case: Case) -> Self {
        let kernel = case.kernel();
        let before = Picture::of(&kernel);
        if let Err(error) = scenario::apply(&kernel, &case.map) {
            panic!("{}: {error}", case.name);
        }
        let after = Picture::of(&kernel);
        assert!(scenario::plan(&kernel, &case.map).is_empty(), "{}: a second plan is not empty", case.name);
        Self { case, before, after, calls: kernel.changes() }
    }

    pub fn all() -> impl Iterator<Item = Self> {
        scenario::all().map(Self::new)
    }

    /// Holds when the kernel, after `outcome`, is not between two states.
    fn judge(&self, kernel: &Simulated, outcome: &Result<(), ApplyError>, what: &str) {
        let now = Picture::of(kernel);
        let holds = match outcome {
            Ok(()) => now == self.after,
            Err(ApplyError::Left { .. }) => self.case.one_way && now.unsettled().is_empty(),
            Err(_) => now.is_put_back_to(&self.before),
        };
        let says = outcome.as_ref().map_or_else(ToString::to_string, |()| "applied".to_string());
        assert!(
            holds,
            "{}, {what}: {says}\n  before:\n{}  now:\n{now}  after:\n{}",
            self.case.name, self.before, self.after
        );
    }

    /// Holds when another apply, on a kernel that nothing is wrong with, comes to the end.
    pub fn converges(&self, kernel: &Simulated, what: &str) {
        // What died is gone; the kernel stays.
        let kernel = Simulated::new(&kernel.state()).expect("the state that a kernel shows is one");
        let found = Picture::of(&kernel);
        let outcome = scenario::apply(&kernel, &self.case.map);
        let now = Picture::of(&kernel);
        let says = outcome.as_ref().map_or_else(ToString::to_string, |()| "applied".to_string());
        assert!(
            outcome.is_ok() && now == self.after,
            "{}, {what}: {says}\n  found:\n{found}  now:\n{now}  after:\n{}",
            self.case.name,
            self.after
        );
    }
}

#[test]
fn every_call_that_fails_leaves_the_old_state_or_the_new_one() {
    let mut injected = 0;
    for trial in Trial::all() {
        for nth in 1..=trial.calls {
            for fault in FAULTS {
                let kernel = trial.case.kernel();
                kernel.inject(nth, fault);
                let outcome = scenario::apply(&kernel, &trial.case.map);
                let what = format!("call {nth} of {} fails with {fault:?}", trial.calls);
                trial.judge(&kernel, &outcome, &what);
                trial.converges(&kernel, &what);
                injected += 1;
            }
        }
    }
    println!("failures injected {injected}, states left between 0");
    assert!(injected > 1000, "the campaign ran: {injected}");
}

#[test]
fn side_by_side_every_call_that_fails_leaves_the_old_state_or_the_new_one() {
    let faults = [Fault::Refuse(Errno::EBUSY), Fault::Swap, Fault::Preresume];
    let mut injected = 0;
    for trial in Trial::all() {
        let kernel = trial.case.kernel();
        let outcome = scenario::apply_side_by_side(&kernel, &trial.case.map, JOBS);
        trial.judge(&kernel, &outcome, "side by side");
        assert!(outcome.is_ok() && kernel.changes() == trial.calls, "{}: {outcome:?}", trial.case.name);
        for nth in 1..=trial.calls {
            for fault in faults {
                let kernel = trial.case.kernel();
                kernel.inject(nth, fault);
                let outcome = scenario::apply_side_by_side(&kernel, &trial.case.map, JOBS);
                let what = format!("side by side, call {nth} of {} fails with {fault:?}", trial.calls);
                trial.judge(&kernel, &outcome, &what);
                trial.converges(&kernel, &what);
                injected += 1;
            }
        }
    }
    println!("failures injected side by side {injected}, states left between 0");
}

#[test]
fn side_by_side_every_death_is_made_good_by_the_next_apply() {
    let mut deaths = 0;
    for trial in Trial::all() {
        for last in 0..trial.calls {
            let kernel = trial.case.kernel();
            kernel.die_after(last);
            let outcome = scenario::apply_side_by_side(&kernel, &trial.case.map, JOBS);
            assert!(outcome.is_err(), "{}: the dead can't apply", trial.case.name);
            trial.converges(&kernel, &format!("side by side, dead after call {last} of {}", trial.calls));
            deaths += 1;
        }
    }
    println!("deaths side by side {deaths}, states left between 0");
}

#[test]
fn side_by_side_being_told_to_stop_leaves_the_old_state_or_the_new_one() {
    for trial in Trial::all() {
        let steps = scenario::plan(&trial.case.kernel(), &trial.case.map).steps.len();
        for after in 0..=steps {
            let kernel = trial.case.kernel();
            let outcome = scenario::apply_and_stop(&kernel, &trial.case.map, after, JOBS);
            trial.judge(&kernel, &outcome, &format!("side by side, stopped after {after} of {steps} steps"));
        }
    }
}

#[test]
fn every_death_is_made_good_by_the_next_apply() {
    let mut deaths = 0;
    for trial in Trial::all() {
        for last in 0..trial.calls {
            let kernel = trial.case.kernel();
            kernel.die_after(last);
            let outcome = scenario::apply(&kernel, &trial.case.map);
            assert!(outcome.is_err(), "{}: the dead can't apply", trial.case.name);
            trial.converges(&kernel, &format!("dead after call {last} of {}", trial.calls));
            deaths += 1;
        }
    }
    println!("deaths {deaths}, states left between 0");
}

#[test]
fn a_way_back_that_fails_too_says_what_is_left() {
    let (mut injected, mut told, mut followed) = (0, 0, 0);
    let folder = tempfile::tempdir().expect("a folder");
    for trial in Trial::all() {
        let mut seen = BTreeSet::new();
        for nth in 1..=trial.calls {
            for later in nth + 1..=nth + trial.calls {
                let kernel = trial.case.kernel();
                kernel.fail_nth(nth, Errno::EINVAL);
                // Once is tried again, so it fails for good.
                for again in later..later + PERSISTENT {
                    kernel.inject(again, Fault::Refuse(Errno::ENOMEM));
                }
                let outcome = scenario::apply(&kernel, &trial.case.map);
                let what = format!("calls {nth} and {later} of {} fail", trial.calls);
                injected += 1;
                if let Err(ApplyError::Left { left, .. }) = &outcome {
                    told += 1;
                    assert!(left.iter().all(|one| one.to_string().contains("dmctl ")), "{what}: {left:?}");
                    // What can't be undone can't be undone by hand.
                    // Many failures leave the same.
                    let texts: Vec<String> = left.iter().map(ToString::to_string).collect();
                    if !trial.case.one_way && seen.insert((texts, Picture::of(&kernel).to_string())) {
                        let way_out = way_out::follow(&kernel, left, folder.path());
                        let (kernel, commands) = way_out.unwrap_or_else(|error| {
                            let left: Vec<String> = left.iter().map(ToString::to_string).collect();
                            panic!(
                                "{}, {what}: {error}\n  {}\nnow:\n{}",
                                trial.case.name,
                                left.join("\n  "),
                                Picture::of(&kernel)
                            )
                        });
                        followed += commands;
                        trial.converges(&kernel, &format!("{what}, the way out followed"));
                    }
                } else {
                    trial.judge(&kernel, &outcome, &what);
                }
                trial.converges(&kernel, &what);
                if kernel.changes() < later {
                    break;
                }
            }
        }
    }
    println!("failures injected twice {injected}, told as left {told}, commands followed {followed}");
    assert!(told > 0 && followed > 100, "the way back failed, and was followed: {told}, {followed}");
}

#[test]
fn being_told_to_stop_leaves_the_old_state() {
    let mut stopped = 0;
    for trial in Trial::all() {
        let steps = scenario::plan(&trial.case.kernel(), &trial.case.map).steps.len();
        for after in 0..=steps {
            let kernel = trial.case.kernel();
            let outcome = scenario::apply_and_stop(&kernel, &trial.case.map, after, 1);
            let what = format!("stopped after {after} of {steps} steps");
            trial.judge(&kernel, &outcome, &what);
            match &outcome {
                // The last step is the end, stopped or not.
                Ok(()) => assert!(after > 0, "{}, {what}", trial.case.name),
                Err(ApplyError::Interrupted { .. } | ApplyError::Left { .. }) => stopped += 1,
                Err(error) => panic!("{}, {what}: {error}", trial.case.name),
            }
            trial.converges(&kernel, &what);
        }
    }
    println!("stopped {stopped} times, states left between 0");
}

#[test]
fn the_scenarios_change_something_and_settle() {
    for trial in Trial::all() {
        assert!(trial.calls > 0, "{}", trial.case.name);
        let declared = trial.case.map.mappings.values();
        let active: BTreeSet<String> = declared
            .filter(|mapping| mapping.state == State::Active)
            .map(|mapping| mapping.name.kernel().to_string())
            .collect();
        let unsettled = trial.after.unsettled();
        let left: Vec<_> = unsettled.iter().filter(|name| active.contains(**name)).collect();
        assert!(left.is_empty(), "{}: {left:?}", trial.case.name);
    }
}
