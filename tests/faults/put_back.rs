//! What was applied for a time is put back without a confirmation, some time later and by a kernel that is opened
//! again.

use std::time::Duration;

use dmctl::kernel::simulated::{Fault, Simulated};
use dmctl::plan::Action;
use nix::errno::Errno;

use crate::campaign::Trial;
use crate::picture::Picture;
use crate::scenario::{apply_reversibly, plan};

fn anew(kernel: &Simulated) -> Simulated {
    Simulated::new(&kernel.state()).expect("the state that a kernel shows is one")
}

#[test]
fn what_was_applied_is_put_back_later() {
    let mut devices = 0;
    for trial in Trial::all() {
        let kernel = trial.case.kernel();
        let stays = plan(&kernel, &trial.case.map).steps.iter().any(|step| step.action() == Action::Message);
        let applied = apply_reversibly(&kernel, &trial.case.map);
        let kernel = anew(&kernel);
        let left = applied.roll_back(&kernel, Duration::ZERO);
        let now = Picture::of(&kernel);
        let holds = now.is_put_back_to(&trial.before) && left.is_empty();
        assert!(
            holds || ((trial.case.one_way || stays) && now.unsettled() == trial.before.unsettled()),
            "{}: {left:?}\n  before:\n{}  now:\n{now}",
            trial.case.name,
            trial.before
        );
        devices += now.0.len();
    }
    println!("devices put back {devices}");
    assert!(devices > 150, "{devices}");
}

#[test]
fn what_cannot_be_put_back_is_told() {
    let (mut injected, mut told) = (0, 0);
    for trial in Trial::all() {
        for nth in 1..=trial.calls {
            let kernel = trial.case.kernel();
            let applied = apply_reversibly(&kernel, &trial.case.map);
            let kernel = anew(&kernel);
            // Once is tried again.
            for again in nth..nth + 4 {
                kernel.inject(again, Fault::Refuse(Errno::ENOMEM));
            }
            let left = applied.roll_back(&kernel, Duration::ZERO);
            let now = Picture::of(&kernel);
            assert!(
                now.is_put_back_to(&trial.before) || !left.is_empty() || trial.case.one_way,
                "{}, call {nth} fails, and nothing is told\n  before:\n{}  now:\n{now}",
                trial.case.name,
                trial.before
            );
            assert!(left.iter().all(|one| one.to_string().contains("dmctl ")), "{left:?}");
            trial.converges(&kernel, &format!("put back in part, call {nth} failed"));
            injected += 1;
            told += left.len();
        }
    }
    println!("failures injected {injected}, told as left {told}");
    assert!(told > 100, "{told}");
}
