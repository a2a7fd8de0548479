//! Comments and documents in plain English: no people where there are devices, and no word that only this house knows.

use std::fs;
use std::path::Path;

use super::{File, files, none, sources};

/// What is not said there, in small letters.
const DIALECT: &[&str] = &[
    "nobody",
    "nobody's",
    "somebody",
    "somebody's",
    "whoever",
    "anew",
    "leads elsewhere",
    "lead elsewhere",
    "stands on",
    "stand on",
    "stands in the way",
    "so many",
    "side by side",
    "`says`",
    "that there isn't",
    "there is none",
];

/// The text of a line that is nothing but a comment.
fn comment(line: &str) -> Option<&str> {
    let text = line.trim_start().strip_prefix("//")?;
    Some(text.trim_start_matches(['/', '!']).trim())
}

/// The lines of a source, each with the text of its comment.
fn comments(text: &str) -> Vec<Option<&str>> {
    text.lines().map(comment).collect()
}

/// Each phrase of the list that the lines hold, with its line. A phrase may go on in the next line.
fn found(lines: &[Option<&str>]) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (index, own) in lines.iter().enumerate() {
        let Some(own) = own else { continue };
        let next = lines.get(index + 1).copied().flatten().unwrap_or_default();
        let words = format!(" {own} {next} ").to_lowercase();
        let begins_here = own.len() + 1;
        for phrase in DIALECT {
            let mut hits = words.match_indices(phrase).filter(|(at, _)| *at < begins_here);
            let is_word = |(at, phrase): (usize, &str)| {
                let ends = [words[..at].chars().next_back(), words[at + phrase.len()..].chars().next()];
                ends.into_iter().flatten().all(|c| !c.is_alphanumeric() && c != '_' && c != '\'')
            };
            if hits.any(is_word) {
                found.push((index + 1, *phrase));
            }
        }
    }
    found
}

/// Names each phrase with its place.
fn hits(path: &str, lines: &[Option<&str>]) -> Vec<String> {
    found(lines).into_iter().map(|(number, phrase)| format!("{path}:{number}: {phrase}")).collect()
}

#[test]
fn comments_are_plain() {
    let hits = sources().into_iter().flat_map(|file| hits(&file.path, &comments(&file.text)));
    none(&hits.collect::<Vec<_>>());
}

#[test]
fn documents_are_plain() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = files("docs", "md");
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"] {
        documents.push(File { path: name.into(), text: fs::read_to_string(root.join(name)).unwrap() });
    }
    let hits = documents.iter().flat_map(|file| {
        let lines: Vec<_> = file.text.lines().map(|line| Some(line.trim())).collect();
        hits(&file.path, &lines)
    });
    none(&hits.collect::<Vec<_>>());
}

/// What dmctl does itself is not sent to another program.
#[test]
fn no_document_sends_a_reader_to_dmsetup_for_a_state() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = files("docs", "md");
    texts.extend(files("examples", "toml"));
    texts.extend(files("src", "rs"));
    texts.push(File { path: "README.md".into(), text: fs::read_to_string(root.join("README.md")).unwrap() });
    assert!(texts.len() > 100);
    let sent = ["status", "message", "wait"].map(|verb| format!("dmsetup {verb}"));
    let hits = texts.iter().flat_map(|file| {
        let is_hit = |line: &str| sent.iter().any(|words| line.contains(words.as_str()));
        let lines = file.text.lines().enumerate().filter(move |(_, line)| is_hit(line));
        lines.map(|(index, _)| format!("{}:{}", file.path, index + 1)).collect::<Vec<_>>()
    });
    none(&hits.collect::<Vec<_>>());
}

#[test]
fn a_phrase_is_found_in_comments_alone_and_over_a_line_break() {
    let text = "//! Nobody knows.\nlet nobody = 1; // nobody\n    /// A device that stands\n    /// on another.\n    /// Whoever's.\n// side by sideways";
    assert_eq!(found(&comments(text)), [(1, "nobody"), (3, "stands on")]);
}
