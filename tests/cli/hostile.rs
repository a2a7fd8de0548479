//! Names and uuids that are not UTF-8, or hold characters that would act on a terminal: escaped in every output, and left
//! out of none.

use serde_json::json;

use super::lab::{self, Ended, Lab};

/// A kernel with a device for each kind of name, one behind the other on `/dev/sda`.
fn lab() -> Lab {
    let lab = Lab::new();
    let devices = [
        json!({ "name": "a\\xff", "name_is_bytes": true, "uuid": "raw-\\xfe", "uuid_is_bytes": true }),
        // The name that has the mangled form itself.
        json!({ "name": "a\\xff", "uuid": null }),
        json!({ "name": "clears\u{1b}[2J", "uuid": "c1\u{9b}2J" }),
        json!({ "name": "turns\u{202e}gpj", "uuid": "DMCTL-lab-\u{2066}" }),
        json!({ "name": "plain", "uuid": "DMCTL-lab-\\xff", "uuid_is_bytes": true }),
    ];
    lab.edit(|state| {
        for (n, mut device) in devices.into_iter().enumerate() {
            device["number"] = format!("254:{n}").into();
            let params = format!("8:0 {}", n * 8);
            device["live"] = json!([{ "start": 0, "length": 8, "type": "linear", "params": params }]);
            state["mappings"].as_array_mut().unwrap().push(device);
        }
    });
    lab
}

fn map(lab: &Lab) -> String {
    let text = "format = 1\nowner = \"lab\"\npolicy = { prune = true }\n[mappings.x]\n\
                targets = [{ type = \"linear\", length = 8, device = \"/dev/sda\" }]\n";
    lab.write("map.toml", text)
}

/// Runs a verb; no output of it may act on a terminal.
fn run(lab: &Lab, arguments: &[&str]) -> Ended {
    let ended = lab.run(arguments);
    let acts = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2066}\u{fffd}".contains(c);
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains(acts), "{arguments:?}: {text:?}");
    }
    ended
}

#[test]
fn every_output_escapes_them_and_has_all() {
    let (lab, shown) = (lab(), [r"a\xff", r"clears\u{1b}[2J", r"turns\u{202e}gpj", "plain"]);
    let map = map(&lab);
    for (arguments, parts) in [
        (vec!["list"], &shown[..]),
        (
            vec!["list", "--long"],
            &[r" raw-\xfe ", r" c1\u{9b}2J ", r" DMCTL-lab-\u{2066} ", r" DMCTL-lab-\xff "],
        ),
        (vec!["graph"], &shown),
        (vec!["graph", "--format", "dot"], &[r"a\\xff", r"turns\\u{202e}gpj", "plain"]),
        (vec!["graph", "--format", "mermaid"], &["a#92;xff", "plain"]),
        (vec!["graph", "--format", "svg"], &["plain"]),
        (vec!["graph", &map], &shown),
        (vec!["status"], &[r"turns\u{202e}gpj", "plain"]),
        (vec!["plan", &map], &[r"`a\xff` (254:0), a device with the uuid raw-\xfe, writes too"]),
        (vec!["plan", &map, "--format", "markdown"], &["raw-"]),
        (vec!["plan", &map, "--format", "html"], &["raw-"]),
        (vec!["status", &map], &["x "]),
        (
            vec!["export"],
            &[
                "name = 'a\\xff'",
                r"Left out: a\xff (254:0): its name is not UTF-8 text",
                "Left out: plain (254:4): its uuid is not",
            ],
        ),
        (vec!["export", "--format", "json"], &["name_is_bytes", "uuid_is_bytes"]),
        (vec!["export", "--format", "concise"], &[]),
        (vec!["apply", &map, "-vvv"], &[]),
    ] {
        let ended = run(&lab, &arguments);
        for part in parts {
            assert!(ended.stdout.contains(part), "{arguments:?}: {part:?} is missing in {}", ended.stdout);
        }
    }
    let refused = run(&lab, &["export", "--format", "dm-init"]);
    assert!(refused.stderr.contains(r"a\xff: its name is not UTF-8 text"), "{refused:?}");
    assert!(refused.stderr.contains("plain: its uuid is not UTF-8 text"), "{refused:?}");
}

#[test]
fn json_has_the_escaped_form_and_is_the_same_data() {
    let lab = lab();
    let list = serde_json::from_str::<serde_json::Value>(&run(&lab, &["list", "--json"]).stdout).unwrap();
    let names: Vec<&str> =
        list["mappings"].as_array().unwrap().iter().filter_map(|entry| entry["name"].as_str()).collect();
    assert_eq!(names, [r"a\xff", r"a\xff", "clears\u{1b}[2J", "plain", "turns\u{202e}gpj"]);
    // An export of the whole kernel is that kernel.
    let host = run(&lab, &["export", "--format", "json"]).stdout;
    let copy = lab.write("copy.json", &host);
    let again = lab::ended(lab::dmctl().args(["--kernel", &copy, "export", "--format", "json"]));
    assert_eq!(again.stdout, host);
}

#[test]
fn verbs_take_the_form_that_is_shown() {
    let lab = lab();
    let number = |name: &str| format!("{}:{}", lab.field(name, "major"), lab.field(name, "minor"));
    // The name that is those characters comes first, as with dmsetup.
    assert_eq!(number(r"a\xff"), "254:1");
    assert_eq!(number(r"a\xFF"), "254:0");
    assert_eq!(number(r"clears\x1b[2J"), "254:2");
    assert_eq!(number(r"clears\u{1b}[2J"), "254:2");
    assert_eq!(number(r"turns\xe2\x80\xaegpj"), "254:3");
    lab.ok(["remove", r"a\xff"]);
    assert_eq!(number(r"a\xff"), "254:0");
    for arguments in [&["suspend", r"a\xff"][..], &["resume", r"a\xff"], &["rename", r"a\xff", "fine"]] {
        lab.ok(arguments);
    }
    assert_eq!(lab.field("fine", "uuid"), r"raw-\xfe");
    assert!(lab.ok(["export"]).contains("Left out: fine (254:0): its uuid is not UTF-8 text"));
    lab.ok(["remove", "fine"]);
}

