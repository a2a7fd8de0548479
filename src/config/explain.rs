//! Finds every error of the tables that did not read.
//!
//! serde stops at the first error of a table. Here the offending entry is taken out and the table is read
//! again, so that a target with three wrong fields has three errors.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer, Error};

use super::diagnostic::{Diagnostic, Diagnostics, Spot};
use super::fields::{MapFields, MappingFields};
use super::model::{Origin, Place};
use super::row_fields::{Params, RowFields};
use super::tables::{Failed, Shape, is_type_name, read, split_common};
use super::wording::{Context, Wording, reword};
use crate::nearest::nearest;
use crate::targets::{self, KINDS, Kind, MAX_TYPE};

/// The most times that one table is read again, each time without the error before.
const MAX_ATTEMPTS: usize = 20;

/// Keys that a target may have besides the fields of its type.
const BESIDE_FIELDS: [&str; 4] = ["type", "start", "length", "messages"];

/// A table that did not read.
struct Subject<'a> {
    origin: &'a Origin,
    /// What the table is, in the words of a message: "a mapping", "a `linear` target".
    name: &'a str,
    /// Keys that are legal in the table besides those that serde knows.
    more: &'a [&'a str],
}

pub(super) struct Explainer<'i, 'd> {
    file: usize,
    text: &'i str,
    document: DeTable<'i>,
    diagnostics: &'d mut Diagnostics,
}

impl<'i, 'd> Explainer<'i, 'd> {
    pub(crate) fn new(file: usize, text: &'i str, diagnostics: &'d mut Diagnostics) -> Self {
        // It has been parsed before, so there is a document.
        let document = DeTable::parse(text).map(Spanned::into_inner).unwrap_or_default();
        Self { file, text, document, diagnostics }
    }

    pub(crate) fn explain(&mut self, failed: &[Failed]) {
        for failed in failed {
            let before = self.diagnostics.errors();
            if let Some(table) = table_at(&self.document, &failed.origin.path).cloned() {
                match failed.shape {
                    Shape::Top => self.top(&failed.origin, table),
                    Shape::Mapping => self.mapping(&failed.origin, table),
                    Shape::Target => self.target(&failed.origin, table),
                }
            }
            if self.diagnostics.errors() == before {
                self.push(Diagnostic::error("this table can't be read"), failed.origin.clone());
            }
        }
    }

    fn push(&mut self, diagnostic: Diagnostic, spot: impl Into<Spot>) {
        self.diagnostics.push(diagnostic.at(spot));
    }

    fn top(&mut self, origin: &Origin, mut table: DeTable<'i>) {
        table.remove("mappings");
        if !table.contains_key("format") {
            let missing = Diagnostic::error("`format` is missing")
                .label("a map must start with its format version")
                .help("write `format = 1` at the top");
            self.push(missing, (self.file, 0..0));
        }
        let subject = Subject { origin, name: "a map", more: &[] };
        self.all_of(&subject, table, &|table| read::<MapFields>(table).map(drop));
    }

    fn mapping(&mut self, origin: &Origin, mut table: DeTable<'i>) {
        table.remove("targets");
        self.dotted_keys(&mut table);
        let subject = Subject { origin, name: "a mapping", more: &[] };
        self.all_of(&subject, table, &|table| read::<MappingFields>(table).map(drop));
    }

    /// Reports `[mappings.a.b]`, a table `b` in the mapping `a`, where most often the key `a.b` was meant.
    fn dotted_keys(&mut self, table: &mut DeTable<'i>) {
        let is_key = |key: &str, value: &DeValue<'_>| value.is_table() && key != "suspend";
        let keys: Vec<_> = table
            .iter()
            .filter(|(key, value)| is_key(key.get_ref(), value.get_ref()))
            .map(|(key, _)| (key.get_ref().to_string(), key.span()))
            .collect();
        for (key, span) in keys {
            table.remove(key.as_str());
            let diagnostic = Diagnostic::error(format!("unknown key `{key}`"))
                .label("a mapping has no such table")
                .help("the key of a mapping with a dot in it stands in quotes: `[mappings.\"vg.root\"]`");
            self.push(diagnostic, (self.file, span));
        }
    }

