//! Draws what is wrong with a map, for a person: the file, the line, the column, the line itself with the
//! place marked, and what would be right.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::locate::{Found, Locator};
use super::source::Source;
use crate::excerpt::Excerpt;
use crate::identity::printable;
use crate::redact::redact_quoted;

/// The most diagnostics that are drawn; the rest is counted.
const MAX_DRAWN: usize = 20;

/// The place of a diagnostic, as an editor counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The name of the file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted in characters from 1.
    pub column: usize,
}

impl Diagnostics {
    /// Finds the places of all kept diagnostics, and sorts them: errors first, each in the order of the text.
    pub(super) fn settle(&mut self, sources: &[Source]) {
        let mut locator = Locator::new(sources);
        let mut find = |spot: &mut super::Spot| {
            if let Some((file, span)) = locator.find(spot) {
                *spot = super::Spot::Span { file, span };
            }
        };
        for diagnostic in self.kept_mut() {
            find(&mut diagnostic.spot);
            diagnostic.related.iter_mut().for_each(|(spot, _)| find(spot));
        }
        self.kept_mut().sort_by_key(|diagnostic| {
            let place = match &diagnostic.spot {
                super::Spot::Span { file, span } => Some((*file, span.start)),
                _ => None,
            };
            (diagnostic.severity, place)
        });
    }

    /// Draws the first twenty as plain text and counts the rest.
    pub fn render(&self, sources: &[Source]) -> String {
        self.render_with(&Renderer::plain(), sources)
    }

    /// Draws the first twenty in the colours of a terminal and counts the rest.
    pub fn render_colored(&self, sources: &[Source]) -> String {
        self.render_with(&Renderer::styled(), sources)
    }

    fn render_with(&self, renderer: &Renderer, sources: &[Source]) -> String {
        let mut locator = Locator::new(sources);
        let mut drawn = String::new();
        for diagnostic in self.iter().take(MAX_DRAWN) {
            drawn.push_str(&draw(diagnostic, sources, &mut locator, renderer));
            drawn.push_str("\n\n");
        }
        drawn.push_str(&self.rest());
        drawn
    }

    /// Words the line that counts the diagnostics that were not drawn.
    fn rest(&self) -> String {
        let shown = |severity| self.iter().take(MAX_DRAWN).filter(|shown| shown.severity == severity).count();
        let counts = [
            (self.errors() - shown(Severity::Error), "error"),
            (self.warnings() - shown(Severity::Warning), "warning"),
        ];
        let words: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} more {what}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        if words.is_empty() { String::new() } else { format!("and {}\n", words.join(", ")) }
    }
}

impl Diagnostic {
    /// Returns the message fit to be shown: without keys and without characters that move a cursor.
    pub fn shown(&self) -> String {
        clean(&self.message)
    }

    /// Returns the advice fit to be shown.
    pub fn advice(&self) -> Vec<String> {
        self.help.iter().map(|help| clean(help)).collect()
    }

    /// Returns the place; `None` when it is not in a file.
    pub fn position(&self, sources: &[Source]) -> Option<Position> {
        let (file, span) = Locator::new(sources).find(&self.spot)?;
        let Excerpt { line, column, .. } = Excerpt::of(&sources[file].text, &span);
        Some(Position { file: sources[file].name.clone(), line, column })
    }
}

fn draw(
    diagnostic: &Diagnostic,
    sources: &[Source],
    locator: &mut Locator<'_>,
    renderer: &Renderer,
) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(clean(&diagnostic.message)));
    let mut moved = Vec::new();
    let primary = (&diagnostic.spot, diagnostic.label.as_ref(), AnnotationKind::Primary);
    let related = diagnostic.related.iter().map(|(spot, label)| (spot, Some(label), AnnotationKind::Context));
    for (spot, label, kind) in std::iter::once(primary).chain(related) {
        if let Some(found) = locator.find(spot) {
            group = group.element(place(sources, &found, kind, label, &mut moved));
        }
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(clean(help)));
    }
    let mut drawn = renderer.render(&[group]);
    for Moved { shown, real } in moved {
        drawn = drawn.replacen(&shown, &real, 1);
    }
    drawn
}

/// A place whose column in the line as it is shown is not its column in the file.
struct Moved {
    shown: String,
    real: String,
}

/// Draws a place: file, line and column, and the line with the mark.
fn place<'a>(
    sources: &[Source],
    (file, span): &Found,
    kind: AnnotationKind,
    label: Option<&String>,
    moved: &mut Vec<Moved>,
) -> Snippet<'a, Annotation<'a>> {
    let source = &sources[*file];
    let Excerpt { line, column, text, mark } = Excerpt::of(&source.text, span);
    let name = printable(&source.name).into_owned();
    let shown_column = text[..mark.start].chars().count() + 1;
    if shown_column != column {
        let place = |column| format!("{name}:{line}:{column}");
        moved.push(Moved { shown: place(shown_column), real: place(column) });
    }
    Snippet::source(text)
        .line_start(line)
        .path(name)
        .annotation(kind.span(mark).label(label.map(|label| clean(label))))
}

/// Makes text that may quote the file fit to be shown.
fn clean(text: &str) -> String {
    printable(&redact_quoted(text)).into_owned()
}
