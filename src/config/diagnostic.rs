//! What is wrong with a map, where, and what would be right.
//!
//! A [`Diagnostic`] is made where the rule is known and holds its place as a [`Spot`]: a span of the text, or
//! the path of keys to it. Finding the text of a path means parsing the file once more, so it is done for
//! what is shown, and only when something is wrong.

use std::ops::Range;

use super::model::{Origin, Place};
use crate::mistake::Mistake;

/// The most diagnostics of one severity that are kept; the rest is counted.
const MAX_KEPT: usize = 200;

/// Whether a map can be used in spite of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The map is refused.
    Error,
    /// The map works, for now.
    Warning,
}

/// A place in a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// Not in a file.
    Nowhere,
    /// These bytes of a file.
    Span {
        /// The number of the file among those of the map, from 0.
        file: usize,
        /// The range of bytes.
        span: Range<usize>,
    },
    /// The text at this path of keys.
    At(Origin),
    /// The first text below this path that is, or has among its words, one of these.
    Text(Origin, Vec<String>),
}

/// One error or warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the diagnostic refuses the map.
    pub severity: Severity,
    /// What is wrong, in a sentence.
    pub message: String,
    /// The place of the error.
    pub spot: Spot,
    /// The words beside the mark.
    pub label: Option<String>,
    /// The advice: what would be right.
    pub help: Vec<String>,
    /// Other places that belong to the error, each with a label.
    pub related: Vec<(Spot, String)>,
}

impl Diagnostic {
    fn new(severity: Severity, message: impl Into<String>) -> Self {
        let (label, help, related) = (None, Vec::new(), Vec::new());
        Self { severity, message: message.into(), spot: Spot::Nowhere, label, help, related }
    }

    /// Makes an error, which refuses the map.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message)
    }

    /// Makes a warning: the map works, for now.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message)
    }

    /// Marks a place of the file, under which the excerpt is underlined.
    #[must_use]
    pub fn at(mut self, spot: impl Into<Spot>) -> Self {
        self.spot = spot.into();
        self
    }

    /// Sets the words beside the mark.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds a line of advice below the excerpt; each call adds one more.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds the word that was probably meant.
    #[must_use]
    pub fn meant(self, nearest: Option<&str>) -> Self {
        self.helps(nearest.map(|nearest| format!("did you mean `{nearest}`?")))
    }

    /// Adds each piece of advice.
    #[must_use]
    pub fn helps<H: Into<String>>(self, helps: impl IntoIterator<Item = H>) -> Self {
        helps.into_iter().fold(self, Self::help)
    }

    /// Adds another place that belongs to the error.
    #[must_use]
    pub fn related(mut self, spot: impl Into<Spot>, label: impl Into<String>) -> Self {
        self.related.push((spot.into(), label.into()));
        self
    }
}

/// The advice becomes the help, behind what was probably meant.
impl From<Mistake> for Diagnostic {
    fn from(Mistake { message, advice, nearest }: Mistake) -> Self {
        Self::error(message).meant(nearest.as_deref()).helps(advice)
    }
}

impl From<Origin> for Spot {
    fn from(origin: Origin) -> Self {
        Self::At(origin)
    }
}

/// Makes a spot of a span of a file.
impl From<(usize, Range<usize>)> for Spot {
    fn from((file, span): (usize, Range<usize>)) -> Self {
        Self::Span { file, span }
    }
}

impl Origin {
    /// Returns the place of a mapping.
    pub fn mapping(file: usize, key: &str) -> Self {
        Self { file, path: vec!["mappings".into(), key.into()] }
    }

    /// Returns the place one step further down.
    #[must_use]
    pub fn below(&self, place: impl Into<Place>) -> Self {
        let mut path = Vec::with_capacity(self.path.len() + 1);
        path.extend_from_slice(&self.path);
        path.push(place.into());
        Self { file: self.file, path }
    }

    /// Follows a path in text from here: `stripes[1].offset`.
    #[must_use]
    pub fn field(&self, field: &str) -> Self {
        let mut origin = self.clone();
        for step in field.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
            origin.path.push(match step.parse() {
                Ok(index) => Place::Index(index),
                Err(_) => Place::Key(step.into()),
            });
        }
        origin
    }
}

impl From<&str> for Place {
    fn from(key: &str) -> Self {
        Self::Key(key.into())
    }
}

impl From<usize> for Place {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The errors and warnings of a map.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    kept: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl Diagnostics {
    /// Counts a diagnostic, and keeps it unless very many are kept already.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let count = match diagnostic.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= MAX_KEPT {
            self.kept.push(diagnostic);
        }
    }

    /// Returns the number of errors.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Returns the number of warnings.
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// Tells whether the map is free of errors.
    pub fn is_usable(&self) -> bool {
        self.errors == 0
    }

    /// Tells whether there are enough errors that looking for more is of no use.
    pub(super) fn is_full(&self) -> bool {
        self.errors >= MAX_KEPT
    }

    /// Iterates over the first few hundred, errors before warnings, each in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.kept.iter()
    }

    pub(super) fn kept_mut(&mut self) -> &mut Vec<Diagnostic> {
        &mut self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_paths() {
        let origin = Origin { file: 0, path: vec!["mappings".into(), "a".into()] };
        let field = origin.below("targets").below(2).field("stripes[1].offset");
        let expected: Vec<Place> = vec![
            "mappings".into(),
            "a".into(),
            "targets".into(),
            2.into(),
            "stripes".into(),
            1.into(),
            "offset".into(),
        ];
        assert_eq!(field.path, expected);
        assert_eq!(origin.field(""), origin);
    }

    #[test]
    fn a_flood_is_counted_not_kept() {
        let mut all = Diagnostics::default();
        for _ in 0..1000 {
            all.push(Diagnostic::error("wrong"));
        }
        assert_eq!((all.errors(), all.iter().count()), (1000, MAX_KEPT));
        assert!(!all.is_usable());
    }
}
