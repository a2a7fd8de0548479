//! The optional words of a `raid` row: read in any order and case, printed in the kernel's order.

use super::{JournalMode, Raid, Raid10Format, Resync};
use crate::targets::{ParamsError, Printer, Words};
use crate::units::Sectors;

/// Reads one option and what belongs to it.
pub(super) fn parse(raid: &mut Raid, words: &mut Words<'_>) -> Result<(), ParamsError> {
    let word = words.next("an option")?.to_ascii_lowercase();
    match word.as_str() {
        "sync" | "nosync" => {
            if raid.sync.is_some() {
                return Err(words.wrong("only one of sync and nosync may stand, and once"));
            }
            raid.sync = Resync::find(&word);
        }
        "rebuild" => raid.rebuild.push(words.number(&word)?),
        "write_mostly" => raid.write_mostly.push(words.number(&word)?),
        "daemon_sleep" => once(&mut raid.daemon_sleep, words, &word)?,
        "min_recovery_rate" => once(&mut raid.min_recovery_rate, words, &word)?,
        "max_recovery_rate" => once(&mut raid.max_recovery_rate, words, &word)?,
        "stripe_cache" => once(&mut raid.stripe_cache, words, &word)?,
        "raid10_copies" => once(&mut raid.raid10_copies, words, &word)?,
        "max_write_behind" => sectors_once(&mut raid.max_write_behind, words, &word)?,
        "region_size" => sectors_once(&mut raid.region_size, words, &word)?,
        "data_offset" => sectors_once(&mut raid.data_offset, words, &word)?,
        "delta_disks" => raid.delta_disks = Some(signed(words, &word)?),
        "raid10_format" => {
            let format = Raid10Format::find(words.next(&word)?);
            raid.raid10_format =
                Some(format.ok_or_else(|| words.wrong(one_of(&word, &Raid10Format::words())))?);
        }
        "journal_dev" => raid.journal_device = Some(words.device(&word)?),
        "journal_mode" if raid.journal_device.is_none() => {
            return Err(words.wrong("journal_dev must stand before journal_mode"));
        }
        "journal_mode" => {
            let mode = JournalMode::find(words.next(&word)?);
            raid.journal_mode = Some(mode.ok_or_else(|| words.wrong(one_of(&word, &JournalMode::words())))?);
        }
        // The kernel counts this word and does not print it: what it prints could not be told apart.
        "raid10_use_near_sets" => return Err(words.wrong("raid10_use_near_sets is not supported")),
        other => return Err(words.wrong(format!("a raid has no option `{}`", other.escape_debug()))),
    }
    Ok(())
}

fn one_of(word: &str, all: &str) -> String {
    format!("{word} must be one of {all}")
}

/// A number that may stand once.
fn once<N: TryFrom<u64>>(
    field: &mut Option<N>,
    words: &mut Words<'_>,
    word: &str,
) -> Result<(), ParamsError> {
    if field.is_some() {
        return Err(words.wrong(format!("{word} may stand only once")));
    }
    *field = Some(words.number(word)?);
    Ok(())
}

fn sectors_once(field: &mut Option<Sectors>, words: &mut Words<'_>, word: &str) -> Result<(), ParamsError> {
    if field.is_some() {
        return Err(words.wrong(format!("{word} may stand only once")));
    }
    *field = Some(words.sectors(word)?);
    Ok(())
}

/// The one number of the row that may be negative.
fn signed(words: &mut Words<'_>, word: &str) -> Result<i32, ParamsError> {
    let text = words.next(word)?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let size: i32 = words
        .to_number::<u32>(digits, word)?
        .try_into()
        .map_err(|_| words.wrong(format!("{word} is too large")))?;
    Ok(if digits.len() < text.len() { -size } else { size })
}

/// Prints all options.
pub(super) fn print(raid: &Raid, out: &mut Printer) {
    if let Some(sync) = raid.sync {
        out.word(sync);
    }
    for index in &raid.rebuild {
        out.word("rebuild").word(index);
    }
    out.value("daemon_sleep", raid.daemon_sleep)
        .value("min_recovery_rate", raid.min_recovery_rate)
        .value("max_recovery_rate", raid.max_recovery_rate);
    for index in &raid.write_mostly {
        out.word("write_mostly").word(index);
    }
    out.value("max_write_behind", raid.max_write_behind)
        .value("stripe_cache", raid.stripe_cache)
        .value("region_size", raid.region_size)
        .value("raid10_copies", raid.raid10_copies)
        .value("raid10_format", raid.raid10_format)
        .value("delta_disks", raid.delta_disks)
        .value("data_offset", raid.data_offset);
    if let Some(journal) = &raid.journal_device {
        out.word("journal_dev").device(journal);
    }
    out.value("journal_mode", raid.journal_mode);
}
