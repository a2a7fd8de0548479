//! Guards the house: what ARCHITECTURE.md says holds everywhere holds, seen from the text of the sources.

#![allow(clippy::unwrap_used, reason = "a source that can't be read fails its test")]

#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/language.rs"]
mod language;
#[path = "tidy/sources.rs"]
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use sources::{File, declarations, files, none, sources};

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
    "src/device",
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
fn who_changes_a_kernel_prints_by_a_report() {
    // What else prints is an error where nothing can be written: after a change that would come too late.
    let changes =
        [".changing(", ".changing_device(", ".hold(", "held.change(", "perform(", "confirm::confirm("];
    let prints = ["print(", "print_json(", "print_line(", "stdout().", "println!("];
    let mut count = 0;
    let mut wrong = Vec::new();
    for file in files("src/cli", "rs") {
        let lines = |words: &[&str]| {
            file.code().filter(|(_, line)| words.iter().any(|word| line.contains(word))).count()
        };
        if lines(&changes) > 0 {
            count += 1;
            wrong.extend((lines(&prints) > 0).then(|| file.path.clone()));
        }
    }
    assert!(count > 10, "only {count} files that change a kernel");
    none(&wrong);
}

#[test]
fn only_the_targets_know_targets_by_name() {
    let types = dmctl::targets::KINDS.iter().map(|kind| format!("\"{}\"", kind.name)).collect::<Vec<_>>();
    // The model of the kernel is the other side of the targets, and knows them as the kernel does. multipath is
    // also whose devices some are; an error is more than a target.
    let home = ["src/targets", "src/kernel/simulated", "src/identity", "src/laws"];
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

/// A path that is written as it is may begin a line of its own, or act on a terminal.
#[test]
fn paths_are_shown_in_one_way() {
    let mut wrong = Vec::new();
    for file in files("src", "rs").iter().filter(|file| !file.is_test()) {
        for (number, line) in file.code() {
            if line.contains(".display()") || line.contains("printable(&path.to_string_lossy())") {
                wrong.push(format!("{}:{number}: {line}", file.path));
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
fn the_changelog_has_a_place_for_what_comes_next() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CHANGELOG.md")).unwrap();
    assert!(text.contains("\n## Unreleased\n"), "{text}");
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
