//! Whose devices are written, and how.

use std::collections::BTreeSet;

use dmctl::export::{self, Selection};
use dmctl::identity::{DevNum, Owner};
use dmctl::kernel::simulated::Simulated;
use dmctl::plan::Action;

use super::{disk, kernel, mapping, planned};

fn host() -> Simulated {
    let sda = disk(8, 0, "/dev/vda");
    let mut disks = vec![sda];
    disks[0]
        .paths
        .extend(["/dev/disk/by-id/virtio-1".to_string(), "/dev/disk/by-partlabel/data".to_string()]);
    let linear = |minor: u32, name: &str, uuid: Option<&str>| {
        mapping(minor, name, uuid, 8, "linear", &format!("8:0 {}", minor * 8))
    };
    let mut suspended = linear(4, "held", Some("DMCTL-lab-held"));
    suspended.suspended = true;
    let mut shell = linear(5, "shell", Some("DMCTL-lab-shell"));
    shell.live = None;
    let mut going = linear(6, "going", Some("DMCTL-lab-going"));
    (going.deferred_remove, going.open_count) = (true, 1);
    let mappings = vec![
        linear(0, "a\\x20b", Some("DMCTL-lab-spaced")),
        linear(1, "bare", None),
        linear(2, "vg-lv", Some("LVM-abc")),
        mapping(3, "over", Some("some-uuid"), 8, "linear", "254:2 0"),
        suspended,
        shell,
        going,
        linear(7, "raw name", Some("DMCTL-lab-raw")),
        mapping(8, "circle", Some("DMCTL-lab-circle"), 8, "linear", "254:8 0"),
        mapping(9, "orphan", Some("DMCTL-lab-orphan"), 8, "linear", "9:9 0"),
        mapping(10, "twice", Some("DMCTL-lab-twice"), 8, "linear", "8:0 8"),
        mapping(11, "dot.ted", Some("DMCTL-lab-dot.ted"), 8, "zero", ""),
    ];
    kernel(disks, mappings)
}

fn map(kernel: &Simulated, selection: &Selection) -> String {
    export::map(kernel, selection).unwrap()
}

#[test]
fn by_default_all_but_what_other_subsystems_have() {
    let kernel = host();
    let text = map(&kernel, &Selection::default());
    for part in [
        "owner = \"lab\"\n",
        "[mappings.spaced]\nname = \"a b\"\ntargets = [\n  { type = \"linear\", length = \"4KiB\", device = \"/dev/disk/by-partlabel/data\" },\n]",
        "[mappings.bare]\nshared = true\nadopt = true\n",
        "[mappings.twice]\nshared = true\n",
        "[mappings.over]\nuuid = \"some-uuid\"\ntargets = [\n  { type = \"linear\", length = \"4KiB\", device = \"/dev/mapper/vg-lv\" },\n]",
        "[mappings.held]\nstate = \"suspended\"\n",
        "[mappings.\"dot.ted\"]\n",
        "# Left out: vg-lv (254:2), a device of LVM; name it to have it, too.",
        "# Left out: shell (254:5): it has no table",
        "# Left out: raw name (254:7): its name is not mangled as libdevmapper does: it would become `raw\\x20name`",
        "# Left out: orphan (254:9): the lower device 9:9 does not exist",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    for name in ["going", "circle"] {
        assert!(text.contains(&format!("# Left out: {name} ")), "{text}");
    }
    let plan = planned(&kernel, &text);
    assert!(plan.conflicts.is_empty());
    let steps: Vec<(Action, String)> =
        plan.steps.iter().map(|step| (step.action(), step.name.to_string())).collect();
    // What a crash left half made, any apply of its owner takes away.
    let expected = [(Action::SetUuid, "bare".to_string()), (Action::Remove, "shell".to_string())];
    assert_eq!(steps, expected, "{text}");
}

#[test]
fn a_device_that_is_named_is_written_whoever_has_it() {
    let kernel = host();
    let only = Some(BTreeSet::from([DevNum::new(254, 2), DevNum::new(254, 3)]));
    let text = map(&kernel, &Selection { only, owner: None });
    assert!(text.contains("[mappings.vg-lv]\nuuid = \"LVM-abc\"\n"), "{text}");
    assert!(text.contains("device = \"@vg-lv\"") && !text.contains("Left out"), "{text}");
    assert!(planned(&kernel, &text).is_empty());
}

#[test]
fn of_one_owner_only_what_it_has() {
    let kernel = host();
    let text = map(&kernel, &Selection { only: None, owner: Some(Owner::new("lab").unwrap()) });
    assert!(text.contains("[mappings.spaced]") && !text.contains("bare") && !text.contains("over"), "{text}");
    let none = map(&kernel, &Selection { only: None, owner: Some(Owner::new("nobody").unwrap()) });
    assert!(none.contains("owner = \"nobody\"") && planned(&kernel, &none).is_empty(), "{none}");
}

#[test]
fn several_owners_keep_their_uuids() {
    let zero = |minor, name: &str, uuid: &str| mapping(minor, name, Some(uuid), 8, "zero", "");
    let kernel = kernel(
        Vec::new(),
        vec![zero(0, "x", "DMCTL-one-x"), zero(1, "y", "DMCTL-two-x"), zero(2, "z", "DMCTL-dmctl-x")],
    );
    let text = map(&kernel, &Selection::default());
    assert!(!text.contains("owner =") && text.contains("uuid = \"DMCTL-one-x\""), "{text}");
    assert!(planned(&kernel, &text).is_empty(), "{text}");
}
