//! The notices of the package: each crate that the command is linked with has its licence text there.

#[path = "../dist/notices/src/crates.rs"]
mod crates;
#[path = "../dist/notices/src/texts.rs"]
mod texts;

use std::fs;

use crates::Crate;

#[test]
fn every_linked_crate_has_its_notice() {
    let crates = crates::linked().unwrap();
    assert!(crates.len() > 80, "{crates:?}");
    let notices = texts::notices(&crates).unwrap();
    for one in &crates {
        assert!(notices.contains(&format!("\n{} {} ({})\n", one.name, one.version, one.license)), "{one:?}");
    }
    let source = |one: &Crate| format!("  {} {}: https://", one.name, one.version);
    let offered: Vec<&Crate> = crates.iter().filter(|one| one.license.contains("MPL")).collect();
    assert!(!offered.is_empty() && offered.iter().all(|one| notices.contains(&source(one))), "{offered:?}");
    // What only builds the command, and what only tests it, is not in it.
    assert!(crates.iter().all(|one| !matches!(one.name.as_str(), "bindgen" | "proptest" | "serde_derive")));
}

#[test]
fn a_crate_without_a_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let one = |license: &str, repository: &str| Crate {
        name: "bare".to_string(),
        version: "1.0.0".to_string(),
        license: license.to_string(),
        repository: repository.to_string(),
        folder: folder.path().to_path_buf(),
    };
    let refused = |one: Crate| texts::notices(&[one]).unwrap_err();
    assert!(refused(one("MIT", "")).contains("bare 1.0.0: there is no text of `MIT`"));
    // A file that only names another.
    fs::write(folder.path().join("LICENSE-MIT"), "../LICENSE-MIT").unwrap();
    assert!(refused(one("MIT", "")).contains("there is no text of `MIT`"));
    fs::write(folder.path().join("LICENSE-MIT"), "a".repeat(400)).unwrap();
    fs::write(folder.path().join("LICENSE-APACHE"), "b".repeat(400)).unwrap();
    fs::write(folder.path().join("NOTICE"), "c").unwrap();
    let notices = texts::notices(&[one("MIT OR Apache-2.0", "")]).unwrap();
    assert!(notices.contains("aaa") && !notices.contains("bbb") && notices.contains("\nc\n"), "{notices}");
    assert!(refused(one("", "")).contains("names no licence"));
    assert!(refused(one("MPL-2.0", "")).contains("where its source is"));
}
