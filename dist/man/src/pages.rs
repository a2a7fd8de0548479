//! The pages that tell what a document tells: `dmctl.toml(5)`, and the end of `dmctl(1)`.
//!
//! Nothing in them is written for them, so a page tells what the site tells, and neither can fall behind.

use roff::{Roff, roman};

use super::markdown;

/// The sections of the manual of the command that are about every verb.
const OF_ALL_VERBS: [&str; 2] = ["Exit codes", "Files"];
/// What the last section of a page begins with.
const SEE_ALSO: &str = ".SH \"SEE ALSO\"\n";
/// In place of a date, so that the same sources give the same pages. Not empty, or its place would be taken.
const NO_DATE: &str = " ";

/// Adds to `page`, which is `dmctl(1)` as `dmctl man` writes it, what `manual` says of every verb.
pub(crate) fn add_sections(page: &str, manual: &str) -> String {
    let mut sections = Roff::new();
    for title in OF_ALL_VERBS {
        markdown::render(markdown::section(manual, title), 2, &mut sections);
    }
    let end = page.rfind(SEE_ALSO).unwrap_or(page.len());
    let (before, after) = page.split_at(end);
    format!("{before}{}{after}", sections.render())
}

/// Gives `dmctl.toml(5)`: the format of a map as `map` has it, and the manual of the `targets`.
pub(crate) fn map_page(map: &str, targets: &str, version: &str) -> String {
    let mut page = Roff::new();
    page.control("TH", ["dmctl.toml", "5", NO_DATE, version.trim(), "dmctl"]);
    page.control("SH", ["NAME"]);
    page.text([roman("dmctl.toml - the Device Mapper devices that a host should have")]);
    page.control("SH", ["DESCRIPTION"]);
    markdown::render(map, 2, &mut page);
    markdown::render(targets, 1, &mut page);
    page.control("SH", ["SEE ALSO"]);
    page.text([roman("dmctl(1), dmctl-plan(1), dmctl-apply(1)")]);
    page.render()
}
