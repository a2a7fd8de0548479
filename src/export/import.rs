//! Makes a map file of the concise form, which `dmsetup create --concise` reads.
//!
//! Rows become typed fields, lower devices that are devices of the same text become references, and minor numbers are
//! left out. The value of `dm-mod.create=` has the same form, and is found in a whole command line. The text is not trusted: it is read in one pass, and each error marks its place without showing a key that
//! the place may hold.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

use super::command_line::{self, Value};
use super::concise::{self, LocatedSpec, SyntaxError};
use super::draft::{self, hidden_state, share};
use super::hidden_keys;
use super::key_files::KeyFiles;
use super::names::KeyAllocator;
use super::note::Note;
use super::text::{self, Commented};
use crate::config::{self, Diagnostic, Diagnostics, Length, Mapping, MappingRow, Source};
use crate::device::{Device, Form};
use crate::identity::{Key, Name, Owner, Uuid};
use crate::table::{RawRow, TableError};
use crate::targets::{self, Problems};

/// Why a text can't become a map: every error, with its place in the text. Its `Display` draws them.
#[derive(Debug)]
pub struct ImportError {
    diagnostics: Diagnostics,
    sources: Vec<Source>,
}

impl ImportError {
    /// Draws the errors in colour, for a terminal.
    pub fn styled(&self) -> String {
        self.diagnostics.render_colored(&self.sources)
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostics.render(&self.sources))
    }
}

impl Error for ImportError {}

/// Makes the map. `origin` is the name of the text in messages; `major` is the major number of Device Mapper on the host
/// of the text: with it, lower devices that are written as numbers become references as well.
///
/// # Errors
///
/// [`ImportError`] with every error of the text.
pub fn map(origin: &str, text: &str, major: Option<u32>) -> Result<String, ImportError> {
    let mut diagnostics = Diagnostics::default();
    let written = |mut placed: Vec<LocatedSpec>| {
        let map = written(&placed, major);
        placed.iter_mut().for_each(LocatedSpec::wipe);
        map
    };
    let map = placed(text).and_then(written).unwrap_or_else(|wrong| {
        for SyntaxError { at, message, help } in wrong {
            diagnostics.push(Diagnostic::error(message).at((0, at)).help(help));
        }
        String::new()
    });
    if !diagnostics.is_usable() {
        return Err(ImportError {
            diagnostics,
            sources: vec![Source::from_text(origin, &hidden_keys::hide(text))],
        });
    }
    let loaded = config::parse_str("the map of it", &map);
    if loaded.map.is_some() {
        Ok(map)
    } else {
        Err(ImportError { diagnostics: loaded.diagnostics, sources: loaded.sources })
    }
}

pub(crate) fn placed(text: &str) -> Result<Vec<LocatedSpec>, Vec<SyntaxError>> {
    let Value { at, in_command_line } = command_line::find(text).map_err(|error| vec![error])?;
    let start = at.start;
    let moved = |at: &mut Range<usize>| *at = at.start + start..at.end + start;
    let read = if in_command_line { concise::read_plain } else { concise::read };
    let mut placed = read(&text[at]).map_err(|mut wrong| {
        for error in &mut wrong {
            moved(&mut error.at);
        }
        wrong
    })?;
    for device in &mut placed {
        moved(&mut device.name);
        device.rows.iter_mut().for_each(moved);
    }
    if placed.is_empty() {
        let help = "a device is `name,uuid,minor,flags,start length type params[,...]`".to_string();
        return Err(vec![SyntaxError { at: 0..0, message: "there is no device in it".to_string(), help }]);
    }
    Ok(placed)
}

