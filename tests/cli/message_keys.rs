//! A message that hands a key to its target is a secret: it is in no output and in no saved plan.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::lab::Lab;

const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A map of two targets that are sent a key: one of the type that takes them, and one of a type that is not known.
fn map(message: &str, unknown: &str) -> String {
    format!(
        "format = 1\nowner = \"lab\"\n\
         [mappings.c]\ntargets = [{{ type = \"crypt\", length = \"1MiB\", cipher = \"aes-xts-plain64\", device = \"/dev/sda\", \
         key = {{ keyring = \"logon:a\", bytes = 64 }}, messages = [\"{message}\"] }}]\n\
         [mappings.f]\ntargets = [{{ type = \"future\", length = 8, params = \"1\", messages = [\"{unknown}\"] }}]\n"
    )
}

fn hides(command: &[&str], text: &str) {
    for key in [&KEY[..16], &KEY[48..], "0f\\\\1e"] {
        assert!(!text.to_lowercase().contains(key), "{command:?}: {text}");
    }
}

#[test]
fn a_key_in_a_message_is_in_no_output() {
    for (message, unknown) in [
        (format!("key set {KEY}"), format!("load {KEY}")),
        (format!("KEY  Set {}", KEY.to_uppercase()), format!("load x={}", KEY.to_uppercase())),
        (format!("key set {}", KEY.replace("1e", "\\\\1e")), format!("load {}", KEY.replace("1e", "\\\\1e"))),
        (format!("key set :32:{KEY}"), format!("@stats_create - /1 {KEY}")),
        ("key wipe".to_string(), format!("Key set {}", &KEY[..20])),
    ] {
        let lab = Lab::new();
        let path = lab.write("map.toml", &map(&message, &unknown));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let saved = lab.path("plan.json");
        for command in [
            &["validate", &path][..],
            &["plan", &path],
            &["plan", &path, "-vvv", "--json"],
            &["plan", &path, "--format", "html"],
            &["plan", &path, "--format", "markdown"],
            &["plan", &path, "--out", &saved],
            &["show", &saved],
            &["show", &saved, "--json"],
            &["status", &path],
            &["status", &path, "--json"],
            &["graph", &path],
            &["graph", &path, "--json"],
            &["apply", &path, "-vvv"],
            &["apply", &path, "--json"],
            &["apply", "--plan", &saved],
            &["repair"],
            &["export"],
            &["export", "--format", "json"],
        ] {
            let ended = lab.run(command);
            hides(command, &ended.stdout);
            hides(command, &ended.stderr);
        }
        let plan = fs::read_to_string(&saved).unwrap();
        hides(&["the saved plan"], &plan);
        assert!(plan.contains("<secret>") && plan.contains("map_keys"), "{plan}");
    }
}

#[test]
fn a_map_with_a_key_in_a_message_holds_a_key() {
    let lab = Lab::new();
    for (message, unknown, holds) in [
        (format!("key set {KEY}"), "x".to_string(), true),
        ("key set beef".to_string(), "x".to_string(), true),
        ("key wipe".to_string(), format!("load {KEY}"), true),
        ("key set :32:logon:a".to_string(), format!("load {}", &KEY[..31]), false),
    ] {
        let path = lab.write("map.toml", &map(&message, &unknown));
        for (mode, told) in [(0o644, holds), (0o600, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let ended = lab.run(["validate", &path]);
            assert_eq!(ended.stderr.contains("holds a key"), told, "{message} {mode:o}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_saved_plan_knows_the_key_of_a_message_again() {
    let lab = Lab::new();
    let write = |key: &str| {
        let dust = "type = \"dust\", length = \"1MiB\", device = \"/dev/sda\", block_size = 512";
        let row = format!("targets = [{{ {dust}, messages = [\"enable {key}\"] }}]");
        let path = lab.write("map.toml", &format!("format = 1\nowner = \"lab\"\n[mappings.d]\n{row}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let path = write(KEY);
    let saved = lab.path("plan.json");
    assert_eq!(lab.run(["plan", &path, "--out", &saved]).code, 0);
    let fresh = lab.run(["show", &saved, "--detailed-exitcode"]);
    assert_eq!(fresh.code, 2, "{}", fresh.stderr);
    write(&KEY.replace("0f", "ff"));
    let stale = lab.run(["apply", "--plan", &saved]);
    assert_eq!(stale.code, 4, "{}", stale.stderr);
    assert!(stale.stderr.contains("a key in the files of the map is another one now"), "{}", stale.stderr);
    hides(&["apply"], &stale.stderr);
    let stdin = lab.run_with(["plan", "-", "--out", &saved], &fs::read(&path).unwrap());
    assert!(stdin.code == 1 && stdin.stderr.contains("standard input"), "{}", stdin.stderr);
}

#[test]
fn a_mistake_beside_such_a_message_shows_no_key() {
    let lab = Lab::new();
    for message in [format!("key set {KEY}"), "key set 0f\\\\1e2d3c4b5a6978".to_string()] {
        let good = map(&message, "x");
        for text in [
            good.replace("cipher = ", "ciphers = "),
            good.replace("messages = [", "messages = [1, "),
            good.replace("messages = [", "message = ["),
            good.replace("] }]\n[mappings.f]", "\n[mappings.f]"),
            good.replace("messages = [", "messages = [\"\", "),
        ] {
            let path = lab.write("map.toml", &text);
            let ended = lab.run(["validate", &path]);
            assert_eq!(ended.code, 1, "{text}");
            hides(&["validate"], &ended.stderr);
        }
    }
}

#[test]
fn a_key_in_the_wrong_form_or_place_is_in_no_error() {
    let lab = Lab::new();
    let good = map("key wipe", "x");
    for key in
        ["{ hex = 0x0f1e2d3c4b5a697 }", "{hex=0f1e2d3c4b5a6978}", "0x0f1e2d3c4b5a697", "{hex=[0x0f1e, 12]}"]
    {
        let text = good.replace("{ keyring = \"logon:a\", bytes = 64 }", key);
        let path = lab.write("map.toml", &text);
        for command in [&["validate", &path][..], &["plan", &path, "--json"], &["apply", &path]] {
            let ended = lab.run(command);
            let all = ended.stdout + &ended.stderr;
            assert!(
                ended.code == 1 && all.contains("**") && !all.contains("0f1e"),
                "{command:?} {key}: {all}"
            );
        }
    }
    for digits in [20, 64] {
        let key = &KEY[..digits];
        for table in [
            format!("0 8 linear {key} 0"),
            format!("0 8 linear /dev/sda {key}"),
            format!("0 8 striped 1 8 {key} 0"),
            format!("0 8 {key} linear"),
            format!("0 {key} linear /dev/sda 0"),
            format!("{key} 8 linear /dev/sda 0"),
        ] {
            for ended in [
                lab.run(["create", "n", "--table", &table]),
                lab.run_with(["create", "n"], table.as_bytes()),
                lab.run(["import-concise", &format!("n,,,rw,{table}")]),
            ] {
                assert!(ended.code != 0 && !ended.stderr.contains(&key[..16]), "{table}: {ended:?}");
            }
        }
    }
}
