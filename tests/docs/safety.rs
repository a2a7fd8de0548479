//! `docs/safety.md` names the test that holds each promise: it must be there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::root;

/// Every source below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn every_promise_has_its_test() {
    let tests: String = ["tests", "src/files", "src/laws"]
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let text = fs::read_to_string(root().join("docs/safety.md")).unwrap();
    let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(|words| words.contains("::")).collect();
    assert!(named.len() > 30, "only {} tests are named", named.len());
    for test in named {
        let name = test.rsplit("::").next().unwrap();
        assert!(tests.contains(&format!("fn {name}(")), "docs/safety.md names {test}, which no test is");
    }
    let (promises, _) = text.split_once("\n## The campaign").unwrap();
    let rows = promises.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise"));
    for row in rows {
        assert!(row.contains("::") || row.contains("`campaign`"), "a promise without a test: {row}");
    }
}