fn written(placed: &[LocatedSpec], major: Option<u32>) -> Result<String, Vec<SyntaxError>> {
    let (mut wrong, mut named) = (Vec::new(), Vec::new());
    let (mut taken_names, mut taken_uuids) = (BTreeSet::new(), BTreeSet::new());
    let mut taken_minors = BTreeSet::new();
    for device in placed {
        match identity(device) {
            Ok((name, uuid)) => {
                let first = taken_names.insert(name.clone())
                    && uuid.as_ref().is_none_or(|uuid| taken_uuids.insert(uuid.clone()))
                    && device.spec.minor.is_none_or(|minor| taken_minors.insert(minor));
                wrong.extend((!first).then(|| twice(device)));
                named.push((device, (name, uuid)));
            }
            Err(error) => wrong.push(error),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let owner = owner(&named);
    let whose = owner.clone().unwrap_or_default();
    let keys = keys(&named, &whose);
    let references = References::new(&named, &keys, major);
    let (mut mappings, mut notes) = (Vec::new(), Vec::new());
    let mut files = KeyFiles::of(&keys);
    for ((device, (name, uuid)), key) in named.iter().zip(&keys) {
        let mut rows = rows(device, &references, &mut wrong);
        let mut comments = files.hide(key, rows.iter_mut().map(|row| row.target.as_mut()));
        comments.extend(hidden_state(&rows));
        comments.extend(nodes_of_others(&rows));
        notes.push(comments);
        // A device without a uuid is adopted: it may exist already, made from the text.
        let mapping = draft::mapping(key.clone(), name.clone(), uuid.clone(), &whose, rows);
        mappings.push(Mapping { readonly: device.spec.read_only, ..mapping });
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    share(&mut mappings.iter_mut().collect::<Vec<_>>(), |device| Some(device.form.clone()));
    let mappings: Vec<Commented<'_>> =
        mappings.iter().zip(&notes).map(|(mapping, notes)| Commented { mapping, notes }).collect();
    let head = ["Written by `dmctl import-concise`.".to_string()];
    Ok(text::write(&head, owner.as_ref(), &mappings, &[]))
}

type Identity = (Name, Option<Uuid>);

fn identity(device: &LocatedSpec) -> Result<Identity, SyntaxError> {
    let wrong = |message: String| SyntaxError {
        at: device.name.clone(),
        message,
        help: "what libdevmapper can't name, it can't make either".to_string(),
    };
    let name = Name::new(&device.spec.name).map_err(|error| wrong(error.to_string()))?;
    let uuid = Some(&device.spec.uuid).filter(|uuid| !uuid.is_empty()).map(|uuid| Uuid::new(uuid));
    Ok((name, uuid.transpose().map_err(|error| wrong(error.to_string()))?))
}

fn twice(device: &LocatedSpec) -> SyntaxError {
    SyntaxError {
        at: device.name.clone(),
        message: "a device before this one has the same name, uuid or minor number".to_string(),
        help: "the kernel has each once".to_string(),
    }
}

/// Returns the owner of the devices, if all that have one have the same.
fn owner(named: &[(&LocatedSpec, Identity)]) -> Option<Owner> {
    let mut owners = named.iter().filter_map(|(_, (_, uuid))| Some(uuid.as_ref()?.parts()?.0));
    let first = owners.next()?;
    owners.all(|other| other == first).then_some(first)
}

fn keys(named: &[(&LocatedSpec, Identity)], owner: &Owner) -> Vec<Key> {
    let own = |uuid: &Option<Uuid>| {
        let (whose, key) = uuid.as_ref()?.parts()?;
        (whose == *owner).then_some(key)
    };
    let mut given = KeyAllocator::default();
    let own: Vec<Option<Key>> =
        named.iter().map(|(_, (_, uuid))| own(uuid).filter(|key| given.take(key))).collect();
    own.into_iter()
        .zip(named)
        .map(|(own, (_, (name, _)))| own.unwrap_or_else(|| given.allocate(name, |_| true)))
        .collect()
}

/// The forms in which rows may name devices of the text, and their keys.
struct References {
    by_name: BTreeMap<String, Key>,
    /// By number, where the major number is known, and by the node that the kernel names.
    by_number: BTreeMap<String, Key>,
}

impl References {
    fn new(named: &[(&LocatedSpec, Identity)], keys: &[Key], major: Option<u32>) -> Self {
        let each = || named.iter().zip(keys);
        let by_name = each().flat_map(|((_, (name, _)), key)| {
            [(name.plain().into_owned(), key.clone()), (name.kernel().to_string(), key.clone())]
        });
        let by_number = each().flat_map(|((device, _), key)| {
            let minor = device.spec.minor;
            let number = major.zip(minor).map(|(major, minor)| format!("{major}:{minor}"));
            let node = minor.map(|minor| format!("/dev/dm-{minor}"));
            number.into_iter().chain(node).map(|form| (form, key.clone()))
        });
        Self { by_name: by_name.collect(), by_number: by_number.collect() }
    }

    /// Returns the word with a reference in place of a device of the text. An option has a device behind a colon.
    fn replace(&self, word: &str) -> String {
        if let Some((before, name)) = word.split_once("/dev/mapper/")
            && (before.is_empty() || before.ends_with(':'))
            && let Some(key) = self.by_name.get(name)
        {
            return format!("{before}@{key}");
        }
        let start = word.find("/dev/dm-").filter(|start| *start == 0 || word[..*start].ends_with(':'));
        let (before, form) = word.split_at(start.unwrap_or(0));
        self.by_number.get(form).map_or_else(|| word.to_string(), |key| format!("{before}@{key}"))
    }
}

fn rows(device: &LocatedSpec, references: &References, wrong: &mut Vec<SyntaxError>) -> Vec<MappingRow> {
    let (mut rows, mut expected) = (Vec::new(), 0);
    for (text, at) in device.spec.rows.iter().zip(&device.rows) {
        match row(text, references, expected) {
            Ok(row) => {
                expected = row.start.unwrap_or(0).saturating_add(length(&row));
                rows.push(row);
            }
            Err(RowError { message, help }) => wrong.push(SyntaxError { at: at.clone(), message, help }),
        }
    }
    rows
}

/// Notes each lower device that is written as the kernel's node of a mapped device that the text does not have.
fn nodes_of_others(rows: &[MappingRow]) -> impl Iterator<Item = Note> {
    let lower = rows.iter().flat_map(|row| row.target.lower_devices(0));
    let nodes: BTreeSet<String> =
        lower.filter(|lower| is_node(lower.device)).map(|lower| lower.device.to_string()).collect();
    nodes.into_iter().map(Note::NodeOfAnother)
}

fn is_node(device: &Device) -> bool {
    matches!(&device.form, Form::Path(path) if path.starts_with("/dev/dm-"))
}

fn length(row: &MappingRow) -> u64 {
    if let Length::Sectors(length) = row.length { length } else { 0 }
}

/// The help for a row that can't be read.
const ROW_FORM: &str = "a row is `start length type params`, in sectors";

/// The rule that a row breaks, and how to keep it.
struct RowError {
    message: String,
    help: String,
}

fn row(text: &str, references: &References, expected: u64) -> Result<MappingRow, RowError> {
    let malformed = |message: String| RowError { message, help: ROW_FORM.to_string() };
    let read = RawRow::parse(text).map_err(|error| match error {
        TableError::Row { what, .. } => malformed(what),
        other => malformed(other.to_string()),
    })?;
    if read.start != expected {
        let message = format!("this target starts at {}, the one before it ends at {expected}", read.start);
        return Err(RowError { message, help: "a table has no gaps".to_string() });
    }
    let words = read.params().split_whitespace().map(|word| references.replace(word));
    let words = Zeroizing::new(words.collect::<Vec<String>>());
    let parsed = targets::parse(&read.kind, &Zeroizing::new(words.join(" ")));
    let target = parsed.map_err(|error| malformed(error.to_string()))?;
    let mut problems = Problems::default();
    target.check(Some(read.length), &mut problems);
    if let Some(problem) = problems.into_vec().into_iter().next() {
        let advice: Vec<_> = problem.advice().collect();
        let help = if advice.is_empty() { ROW_FORM.to_string() } else { advice.join("; ") };
        return Err(RowError { message: problem.message.into_owned(), help });
    }
    Ok(MappingRow {
        start: Some(read.start),
        length: Length::Sectors(read.length),
        target,
        messages: Vec::new(),
    })
}
