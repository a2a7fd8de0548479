//! `docs/recording.svg`: a terminal in which README's first map is planned and applied, drawn from what dmctl prints.

use std::fs;
use std::path::Path;

use anstyle_svg::Term;

use crate::blocks::blocks;
use crate::sessions::run;
use crate::{regenerate, root};

/// What is typed, and what really runs: colours are asked for, as a terminal would have them.
const TYPED: &[&str] = &[
    "dmctl --kernel lab.json plan lab.toml",
    "dmctl --kernel lab.json apply lab.toml",
    "sed -i 's/12GiB/20GiB/' lab.toml",
    "dmctl --kernel lab.json plan lab.toml",
    "dmctl --kernel lab.json apply lab.toml",
    "dmctl --kernel lab.json plan lab.toml",
];
const PROMPT: &str = "\u{1b}[1;32m$\u{1b}[0m ";

/// README's first map.
fn map() -> String {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let map = blocks(&readme).into_iter().find(|block| block.info == "toml lab.toml");
    map.expect("README has a block `toml lab.toml`").text
}

fn session(folder: &Path) -> String {
    run("dmctl simulate lab.json --disk /dev/vda=20GiB --disk /dev/vdb=20GiB", folder);
    fs::write(folder.join("lab.toml"), map()).unwrap();
    let played = TYPED.iter().map(|typed| {
        let real = typed.replace("dmctl ", "dmctl --color always ");
        format!("{PROMPT}{typed}\n{}", run(&real, folder))
    });
    played.collect()
}

#[test]
fn the_recording_is_what_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let svg = Term::new().render_svg(&session(folder.path()));
    let path = root().join("docs/recording.svg");
    if regenerate() {
        fs::write(&path, &svg).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == svg, "docs/recording.svg shows something else: DMCTL_REGENERATE=1 draws it");
}
