//! The licence texts of crates, each text once, behind what is to be known of all of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::crates::Crate;

/// The beginnings of the names of files with a licence or a notice, in small letters.
const FILES: [&str; 6] = ["license", "licence", "copying", "copyright", "notice", "unlicense"];
/// The shortest licence text, in bytes: what is shorter names a file that is somewhere else.
const MIN_TEXT: usize = 300;
/// The licence whose source must be offered to whom the program is given, by its SPDX name.
const SOURCE_OFFERED: &str = "MPL-2.0";

const HEAD: &str = "\
The command dmctl is linked with the Rust crates below, each under the licence
of its text. Where a crate leaves the choice, it is used under the MIT licence
if that is among those to choose from.

It is also linked with the Rust standard library, copyright The Rust Project
contributors, under the MIT licence or the Apache License, version 2.0. Its
source is at https://github.com/rust-lang/rust.
";

/// Writes the notices of crates.
///
/// # Errors
///
/// Names each crate without a licence or without a text of it.
pub fn notices(crates: &[Crate]) -> Result<String, String> {
    let mut by_text: BTreeMap<String, Vec<&Crate>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for one in crates {
        match texts(one) {
            Ok(texts) => texts.into_iter().for_each(|text| by_text.entry(text).or_default().push(one)),
            Err(error) => wrong.push(format!("{} {}: {error}", one.name, one.version)),
        }
    }
    if !wrong.is_empty() {
        return Err(format!("crates without a licence text:\n{}", wrong.join("\n")));
    }
    let mut notices = format!("{HEAD}{}", offered(crates));
    let mut groups: Vec<(String, Vec<&Crate>)> = by_text.into_iter().collect();
    groups.sort_by(|(_, one), (_, two)| one.cmp(two));
    for (text, crates) in groups {
        let names = crates.iter().map(|one| format!("{} {} ({})", one.name, one.version, one.license));
        let _ = write!(notices, "\n{}\n{}\n\n{text}\n", "=".repeat(78), names.collect::<Vec<_>>().join("\n"));
    }
    Ok(notices)
}

/// Tells where the source is of the crates whose licence asks for that.
fn offered(crates: &[Crate]) -> String {
    let mut text = "
These crates are under the Mozilla Public License, version 2.0, and are linked
as they were published, without a change. Their source, in these versions, is
at:

"
    .to_string();
    for one in crates.iter().filter(|one| one.license.contains(SOURCE_OFFERED)) {
        let _ = writeln!(text, "  {} {}: {}", one.name, one.version, one.repository);
    }
    text
}

/// Returns the texts that come with a crate: those of the licence that is chosen, and its notices.
fn texts(one: &Crate) -> Result<Vec<String>, String> {
    if one.license.is_empty() {
        return Err("its manifest names no licence".to_string());
    }
    if one.license.contains(SOURCE_OFFERED) && one.repository.is_empty() {
        return Err("its manifest does not tell where its source is".to_string());
    }
    let names = names(&one.folder)?;
    let is_mit = |name: &&String| name.to_lowercase().contains("mit");
    let is_notice = |name: &&String| name.to_lowercase().starts_with("notice");
    let chosen: Vec<&String> = if one.license.contains("MIT") && names.iter().any(|name| is_mit(&name)) {
        names.iter().filter(|name| is_mit(name) || is_notice(name)).collect()
    } else {
        names.iter().collect()
    };
    let read = |name: &&String| {
        let text = fs::read_to_string(one.folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
        Ok(text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_matches('\n').to_string())
    };
    let texts: Vec<String> = chosen.iter().map(read).collect::<Result<_, String>>()?;
    if texts.iter().any(|text| text.len() >= MIN_TEXT) {
        Ok(texts)
    } else {
        Err(format!("there is no text of `{}` in {}", one.license, one.folder.display()))
    }
}

/// Lists the files in a folder that hold a licence or a notice, by name.
fn names(folder: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| FILES.iter().any(|begin| name.to_lowercase().starts_with(begin)))
        .filter(|name| folder.join(name).is_file())
        .collect();
    names.sort();
    Ok(names)
}
