//! Reads the declarations of one file from its text.
//!
//! The text is parsed a mapping at a time where it can be taken apart, and every table in it is handed to
//! serde by itself: the top, each mapping, each target. When anything is wrong the text is parsed again, as a
//! whole: a table that does not read leaves the others alone and is noted, and its errors are found
//! afterwards by [`explain`](super::explain), on one more parse. Only a wrong file pays for these.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue, Deserializer};

use super::diagnostic::{Diagnostic, Diagnostics};
use super::explain::Explainer;
use super::fields::{FORMAT, MapFields, MappingFields};
use super::model::{Length, MappingRow, Origin, Rows};
use super::parts::Parts;
use super::row_fields::{RowFields, SecretText};
use super::syntax::{self, Outline};
use super::tables::{Failed, Shape, described, is_type_name, read, split_common};
use crate::identity::{Key, Owner};
use crate::mistake::Mistake;
use crate::targets::{self, Kind, MessageText, Target};

/// The declarations of one file.
pub(super) struct FileDraft {
    pub owner: Option<Owner>,
    pub policy: Option<super::Policy>,
    pub mappings: Vec<MappingDraft>,
    /// Whether the file holds a key in clear.
    pub holds_keys: bool,
    /// Whether the draft has every mapping, if only in part.
    pub complete: bool,
}

/// The declaration of one mapping in a file.
pub(super) struct MappingDraft {
    pub key: Key,
    pub file: usize,
    pub fields: MappingFields,
    pub rows: Rows,
    /// Whether the mapping was read in full. If not, rules that depend on the missing part are not checked.
    pub whole: bool,
}

/// Reads the text of file number `file`. Returns `None` when not even its syntax can be read.
pub(super) fn parse(file: usize, text: &str, diagnostics: &mut Diagnostics) -> Option<FileDraft> {
    let outline = syntax::outline(file, text, diagnostics)?;
    let in_parts = Parts::of(text).and_then(|parts| in_parts(file, &parts));
    in_parts.or_else(|| whole(file, text, &outline, diagnostics))
}

/// Reads a mapping at a time. Returns `None` as soon as anything is wrong.
fn in_parts(file: usize, parts: &Parts<'_>) -> Option<FileDraft> {
    let head = DeTable::parse(parts.head).ok()?.into_inner();
    if other_format(&head).is_some() {
        return None;
    }
    let mut silent = Diagnostics::default();
    let mut walk = Walk { file, failed: Vec::new(), diagnostics: &mut silent, holds_keys: false };
    let (mut draft, elsewhere) = walk.top(head);
    let mut good = elsewhere.is_empty() && walk.is_good();
    draft.mappings.reserve(parts.mappings.len());
    for (key, text) in &parts.mappings {
        let (written, value) = only_mapping(DeTable::parse(text).ok()?.into_inner())?;
        draft.mappings.push(walk.mapping(&written, value)?);
        good &= written.get_ref() == key && walk.is_good();
        if !good {
            return None;
        }
    }
    draft.holds_keys = walk.holds_keys;
    good.then_some(draft)
}