    fn target(&mut self, origin: &Origin, mut own: DeTable<'i>) {
        let common = split_common(&mut own);
        let name = common.get("type").and_then(|kind| kind.get_ref().as_str()).map(ToString::to_string);
        let kind = name.as_deref().and_then(targets::find);
        let what = kind.map_or_else(|| "a target".to_string(), |kind| format!("a `{}` target", kind.name));
        let subject = Subject { origin, name: &what, more: &[] };
        self.all_of(&subject, common.clone(), &|table| read::<RowFields>(table).map(drop));
        let (Some(name), Some(written)) = (name, common.get("type")) else { return };
        if kind.is_none() && !is_type_name(&name) {
            self.bad_type_name(written.span());
        } else if let Some((key, value)) = common.get_key_value("params") {
            match own.keys().next() {
                Some(field) => self.two_forms(key.span(), field),
                None => self.params(&name, value),
            }
        } else if let Some(kind) = kind {
            let attempt = |table| typed(kind, table);
            self.all_of(&Subject { more: &BESIDE_FIELDS, ..subject }, own, &attempt);
        } else {
            self.unknown_type(&name, written.span());
        }
    }

    /// Reads `table` again and again, each time without the entry that was wrong before.
    fn all_of(
        &mut self,
        subject: &Subject<'_>,
        mut table: DeTable<'i>,
        attempt: &dyn Fn(DeTable<'i>) -> Result<(), Error>,
    ) {
        // Fields whose absence is not an error of its own: taken out here, or written under a wrong name.
        let mut excused = vec!["format".to_string()];
        for _ in 0..MAX_ATTEMPTS {
            let Err(error) = attempt(table.clone()) else { return };
            let missing = missing_field(&error);
            if missing.is_some_and(|name| excused.iter().any(|excused| excused == name)) {
                return;
            }
            let span = error.span();
            let path = span.as_ref().and_then(|span| path_to(&table, span));
            let field = path.as_deref().map(shown).unwrap_or_default();
            let said =
                reword(error.message(), &Context { table: subject.name, field: &field, more: subject.more });
            excused.extend(said.nearest.clone());
            let diagnostic = Diagnostic::from(said);
            match (&path, span) {
                (Some(_), Some(span)) => self.push(diagnostic, (self.file, span)),
                _ => self.push(diagnostic, subject.origin.clone()),
            }
            let Some(path) = path.filter(|_| missing.is_none()) else { return };
            if let Some(Place::Key(key)) = path.last() {
                excused.push(key.to_string());
            }
            if !remove(&mut table, &path) {
                return;
            }
        }
    }

    fn unknown_type(&mut self, name: &str, span: Range<usize>) {
        let diagnostic = Diagnostic::error(format!("dmctl knows no target type `{name}`"))
            .label("unknown type: its fields can't be checked")
            .meant(nearest(name, KINDS.iter().map(|kind| kind.name)));
        let diagnostic = diagnostic.help(
            "a target of a type that dmctl doesn't know is written as the row it is: `params = [...]` in place of fields",
        );
        self.push(diagnostic, (self.file, span));
    }

    fn bad_type_name(&mut self, span: Range<usize>) {
        let diagnostic = Diagnostic::error("this can't be the name of a target type")
            .label(format!("the kernel has names of 1 to {MAX_TYPE} bytes, without blanks"));
        self.push(diagnostic, (self.file, span));
    }

    fn two_forms(&mut self, params: Range<usize>, field: &Spanned<toml::de::DeString<'_>>) {
        let diagnostic = Diagnostic::error("a target is written with fields or as a row, not both")
            .label(format!("`params` is the whole row, `{}` has no place beside it", field.get_ref()))
            .related((self.file, params), "the row")
            .help("take out `params`, or every field but `type`, `start`, `length` and `messages`");
        self.push(diagnostic, (self.file, field.span()));
    }

    /// Explains a row that its type refuses, or a value that is not a row.
    fn params(&mut self, kind: &str, value: &Spanned<DeValue<'i>>) {
        let mut alone = DeTable::new();
        alone.insert(Spanned::new(0..0, "params".into()), value.clone());
        // A value that is not a list of words is explained with the fields that every target has.
        let Ok(Some(params)) = read::<OnlyParams>(alone).map(|only| only.params) else { return };
        let Err(error) = targets::parse(kind, &params.text) else { return };
        let span = self.word(value, error.word).unwrap_or_else(|| value.span());
        let mistake = error.mistake.about(&format!("this row is not a `{kind}` target"));
        self.push(mistake.into(), (self.file, span));
    }

    /// Returns the place of a word of a row.
    fn word(&self, params: &Spanned<DeValue<'_>>, index: usize) -> Option<Range<usize>> {
        if let DeValue::Array(words) = params.get_ref() {
            return words.get(index).map(Spanned::span);
        }
        let raw = self.text.get(params.span()).filter(|raw| !raw.contains('\\'))?;
        let inside = raw.trim_matches(['"', '\'']);
        let word = inside.split_whitespace().nth(index)?;
        // Both are parts of one text: the distance of their beginnings is the offset.
        let offset = word.as_ptr().addr() - raw.as_ptr().addr();
        let start = params.span().start + offset;
        Some(start..start + word.len())
    }
}

/// The table of a target with its row alone.
#[derive(serde::Deserialize)]
struct OnlyParams {
    params: Option<Params>,
}

fn typed(kind: &Kind, table: DeTable<'_>) -> Result<(), Error> {
    kind.deserialize(Deserializer::from(Spanned::new(0..0, table))).map(drop)
}

impl From<Wording> for Diagnostic {
    fn from(Wording { message, label, nearest, help }: Wording) -> Self {
        let diagnostic = Self { label, ..Self::error(message) };
        diagnostic.meant(nearest.as_deref()).helps(help)
    }
}

fn missing_field(error: &Error) -> Option<&str> {
    error.message().strip_prefix("missing field `")?.strip_suffix('`')
}

/// Returns the table at a path.
fn table_at<'d, 'i>(document: &'d DeTable<'i>, path: &[Place]) -> Option<&'d DeTable<'i>> {
    let Some((first, rest)) = path.split_first() else { return Some(document) };
    let Place::Key(first) = first else { return None };
    let value = rest.iter().try_fold(document.get(first.as_str())?, |value, place| match place {
        Place::Key(key) => value.get_ref().get(key.as_str()),
        Place::Index(index) => value.get_ref().get(*index),
    })?;
    value.get_ref().as_table()
}

/// Returns the path to the key or the value at `span`.
fn path_to(table: &DeTable<'_>, span: &Range<usize>) -> Option<Vec<Place>> {
    table.iter().find_map(|(key, value)| {
        let place = Place::Key(key.get_ref().as_ref().into());
        if key.span() == *span { Some(vec![place]) } else { path_in(place, value, span) }
    })
}

fn path_in(place: Place, value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<Vec<Place>> {
    let rest = match value.get_ref() {
        _ if value.span() == *span => Some(Vec::new()),
        DeValue::Table(table) => path_to(table, span),
        DeValue::Array(array) => {
            array.iter().enumerate().find_map(|(index, element)| path_in(Place::Index(index), element, span))
        }
        _ => None,
    };
    rest.map(|rest| std::iter::once(place).chain(rest).collect())
}

/// Removes the entry at a path.
fn remove(table: &mut DeTable<'_>, path: &[Place]) -> bool {
    match path {
        [Place::Key(key)] => table.remove(key.as_str()).is_some(),
        [Place::Key(key), rest @ ..] => {
            table.get_mut(key.as_str()).is_some_and(|value| remove_in(value.get_mut(), rest))
        }
        _ => false,
    }
}

fn remove_in(value: &mut DeValue<'_>, path: &[Place]) -> bool {
    match (value, path) {
        (DeValue::Table(table), path) => remove(table, path),
        (DeValue::Array(array), [Place::Index(index)]) => {
            let all = std::mem::replace(array, DeArray::new()).into_iter().enumerate();
            *array = all.filter(|(at, _)| at != index).map(|(_, element)| element).collect();
            true
        }
        (DeValue::Array(array), [Place::Index(index), rest @ ..]) => {
            array.get_mut(*index).is_some_and(|element| remove_in(element.get_mut(), rest))
        }
        _ => false,
    }
}

/// Prints a path as a person writes it: `stripes[1].offset`.
fn shown(path: &[Place]) -> String {
    let mut shown = String::new();
    for place in path {
        match place {
            Place::Key(key) if shown.is_empty() => shown.push_str(key),
            Place::Key(key) => shown.extend([".", key]),
            Place::Index(index) => shown.extend(["[", &index.to_string(), "]"]),
        }
    }
    shown
}
