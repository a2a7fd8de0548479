//! x
use super::Heading;
use crate::plan::document::Document;
/// x
#[must_use]
pub fn page(_plan: &Document, _heading: &Heading) -> String { String::new() }
