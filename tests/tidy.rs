//! Guards the house: what ARCHITECTURE.md says holds everywhere holds, seen from the text of the sources.

#![allow(clippy::unwrap_used, reason = "a source that can't be read fails its test")]

#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/language.rs"]
mod language;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use imports::Import;

/// No file is longer: one that is has more than one concept in it.
const LONGEST: usize = 600;

/// What stands between the text and the plan, and knows neither files nor clocks nor processes.
const PURE: &[&str] = &[
    "src/access.rs",
    "src/boot",
    "src/plan",
    "src/render",
    "src/targets",
    "src/diff.rs",
    "src/export",
    "src/graph",
    "src/sector_map.rs",
    "src/stack",
    "src/policy.rs",
    "src/status.rs",
    "src/table.rs",
    "src/text.rs",
    "src/units",
    "src/identity",
    "src/device.rs",
    "src/redact.rs",
    "src/excerpt.rs",
    "src/device_path.rs",
    "src/secret.rs",
];

/// Who may hold a kernel that can be changed.
const CHANGERS: &[&str] = &["src/kernel", "src/ops", "src/apply", "src/cli"];

/// The one file with `unsafe`.
const UNSAFE: &str = "src/kernel/live/raw.rs";

/// What reaches out of a pure function.
const OUTSIDE: &[&str] = &[
    "env::",
    "fs::",
    "process::",
    "thread::",
    "net::",
    // However they are imported.
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    "std::net",
    "Instant",
    "SystemTime",
    "stdin()",
    "stdout()",
    "stderr()",
    "print!(",
    "println!(",
    "dbg!(",
    // A path is looked up without a word of the above.
    ".exists()",
    ".is_file()",
    ".is_dir()",
    ".canonicalize()",
    "File::open",
    "File::create",
];

/// A file of the repository, with its path from the root.
struct File {
    path: String,
    text: String,
}

impl File {
    fn is_in(&self, places: &[&str]) -> bool {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let gone: Vec<_> = places.iter().filter(|place| !root.join(place).exists()).collect();
        assert!(gone.is_empty(), "nothing is held of what isn't there: {gone:?}");
        places.iter().any(|place| self.path == *place || self.path.starts_with(&format!("{place}/")))
    }

    /// Whether it is compiled for tests alone: it, or a module that it is in, is declared so.
    fn is_test(&self) -> bool {
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
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = if self.is_test() { Vec::new() } else { without_tests(&self.text) };
        lines.into_iter().map(|(number, line)| (number, without_comment(line)))
    }
}

/// How a module is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Declared {
    Always,
    ForTests,
}