/// Returns the one mapping of a part.
fn only_mapping(mut document: DeTable<'_>) -> Option<Entry<'_>> {
    let mappings = document.remove("mappings").filter(|_| document.is_empty())?;
    let DeValue::Table(mappings) = mappings.into_inner() else { return None };
    let mut entries = mappings.into_iter();
    entries.next().filter(|_| entries.next().is_none())
}

/// Reads the whole text at once, and reports every error.
fn whole(file: usize, text: &str, outline: &Outline, diagnostics: &mut Diagnostics) -> Option<FileDraft> {
    let document = syntax::parse(file, text, outline, diagnostics)?;
    if let Some(other) = other_format(&document) {
        diagnostics.push(other_format_error(other.get_ref()).at((file, other.span())));
        return None;
    }
    let mut walk = Walk { file, failed: Vec::new(), diagnostics, holds_keys: false };
    let (mut draft, mappings) = walk.top(document);
    let declared = mappings.len();
    draft.mappings = mappings.into_iter().filter_map(|(key, value)| walk.mapping(&key, value)).collect();
    draft.complete &= draft.mappings.len() == declared;
    draft.holds_keys = walk.holds_keys;
    let failed = walk.failed;
    if !failed.is_empty() {
        Explainer::new(file, text, diagnostics).explain(&failed);
    }
    Some(draft)
}

/// Returns the format of a file, when it is a number but not ours: the rest of the file may then have another
/// meaning.
fn other_format<'d, 'i>(document: &'d DeTable<'i>) -> Option<&'d Spanned<DeValue<'i>>> {
    let ours = |written: &DeInteger<'_>| i64::from_str_radix(written.as_str(), written.radix()) == Ok(FORMAT);
    document.get("format").filter(|value| value.get_ref().as_integer().is_some_and(|written| !ours(written)))
}

fn other_format_error(written: &DeValue<'_>) -> Diagnostic {
    let written = written.as_integer().map(ToString::to_string).unwrap_or_default();
    Diagnostic::error(format!("a map of format {written} can't be read"))
        .label(format!("this version of dmctl reads format {FORMAT}"))
        .help(format!("write `format = {FORMAT}`, or read the map with the dmctl it was written for"))
}

type Entry<'i> = (Spanned<toml::de::DeString<'i>>, Spanned<DeValue<'i>>);

struct Walk<'d> {
    file: usize,
    failed: Vec<Failed>,
    diagnostics: &'d mut Diagnostics,
    holds_keys: bool,
}

