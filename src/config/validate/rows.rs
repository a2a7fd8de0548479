//! Checks the rows of one table: they follow one another from sector 0, and each is a legal target.

use super::super::diagnostic::{Diagnostic, Diagnostics};
use super::super::model::{Length, Mapping, MappingRow, Origin};
use crate::device::Device;
use crate::targets::{MessageRisk, Mode, Problems, RemainingLength};
use crate::units::{MAX_BYTES, SECTOR, Sectors};

/// The most sectors a device can have.
const MAX_SECTORS: u64 = MAX_BYTES / SECTOR;

/// Checks the rows of `mapping`. `readonly` is the field of the map, if it is given.
pub(super) fn check(mapping: &mut Mapping, readonly: Option<bool>, diagnostics: &mut Diagnostics) {
    if mapping.rows.is_empty() && mapping.is_present() {
        diagnostics.push(no_targets(mapping));
    }
    let mut next = Some(0);
    for (index, row) in mapping.rows.iter_mut().enumerate() {
        let origin = || Origin::mapping(mapping.file, mapping.key.as_str()).below("targets").below(index);
        next = place(row, next, &origin, diagnostics);
        check_target(row, &origin, diagnostics);
        check_messages(row, &origin, diagnostics);
    }
    check_alone(mapping, diagnostics);
    check_first(mapping, diagnostics);
    settle_mode(mapping, readonly, diagnostics);
}

fn no_targets(mapping: &Mapping) -> Diagnostic {
    Diagnostic::error(format!("the mapping `{}` has no targets", mapping.key))
        .at(mapping.origin())
        .label("an active mapping needs at least one")
        .help(
            "write `targets = [{ type = ..., length = ... }]`, or `state = \"absent\"` if it should go away",
        )
}

/// Checks the start and the length of a row, fills in its start, and returns the start of the next one, as
/// far as it is known.
fn place(
    row: &mut MappingRow,
    expected: Option<u64>,
    origin: &dyn Fn() -> Origin,
    diagnostics: &mut Diagnostics,
) -> Option<u64> {
    if let (Some(start), Some(expected)) = (row.start, expected)
        && start != expected
    {
        diagnostics.push(misplaced(start, expected).at(origin().field("start")));
    }
    let start = expected.or(row.start);
    row.start = start;
    let length = match row.length {
        Length::Sectors(0) => {
            let diagnostic = Diagnostic::error("a target of 0 sectors").at(origin().field("length"));
            diagnostics.push(diagnostic.help("leave it out, or give it a length"));
            return start;
        }
        Length::Sectors(length) => length,
        Length::Rest => {
            let any_size = |_: &Device| Some(u64::MAX / 2);
            let follows = row.target.first_length().is_some()
                || row.target.remaining_length(&any_size) != RemainingLength::NotApplicable;
            if !follows {
                diagnostics.push(needs_length(row).at(origin().field("length")));
            }
            return None;
        }
    };
    let end = start?.checked_add(length).filter(|end| *end <= MAX_SECTORS);
    if end.is_none() {
        let diagnostic =
            Diagnostic::error("the table reaches past 2^63-1 bytes, the largest device the kernel accepts");
        let left = MAX_SECTORS.saturating_sub(start.unwrap_or_default());
        let diagnostic = diagnostic.help(format!("at most {left} sectors are left at this place"));
        diagnostics.push(diagnostic.at(origin().field("length")));
    }
    end
}

fn misplaced(start: u64, expected: u64) -> Diagnostic {
    let label = if start > expected {
        format!("leaves a gap of {}", count(start - expected))
    } else {
        format!("overlaps the targets before by {}", count(expected - start))
    };
    Diagnostic::error(format!("this target must start at sector {expected}, not at {start}"))
        .label(label)
        .help("a table has no gaps; left out, `start` follows from the targets before")
}

/// Prints a number of sectors, and their size in bytes.
fn count(sectors: u64) -> String {
    format!("{sectors} sector{} ({})", if sectors == 1 { "" } else { "s" }, Sectors(sectors).human())
}

fn needs_length(row: &MappingRow) -> Diagnostic {
    let kind = row.target.kind();
    Diagnostic::error(format!("a `{kind}` target needs a `length`"))
        .label("its length doesn't follow from one lower device")
        .help("write `length = \"10GiB\"`, or an integer of 512-byte sectors")
}