/// How the module of a file or folder is declared, in each file that declares one of that name.
fn declarations(path: &Path) -> Vec<Declared> {
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
fn files(folder: &str, extension: &str) -> Vec<File> {
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
fn sources() -> Vec<File> {
    ["src", "tests", "benches", "examples", "dist"]
        .into_iter()
        .flat_map(|folder| files(folder, "rs"))
        .collect()
}

/// Holds when `wrong` is empty.
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let long = sources().into_iter().map(|file| (file.text.lines().count(), file.path));
    none(
        &long
            .filter(|(lines, _)| *lines > LONGEST)
            .map(|(lines, path)| format!("{path}: {lines} lines"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_file_opens_with_its_story() {
    // Tests beside a module go with its story.
    let told = |file: &File| file.text.starts_with("//! ") || file.path.ends_with("/tests.rs");
    none(&sources().iter().filter(|file| !told(file)).map(|file| file.path.clone()).collect::<Vec<_>>());
}

#[test]
fn every_module_is_declared_in_a_line_of_its_own() {
    let is_root = |path: &str| matches!(path, "src/lib.rs" | "src/main.rs");
    let modules = files("src", "rs").into_iter().map(|file| file.path).filter(|path| !is_root(path));
    none(&modules.filter(|path| declarations(Path::new(path)).is_empty()).collect::<Vec<_>>());
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

#[test]
fn unsafe_stands_in_one_file() {
    let mut wrong = Vec::new();
    for file in files("src", "rs").iter().filter(|file| file.path != UNSAFE) {
        for (number, line) in file.code() {
            if line.contains("unsafe ") || line.contains("allow(unsafe_code") {
                wrong.push(format!("{}:{number}: {line}", file.path));
            }
        }
    }
    none(&wrong);
}

#[test]
fn what_plans_reaches_for_nothing_outside() {
    let mut wrong = Vec::new();
    let pure: Vec<File> = files("src", "rs").into_iter().filter(|file| file.is_in(PURE)).collect();
    assert!(pure.len() > 30, "only {} pure files", pure.len());
    for file in &pure {
        for (number, line) in file.code() {
            if let Some(word) = OUTSIDE.iter().find(|word| line.contains(*word)) {
                wrong.push(format!("{}:{number}: {word} in {line}", file.path));
            }
        }
    }
    none(&wrong);
}

#[test]
fn only_who_changes_a_kernel_is_given_one_to_change() {
    let names = |file: &File| file.code().any(|(_, line)| line.contains("ChangeKernel"));
    let sources = files("src", "rs");
    let wrong = sources.iter().filter(|file| !file.is_in(CHANGERS) && names(file));
    none(&wrong.map(|file| file.path.clone()).collect::<Vec<_>>());
    // Of the verbs only apply passes one on; all get theirs from the context.
    let given = ["src/cli/context.rs", "src/cli/apply.rs"];
    let verbs = sources.iter().filter(|file| file.is_in(&["src/cli"]) && !file.is_in(&given));
    none(&verbs.filter(|file| names(file)).map(|file| file.path.clone()).collect::<Vec<_>>());
}

#[test]
fn only_the_targets_know_targets_by_name() {
    let types = dmctl::targets::KINDS.iter().map(|kind| format!("\"{}\"", kind.name)).collect::<Vec<_>>();
    // The model of the kernel is the other side of the targets, and knows them as the kernel does. multipath is
    // also whose devices some are; an error is more than a target.
    let home = ["src/targets", "src/kernel/simulated", "src/identity"];
    let mut wrong = Vec::new();
    for file in files("src", "rs").iter().filter(|file| !file.is_in(&home)) {
        for (number, line) in file.code() {
            if let Some(name) = types.iter().find(|name| line.contains(*name) && *name != "\"error\"") {
                wrong.push(format!("{}:{number}: {name}", file.path));
            }
        }
    }
    none(&wrong);
}

#[test]
fn nothing_is_left_for_later() {
    // In pieces, or this file would find itself.
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!("), concat!("unimple", "mented!(")];
    let mut all = sources();
    all.extend(files("docs", "md"));
    all.extend(files("examples", "toml"));
    let marked = all.iter().filter(|file| marks.iter().any(|mark| file.text.contains(mark)));
    none(&marked.map(|file| file.path.clone()).collect::<Vec<_>>());
}

#[test]
fn every_place_in_the_architecture_is_there_and_every_folder_is_in_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = floors();
    for name in places.keys() {
        let (file, folder) = (root.join(format!("src/{name}.rs")), root.join(format!("src/{name}")));
        assert!(file.exists() || folder.is_dir(), "ARCHITECTURE.md names {name}, which is not in src");
    }
    for entry in fs::read_dir(root.join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let known = places.contains_key(name);
        assert!(known || matches!(name, "lib" | "main"), "ARCHITECTURE.md does not tell of src/{name}");
    }
}

#[test]
fn the_changelog_has_a_place_for_what_comes_next() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CHANGELOG.md")).unwrap();
    assert!(text.contains("\n## Unreleased\n"), "{text}");
}

/// The room of a file: the folder or the file directly below `src`.
fn room(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Every import between the files below `src` that are not for tests alone.
fn imports_of_sources() -> BTreeSet<Import> {
    let sources = files("src", "rs").into_iter().filter(|file| !file.is_test());
    let below = |file: File| (file.path.trim_start_matches("src/").to_string(), file.text);
    imports::of(&sources.map(below).collect::<Vec<_>>())
}

/// Reads the floors of ARCHITECTURE.md: the rows of its table that begin with a number, each with its rooms.
fn floors() -> BTreeMap<String, u32> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let mut floors = BTreeMap::new();
    for row in text.lines() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, floor, rooms, ..] = &cells[..] else { continue };
        let Ok(floor) = floor.parse::<u32>() else { continue };
        for name in rooms.split('`').skip(1).step_by(2) {
            let name = name.trim_end_matches('/');
            assert!(floors.insert(name.to_string(), floor).is_none(), "`{name}` is on two floors");
        }
    }
    floors
}

#[test]
fn imports_point_down_the_floors() {
    let (floors, mut wrong) = (floors(), BTreeSet::new());
    for file in files("src", "rs") {
        let room = room(file.path.trim_start_matches("src/"));
        if !matches!(room, "lib" | "main") && !floors.contains_key(room) {
            wrong.insert(format!("`{room}` is on no floor of ARCHITECTURE.md"));
        }
    }
    for import in imports_of_sources() {
        let (from, to) = (room(&import.from), room(&import.to));
        if from != to && floors.get(from) <= floors.get(to) {
            wrong.insert(format!(
                "{} imports `{}` of {}, which is not below it",
                import.from, import.item, import.to
            ));
        }
    }
    none(&wrong.into_iter().collect::<Vec<_>>());
}

/// A `mod.rs` and its children may speak in the types that it defines, and what it exports again is counted for the
/// file that defines it. All else that leads from a file back to it is a circle.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let imports = imports_of_sources();
    let mut wrong = Vec::new();
    for circle in imports::circles(&imports) {
        wrong.push(format!("in a circle: {}", circle.join(", ")));
        let inside = |import: &&Import| circle.contains(&import.from) && circle.contains(&import.to);
        let told =
            |import: &Import| format!("    {} imports `{}` of {}", import.from, import.item, import.to);
        wrong.extend(imports.iter().filter(inside).filter(|import| !import.is_vocabulary()).map(told));
    }
    none(&wrong);
}

/// A target is declared in one list and registered in another: each module must be in both.
#[test]
fn every_target_that_is_declared_is_registered() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/targets/mod.rs")).unwrap();
    let is_target = |name: &&str| !matches!(*name, "frame" | "kit" | "manual");
    let declared = text.lines().filter_map(|line| {
        line.strip_prefix("pub mod ").or(line.strip_prefix("pub(crate) mod ")).or(line.strip_prefix("mod "))
    });
    let declared: BTreeSet<&str> =
        declared.filter_map(|rest| rest.strip_suffix(';')).filter(is_target).collect();
    let registered = text.lines().filter_map(|line| line.trim().strip_prefix("Kind::of::<"));
    let registered: BTreeSet<&str> =
        registered.filter_map(|rest| rest.split_once("::")).map(|(name, _)| name).collect();
    assert!(declared.len() > 20, "only {declared:?}");
    assert_eq!(declared, registered);
}

/// `cargo fmt` follows `mod` lines only; this asks rustfmt about every tracked file.
#[test]
fn every_tracked_file_is_formatted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = |program: &str, args: &[&str]| {
        std::process::Command::new(program).args(args).current_dir(root).output().ok()
    };
    let files = run("git", &["ls-files", "*.rs"]).filter(|output| output.status.success());
    let (Some(files), Some(_)) =
        (files, run("rustfmt", &["--version"]).filter(|output| output.status.success()))
    else {
        assert!(std::env::var_os("CI").is_none(), "git or rustfmt is missing");
        eprintln!("skipped: git or rustfmt is missing");
        return;
    };
    let files = String::from_utf8(files.stdout).unwrap();
    let present = files.lines().filter(|file| root.join(file).exists());
    let args: Vec<&str> = ["--check", "--edition", "2024", "-l"].into_iter().chain(present).collect();
    let checked = run("rustfmt", &args).unwrap();
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success(), "not formatted:\n{told}{}", String::from_utf8_lossy(&checked.stderr));
}
