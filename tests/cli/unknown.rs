//! Rows of a target type that dmctl does not know: what may be a key in them is in no output.

use super::lab::Lab;

const KEY: &str = "00112233445566778899aabbccddeeff";

/// A kernel with a live row of an unknown type: one key as a word, one within a word, and shorter hex.
fn lab() -> Lab {
    let lab = Lab::new();
    let upper = KEY.to_uppercase();
    let params = format!("aes-xts-plain64 {KEY}{KEY} 0 8:0 0 2 mac:hmac:{upper}:1 {}", &KEY[1..]);
    lab.edit(|state| {
        state["kernel"]["targets"]["default-key"] = "1.0.0".into();
        state["mappings"] = serde_json::json!([{
            "name": "v", "uuid": "DMCTL-lab-v", "number": "254:0",
            "live": [{ "start": 0, "length": 8, "type": "default-key", "params": params }],
        }]);
    });
    lab
}

fn map(lab: &Lab, word: &str) -> String {
    let text = format!(
        "format = 1\nowner = \"lab\"\n[mappings.v]\ntargets = [{{ type = \"default-key\", length = 8, params = [\"aes\", \"{word}\", \"8:0\"] }}]\n"
    );
    lab.write("map.toml", &text)
}

/// Panics where an output holds one of the keys.
fn hides(what: &str, text: &str) {
    assert!(!text.to_lowercase().contains(KEY), "{what}: {text}");
}

#[test]
fn no_output_holds_a_long_hex_word() {
    let lab = lab();
    let map = map(&lab, &KEY.repeat(2));
    for verb in [
        vec!["table", "v"],
        vec!["table", "v", "--json"],
        vec!["info", "v"],
        vec!["export"],
        vec!["export", "--format", "concise"],
        vec!["export", "--format", "dm-init"],
        vec!["plan", &map],
        vec!["plan", &map, "--json"],
        vec!["plan", &map, "--format", "html"],
        vec!["plan", &map, "--format", "markdown"],
        vec!["plan", &map, "--allow", "remap", "--out", &lab.path("plan.json")],
        vec!["status", &map],
        vec!["graph", "--json"],
        vec!["apply", &map, "-vvv"],
        vec!["import-concise", &format!("z,,,,0 8 future 1 {KEY}:x 8:0")],
        vec!["import-concise", &format!("z,,,,0 8 future 1 @{KEY}/{KEY} 8:0")],
        vec!["create", "n", "--table", &format!("{KEY} 8 future 8:0")],
        vec!["create", "n", "--table", &format!("0 8 future{KEY} 8:0")],
    ] {
        let ended = lab.run(&verb);
        hides(verb[0], &ended.stdout);
        hides(verb[0], &ended.stderr);
    }
    hides("a saved plan", &std::fs::read_to_string(lab.path("plan.json")).unwrap());
    let shown = lab.ok(["table", "v"]);
    assert_eq!(
        shown,
        format!("0 8 default-key aes-xts-plain64 <secret> 0 8:0 0 2 mac:hmac:<secret>:1 {}\n", &KEY[1..])
    );
    assert!(lab.ok(["table", "v", "--show-keys"]).contains(&KEY.repeat(2)));
}

#[test]
fn the_state_of_a_kernel_stays_whole() {
    let lab = lab();
    let state = lab.ok(["export", "--format", "json"]);
    assert!(state.contains(&KEY.repeat(2)) && state.contains(&KEY.to_uppercase()), "{state}");
}

#[test]
fn a_placeholder_is_not_loaded_and_not_compared() {
    let lab = lab();
    let exported = lab.ok(["export"]);
    assert!(
        exported.contains("\"mac:hmac:<secret>:1\"") && exported.contains("write it in place"),
        "{exported}"
    );
    let exported = lab.write("exported.toml", &exported);
    let message = lab.fails(1, ["apply", &exported]);
    assert!(message.contains("may be a key was left out"), "{message}");
    // With the words in place again the map changes nothing.
    let whole = std::fs::read_to_string(&exported).unwrap();
    let whole = whole.replacen("\"<secret>\"", &format!("\"{}\"", KEY.repeat(2)), 1);
    let whole = lab.write("whole.toml", &whole.replace("<secret>", &KEY.to_uppercase()));
    assert_eq!(
        lab.ok(["plan", &whole]),
        "Nothing to do.
"
    );
    let ended = lab.run(["apply", &map(&lab, &KEY.repeat(2))]);
    assert!(
        ended.code == 3 && ended.stderr.contains("holds a key and is readable by users other than its owner"),
        "{ended:?}"
    );
    hides("a refusal", &ended.stderr);
}

#[test]
fn what_is_shorter_stays() {
    let lab = lab();
    let plan = lab.ok(["plan", &map(&lab, &KEY[..31])]);
    assert!(plan.contains(&format!("aes {} 8:0", &KEY[..31])), "{plan}");
}
