//! A stack that needs what another stack of the map has: the conflict names that stack, and its way out works.

use crate::lab::Lab;
use crate::plan::{linear, map};

/// A lab after the first of two maps, with the file of the second.
fn lab(before: &str, after: &str) -> (Lab, String) {
    let lab = Lab::new();
    lab.ok(["apply", &lab.write("before.toml", &map(before))]);
    let file = lab.write("after.toml", &map(after));
    (lab, file)
}

/// The options `--stack` in the way out that `plan` tells.
fn way_out(lab: &Lab, args: &[&str]) -> Vec<String> {
    let ended = lab.run(["plan"].iter().chain(args));
    assert_eq!(ended.code, 1, "{ended:?}");
    let told = &ended.stdout;
    assert!(told.contains("of another stack") && !told.contains("no mapping declares"), "{told}");
    assert!(!told.contains("formerly") && !told.contains("prune"), "{told}");
    let (_, way) =
        told.split_once("apply the whole map, or `").unwrap_or_else(|| panic!("no way out in {told}"));
    way.split('`').next().unwrap().split(' ').map(str::to_string).collect()
}

/// Follows the way out of a plan of `args` with the options, and with the whole map.
fn follow(before: &str, after: &str, stacks: &[&str]) {
    let whole = {
        let (lab, file) = lab(before, after);
        lab.ok(["apply", &file, "--allow", "remap"]);
        assert_eq!(lab.ok(["plan", &file]), "Nothing to do.\n");
        lab.ok(["list", "--long"])
    };
    let (lab, file) = lab(before, after);
    let mut args: Vec<String> = vec![file.clone()];
    args.extend(stacks.iter().flat_map(|stack| ["--stack".to_string(), stack.to_string()]));
    // A longer chain is told link by link.
    for _ in 0..4 {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        let options = way_out(&lab, &words);
        args = [file.clone()].into_iter().chain(options).collect();
        let apply = ["apply", "--allow", "remap"].map(str::to_string);
        let ended = lab.run(apply.iter().chain(&args));
        if ended.code == 0 {
            assert_eq!(lab.ok(["plan", &file]), "Nothing to do.\n");
            assert_eq!(lab.ok(["list", "--long"]), whole);
            return;
        }
    }
    panic!("the way out does not end: {args:?}");
}

#[test]
fn sectors_that_another_stack_lets_go() {
    let before = linear("x", 0, 4);
    follow(&before, &format!("{}{}", linear("x", 20, 4), linear("y", 0, 4)), &["y"]);
    let gone = format!("[mappings.x]\nstate = \"absent\"\n{}", linear("y", 0, 4));
    follow(&before, &gone, &["y"]);
    // A prune of the whole map is no hint for a device that is declared.
    let pruned = format!("[policy]\nprune = true\n{}{}", linear("x", 20, 4), linear("y", 2, 4));
    follow(&before, &pruned, &["y"]);
}

#[test]
fn sectors_below_layers_that_go_too() {
    let layer = |key: &str, lower: &str| {
        format!("[mappings.{key}]\ntargets = [{{ type = \"linear\", device = \"@{lower}\" }}]\n")
    };
    let absent = |text: String| text.replacen("]\n", "]\nstate = \"absent\"\n", 1);
    let before = format!("{}{}{}", linear("x", 0, 4), layer("y", "x"), layer("z", "y"));
    let gone = [linear("x", 0, 4), layer("y", "x"), layer("z", "y")].map(absent).concat();
    follow(&before, &format!("{gone}{}", linear("d", 0, 4)), &["d"]);
    // One that goes on elsewhere, and one that stays on the layer below it.
    let moved = format!(
        "{}{}{}{}",
        absent(linear("x", 0, 4)),
        linear("y", 20, 4),
        layer("z", "y"),
        linear("d", 0, 4)
    );
    follow(&before, &moved, &["d"]);
}

#[test]
fn sectors_that_three_stacks_exchange() {
    let before = format!("{}{}{}", linear("x", 0, 4), linear("y", 4, 4), linear("z", 8, 4));
    let turned = format!("{}{}{}", linear("x", 4, 4), linear("y", 8, 4), linear("z", 0, 4));
    follow(&before, &turned, &["x"]);
    let chain = format!("{}{}{}", linear("x", 20, 4), linear("y", 0, 4), linear("z", 4, 4));
    follow(&before, &chain, &["z"]);
}

#[test]
fn names_that_stacks_exchange() {
    let before = format!("{}{}", linear("a", 0, 1), linear("b", 4, 1));
    let named = |key: &str, name: &str| {
        linear(key, if key == "a" { 0 } else { 4 }, 1)
            .replace("targets", &format!("name = \"{name}\"\ntargets"))
    };
    follow(&before, &format!("{}{}", named("a", "b"), named("b", "a")), &["a"]);
    follow(&before, &format!("{}{}", named("a", "b"), named("b", "c")), &["a"]);
}

