//! After every death `repair` sets right what was left, without the map, and the map still applies.

use dmctl::apply;
use dmctl::identity::{TEMPORARY_PREFIX, Uuid};
use dmctl::kernel::simulated::{MappingState, Simulated};
use dmctl::plan::repair;
use nix::errno::Errno;

use crate::campaign::Trial;
use crate::scenario::{apply as apply_map, options};

/// What died half way, and what the next process finds.
fn dead(trial: &Trial, last: usize) -> Simulated {
    let kernel = trial.case.kernel();
    kernel.die_after(last);
    assert!(apply_map(&kernel, &trial.case.map).is_err(), "{}: the dead can't apply", trial.case.name);
    Simulated::new(&kernel.state()).expect("the state that a kernel shows is one")
}

/// The devices of the map's owner, and those that are not.
fn parted(trial: &Trial, kernel: &Simulated) -> (Vec<MappingState>, Vec<MappingState>) {
    let uuid = |device: &MappingState| device.uuid.as_deref().and_then(|uuid| Uuid::new(uuid).ok());
    let owned = |device: &MappingState| uuid(device).is_some_and(|uuid| uuid.is_of(&trial.case.map.owner));
    kernel.state().mappings.into_iter().partition(owned)
}

fn is_unsettled(device: &MappingState) -> bool {
    device.suspended || device.inactive.is_some() || device.live.is_none()
}

#[test]
fn every_death_is_made_good_without_the_map() {
    let (mut deaths, mut repaired) = (0, 0);
    for trial in Trial::all().filter(|trial| !trial.case.needs_suspended) {
        let owner = &trial.case.map.owner;
        for last in 0..trial.calls {
            let kernel = dead(&trial, last);
            let what = format!("{}, dead after call {last} of {}", trial.case.name, trial.calls);
            let (_, foreign) = parted(&trial, &kernel);
            let found = repair::find(&kernel, owner).unwrap();
            repaired += found.steps.len();
            let left = apply::repair(&kernel, owner, &found, options()).unwrap();
            let told =
                |device: &MappingState| left.iter().any(|left| left.device.name.kernel() == device.name);
            let (ours, now_foreign) = parted(&trial, &kernel);
            for device in ours.iter().filter(|device| !told(device)) {
                assert!(!is_unsettled(device), "{what}: {device:?}");
                assert!(!device.name.starts_with(TEMPORARY_PREFIX), "{what}: {}", device.name);
            }
            // But for how often they are open, from above.
            let states = |devices: &[MappingState]| -> Vec<_> {
                let whole =
                    |d: &MappingState| (d.name.clone(), d.live.clone(), d.inactive.clone(), d.suspended);
                devices.iter().map(whole).collect()
            };
            assert_eq!(states(&foreign), states(&now_foreign), "{what}");
            let again = repair::find(&kernel, owner).unwrap();
            assert!(
                again.steps.is_empty() && again.left.iter().eq(left.iter().map(|left| &left.device)),
                "{what}: a second repair has something to do"
            );
            assert!(left.iter().all(|left| left.failure.is_none()), "{what}: {left:?}");
            trial.converges(&kernel, &what);
            deaths += 1;
        }
    }
    println!("deaths {deaths}, repaired by {repaired} steps");
    assert!(repaired > 100, "{repaired}");
}

#[test]
fn a_repair_that_fails_in_part_does_the_rest_and_says_what_is_left() {
    let (mut injected, mut told) = (0, 0);
    for trial in Trial::all().filter(|trial| !trial.case.needs_suspended) {
        let owner = &trial.case.map.owner;
        for last in 0..trial.calls {
            let kernel = dead(&trial, last);
            let found = repair::find(&kernel, owner).unwrap();
            for nth in 1..=found.steps.len() {
                let kernel = Simulated::new(&kernel.state()).unwrap();
                // Once is tried again.
                kernel.fail_nth(nth, Errno::ENOMEM);
                kernel.fail_nth(nth + 1, Errno::ENOMEM);
                let left = apply::repair(&kernel, owner, &found, options()).unwrap();
                let (ours, _) = parted(&trial, &kernel);
                let unsettled: Vec<_> = ours.iter().filter(|device| is_unsettled(device)).collect();
                for device in &unsettled {
                    let named = left.iter().any(|left| left.device.name.kernel() == device.name);
                    assert!(named, "{}, call {nth} fails: {device:?}, told {left:?}", trial.case.name);
                }
                told += left.len();
                injected += 1;
                // And the next one, with nothing in its way, does it.
                let found = repair::find(&kernel, owner).unwrap();
                apply::repair(&kernel, owner, &found, options()).unwrap();
                trial.converges(&kernel, "repaired in two runs");
            }
        }
    }
    println!("repairs that failed in part {injected}, told as left {told}");
    assert!(told > 50, "{told}");
}
