//! The manual, the manual pages and the completions know every verb.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::blocks::blocks;
use crate::pages::{add_sections, map_page};
use crate::root;
use crate::sessions::run;

/// The verbs, as `--help` lists them.
fn verbs() -> Vec<String> {
    let help = run("dmctl --help", root());
    let (_, commands) = help.split_once("Commands:\n").expect("the help lists commands");
    let lines = commands.lines().take_while(|line| !line.is_empty());
    let verbs: Vec<String> = lines
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next().map(str::to_string))
        .collect();
    assert!(verbs.len() > 15, "{verbs:?}");
    verbs
}

#[test]
fn the_manual_shows_the_help_of_every_verb() {
    let manual = fs::read_to_string(root().join("docs/cli.md")).unwrap();
    let shown: Vec<String> = blocks(&manual).into_iter().map(|block| block.text).collect();
    for verb in verbs() {
        let first = format!("$ dmctl {verb} --help\n");
        assert!(shown.iter().any(|text| text.starts_with(&first)), "docs/cli.md lacks the block\n{first}");
    }
}

#[test]
fn completions_know_every_verb() {
    let offered = run("_CLAP_COMPLETE_INDEX=1 DMCTL_COMPLETE=bash dmctl -- dmctl ''", root());
    for verb in verbs() {
        assert!(offered.lines().any(|line| line == verb), "{verb} is not completed: {offered}");
    }
    let script = tempfile::NamedTempFile::new().unwrap();
    fs::write(script.path(), run("dmctl completions bash", root())).unwrap();
    assert!(Command::new("bash").arg("-n").arg(script.path()).status().unwrap().success());
}

/// The manual pages of the package, in a folder: those of `dmctl man`, and what the documents add to them.
fn manual_pages() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    run("dmctl man .", folder.path());
    let document = |name: &str| fs::read_to_string(root().join("docs").join(name)).unwrap();
    let command = folder.path().join("man1/dmctl.1");
    fs::write(&command, add_sections(&fs::read_to_string(&command).unwrap(), &document("cli.md"))).unwrap();
    fs::create_dir(folder.path().join("man5")).unwrap();
    let version = run("dmctl --version", root());
    let map = map_page(&document("map-format.md"), &document("targets.md"), &version);
    fs::write(folder.path().join("man5/dmctl.toml.5"), map).unwrap();
    folder
}

/// A page, without the escapes of roff.
fn page(folder: &Path, name: &str) -> String {
    let text = fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    text.replace("\\-", "-").replace("\\fB", "").replace("\\fI", "").replace("\\fR", "")
}

#[test]
fn every_verb_has_its_manual_page() {
    let folder = manual_pages();
    let command = page(folder.path(), "man1/dmctl.1");
    for section in ["\"EXIT CODES\"", "FILES"] {
        assert!(command.contains(&format!("\n.SH {section}\n")), "no section {section}: {command}");
    }
    for verb in verbs() {
        assert!(command.contains(&format!("dmctl-{verb}(1)")), "dmctl(1) does not name {verb}");
        let text = page(folder.path(), &format!("man1/dmctl-{verb}.1"));
        let (_, examples) = text.split_once("\n.SH EXAMPLES\n").expect("a page has examples");
        assert!(examples.contains(&format!("dmctl {verb}")), "dmctl-{verb}(1) has no example of its own");
    }
}

/// Matters of style: an empty date, of which a page would look different each day, and blank lines that come to nothing.
const STYLE: &[&str] = &["cannot parse date", "skipping paragraph macro"];

#[test]
fn a_formatter_has_nothing_against_the_pages() {
    let folder = manual_pages();
    let says = run("mandoc -T lint -W warning man1/* man5/* || true", folder.path());
    assert!(says.contains("cannot parse date"), "mandoc has not looked: {says}");
    let wrong: Vec<&str> =
        says.lines().filter(|line| !STYLE.iter().any(|style| line.contains(style))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_of_maps_has_every_section_and_target() {
    let folder = manual_pages();
    let text = page(folder.path(), "man5/dmctl.toml.5");
    for section in ["NAME", "DESCRIPTION", "MAPPINGS", "TARGETS", "\"SEE ALSO\""] {
        assert!(text.contains(&format!("\n.SH {section}\n")), "no section {section}");
    }
    for kind in dmctl::targets::KINDS {
        assert!(text.contains(&format!("\n.SS {}\n", kind.name)), "nothing of {}", kind.name);
    }
}

#[test]
fn the_schemas_in_the_repository_are_those_that_are_printed() {
    let schemas = [
        ("map", "mappings"),
        ("plan", "plan"),
        ("events", "events"),
        ("watch", "watch"),
        ("health", "health"),
        ("volumes", "volumes"),
        ("state", "state"),
    ];
    for (document, file) in schemas {
        let printed = run(&format!("dmctl schema {document}"), root());
        let path = root().join(format!("schema/{file}.schema.json"));
        if crate::regenerate() {
            fs::write(&path, &printed).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == printed, "{} is not what dmctl prints: DMCTL_REGENERATE=1 writes it", path.display());
    }
}
