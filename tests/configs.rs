//! Golden maps: every file in `tests/configs/` and `examples/` is read, and what dmctl says of it is compared
//! with the text beside it. A case that ends in a directory is a map of several files.
//!
//! `DMCTL_REGENERATE=1 cargo test --test configs` writes the expected texts.

#![allow(clippy::unwrap_used, reason = "a case that can't be read fails its test")]

use std::fs;
use std::path::{Path, PathBuf};

use dmctl::config::{self, Loaded};
use dmctl::saved;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn regenerate() -> bool {
    std::env::var_os("DMCTL_REGENERATE").is_some()
}

/// The maps of a folder: its TOML files and its directories.
fn cases(folder: &str) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    cases.sort();
    cases
}

/// Compares `text` with the file beside the case, or writes it there.
fn compare(case: &Path, extension: &str, text: &str, wrong: &mut Vec<String>) {
    let golden = case.with_extension(extension);
    if regenerate() {
        if text.is_empty() {
            let _ = fs::remove_file(&golden);
        } else {
            fs::write(&golden, text).unwrap();
        }
        return;
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    if expected != text {
        wrong.push(format!("{}\n--- expected\n{expected}\n--- found\n{text}", case.display()));
    }
}

/// Reads a map and draws what is wrong with it, with the names of its files as they stand in the repository.
fn read(case: &Path) -> (Loaded, String) {
    let loaded = config::load(&[case.to_path_buf()]);
    let text = loaded.render().replace(&format!("{}/", root().display()), "");
    (loaded, text)
}

#[test]
fn what_is_right_is_read() {
    let mut wrong = Vec::new();
    let mut all = cases("tests/configs/valid");
    // A folder of examples holds several maps, not one of several files.
    all.extend(cases("examples").into_iter().filter(|path| path.is_file()));
    all.extend(cases("examples/demo"));
    assert!(all.len() >= 20, "only {} cases", all.len());
    for case in all {
        let (loaded, text) = read(&case);
        if loaded.map.is_none() {
            wrong.push(format!("{} is refused:\n{text}", case.display()));
        } else {
            compare(&case, "warnings", &text, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A map is read a mapping at a time where its headers begin their lines, and as a whole where they don't.
#[test]
fn parts_say_what_the_whole_says() {
    let canonical = |text: &str| config::parse_str("map.toml", text).map.map(|map| saved::canonical(&map));
    let all = ["tests/configs/valid", "examples"].map(cases).concat();
    let mut compared = 0;
    for case in all.iter().filter(|path| path.is_file()) {
        let text = fs::read_to_string(case).unwrap();
        let whole = text.replace("\n[", "\n [");
        assert_eq!(canonical(&text), canonical(&whole), "{}", case.display());
        compared += usize::from(text != whole);
    }
    assert!(compared >= 20, "only {compared} maps have parts");
    let text = "format = 1\n[mappings.a]\nuuid = \"\"\"x\\\n[mappings.b]\"\"\"\nstate = \"absent\"\n";
    let map = config::parse_str("map.toml", text).map.unwrap();
    assert_eq!(map.mappings.len(), 1);
    assert_eq!(map.mappings[0].uuid.text(), "x[mappings.b]");
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let mut wrong = Vec::new();
    let all = cases("tests/configs/invalid");
    assert!(all.len() >= 45, "only {} cases", all.len());
    for case in all {
        let (loaded, text) = read(&case);
        if loaded.map.is_some() {
            wrong.push(format!("{} is not refused", case.display()));
        }
        let placed =
            text.lines().any(|line| line.trim_start().starts_with("--> ") && line.contains(".toml:"));
        if !placed && !case.is_dir() {
            wrong.push(format!("{} names no place:\n{text}", case.display()));
        }
        compare(&case, "stderr", &text, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_expected_text_is_left_without_its_case() {
    for folder in ["tests/configs/valid", "tests/configs/invalid", "examples"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "stderr" || extension == "warnings") {
                let case = path.with_extension("toml").exists() || path.with_extension("").is_dir();
                assert!(case, "{} belongs to nothing", path.display());
            }
        }
    }
}

#[test]
fn the_schema_is_current() {
    let path = root().join("schema/mappings.schema.json");
    let mut text = serde_json::to_string_pretty(&config::schema()).unwrap();
    text.push('\n');
    if regenerate() {
        fs::write(&path, &text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "schema/mappings.schema.json is not what the types say: DMCTL_REGENERATE=1 writes it"
    );
}
