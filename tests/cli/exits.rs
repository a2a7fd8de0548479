//! Every exit code that a verb for one device can end with, and that nothing changed when it says so.

use crate::lab::{Lab, dmctl, ended};

/// A stack: `top` uses `data`.
fn stack() -> Lab {
    let lab = Lab::with(&["data", "top"]);
    lab.ok(["reload", "top", "--table", "0 8 linear /dev/mapper/data 0"]);
    lab
}

#[test]
fn errors_found_beforehand_are_1_and_change_nothing() {
    let lab = Lab::with(&["data"]);
    let before = std::fs::read_to_string(lab.state()).unwrap();
    for (args, says) in [
        (vec!["create", "data", "--table", "0 8 zero"], "the name `data` is taken by device 254:0"),
        (
            vec!["create", "new", "--uuid", "uuid-of-data", "--table", "0 8 zero"],
            "is taken by `data` (254:0)",
        ),
        (vec!["create", "a/b", "--table", "0 8 zero"], "it holds `/`"),
        (vec!["create", "new", "--table", ""], "the table has no row"),
        (vec!["create", "new"], "the table has no row"),
        (vec!["create", "new", "--table", "0 8 zero\n9 8 zero"], "line 2: this target starts at 9"),
        (
            vec!["create", "new", "--table", "0 8 zero\n8 8 linear /dev/nope 0"],
            "row 2: there is no block device `/dev/nope`",
        ),
        (vec!["create", "new", "--table", "0 8 linear @data 0"], "row 1: `@data` is a key"),
        (
            vec!["reload", "data", "--table", "0 8 linear /dev/mapper/data 0"],
            "row 1: `data` would depend on itself",
        ),
        (vec!["reload", "dtaa", "--table", "0 8 zero"], "did you mean `data`?"),
        (vec!["rename", "data", "a/b"], "it holds `/`"),
        (vec!["rename", "nothing", "new"], "there is no device `nothing`"),
        (vec!["suspend", "nothing"], "there is no device"),
        (vec!["resume", "nothing"], "there is no device"),
        (vec!["remove", "nothing"], "there is no device"),
        (vec!["table", "nothing"], "there is no device"),
    ] {
        let stderr = lab.fails(1, &args);
        assert!(stderr.contains(says), "{args:?}: {stderr}");
        assert_eq!(std::fs::read_to_string(lab.state()).unwrap(), before, "{args:?}");
    }
}

#[test]
fn a_table_that_leads_back_through_others_is_1() {
    let lab = stack();
    let stderr = lab.fails(1, ["reload", "data", "--table", "0 8 linear /dev/mapper/top 0"]);
    assert!(stderr.contains("row 1: `data` would depend on itself, through top (254:1)"), "{stderr}");
}

#[test]
fn a_device_in_use_is_3_and_its_user_is_named() {
    let lab = stack();
    let stderr = lab.fails(3, ["remove", "data"]);
    assert!(stderr.contains("`data` is in use: `top` (254:1) depends on it"), "{stderr}");
    assert_eq!(lab.ok(["list"]), "data\ntop\n");
}

#[test]
fn devices_of_other_subsystems_are_3_unless_asked_for() {
    for uuid in [
        "LVM-abc",
        "CRYPT-LUKS2-abc-x",
        "mpath-3600",
        "part1-mpath-3600",
        "part1-devnode_7:6_Wh5pYvM",
        "stratis-1-x",
        "VDO-1",
    ] {
        let lab = Lab::with(&["data"]);
        lab.edit(|state| state["mappings"][0]["uuid"] = uuid.into());
        let verbs: [&[&str]; 5] = [
            &["suspend", "data"],
            &["resume", "data"],
            &["reload", "data", "--table", "0 8 zero"],
            &["rename", "data", "new"],
            &["remove", "new"],
        ];
        for verb in verbs {
            let stderr = lab.fails(3, verb);
            assert!(stderr.contains(uuid) && stderr.contains("--foreign"), "{stderr}");
            lab.ok(verb.iter().chain(&["--foreign"]));
        }
        assert_eq!(lab.ok(["list"]), "");
        // Such a device can be made; it is told whose it will look like.
        let stderr = lab.run(["create", "new", "--uuid", uuid, "--table", "0 8 zero"]).stderr;
        assert!(stderr.contains("warning") && stderr.contains("--foreign"), "{stderr}");
    }
}

#[test]
fn a_refusal_of_the_kernel_is_6_with_all_as_it_was() {
    let lab = Lab::with(&["data"]);
    for (args, says) in [
        (vec!["create", "new", "--table", "0 8 linear 9:9 0"], "row 1: there is no block device 9:9"),
        (vec!["create", "new", "--table", "0 8 linear 8:0"], "row 1: word 2 of the parameters"),
        (vec!["create", "new", "--table", "0 8 nonsense"], "the kernel has no target type `nonsense`"),
        (
            vec!["reload", "data", "--table", "0 8 linear /dev/sda 131071"],
            "8:0 has 131072 sectors, this row uses it up to sector 131079",
        ),
    ] {
        let stderr = lab.fails(6, &args);
        assert!(stderr.contains(says), "{args:?}: {stderr}");
        assert_eq!(lab.ok(["list"]), "data\n", "{args:?}");
        assert_eq!(lab.ok(["table", "data"]), "0 8 linear 8:0 0\n", "{args:?}");
        assert_eq!(lab.field("data", "suspended"), "false", "{args:?}");
        assert_eq!(lab.field("data", "inactive_table"), "false", "{args:?}");
    }
}

#[test]
fn wrong_usage_is_64() {
    let lab = Lab::new();
    let usages: [&[&str]; 11] = [
        &[],
        &["no-such-verb"],
        &["list", "--no-such-option"],
        &["list", "too", "many"],
        &["info"],
        &["rename", "data"],
        &["list", "--format", "yaml"],
        &["list", "--color", "sometimes"],
        &["list", "--udev", "maybe"],
        &["list", "--lock-timeout", "soon"],
        &["simulate", "other.json", "--disk", "/dev/sda"],
    ];
    for args in usages {
        let ended = lab.run(args);
        assert_eq!((ended.code, ended.stdout.as_str()), (64, ""), "{args:?}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{args:?}");
    }
    assert!(!lab.has("other.json"));
}

#[test]
fn help_and_version_are_data() {
    for args in [["--help"], ["--version"]] {
        let ended = ended(dmctl().args(args));
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{args:?}");
        assert!(ended.stdout.contains("dmctl"), "{args:?}");
    }
    let help = ended(dmctl().args(["create", "--help"])).stdout;
    assert!(help.contains("dmctl create data --table '0 2048 linear /dev/sda 0'"), "{help}");
}

#[test]
fn a_kernel_that_is_none_is_1() {
    let lab = Lab::new();
    std::fs::write(lab.state(), "{").unwrap();
    assert!(lab.fails(1, ["list"]).contains("state.json"));
    std::fs::remove_file(lab.state()).unwrap();
    assert!(lab.fails(1, ["list"]).contains("state.json"));
    assert!(lab.fails(1, ["remove", "data"]).contains("state.json"));
    assert!(!lab.has("state.json.lock"), "no lock is left beside a file that is not there");
}