/// Reports the problems that the target itself finds.
fn check_target(row: &MappingRow, origin: &dyn Fn() -> Origin, diagnostics: &mut Diagnostics) {
    let length = match row.length {
        Length::Sectors(0) => return,
        Length::Sectors(length) => Some(length),
        Length::Rest => None,
    };
    let mut problems = Problems::default();
    row.target.check(length, &mut problems);
    let mut doubts = Problems::default();
    if problems.is_empty() {
        row.target.doubts(&mut doubts);
    }
    let errors =
        problems.into_vec().into_iter().map(|problem| (Diagnostic::error(problem.message.clone()), problem));
    let warnings =
        doubts.into_vec().into_iter().map(|doubt| (Diagnostic::warning(doubt.message.clone()), doubt));
    for (diagnostic, problem) in errors.chain(warnings) {
        let diagnostic = diagnostic.helps(problem.advice());
        diagnostics.push(diagnostic.at(origin().field(&problem.field)));
    }
}

/// Checks that each message is a line, and that the target takes it: what begins with `@` is for Device Mapper itself
/// (`target_message` in `drivers/md/dm-ioctl.c`).
fn check_messages(row: &MappingRow, origin: &dyn Fn() -> Origin, diagnostics: &mut Diagnostics) {
    for (index, message) in row.messages.iter().enumerate() {
        let at = || origin().below("messages").below(index);
        let message = message.reveal();
        if message.trim().is_empty() || message.contains(char::is_control) {
            let rule = "a message is one line of words, such as \"addbadblock 60\"";
            diagnostics.push(Diagnostic::error(rule).at(at()));
        } else if let Some(problem) = wrong_message(row, message) {
            diagnostics.push(Diagnostic::error(problem).at(at()).help("take it out"));
        }
    }
}

/// Tells why a message is not sent: the target takes none, or the message does harm.
fn wrong_message(row: &MappingRow, message: &str) -> Option<String> {
    let (traits, kind) = (row.target.traits(), row.target.kind());
    let first = message.split_whitespace().next().filter(|first| !first.starts_with('@'))?;
    if traits.messages.is_empty() {
        return Some(format!("a `{kind}` target takes no messages, and the kernel refuses each"));
    }
    // The word itself is not shown: it may be a key.
    let Some(form) = traits.message(first) else {
        let words: Vec<&str> = traits.messages.iter().map(|form| form.word).collect();
        return Some(format!(
            "a `{kind}` target takes no message that begins so, and the kernel refuses it; it takes {}",
            words.join(", ")
        ));
    };
    match form.risk {
        MessageRisk::Never(why) => Some(format!("`{first}` is not sent to a `{kind}` target: {why}")),
        MessageRisk::Class(_) => None,
    }
}

/// Checks that a target that must be alone is the only one of its table.
fn check_alone(mapping: &Mapping, diagnostics: &mut Diagnostics) {
    if mapping.rows.len() < 2 {
        return;
    }
    let alone = mapping.rows.iter().position(|row| row.target.traits().singleton);
    if let Some(index) = alone {
        let kind = mapping.rows[index].target.kind();
        let count = mapping.rows.len();
        diagnostics.push(
            Diagnostic::error(format!("a `{kind}` target must be the only target of its table"))
                .at(mapping.origin().below("targets").below(index))
                .label(format!("one of {count}"))
                .help("make it a mapping of its own, and map its parts with `linear` targets on `@key`"),
        );
    }
}

/// Checks that a row which can be used only from the start of its device is there.
fn check_first(mapping: &Mapping, diagnostics: &mut Diagnostics) {
    for (index, row) in mapping.rows.iter().enumerate().skip(1) {
        if row.target.traits().first_only {
            let kind = row.target.kind();
            let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            diagnostics.push(
                Diagnostic::error(format!("{article} `{kind}` target must begin at sector 0 of its device"))
                    .at(mapping.origin().below("targets").below(index))
                    .label("the kernel takes it here, and fails its I/O")
                    .help("make it a mapping of its own, and map that here with a `linear` target on `@key`"),
            );
        }
    }
}

/// Tells whether the table is read-only: declared by the map, implied or forbidden by its targets.
fn settle_mode(mapping: &mut Mapping, written: Option<bool>, diagnostics: &mut Diagnostics) {
    let find = |mode| mapping.rows.iter().position(|row| row.target.traits().mode == mode);
    let (read_only, writable) = (find(Mode::ReadOnly), find(Mode::Writable));
    let kind = |index: usize| mapping.rows[index].target.kind();
    if let Some(index) = writable
        && written == Some(true)
    {
        diagnostics.push(
            Diagnostic::error(format!("a `{}` target can't be read-only", kind(index)))
                .at(mapping.origin().field("readonly"))
                .label("the kernel refuses its table in this mode")
                .help("take out `readonly`"),
        );
    }
    if let Some(index) = read_only
        && written == Some(false)
    {
        diagnostics.push(
            Diagnostic::warning(format!("a `{}` target is always read-only", kind(index)))
                .at(mapping.origin().field("readonly"))
                .label("has no effect"),
        );
    }
    if read_only.is_some() {
        mapping.readonly = true;
    }
}