#[test]
fn a_map_may_have_a_name_that_turns_the_writing_direction() {
    let lab = Lab::new();
    lab.ok(["create", "turns\u{202e}gpj", "--table", "0 8 linear 8:0 0"]);
    let exported = run(&lab, &["export"]).stdout;
    assert!(exported.contains(r#"name = "turns\U0000202Egpj""#), "{exported}");
    let map = lab.write("exported.toml", &exported);
    assert!(
        run(&lab, &["plan", &map]).stdout.contains("set its uuid") || run(&lab, &["plan", &map]).code == 0
    );
}

#[test]
fn a_path_or_a_word_adds_no_line_and_moves_no_cursor() {
    let lab = lab();
    lab.write("a\nerror: b", "{");
    let path = lab.path("a\nerror: b");
    std::fs::write(lab.path("no\nfolder"), "").unwrap();
    let no_folder = lab.path("no\nfolder");
    let ended = lab::ended(lab::dmctl().args(["--kernel", &path, "list"]));
    assert!(ended.code == 1 && ended.stderr.contains(r"a\u{a}error: b"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("\nerror: b"), "{}", ended.stderr);
    for arguments in [
        &["simulate", &path][..],
        &["simulate", &lab.path("absent\nfolder/x")],
        &["man", &no_folder],
        &["units", &no_folder, "--map", &map(&lab)],
        &["--udev-timeout", "d/a\u{9b}b\u{202e}\nerror: c", "list"],
        &["--udev-timeout=d\nerror: c", "list"],
        &["li\nst"],
        &["list", "--x\ny"],
        &["list", "\n"],
        &["list", "a\nerror: \u{1b}[2Jb"],
        &["repair", "--owner", "a\nerror: \u{1b}[2Jb"],
        &["apply", "--stack=a,b\nerror: \u{1b}[2Jb"],
    ] {
        let ended = run(&lab, arguments);
        assert_ne!(ended.code, 0, "{arguments:?}");
        let lines: Vec<&str> = ended.stderr.lines().collect();
        assert_eq!(lines.iter().filter(|line| line.starts_with("error: ")).count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(r"\u{a}"), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn the_path_of_a_map_that_is_not_there_again_adds_no_line() {
    let lab = Lab::new();
    let text = format!(
        "format = 1\nowner = \"lab\"\n[mappings.x]\ntargets = [{{ type = \"crypt\", length = 8, cipher = \"aes-cbc-plain\", \
         key = {{ hex = \"{}\" }}, device = \"/dev/sda\" }}]\n",
        "5e".repeat(16)
    );
    let (pipe, plan) = (lab.path("a\nerror: b"), lab.path("plan.json"));
    nix::unistd::mkfifo(pipe.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, text).unwrap()
    });
    let ended = run(&lab, &["plan", "--out", &plan, &pipe]);
    writer.join().unwrap();
    assert!(ended.code == 1 && ended.stderr.contains("which can't be read again"), "{ended:?}");
    assert!(!ended.stderr.contains("\nerror: b"), "{ended:?}");
}

#[test]
fn the_path_of_a_key_file_or_a_credential_adds_no_line_and_moves_no_cursor() {
    let crypt = |key: &str| {
        format!(
            "format = 1\nowner = \"lab\"\n[mappings.x]\nboot = [\"x-initrd.attach\"]\ntargets = [{{ type = \"crypt\", \
             length = 8, cipher = \"aes-cbc-plain\", key = {key}, device = \"/dev/sda\" }}]\n"
        )
    };
    let verbs = [
        &["plan"][..],
        &["plan", "--format", "html"],
        &["plan", "--format", "json"],
        &["apply"],
        &["status"],
        &["graph"],
        &["stacks", "--show", "key-files"],
        &["stacks", "--json"],
    ];
    let lab = Lab::new();
    let credentials = lab.path("a\nerror: \u{1b}[2J\u{9b}b\u{202e}");
    let key = lab.path("tur\u{202e}ned");
    let plants: [fn(&str); 4] = [
        |_| (),
        |path| std::fs::write(path, "").unwrap(),
        |path| std::fs::write(path, "x".repeat(5000)).unwrap(),
        |path| std::fs::create_dir(path).unwrap(),
    ];
    for (source, path) in [
        (format!("{{ file = \"{key}\" }}"), key.clone()),
        (format!("{{ file = \"{key}\", encoding = \"hex\" }}"), key.clone()),
        ("{ credential = \"disk\" }".to_string(), format!("{credentials}/disk")),
    ] {
        for plant in plants {
            std::fs::create_dir_all(&credentials).unwrap();
            plant(&path);
            let map = lab.write("map.toml", &crypt(&source));
            for verb in verbs {
                let mut dmctl = lab::dmctl();
                dmctl.args(["--kernel", &lab.path("state.json")]).args(verb).arg(&map);
                let ended = lab::ended(dmctl.env("CREDENTIALS_DIRECTORY", &credentials));
                for text in [&ended.stdout, &ended.stderr] {
                    let acts = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{fffd}".contains(c);
                    assert!(!text.contains(acts) && !text.contains("\nerror: \\u{1b}"), "{verb:?}: {text:?}");
                }
            }
            let _ = std::fs::remove_file(&path);
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}
