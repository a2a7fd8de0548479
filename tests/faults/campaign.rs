//! Lets each scenario fail in every way.

use dmctl::apply::ApplyError;
use dmctl::config::Map;
use dmctl::kernel::simulated::{Fault, Simulated};
use nix::errno::Errno;

use crate::picture::Picture;
use crate::scenario::{self, Scenario};
use crate::scenarios;

/// Every way in which a call may fail. Those that are for a resume are a plain refusal to any other call.
const FAULTS: [Fault; 10] = [
    Fault::Refuse(Errno::EINVAL),
    Fault::Refuse(Errno::EBUSY),
    Fault::Refuse(Errno::ENXIO),
    Fault::Refuse(Errno::ENOMEM),
    Fault::Refuse(Errno::EINTR),
    Fault::Refuse(Errno::EAGAIN),
    Fault::Refuse(Errno::ENODATA),
    Fault::Refuse(Errno::EEXIST),
    Fault::Swap,
    Fault::Preresume,
];

/// How often in a row a call on the way back fails.
const PERSISTENT: usize = 8;

/// A scenario, what it starts from and what it comes to.
struct Trial<'a> {
    scenario: &'a Scenario,
    map: Map,
    before: Picture,
    after: Picture,
    /// How many changing calls it takes.
    calls: usize,
}

impl<'a> Trial<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let (kernel, map) = (scenario.kernel(), scenario.map());
        let before = Picture::of(&kernel);
        let already = kernel.changes();
        if let Err(error) = scenario::apply(&kernel, &map) {
            panic!("{}: {error}", scenario.name);
        }
        let after = Picture::of(&kernel);
        assert!(scenario::plan(&kernel, &map).is_empty(), "{}: a second plan is not empty", scenario.name);
        Self { scenario, map, before, after, calls: kernel.changes() - already }
    }

    /// Holds when the kernel, after `outcome`, is not between two states.
    fn judge(&self, kernel: &Simulated, outcome: &Result<(), ApplyError>, what: &str) {
        let now = Picture::of(kernel);
        let holds = match outcome {
            Ok(()) => now == self.after,
            Err(ApplyError::Left { .. }) => self.scenario.one_way && now.unsettled().is_empty(),
            Err(_) => now.is_put_back_to(&self.before),
        };
        let says = outcome.as_ref().map_or_else(ToString::to_string, |()| "applied".to_string());
        assert!(
            holds,
            "{}, {what}: {says}\n  before:\n{}  now:\n{now}  after:\n{}",
            self.scenario.name, self.before, self.after
        );
    }

    /// Holds when another apply, on a kernel that nothing is wrong with, comes to the end.
    fn converges(&self, kernel: &Simulated, what: &str) {
        // What died is gone; the kernel stays.
        let kernel = Simulated::new(&kernel.state()).expect("the state that a kernel shows is one");
        let found = Picture::of(&kernel);
        let outcome = scenario::apply(&kernel, &self.map);
        let now = Picture::of(&kernel);
        let says = outcome.as_ref().map_or_else(ToString::to_string, |()| "applied".to_string());
        assert!(
            outcome.is_ok() && now == self.after,
            "{}, {what}: {says}\n  found:\n{found}  now:\n{now}  after:\n{}",
            self.scenario.name,
            self.after
        );
    }
}

#[test]
fn every_call_that_fails_leaves_the_old_state_or_the_new_one() {
    let mut injected = 0;
    for trial in scenarios::ALL.iter().map(Trial::new) {
        for nth in 1..=trial.calls {
            for fault in FAULTS {
                let kernel = trial.scenario.kernel();
                kernel.inject(nth, fault);
                let outcome = scenario::apply(&kernel, &trial.map);
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
fn every_death_is_made_good_by_the_next_apply() {
    let mut deaths = 0;
    for trial in scenarios::ALL.iter().map(Trial::new) {
        for last in 0..trial.calls {
            let kernel = trial.scenario.kernel();
            kernel.die_after(last);
            let outcome = scenario::apply(&kernel, &trial.map);
            assert!(outcome.is_err(), "{}: the dead can't apply", trial.scenario.name);
            trial.converges(&kernel, &format!("dead after call {last} of {}", trial.calls));
            deaths += 1;
        }
    }
    println!("deaths {deaths}, states left between 0");
}

#[test]
fn a_way_back_that_fails_too_says_what_is_left() {
    let (mut injected, mut told) = (0, 0);
    for trial in scenarios::ALL.iter().map(Trial::new) {
        for nth in 1..=trial.calls {
            for later in nth + 1..=nth + trial.calls {
                let kernel = trial.scenario.kernel();
                kernel.fail_nth(nth, Errno::EINVAL);
                // Once is tried again, so it fails for good.
                for again in later..later + PERSISTENT {
                    kernel.inject(again, Fault::Refuse(Errno::ENOMEM));
                }
                let calls = kernel.changes();
                let outcome = scenario::apply(&kernel, &trial.map);
                let what = format!("calls {nth} and {later} of {} fail", trial.calls);
                injected += 1;
                if let Err(ApplyError::Left { left, .. }) = &outcome {
                    told += 1;
                    assert!(left.iter().all(|says| says.contains("dmctl ")), "{what}: {left:?}");
                } else {
                    trial.judge(&kernel, &outcome, &what);
                }
                trial.converges(&kernel, &what);
                if kernel.changes() - calls < later {
                    break;
                }
            }
        }
    }
    println!("failures injected twice {injected}, told as left {told}");
    assert!(told > 0, "the way back failed at least once");
}

#[test]
fn being_told_to_stop_leaves_the_old_state() {
    let mut stops = 0;
    for trial in scenarios::ALL.iter().map(Trial::new) {
        let steps = scenario::plan(&trial.scenario.kernel(), &trial.map).steps.len();
        for after in 0..=steps {
            let kernel = trial.scenario.kernel();
            let outcome = scenario::apply_and_stop(&kernel, &trial.map, after);
            let what = format!("stopped after {after} of {steps} steps");
            trial.judge(&kernel, &outcome, &what);
            match &outcome {
                // The last step is the end, stopped or not.
                Ok(()) => assert!(after > 0, "{}, {what}", trial.scenario.name),
                Err(ApplyError::Interrupted { .. } | ApplyError::Left { .. }) => stops += 1,
                Err(error) => panic!("{}, {what}: {error}", trial.scenario.name),
            }
            trial.converges(&kernel, &what);
        }
    }
    println!("stopped {stops} times, states left between 0");
}

#[test]
fn the_scenarios_change_something_and_settle() {
    for trial in scenarios::ALL.iter().map(Trial::new) {
        assert!(trial.calls > 0, "{}", trial.scenario.name);
        let text = trial.scenario.after;
        if !text.contains("suspended") {
            assert_eq!(trial.after.unsettled(), [""; 0], "{}", trial.scenario.name);
        }
    }
}
