//! Calls that fail on demand, and the log of calls.

use dmctl::kernel::simulated::{Fault, Simulated};
use dmctl::kernel::{Call, ChangeKernel, KernelError, ReadKernel, Removal, Slot, Suspend};
use nix::errno::Errno;

use super::{id, info, kernel, live, load, make, name};

#[test]
fn the_nth_changing_call_fails_without_any_effect() {
    let kernel = kernel();
    kernel.fail_nth(2, Errno::ENOMEM);
    kernel.create(&name("a"), None).unwrap();
    let before = kernel.state();
    assert_eq!(load(&kernel, "a", "0 8 zero").unwrap_err().errno(), Some(Errno::ENOMEM));
    assert_eq!(kernel.state(), before);
    load(&kernel, "a", "0 8 zero").unwrap();
    assert_eq!(kernel.changes(), 3);
}

#[test]
fn reads_are_not_counted_and_do_not_fail() {
    let kernel = kernel();
    kernel.create(&name("a"), None).unwrap();
    kernel.fail_nth(1, Errno::EIO);
    kernel.list().unwrap();
    kernel.device(&id("a"), Slot::Live).unwrap();
    kernel.settle().unwrap();
    let refused = kernel.suspend(&id("a"), Suspend::default()).unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::EIO));
}

#[test]
fn a_fault_before_a_resume_leaves_the_inactive_table() {
    let kernel = kernel();
    make(&kernel, "a", "0 8 zero").unwrap();
    load(&kernel, "a", "0 16 zero").unwrap();
    kernel.fail_nth(1, Errno::EINTR);
    assert_eq!(kernel.resume(&id("a")).unwrap_err().errno(), Some(Errno::EINTR));
    let info = info(&kernel, "a");
    assert_eq!((info.inactive_table, info.suspended), (true, false));
    assert_eq!(live(&kernel, "a"), "0 8 zero");
}

#[test]
fn a_failed_swap_leaves_the_old_table_suspended() {
    let kernel = kernel();
    make(&kernel, "a", "0 8 zero").unwrap();
    load(&kernel, "a", "0 16 zero").unwrap();
    kernel.fail_resume_of(&name("a"), Fault::Swap);
    assert_eq!(kernel.resume(&id("a")).unwrap_err().errno(), Some(Errno::EINVAL));
    let seen = info(&kernel, "a");
    assert_eq!((seen.inactive_table, seen.suspended), (false, true));
    assert_eq!(live(&kernel, "a"), "0 8 zero");
    kernel.resume(&id("a")).unwrap();
    assert!(!info(&kernel, "a").suspended);
}

#[test]
fn a_failed_preresume_leaves_the_new_table_suspended() {
    let kernel = kernel();
    make(&kernel, "a", "0 8 zero").unwrap();
    load(&kernel, "a", "0 16 zero").unwrap();
    kernel.inject(1, Fault::Preresume);
    assert_eq!(kernel.resume(&id("a")).unwrap_err().errno(), Some(Errno::EINVAL));
    let seen = info(&kernel, "a");
    assert_eq!((seen.inactive_table, seen.suspended), (false, true));
    assert_eq!(live(&kernel, "a"), "0 16 zero");
    load(&kernel, "a", "0 8 zero").unwrap();
    kernel.resume(&id("a")).unwrap();
    assert_eq!(live(&kernel, "a"), "0 8 zero");
}

#[test]
fn the_fault_of_a_resume_waits_for_its_device() {
    let kernel = kernel();
    make(&kernel, "a", "0 8 zero").unwrap();
    kernel.fail_resume_of(&name("b"), Fault::Refuse(Errno::EAGAIN));
    kernel.resume(&id("a")).unwrap();
    let refused = make(&kernel, "b", "0 8 zero").unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::EAGAIN));
    kernel.resume(&id("b")).unwrap();
}

#[test]
fn nothing_changes_after_death() {
    let kernel = kernel();
    kernel.die_after(2);
    let died = make(&kernel, "a", "0 8 zero").unwrap_err();
    assert!(matches!(died, KernelError::Io { .. }), "{died}");
    let left = kernel.state();
    assert!(kernel.remove(&id("a"), Removal::Now).is_err());
    assert!(kernel.create(&name("b"), None).is_err());
    assert_eq!(kernel.state(), left);
    let next = Simulated::new(&left).unwrap();
    let found = info(&next, "a");
    assert_eq!((found.live_table, found.inactive_table), (false, true));
}

#[test]
fn every_call_is_logged_with_its_device() {
    let kernel = kernel();
    make(&kernel, "my disk", "0 8 zero").unwrap();
    kernel.version().unwrap();
    kernel.list().unwrap();
    kernel.targets().unwrap();
    kernel.device(&id("absent"), Slot::Live).unwrap();
    kernel.rename(&name("my disk"), &name("new")).unwrap_or_default();
    let calls = kernel.calls();
    let calls: Vec<(Call, &str)> = calls.iter().map(|(call, device)| (*call, device.as_str())).collect();
    assert_eq!(
        calls,
        [
            (Call::Create, "my disk"),
            (Call::Load, "my disk"),
            (Call::Resume, "my disk"),
            (Call::Version, ""),
            (Call::List, ""),
            (Call::Targets, ""),
            (Call::Table, "absent"),
            (Call::Rename, "my disk"),
        ]
    );
    assert_eq!((kernel.count(Call::List), kernel.count(Call::Remove)), (1, 0));
    kernel.forget_calls();
    assert!(kernel.calls().is_empty());
}
