//! Devices that are swapped together, with mappings between them that keep their tables: a file system on the upper one is
//! frozen before the lower one is suspended, and thawed after it is resumed. The kernel would hang otherwise.

use std::collections::BTreeSet;

use dmctl::apply::{self, Options, Silent};
use dmctl::config::{self, Map};
use dmctl::kernel::simulated::{Simulated, State};
use dmctl::plan;
use dmctl::policy::Class;

fn map(text: &str) -> Map {
    let loaded = config::parse_str("map", &format!("format = 1\nowner = \"lab\"\n{text}"));
    let problems = loaded.render();
    loaded.map.unwrap_or_else(|| panic!("{problems}"))
}

/// Mappings of one linear row: key, length, device.
fn linears(all: &[[&str; 3]]) -> String {
    let one = |[key, length, device]: &[&str; 3]| {
        format!(
            "[mappings.{key}]\ntargets = [{{ type = \"linear\", length = \"{length}\", device = \"{device}\" }}]\n"
        )
    };
    all.iter().map(one).collect()
}

/// Applies one map, mounts `d`, applies the other, and goes back; the last plans must be empty.
fn follows(before: &str, after: &str) {
    let (before, after) = (map(before), map(after));
    let disks = ["/dev/ram0=64MiB", "/dev/ram1=64MiB"].map(|disk| disk.parse().unwrap());
    let kernel = Simulated::new(&State::from_disks(&disks).unwrap()).unwrap();
    run(&kernel, &before);
    let mut state = kernel.state();
    state.mappings.iter_mut().find(|mapping| mapping.name == "d").unwrap().mounts = vec!["/srv".to_string()];
    let kernel = Simulated::new(&state).unwrap();
    run(&kernel, &after);
    run(&kernel, &before);
}

fn run(kernel: &Simulated, map: &Map) {
    let steps = plan::plan(kernel, map, &BTreeSet::from(Class::ALL)).unwrap();
    apply::apply(kernel, &steps, Options::default(), &mut Silent).unwrap_or_else(|error| panic!("{error}"));
    assert!(plan::plan(kernel, map, &BTreeSet::new()).unwrap().is_empty());
}

#[test]
fn a_stack_grows_above_and_below_one_that_stays() {
    let stack = |w: &str, v: &str| {
        let linears = linears(&[
            ["w", w, "/dev/ram0"],
            ["v", v, "@w"],
            ["u", v, "@v"],
            ["y", v, "@u"],
            ["m", "16MiB", "@y"],
        ]);
        format!(
            "{linears}[mappings.n]\ntargets = [{{ type = \"linear\", device = \"@w\", offset = \"32MiB\" }}]\n\
             [mappings.d]\ntargets = [{{ type = \"linear\", device = \"@m\" }}, {{ type = \"linear\", device = \"@n\" }}]\n"
        )
    };
    follows(&stack("48MiB", "20MiB"), &stack("60MiB", "24MiB"));
}

#[test]
fn one_moves_above_another_that_stays() {
    for (y, x) in [("/dev/ram1", "/dev/ram0"), ("/dev/ram0", "/dev/ram1")] {
        let before = [
            ["y", "16MiB", "/dev/ram0"],
            ["z", "16MiB", "@y"],
            ["x", "16MiB", "/dev/ram1"],
            ["d", "16MiB", "@x"],
        ];
        let length = if y == "/dev/ram0" { "20MiB" } else { "16MiB" };
        let after = [["y", length, y], ["z", "16MiB", "@y"], ["x", length, x], ["d", "16MiB", "@z"]];
        follows(&linears(&before), &linears(&after));
    }
}

#[test]
fn three_turn_around_above_one_that_stays() {
    let before =
        [["y", "16MiB", "/dev/ram0"], ["z", "16MiB", "@y"], ["x", "16MiB", "@z"], ["d", "16MiB", "@x"]];
    let after =
        [["x", "16MiB", "/dev/ram0"], ["y", "16MiB", "@x"], ["z", "16MiB", "@y"], ["d", "16MiB", "@z"]];
    follows(&linears(&before), &linears(&after));
}
