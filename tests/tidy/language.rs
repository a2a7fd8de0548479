//! Comments in plain English: no people where there are devices, and no word that only this house knows.

use super::{File, none, sources};

/// The rooms whose comments are held to it.
const PLAIN: &[&str] = &[
    "benches",
    "src/apply",
    "src/boot",
    "src/config/diagnostic.rs",
    "src/config/draw.rs",
    "src/config/duration.rs",
    "src/config/explain.rs",
    "src/config/fields.rs",
    "src/config/keys.rs",
    "src/config/locate.rs",
    "src/config/merge.rs",
    "src/config/mod.rs",
    "src/config/model.rs",
    "src/config/nearest.rs",
    "src/config/overlap.rs",
    "src/config/parse.rs",
    "src/config/parts.rs",
    "src/config/row_fields.rs",
    "src/config/schema.rs",
    "src/config/source.rs",
    "src/config/stacks.rs",
    "src/config/syntax.rs",
    "src/config/tables.rs",
    "src/config/target_schema.rs",
    "src/config/trust.rs",
    "src/config/validate",
    "src/config/wording.rs",
    "src/confirm",
    "src/device.rs",
    "src/device_path.rs",
    "src/diff.rs",
    "src/excerpt.rs",
    "src/export",
    "src/graph",
    "src/identity",
    "src/kernel",
    "src/keys",
    "src/lock",
    "src/mistake.rs",
    "src/observed",
    "src/ops",
    "src/plan",
    "src/redact.rs",
    "src/render",
    "src/saved",
    "src/secret.rs",
    "src/sector_map.rs",
    "src/stack",
    "src/status.rs",
    "src/table.rs",
    "src/targets",
    "src/text.rs",
    "src/units",
    "src/watch",
    "tests",
];

/// Files in them whose doc comments are texts of a schema: users read those.
const SCHEMAS: &[&str] = &[
    "src/kernel/simulated/state.rs",
    "src/plan/document.rs",
    "src/plan/document/rows.rs",
    "src/plan/document/sectors.rs",
    "src/plan/document/step_form.rs",
    "src/plan/usage.rs",
    "src/targets/clone.rs",
    "src/targets/integrity/mod.rs",
    "src/targets/raid/level.rs",
    "src/targets/verity/mod.rs",
    "src/targets/writecache.rs",
];

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

/// Each phrase of the list that a comment holds, with its line. A phrase may go on in the next line.
fn found(text: &str) -> Vec<(usize, &'static str)> {
    let comments: Vec<Option<&str>> = text.lines().map(comment).collect();
    let mut found = Vec::new();
    for (index, own) in comments.iter().enumerate() {
        let Some(own) = own else { continue };
        let next = comments.get(index + 1).copied().flatten().unwrap_or_default();
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

#[test]
fn comments_are_plain_where_a_room_is_done() {
    let plain: Vec<File> =
        sources().into_iter().filter(|file| file.is_in(PLAIN) && !file.is_in(SCHEMAS)).collect();
    let hits = plain.iter().flat_map(|file| {
        let hits = found(&file.text).into_iter();
        hits.map(|(number, phrase)| format!("{}:{number}: {phrase}", file.path))
    });
    none(&hits.collect::<Vec<_>>());
}

#[test]
fn a_phrase_is_found_in_comments_alone_and_over_a_line_break() {
    let text = "//! Nobody knows.\nlet nobody = 1; // nobody\n    /// A device that stands\n    /// on another.\n    /// Whoever's.\n// side by sideways";
    assert_eq!(found(text), [(1, "nobody"), (3, "stands on")]);
}
