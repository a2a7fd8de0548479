//! Whatever a key is written as, and wherever in a map, no error repeats it.

use proptest::prelude::*;

use super::{Loaded, parse_str};

/// Digits that no other text of an error has.
fn digits() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof!["[3-7]{8}", "[1-7]{7}", "[13579]{8}"], 6)
        .prop_map(|runs| runs.concat())
}

/// The ways in which a key of these digits may be written, each with whether a field that takes no key hides it too:
/// there it must be longer than any number.
fn forms(digits: &str) -> Vec<(String, bool)> {
    let short = &digits[..14];
    let wide = |width: usize, between: &str| {
        let parts: Vec<_> =
            digits.as_bytes().chunks(width).map(|part| String::from_utf8_lossy(part)).collect();
        parts.join(between)
    };
    let mut forms = Vec::new();
    for form in [
        digits.to_string(),
        format!("+{digits}"),
        format!("-{digits}"),
        wide(4, "_"),
        format!("0x{digits}"),
        format!("0xC0FFEE{digits}"),
        format!("0x{}", wide(4, "_")),
        format!("0o{digits}"),
        format!("{digits}.5"),
        format!("0.{digits}"),
        format!("{digits}e5"),
        format!("abc{digits}"),
        format!("{digits}fed"),
        format!("\"{digits}\""),
        format!("'{digits}"),
        format!("[{digits}]"),
        format!("[\n  {digits},\n]"),
        format!("[[\"a\", \"{digits}\"]]"),
        format!("{{ {digits} = 1 }}"),
        format!("{{ \"{digits}\" = 1, {digits} = 2 }}"),
        format!("{{ a.{digits}.b = 1 }}"),
        format!("{{ a = {digits} }}"),
    ] {
        forms.push((form, true));
    }
    for form in [
        short.to_string(),
        format!("0x{short}"),
        format!("0b{}", "1011".repeat(12)),
        format!("\"{short}\""),
        format!("\"\"\"\n{short}\n\"\"\""),
        format!("[\n{short},\n]"),
        format!("{{ {short} = 1 }}"),
        format!("{{\n{short} = 1\n}}"),
        format!("{}.{}.{}", &short[..5], &short[5..10], &short[10..]),
        format!("{}-{}", &short[..8], &short[8..]),
        format!("{{ hex = {short} }}"),
        format!("{{ hex = {{ x = {short} }} }}"),
        format!("{{ hex = [{short}, 1] }}"),
        format!("{{ file = {short} }}"),
        format!("{{ keyring = \"logon:a\", bytes = {short} }}"),
        format!("{{ random = {short} }}"),
        format!("{{ credential = [{short}] }}"),
        format!("{{ file = \"/a\", encoding = {short} }}"),
        format!("{{ hexx = \"{short}\" }}"),
        format!("{{ hex = \"aa\", {short} = 1 }}"),
        format!("1987-12-13T15:16:17.{short}"),
        "inf".to_string(),
        "-nan".to_string(),
    ] {
        forms.push((form, false));
    }
    forms
}

/// Ways to assign a value to a field that takes a key, or was meant to.
const KEYS: [&str; 17] = [
    "key = ",
    "key=",
    "key = { hex = ",
    "key.hex = ",
    "\"key\" = ",
    "key == ",
    "key: ",
    "key : ",
    "hex = ",
    "kye = ",
    "keys = ",
    "Key = ",
    "KEY = ",
    "ke = ",
    "crypt_key = ",
    "hexkey = ",
    "key.",
];

/// Ways to assign it to another one.
const OTHERS: [&str; 9] = [
    "cipher = ",
    "iv_offset = ",
    "sector_size = ",
    "device = ",
    "params = ",
    "messages = ",
    "params = [\"aes\", ",
    "messages = [",
    "allow_discards = ",
];

/// Draws the errors of a map with this line in a target, as text and as their parts.
fn drawn(kind: &str, line: &str) -> String {
    let text = format!(
        "format = 1\n[mappings.a]\n[[mappings.a.targets]]\ntype = \"{kind}\"\nlength = 100\n{line}\n\n[mappings.b]\ntargets = [{{ type = \"{kind}\", {line} }}]\n"
    );
    let loaded: Loaded = parse_str("map.toml", &text);
    assert!(loaded.map.is_none(), "{text} is taken for a map");
    let parts = loaded.diagnostics.iter().flat_map(|each| {
        let label = each.label.clone();
        each.advice().into_iter().chain([each.shown()]).chain(label)
    });
    parts.chain([loaded.render()]).collect::<Vec<_>>().join("\n")
}

/// Tells whether a text repeats five digits of a key that follow each other, whatever is between them.
fn repeats(text: &str, written: &str) -> bool {
    let plain = |text: &str| text.chars().filter(|c| !"_-.:".contains(*c)).collect::<String>();
    let (text, written) = (plain(text), plain(written));
    written
        .split(|c: char| !c.is_ascii_digit())
        .filter(|run| run.len() >= 10)
        .any(|run| (0..=run.len() - 5).any(|at| text.contains(&run[at..at + 5])))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_error_repeats_a_key_whatever_it_is_written_as(digits in digits(), kind in prop_oneof![Just("crypt"), Just("integrity"), Just("frob")]) {
        for (form, _) in forms(&digits) {
            for field in KEYS {
                let close = if field.contains('{') { " }" } else { "" };
                let line = format!("{field}{form}{close}");
                let shown = drawn(kind, &line);
                prop_assert!(!repeats(&shown, &form), "{line}\n{shown}");
            }
        }
    }

    #[test]
    fn no_error_repeats_a_key_in_a_field_that_takes_none(digits in digits(), kind in prop_oneof![Just("crypt"), Just("linear"), Just("frob")]) {
        for (form, _) in forms(&digits).into_iter().filter(|(_, anywhere)| *anywhere) {
            for field in OTHERS {
                let close = if field.contains('[') { "]" } else { "" };
                let line = format!("{field}{form}{close}");
                let shown = drawn(kind, &line);
                prop_assert!(!repeats(&shown, &form), "{line}\n{shown}");
            }
        }
    }
}