impl Walk<'_> {
    /// Tells whether the file is free of errors so far.
    fn is_good(&self) -> bool {
        self.failed.is_empty() && self.diagnostics.is_usable()
    }

    /// Takes the mappings out of the top of the file and returns both.
    fn top<'i>(&mut self, mut document: DeTable<'i>) -> (FileDraft, Vec<Entry<'i>>) {
        let mappings = document.remove("mappings");
        let mut draft =
            FileDraft { owner: None, policy: None, mappings: Vec::new(), holds_keys: false, complete: true };
        match read::<MapFields>(document) {
            Ok(fields) => {
                draft.owner = fields.owner;
                draft.policy = fields.policy.map(super::fields::PolicyFields::into_policy);
            }
            Err(_) => self.fail(Origin { file: self.file, path: Vec::new() }, Shape::Top),
        }
        let entries = match mappings.map(|value| (value.span(), value.into_inner())) {
            None => Vec::new(),
            Some((_, DeValue::Table(table))) => table.into_iter().collect(),
            Some((span, other)) => {
                self.wrong_type(
                    span,
                    "`mappings` must be a table of mappings",
                    &other,
                    "write `[mappings.NAME]`",
                );
                Vec::new()
            }
        };
        (draft, entries)
    }

    fn mapping(
        &mut self,
        key: &Spanned<toml::de::DeString<'_>>,
        value: Spanned<DeValue<'_>>,
    ) -> Option<MappingDraft> {
        let span = value.span();
        let mut table = match value.into_inner() {
            DeValue::Table(table) => table,
            other => {
                self.wrong_type(span, "a mapping must be a table", &other, "write `[mappings.NAME]`");
                return None;
            }
        };
        let targets = table.remove("targets");
        let fields = read::<MappingFields>(table);
        let mut whole = fields.is_ok();
        if !whole {
            self.fail(Origin::mapping(self.file, key.get_ref()), Shape::Mapping);
        }
        let rows = self.targets(key.get_ref(), targets, &mut whole);
        let key = match Key::new(key.get_ref()) {
            Ok(key) => key,
            Err(error) => {
                let diagnostic = Diagnostic::from(Mistake::from(error));
                self.diagnostics.push(diagnostic.at((self.file, key.span())));
                return None;
            }
        };
        Some(MappingDraft { key, file: self.file, fields: fields.unwrap_or_default(), rows, whole })
    }

    fn targets(&mut self, key: &str, value: Option<Spanned<DeValue<'_>>>, whole: &mut bool) -> Rows {
        let Some(value) = value else { return Rows::new() };
        let span = value.span();
        let array = match value.into_inner() {
            DeValue::Array(array) => array,
            other => {
                *whole = false;
                self.wrong_type(
                    span,
                    "`targets` must be an array of tables",
                    &other,
                    "write `targets = [{ type = ... }]` or `[[mappings.NAME.targets]]`",
                );
                return Rows::new();
            }
        };
        let mut rows = Rows::with_capacity(array.len());
        for (index, element) in array.into_iter().enumerate() {
            let span = element.span();
            match element.into_inner() {
                DeValue::Table(table) => {
                    if let Some(row) = self.row(span, table) {
                        rows.push(row);
                        continue;
                    }
                    self.fail(Origin::mapping(self.file, key).below("targets").below(index), Shape::Target);
                }
                other => self.wrong_type(span, "a target must be a table", &other, "write `{ type = ... }`"),
            }
            *whole = false;
        }
        rows
    }

    fn row(&mut self, span: std::ops::Range<usize>, mut table: DeTable<'_>) -> Option<MappingRow> {
        let common = split_common(&mut table);
        let common: RowFields = read(common).ok()?;
        let kind = targets::find(&common.kind);
        if kind.is_none() && !is_type_name(&common.kind) {
            return None;
        }
        self.holds_keys |= holds_key(kind, &common, &table);
        let target = match (&common.params, kind) {
            (Some(_), _) if !table.is_empty() => return None,
            (Some(params), _) => targets::parse(&common.kind, &params.text).ok()?,
            (None, Some(kind)) => kind.deserialize(Deserializer::from(Spanned::new(span, table))).ok()?,
            (None, None) => return None,
        };
        let row = row(common, target);
        self.holds_keys |= row.messages.iter().any(MessageText::holds_key);
        Some(row)
    }

    fn fail(&mut self, origin: Origin, shape: Shape) {
        // Enough to fill the screen many times: further errors are not even noted.
        if self.failed.len() < 100 {
            self.failed.push(Failed { origin, shape });
        } else {
            self.diagnostics.push(Diagnostic::error("this table can't be read").at(origin));
        }
    }

    fn wrong_type(&mut self, span: std::ops::Range<usize>, rule: &str, found: &DeValue<'_>, help: &str) {
        let diagnostic = Diagnostic::error(rule)
            .at((self.file, span))
            .label(format!("this is {}", described(found)))
            .help(help);
        self.diagnostics.push(diagnostic);
    }
}

/// Makes a row of the map from its two halves.
fn row(common: RowFields, target: Box<dyn Target>) -> MappingRow {
    let message = |text: SecretText| MessageText::new(text.0, target.as_ref());
    MappingRow {
        messages: common.messages.into_iter().map(message).collect(),
        start: common.start.map(|start| start.0),
        length: common.length.map_or(Length::Rest, |length| length.0),
        target,
    }
}

/// Tells whether a target holds a key in clear.
fn holds_key(kind: Option<&Kind>, common: &RowFields, fields: &DeTable<'_>) -> bool {
    fn has_hex(value: &DeValue<'_>) -> bool {
        value.as_table().is_some_and(|table| {
            table.contains_key("hex") || table.values().any(|value| has_hex(value.get_ref()))
        })
    }
    if !kind.is_none_or(|kind| kind.traits.secret) {
        return false;
    }
    let in_row = common.params.as_ref().is_some_and(|params| {
        let words = || params.text.split_whitespace();
        !words().eq(targets::redact(&common.kind, &params.text).split_whitespace())
    });
    in_row || fields.values().any(|value| has_hex(value.get_ref()))
}
