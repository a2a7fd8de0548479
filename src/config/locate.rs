//! Finds the text at a path of keys.
//!
//! A map without errors never needs this: the places of its mappings are kept as paths, and a file is parsed
//! again only to show where something is wrong in it.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Spot;
use super::model::{Origin, Place};
use super::source::Source;

/// The files of a map, parsed when a place in them is asked for.
pub(super) struct Locator<'a> {
    sources: &'a [Source],
    documents: BTreeMap<usize, Option<DeTable<'a>>>,
}

/// A file and the bytes in it.
pub(super) type Found = (usize, Range<usize>);

impl<'a> Locator<'a> {
    pub(crate) fn new(sources: &'a [Source]) -> Self {
        Self { sources, documents: BTreeMap::new() }
    }

    /// Returns the bytes of a place; `None` for a place that is not in a file.
    pub(crate) fn find(&mut self, spot: &Spot) -> Option<Found> {
        match spot {
            Spot::Nowhere => None,
            Spot::Span { file, span } => {
                self.sources.get(*file)?;
                Some((*file, span.clone()))
            }
            Spot::At(origin) => {
                self.sources.get(origin.file)?;
                let found = self.walk(origin).map_or(0..0, |reached| reached.span);
                Some((origin.file, found))
            }
            Spot::Text(origin, texts) => {
                self.sources.get(origin.file)?;
                let found = self.walk(origin).map_or(0..0, |reached| {
                    reached.value.and_then(|value| find_text(value, texts)).unwrap_or(reached.span)
                });
                Some((origin.file, found))
            }
        }
    }

    fn walk(&mut self, origin: &Origin) -> Option<Reached<'_, 'a>> {
        let sources = self.sources;
        let document = self.documents.entry(origin.file).or_insert_with(|| {
            sources
                .get(origin.file)
                .and_then(|source| DeTable::parse(&source.text).ok())
                .map(Spanned::into_inner)
        });
        walk(document.as_ref()?, &origin.path)
    }
}

/// The end of a path.
struct Reached<'d, 'i> {
    span: Range<usize>,
    value: Option<&'d Spanned<DeValue<'i>>>,
}

/// Follows a path as far as it goes. A field of a target that is written as a row is its `params`.
fn walk<'d, 'i>(document: &'d DeTable<'i>, path: &[Place]) -> Option<Reached<'d, 'i>> {
    let mut table = Some(document);
    let mut reached: Option<Reached<'d, 'i>> = None;
    for place in path {
        let (key, next) = match (place, table, reached.as_ref().and_then(|reached| reached.value)) {
            (Place::Key(key), Some(table), _) => {
                let found = table.get_key_value(key.as_str()).or_else(|| table.get_key_value("params"));
                let Some((key, value)) = found else { break };
                (Some(key.span()), value)
            }
            (Place::Index(index), _, Some(value)) => {
                let Some(element) = value.get_ref().as_array().and_then(|array| array.get(*index)) else {
                    break;
                };
                (None, element)
            }
            _ => break,
        };
        table = next.get_ref().as_table();
        reached = Some(Reached { span: mark(key, next), value: Some(next) });
    }
    reached
}

/// Returns the part of a value to mark: a target by its type, another table by its key, and any other value
/// whole.
fn mark(key: Option<Range<usize>>, value: &Spanned<DeValue<'_>>) -> Range<usize> {
    match value.get_ref() {
        DeValue::Table(table) => match (table.get("type"), key) {
            (Some(kind), None) if kind.get_ref().is_str() => kind.span(),
            (_, Some(key)) => key,
            (_, None) => value.span(),
        },
        DeValue::Array(array) if array.iter().any(|element| element.get_ref().is_table()) => {
            key.unwrap_or_else(|| value.span())
        }
        _ => value.span(),
    }
}

/// Returns the first string at or below `value` that is one of `texts`, or has one of them among its words.
fn find_text(value: &Spanned<DeValue<'_>>, texts: &[String]) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::String(text) => {
            let is = |word: &str| texts.iter().any(|text| text == word);
            (is(text) || text.split_whitespace().any(is)).then(|| value.span())
        }
        DeValue::Array(array) => array.iter().find_map(|element| find_text(element, texts)),
        DeValue::Table(table) => table.values().find_map(|element| find_text(element, texts)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_text() {
        let text = "format = 1\n[mappings.a]\nname = \"n\"\ntargets = [\n  { type = \"linear\", device = \"@b\" },\n  \
                    { type = \"x\", params = [\"1 @c\"] },\n]\n[[mappings.d.targets]]\ntype = \"zero\"\n";
        let sources = [Source::from_text("map", text)];
        let mut locator = Locator::new(&sources);
        let top = Origin::default();
        let mut text_of = |spot: Spot| {
            let (_, span) = locator.find(&spot).unwrap();
            text[span].to_string()
        };
        assert_eq!(text_of(top.field("format").into()), "1");
        assert_eq!(text_of(top.field("mappings.a").into()), "a");
        assert_eq!(text_of(top.field("mappings.a.name").into()), "\"n\"");
        assert_eq!(text_of(top.field("mappings.a.nothing").into()), "a");
        assert_eq!(text_of(top.field("mappings.a.targets").into()), "targets");
        assert_eq!(text_of(top.field("mappings.a.targets[0]").into()), "\"linear\"");
        assert_eq!(text_of(top.field("mappings.a.targets[1].device").into()), "[\"1 @c\"]");
        assert_eq!(text_of(top.field("mappings.d.targets[0]").into()), "\"zero\"");
        let texts = |text: &str| vec![text.to_string()];
        assert_eq!(text_of(Spot::Text(top.field("mappings.a"), texts("@b"))), "\"@b\"");
        assert_eq!(text_of(Spot::Text(top.field("mappings.a"), texts("@c"))), "\"1 @c\"");
        assert_eq!(text_of(Spot::Text(top.field("mappings.a"), texts("@d"))), "a");
        assert_eq!(locator.find(&Spot::Nowhere), None);
    }
}
