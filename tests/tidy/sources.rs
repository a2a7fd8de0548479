//! The sources as text: which files there are, what in them is compiled for tests alone, and what is a comment.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository, with its path from the root.
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    pub fn is_in(&self, places: &[&str]) -> bool {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let gone: Vec<_> = places.iter().filter(|place| !root.join(place).exists()).collect();
        assert!(gone.is_empty(), "nothing is held of what isn't there: {gone:?}");
        places.iter().any(|place| self.path == *place || self.path.starts_with(&format!("{place}/")))
    }

    /// Whether it is compiled for tests alone: it, or a module that it is in, is declared so.
    pub fn is_test(&self) -> bool {
        let mut path = PathBuf::from(&self.path);
        while path.parent().is_some_and(|folder| folder != Path::new("")) {
            if declarations(&path).into_iter().any(|declared| declared == Declared::ForTests) {
                return true;
            }
            path.pop();
        }
        false
    }

    /// The lines without comments and without what is compiled for tests alone.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = if self.is_test() { Vec::new() } else { without_tests(&self.text) };
        lines.into_iter().map(|(number, line)| (number, without_comment(line)))
    }
}

/// How a module is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    Always,
    ForTests,
}

/// How the module of a file or folder is declared, in each file that declares one of that name.
pub fn declarations(path: &Path) -> Vec<Declared> {
    let path = if path.ends_with("mod.rs") { path.parent().unwrap() } else { path };
    let (folder, name) = (path.parent().unwrap(), path.file_stem().unwrap().to_str().unwrap());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let above = ["mod.rs", "lib.rs", "main.rs"].map(|file| folder.join(file));
    let above = above.into_iter().chain([folder.with_extension("rs")]);
    let texts = above.filter_map(|file| fs::read_to_string(root.join(file)).ok());
    texts.filter_map(|text| declared(&text, name)).collect()
}

/// How a module is declared in this text: by a line of its own, as rustfmt and people find it, and not by a macro.
fn declared(text: &str, name: &str) -> Option<Declared> {
    let mut before = Declared::Always;
    for line in text.lines() {
        if line == "#[cfg(test)]" {
            before = Declared::ForTests;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            let item = line.strip_prefix("pub").map_or(line, |rest| rest.trim_start_matches("(crate)"));
            let item = item.trim_start_matches("(super)").trim_start();
            if item.strip_prefix("mod ").and_then(|item| item.strip_suffix(';')) == Some(name) {
                return Some(before);
            }
            before = Declared::Always;
        }
    }
    None
}

/// The lines, numbered, but for each item that is compiled for tests alone. An item ends where rustfmt puts its end.
fn without_tests(text: &str) -> Vec<(usize, &str)> {
    let mut kept = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        let indent = &line[..line.len() - line.trim_start().len()];
        if line.trim_start() != "#[cfg(test)]" {
            kept.push((number, line));
            continue;
        }
        let mut item = lines.by_ref().map(|(_, line)| line);
        let first = item.find(|line| !line.trim_start().starts_with("#[")).unwrap_or_default();
        if !first.ends_with([';', ',', '}']) {
            item.find(|line| line.strip_prefix(indent).is_some_and(|rest| rest.starts_with('}')));
        }
    }
    kept
}

/// A line up to its comment. What looks like one in a string is none.
fn without_comment(line: &str) -> &str {
    let mut is_text = false;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match c {
            '"' if before != '\\' && !line[..at].ends_with('\'') => is_text = !is_text,
            '/' if before == '/' && !is_text => return &line[..at - 1],
            _ => {}
        }
        before = if before == '\\' && c == '\\' { ' ' } else { c };
    }
    line
}

/// Every file below `folder` that ends in `extension`.
pub fn files(folder: &str, extension: &str) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|own| own == extension) {
                let text = fs::read_to_string(&path).unwrap();
                found.push(File { path: path.strip_prefix(root).unwrap().display().to_string(), text });
            }
        }
    }
    found.sort_by(|one, two| one.path.cmp(&two.path));
    assert!(!found.is_empty(), "nothing in {folder}");
    found
}

/// Every source, those of tests included.
pub fn sources() -> Vec<File> {
    ["src", "tests", "benches", "examples", "dist"]
        .into_iter()
        .flat_map(|folder| files(folder, "rs"))
        .collect()
}

/// Holds when `wrong` is empty.
pub fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_is_for_tests_alone_is_told_from_what_is_not() {
    let text = "mod one;\n#[cfg(test)]\n#[allow(dead_code)]\npub(super) mod two;\npub mod three;\n";
    let modules = ["one", "two", "three", "four"].map(|name| declared(text, name));
    assert_eq!(modules, [Some(Declared::Always), Some(Declared::ForTests), Some(Declared::Always), None]);
    let text = "one\n#[cfg(test)]\n#[expect(a)]\nmod laws {\n    two\n}\nthree\n    #[cfg(test)]\n    use a;\n    four";
    assert_eq!(without_tests(text), [(1, "one"), (7, "three"), (10, "    four")]);
    assert_eq!(without_comment(r#"link("http://\"//\""); // a comment"#), r#"link("http://\"//\""); "#);
    assert_eq!(without_comment("quoted('\"') // a comment"), "quoted('\"') ");
}
