//! Sessions: the blocks of a document that show a terminal. They are run in the order in which they stand, in one
//! folder a document that has the examples in it, with the dmctl just built first in PATH. A block `toml NAME.toml` is a file of that folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::blocks::blocks;
use crate::{documents, name, regenerate, root};

/// The blocks that are shown and not run: by document, the commands that take root, a network or a long time.
const NOT_RUN: &[(&str, &str)] = &[
    ("README.md", "sudo apt install libdevmapper-dev libclang-dev pkg-config\ncargo install --path .\n"),
    ("README.md", "make demo\nmake test\n"),
    ("docs/watch.md", "sudo systemctl enable --now dmctl-watch\n"),
    (
        "docs/performance.md",
        "DMCTL_BENCH_TASK=\"new 20000\" valgrind --tool=callgrind --toggle-collect='dmctl::plan::plan' target/release/deps/planning-*\n",
    ),
    ("docs/simulated-kernel.md", "sudo dmctl apply change.toml\n"),
];

/// The document whose commands take a boot: `tests/boot/cases/guide` runs every block `sh` of it.
const BOOTED: &str = "docs/boot.md";

/// A command, as the terminal shows it, and what it prints there. Its own lines after the first begin with `> `, which a
/// line that dmctl prints may, too: they are its own as long as the shell waits for more.
struct Typed {
    shown: String,
    run: String,
}

fn commands(text: &str) -> Vec<Typed> {
    let mut commands: Vec<Typed> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push(Typed { shown: format!("{line}\n"), run: command.to_string() });
        } else if let (Some(more), Some(last)) = (line.strip_prefix("> "), commands.last_mut())
            && is_unfinished(&last.run)
        {
            last.shown.extend([line, "\n"]);
            last.run.extend(["\n", more]);
        }
    }
    commands
}

/// Whether a shell waits for another line: for the end of a here-document, called END, or after one that goes on.
fn is_unfinished(command: &str) -> bool {
    let document = command.contains("END") && !command.ends_with("\nEND");
    document || command.ends_with(['\\', '|', '&'])
}

/// What a terminal shows of `command`, run in `folder`.
pub fn run(command: &str, folder: &Path) -> String {
    let built = Path::new(env!("CARGO_BIN_EXE_dmctl")).parent().unwrap();
    let output = Command::new("bash")
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", built.display()))
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let says = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "`{command}` ends with {}:\n{says}", output.status);
    says
}

/// The options that every verb takes, as the last part of `dmctl --help` and as a part of the help of each verb.
const GLOBAL: &str = "\nGlobal options:\n";

/// What a document shows of `command`: all that is printed, but for the global options in the help of a verb. Those
/// are shown once, by `dmctl --help`, and are the same in each.
fn shown(command: &str, folder: &Path) -> String {
    let printed = run(command, folder);
    let verb = command.strip_prefix("dmctl ").and_then(|words| words.strip_suffix(" --help"));
    if verb.is_none() {
        return printed;
    }
    let whole = run("dmctl --help", folder);
    let (_, options) = whole.split_once(GLOBAL).expect("the help lists the global options");
    let (own, rest) = printed.split_once(GLOBAL).expect("the help of a verb lists the global options");
    let examples = rest.strip_prefix(options);
    own.to_string() + examples.unwrap_or_else(|| panic!("`{command}` lists other global options:\n{rest}"))
}

/// The document with what its sessions really print.
fn played(document: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    symlink(root().join("examples"), folder.path().join("examples")).unwrap();
    let mut text = document.to_string();
    let mut shift = 0_isize;
    for block in blocks(document) {
        match (block.language(), &block.remarks()[..]) {
            ("toml", [file]) if Path::new(file).extension().is_some() => {
                fs::write(folder.path().join(file), &block.text).unwrap();
            }
            ("console", _) => {
                let printed: String = commands(&block.text)
                    .iter()
                    .map(|command| command.shown.clone() + &shown(&command.run, folder.path()))
                    .collect();
                let start = block.range.start.checked_add_signed(shift).unwrap();
                let end = block.range.end.checked_add_signed(shift).unwrap();
                text.replace_range(start..end, &printed);
                shift +=
                    isize::try_from(printed.len()).unwrap() - isize::try_from(block.range.len()).unwrap();
            }
            _ => {}
        }
    }
    text
}

#[test]
fn what_a_session_shows_is_what_is_printed() {
    let mut sessions = 0;
    for path in documents() {
        let document = fs::read_to_string(&path).unwrap();
        sessions += blocks(&document).iter().filter(|block| block.language() == "console").count();
        let played = played(&document);
        if regenerate() && played != document {
            fs::write(&path, &played).unwrap();
        } else if played != document {
            let difference = similar::TextDiff::from_lines(&document, &played);
            panic!("{} shows something else than is printed:\n{}", name(&path), difference.unified_diff());
        }
    }
    assert!(sessions > 20, "only {sessions} sessions");
}

#[test]
fn what_is_not_run_is_known() {
    for path in documents() {
        for block in blocks(&fs::read_to_string(&path).unwrap()) {
            let booted = name(&path) == BOOTED;
            let known = booted || NOT_RUN.contains(&(name(&path).as_str(), block.text.as_str()));
            match block.language() {
                "sh" => {
                    assert!(known, "{}: a block of commands that nobody runs:\n{}", name(&path), block.text);
                }
                "console" | "toml" | "rust" | "text" => {}
                other => panic!("{}: nobody looks at a block of `{other}`", name(&path)),
            }
        }
    }
}
