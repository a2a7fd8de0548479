//! The volumes of a thin pool are made by the pool, before they are loaded.

use std::collections::BTreeSet;

use dmctl::apply::{self, ApplyError, Options, Silent};
use dmctl::config;
use dmctl::identity::Name;
use dmctl::kernel::simulated::{Simulated, State};
use dmctl::kernel::{Call, ChangeKernel, Id, Removal};
use dmctl::plan;
use dmctl::policy::Class;

const POOL: &str = "[mappings.pool]\ntargets = [{ type = 'thin-pool', length = 4096, metadata = '/dev/sda', data = '/dev/sdb', block_size = 128 }]\n";
const ONE: &str =
    "[mappings.one]\ntargets = [{ type = 'thin', length = 1024, pool = '@pool', id = 1, create = true }]\n";
const COPY: &str = "[mappings.copy]\ntargets = [{ type = 'thin', length = 1024, pool = '@pool', id = 2, snapshot_of = 1 }]\n";

fn kernel() -> Simulated {
    let disks = ["/dev/sda=65536".parse().unwrap(), "/dev/sdb=65536".parse().unwrap()];
    Simulated::new(&State::from_disks(&disks).unwrap()).unwrap()
}

/// Applies a map, and gives the changing calls that it took: `suspend one`.
fn apply(kernel: &Simulated, text: &str) -> Result<Vec<String>, ApplyError> {
    let map = config::parse_str("map.toml", &format!("format = 1\n{text}")).map.expect("a valid map");
    let plan = plan::plan(kernel, &map, &BTreeSet::from(Class::ALL)).unwrap();
    kernel.forget_calls();
    apply::apply(kernel, &plan, Options::default(), &mut Silent)?;
    let reading =
        |call| matches!(call, Call::Version | Call::List | Call::Targets | Call::Table | Call::Status);
    let calls = kernel.calls().into_iter().filter(|(call, _)| !reading(*call));
    Ok(calls.map(|(call, device)| format!("{call:?} {device}").to_lowercase()).collect())
}

#[test]
fn a_volume_that_is_there_already_is_made_only_once() {
    let kernel = kernel();
    let text = [POOL, ONE].concat();
    let calls = apply(&kernel, &text).unwrap();
    assert_eq!(calls[3..], ["message pool", "create one", "load one", "resume one"]);
    assert!(apply(&kernel, &text).unwrap().is_empty());
    // As after a boot: the pool knows the volume, and no device serves it.
    kernel.remove(&Id::Name(Name::new("one").unwrap()), Removal::Now).unwrap();
    assert_eq!(apply(&kernel, &text).unwrap(), ["create one", "load one", "resume one"]);
    // A device of that volume that only grows needs no message.
    let calls = apply(&kernel, &text.replace("1024", "2048")).unwrap();
    assert_eq!(calls, ["load one", "resume one"]);
}

#[test]
fn a_volume_that_is_in_use_stands_still_while_it_is_copied() {
    let kernel = kernel();
    apply(&kernel, &[POOL, ONE].concat()).unwrap();
    let calls = apply(&kernel, &[POOL, ONE, COPY].concat()).unwrap();
    let expected = ["suspend one", "message pool", "resume one", "create copy", "load copy", "resume copy"];
    assert_eq!(calls, expected);
}

#[test]
fn a_volume_that_somebody_else_uses_is_not_copied_behind_their_back() {
    let kernel = kernel();
    apply(&kernel, &[POOL, ONE].concat()).unwrap();
    let before = kernel.state();
    let error = apply(&kernel, &[POOL, COPY].concat()).unwrap_err().to_string();
    assert!(error.contains("`dmctl suspend one`") && error.contains("put back"), "{error}");
    assert_eq!(kernel.state(), before);
}