#[test]
fn the_stacks_that_were_asked_for_stay_in_the_way_out() {
    let before = linear("x", 0, 4);
    let after = format!("{}{}{}", linear("x", 20, 4), linear("y", 0, 4), linear("z", 8, 1));
    let (lab, file) = lab(&before, &after);
    assert_eq!(way_out(&lab, &[&file, "--stack", "z,y"]), ["--stack", "z", "--stack", "y", "--stack", "x"]);
    follow(&before, &after, &["z", "y"]);
}

/// A device is the mapping's also by an earlier key, by a uuid of its own, and while it waits to be taken over.
#[test]
fn a_device_that_another_stack_declares_in_another_way() {
    let formerly = linear("new", 20, 4).replace("targets", "formerly = [\"x\"]\ntargets");
    follow(&linear("x", 0, 4), &format!("{formerly}{}", linear("y", 0, 4)), &["y"]);
    let own = |from| linear("x", from, 4).replace("targets", "uuid = \"own-uuid\"\ntargets");
    follow(&own(0), &format!("{}{}", own(20), linear("y", 0, 4)), &["y"]);

    for words in ["adopt = true", "name = \"taken\"\nrenamed_from = \"x\""] {
        let lab = Lab::new();
        lab.ok(["create", "x", "--table", "0 8192 linear 8:0 0"]);
        lab.edit(|state| state["mappings"][0]["uuid"] = "".into());
        let taker = linear("x", 20, 4).replace("targets", &format!("{words}\ntargets"));
        let file = lab.write("map.toml", &map(&format!("{taker}{}", linear("y", 0, 4))));
        let options = way_out(&lab, &[&file, "--stack", "y"]);
        let apply = ["apply", &file, "--allow", "remap"].map(str::to_string);
        lab.ok(apply.iter().chain(&options));
        assert_eq!(lab.ok(["plan", &file]), "Nothing to do.\n");
    }
}

#[test]
fn a_leftover_is_pruned_by_the_whole_map_only() {
    let (lab, file) = lab(
        &linear("x", 0, 4),
        &format!("[policy]\nprune = true\n{}{}", linear("y", 0, 4), linear("z", 20, 1)),
    );
    let told = lab.run(["plan", &file, "--stack", "y"]).stdout;
    assert!(told.contains("an owned device (DMCTL-lab-x) that no mapping declares"), "{told}");
    assert!(told.contains("or apply without --stack, so that prune = true removes it"), "{told}");
    lab.ok(["apply", &file]);
    assert_eq!(lab.ok(["list"]), "y\nz\n");
}

#[test]
fn the_name_of_a_leftover_is_freed_by_the_whole_map_only() {
    let taken = linear("y", 20, 1).replace("targets", "name = \"x\"\ntargets");
    let (lab, file) = lab(&linear("x", 0, 4), &format!("[policy]\nprune = true\n{taken}"));
    let told = lab.run(["plan", &file, "--stack", "y"]).stdout;
    assert!(told.contains("remove it, or apply without --stack, so that prune = true removes it"), "{told}");
    lab.ok(["apply", &file]);
    assert_eq!(lab.ok(["list"]), "x\n");
    assert_eq!(lab.ok(["plan", &file]), "Nothing to do.\n");
}

#[test]
fn a_leftover_that_nothing_prunes_is_declared_or_pruned() {
    let after = format!("{}{}", linear("y", 0, 4), linear("z", 20, 1));
    let (first, file) = lab(&linear("x", 0, 4), &after);
    let told = first.run(["plan", &file, "--stack", "y"]).stdout;
    assert!(told.contains("or let prune = true remove it, in an apply without --stack"), "{told}");
    assert!(told.contains("write formerly = [\"x\"]"), "{told}");
    let kept = after.replacen("targets", "formerly = [\"x\"]\ntargets", 1);
    first.ok(["apply", &first.write("kept.toml", &map(&kept)), "--stack", "y"]);
    let (second, _) = lab(&linear("x", 0, 4), &after);
    second.ok(["apply", &second.write("pruning.toml", &map(&format!("[policy]\nprune = true\n{after}")))]);
    assert_eq!(second.ok(["list"]), "y\nz\n");
}

/// The conflict is the same one when the saved plan is applied, so that the plan is not stale.
#[test]
fn a_saved_plan_of_a_part_keeps_its_conflicts() {
    let (lab, file) = lab(&linear("x", 0, 4), &format!("{}{}", linear("x", 20, 4), linear("y", 0, 4)));
    let saved = lab.path("plan.json");
    assert_eq!(lab.run(["plan", &file, "--stack", "y", "--out", &saved]).code, 1);
    assert!(!lab.ok(["show", &saved]).to_lowercase().contains("stale"));
    let told = lab.fails(1, ["apply", "--plan", &saved]);
    assert!(told.contains("`--stack y --stack x`"), "{told}");
}

/// The kernel gives a disk to no table while a partition of it is in use.
#[test]
fn a_disk_that_another_stack_lets_go() {
    let lab = Lab::new();
    lab.edit(|state| {
        let disks = state["block_devices"].as_array_mut().unwrap();
        let mut part = disks[0].clone();
        part["number"] = "8:1".into();
        part["paths"] = serde_json::json!(["/dev/sda1"]);
        part["sectors"] = 65536.into();
        part["partition"] = serde_json::json!({ "disk": "8:0", "start": 2048 });
        disks.push(part);
    });
    let before = linear("x", 0, 4).replace("8:0", "8:1");
    lab.ok(["apply", &lab.write("before.toml", &map(&before))]);
    let after = format!("[mappings.x]\nstate = \"absent\"\n{}", linear("y", 50, 4));
    let file = lab.write("after.toml", &map(&after));
    let options = way_out(&lab, &[&file, "--stack", "y"]);
    assert_eq!(options, ["--stack", "y", "--stack", "x"]);
    let apply = ["apply", &file].map(str::to_string);
    lab.ok(apply.iter().chain(&options));
    assert_eq!(lab.ok(["list"]), "y\n");
}

fn layer(key: &str, lower: &str) -> String {
    format!("[mappings.{key}]\ntargets = [{{ type = \"linear\", device = \"@{lower}\" }}]\n")
}

/// A layer that another one replaces: the device above moves from the one to the other, and only then the old one goes.
#[test]
fn a_layer_that_is_replaced_is_made_beside_the_old_one() {
    const ABSENT: &str = "[mappings.x]\nstate = \"absent\"\n";
    const PRUNE: &str = "[policy]\nprune = true\n";
    let before = format!("{}{}", linear("x", 0, 4), layer("d", "x"));
    let after = format!("{}{}", linear("y", 0, 4), layer("d", "y"));
    for (policy, gone) in [("", ABSENT), (PRUNE, "")] {
        let (lab, file) = lab(&before, &format!("{policy}{after}{gone}"));
        let number = lab.json(["info", "d", "--json"])["minor"].clone();
        lab.ok(["apply", &file]);
        assert_eq!(lab.ok(["plan", &file]), "Nothing to do.\n");
        assert_eq!(lab.ok(["list"]), "d\ny\n");
        assert_eq!(lab.json(["info", "d", "--json"])["minor"], number, "it is the same device");
    }
    follow(&before, &format!("{after}{ABSENT}"), &["d"]);
    // Two layers at once, and two devices above one.
    let before = format!("{}{}{}", linear("x", 0, 4), layer("m", "x"), layer("d", "m"));
    let after = format!(
        "{}{}{}{ABSENT}[mappings.m]\nstate = \"absent\"\n",
        linear("y", 0, 4),
        layer("n", "y"),
        layer("d", "n")
    );
    let (lab_of_two, file) = lab(&before, &after);
    lab_of_two.ok(["apply", &file]);
    assert_eq!(lab_of_two.ok(["list"]), "d\nn\ny\n");
    let half = |key: &str, lower: &str, offset: u32| {
        format!(
            "[mappings.{key}]\ntargets = [{{ type = \"linear\", device = \"@{lower}\", offset = {offset}, length = 4096 }}]\n"
        )
    };
    let of = |lower: &str, d: u32, e: u32| {
        format!("{}{}{}", linear(lower, 0, 4), half("d", lower, d), half("e", lower, e))
    };
    for (d, e) in [(0, 4096), (4096, 0)] {
        let (lab, file) = lab(&of("x", 0, 4096), &format!("{}{ABSENT}", of("y", d, e)));
        lab.ok(["apply", &file, "--allow", "remap"]);
        assert_eq!(lab.ok(["plan", &file]), "Nothing to do.\n");
        assert_eq!(lab.ok(["list"]), "d\ne\ny\n");
    }
}

/// What can't be ordered tells a way out that works.
#[test]
fn sectors_that_go_round_are_let_go_of_in_two_parts() {
    let at = |key: &str, disk: &str, lower: &str| {
        linear(key, 0, 4).replace("8:0", if lower.is_empty() { disk } else { lower })
    };
    let before = format!("{}{}", at("a", "8:0", ""), at("b", "8:16", ""));
    let after = |states: [&str; 3]| {
        let state = |text: String, state: &str| text.replace("targets", &format!("{state}targets"));
        let [a, b, below] = states;
        let mappings = [
            state(at("a", "8:16", ""), a),
            state(layer("b", "below"), b),
            state(at("below", "8:0", ""), below),
        ];
        map(&mappings.concat())
    };
    let lab = Lab::new();
    lab.edit(|state| state["block_devices"][1]["read_only"] = false.into());
    lab.ok(["apply", &lab.write("before.toml", &map(&before))]);
    let file = lab.write("after.toml", &after([""; 3]));
    let ended = lab.run(["apply", &file, "--allow", "remap"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let (_, way) = ended.stderr.split_once("first with `state = \"absent\"` for `").unwrap();
    let first = way.split('`').next().unwrap();
    let states = ["a", "b", "below"].map(|key| if key == first { "state = \"absent\"\n" } else { "" });
    lab.write("after.toml", &after(states));
    lab.ok(["apply", &file, "--allow", "remap"]);
    lab.write("after.toml", &after([""; 3]));
    lab.ok(["apply", &file, "--allow", "remap"]);
    assert_eq!(lab.ok(["plan", &file]), "Nothing to do.\n");
}
