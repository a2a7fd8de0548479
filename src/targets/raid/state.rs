//! The state of an array: `raid_status` in `drivers/md/dm-raid.c`.
//!
//! No word of the line is the truth by itself. An array that has just been resumed is `idle` before its sync begins; a
//! dead leg leaves the count of what is in sync at its end; a sync that was frozen keeps its count.

use serde::Serialize;

use super::level::Family;
use super::{Level, Raid};
use crate::targets::state::Tally;
use crate::targets::{FreshRow, Health, Left, ParamsError, Progress, ProgressUnit, State, Unfinished, Words};

/// A device of an array (`__raid_dev_status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum DeviceState {
    #[serde(rename = "A")]
    InSync,
    #[serde(rename = "a")]
    NotInSync,
    #[serde(rename = "D")]
    Dead,
    #[serde(rename = "-")]
    Missing,
}

/// What an array does (`sync_str`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Frozen,
    Reshape,
    Resync,
    Check,
    Repair,
    Recover,
    Idle,
}

/// The journal device (`__raid_dev_status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Journal {
    #[serde(rename = "A")]
    Writethrough,
    #[serde(rename = "a")]
    Writeback,
    #[serde(rename = "D")]
    Dead,
}

/// What is printed of an array.
#[derive(Debug, Serialize)]
struct RaidState {
    level: String,
    devices: Vec<DeviceState>,
    /// Sectors of each leg.
    sectors_in_sync: Tally,
    action: Action,
    /// Sectors that the last check found different; 0 after any other action.
    mismatched_sectors: u64,
    /// Where the data begins on each leg, in sectors. Since version 1.9.0.
    data_offset_sectors: Option<u64>,
    /// Since version 1.10.0.
    journal: Option<Journal>,
    /// How many legs may be lost.
    #[serde(skip)]
    bears: usize,
    #[serde(skip)]
    is_striped_only: bool,
}

impl DeviceState {
    fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'A' => Self::InSync,
            'a' => Self::NotInSync,
            'D' => Self::Dead,
            '-' => Self::Missing,
            _ => return None,
        })
    }

    fn is_lost(self) -> bool {
        matches!(self, Self::Dead | Self::Missing)
    }
}

impl Action {
    fn take(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        Ok(match words.next("the action")? {
            "frozen" => Self::Frozen,
            "reshape" => Self::Reshape,
            "resync" => Self::Resync,
            "check" => Self::Check,
            "repair" => Self::Repair,
            "recover" => Self::Recover,
            "idle" => Self::Idle,
            _ => return Err(words.wrong("the action is not one that an array has")),
        })
    }
}

impl Journal {
    fn take(words: &mut Words<'_>) -> Result<Option<Self>, ParamsError> {
        Ok(Some(match words.next("the letter of the journal")? {
            "A" => Self::Writethrough,
            "a" => Self::Writeback,
            "D" => Self::Dead,
            "-" => return Ok(None),
            _ => return Err(words.wrong("the letter of a journal is A, a, D or -")),
        }))
    }
}

/// Reads the state.
pub(super) fn read(raid: &Raid, words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    let level = words.next("the level")?.to_string();
    let count: usize = words.number("the count of devices")?;
    let letters = words.next("the letters of the devices")?;
    let devices: Option<Vec<DeviceState>> = letters.chars().map(DeviceState::of).collect();
    let devices = devices
        .filter(|devices| devices.len() == count)
        .ok_or_else(|| words.wrong(format!("the letters of {count} devices are A, a, D or -")))?;
    let sectors_in_sync = Tally::take(words, "the count of sectors in sync")?;
    let has_more = |words: &Words<'_>| words.left() > 0;
    let action = Action::take(words)?;
    let mismatched_sectors = words.number("the count of mismatches")?;
    let data_offset_sectors = if has_more(words) { Some(words.number("the data offset")?) } else { None };
    let journal = if has_more(words) || raid.journal_device.is_some() { Journal::take(words)? } else { None };
    Ok(Box::new(RaidState {
        bears: raid.bears(&level, count),
        is_striped_only: level == "raid0",
        level,
        devices,
        sectors_in_sync,
        action,
        mismatched_sectors,
        data_offset_sectors,
        journal,
    }))
}

/// Returns what is printed of one that is in sync.
pub(super) fn fresh(raid: &Raid, row: FreshRow<'_>) -> String {
    let letters: String =
        raid.devices.iter().map(|pair| if pair.data.is_some() { 'A' } else { '-' }).collect();
    // Of raid10, whose layouts differ, as it is without any copy at an odd place.
    let legs = raid.devices.len().max(1) as u64;
    let sectors = raid.share(row.length).unwrap_or_else(|| row.length.saturating_mul(raid.copies()) / legs);
    let journal = match (&raid.journal_device, raid.journal_mode) {
        (None, _) => '-',
        (Some(_), Some(super::JournalMode::Writeback)) => 'a',
        (Some(_), _) => 'A',
    };
    format!("{} {} {letters} {sectors}/{sectors} idle 0 0 {journal}", raid.level.word(), raid.devices.len())
}

/// Returns what is printed of an array once its table is loaded again: legs that were lost are filled from the others, for
/// the constructor takes every device whose superblock it can read (`super_validate` in `drivers/md/dm-raid.c`).
pub(super) fn reloaded(raid: &Raid, before: &str) -> String {
    let mut words: Vec<String> = before.split_whitespace().map(str::to_string).collect();
    let [level, _, letters, tally, action, ..] = words.as_mut_slice() else { return before.to_string() };
    let lost = letters.matches('D').count();
    if lost == 0 || lost > raid.bears(level, letters.len()) {
        return before.to_string();
    }
    *letters = letters.replace('D', "A");
    if let Some((_, total)) = tally.split_once('/') {
        *tally = format!("{total}/{total}");
    }
    *action = "idle".to_string();
    words.join(" ")
}

impl Raid {
    /// Returns how many of `count` devices an array of this level may lose. Which level it is changes in a takeover, so the
    /// one that is printed counts. Of raid10 that is the best case.
    fn bears(&self, level: &str, count: usize) -> usize {
        let copies = usize::try_from(self.copies()).unwrap_or(1);
        match Level::find(level).map(Level::family) {
            Some(Family::Mirror) => count.saturating_sub(1),
            Some(Family::Parity(parity)) => usize::try_from(parity).unwrap_or(0),
            Some(Family::Copies) => copies.saturating_sub(1),
            Some(Family::Stripes) | None => 0,
        }
    }
}

impl RaidState {
    fn lost(&self) -> usize {
        self.devices.iter().filter(|device| device.is_lost()).count()
    }

    /// Whether every leg that is there has all of its data.
    fn is_whole(&self) -> bool {
        self.sectors_in_sync.rest() == 0 && !self.devices.contains(&DeviceState::NotInSync)
    }

    fn is_failed(&self) -> bool {
        let legs = self.devices.len();
        let last_leg = legs > 0 && self.lost() == legs;
        self.lost() > self.bears || last_leg || self.journal == Some(Journal::Dead)
    }

    /// Whether a process runs, or is about to.
    fn is_busy(&self) -> bool {
        if self.is_striped_only {
            return false;
        }
        match self.action {
            Action::Resync | Action::Recover | Action::Reshape | Action::Check | Action::Repair => true,
            Action::Frozen => self.sectors_in_sync.used > 0 && !self.is_whole(),
            Action::Idle => !self.is_whole(),
        }
    }
}

impl State for RaidState {
    fn health(&self) -> Health {
        let stands = self.action == Action::Frozen && !self.is_whole() && !self.is_busy();
        if self.is_failed() {
            Health::Failed
        } else if self.lost() > 0 || stands || (self.mismatched_sectors > 0 && !self.is_busy()) {
            Health::Degraded
        } else if self.is_busy() {
            Health::Busy
        } else {
            Health::Ok
        }
    }

    fn figures(&self) -> Option<String> {
        Some(format!("{} sectors in sync on each leg", self.sectors_in_sync))
    }

    fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        if self.lost() > 0 {
            let legs = self.devices.len();
            let places: Vec<String> = (0..legs)
                .filter(|place| self.devices[*place].is_lost())
                .map(|place| place.to_string())
                .collect();
            let bears = self.bears;
            findings.push(format!(
                "{} of {legs} legs are lost ({}), {} bears {bears}",
                self.lost(),
                places.join(", "),
                self.level
            ));
        }
        if self.journal == Some(Journal::Dead) {
            findings.push("the journal device is dead: writes fail".to_string());
        }
        match self.action {
            Action::Frozen if !self.is_whole() => {
                findings.push("frozen: the sync stands still".to_string());
            }
            Action::Idle if self.is_busy() => findings.push("a sync is about to begin".to_string()),
            Action::Resync => findings.push("resync".to_string()),
            Action::Recover => findings.push("recover: a leg is filled from the others".to_string()),
            Action::Reshape => findings.push("reshape".to_string()),
            Action::Check => findings.push("check".to_string()),
            Action::Repair => findings.push("repair".to_string()),
            Action::Frozen | Action::Idle => {}
        }
        if self.mismatched_sectors > 0 {
            findings.push(format!("the last check found {} sectors different", self.mismatched_sectors));
        }
        findings
    }

    fn progress(&self) -> Option<Progress> {
        let Tally { used: done, total } = self.sectors_in_sync;
        let stands = self.action == Action::Frozen && !self.is_whole();
        (self.is_busy() || stands).then_some(Progress { done, total, unit: ProgressUnit::Sectors })
    }

    /// A check and a repair count their own way; the legs were in sync before.
    fn left(&self) -> Option<Left> {
        let of = Unfinished::UnsyncedSectors;
        match self.action {
            Action::Check | Action::Repair => None,
            _ if self.is_striped_only || self.is_whole() => None,
            // All counts as in sync while a leg is not: how much of it is not known.
            _ if self.sectors_in_sync.rest() == 0 => Some(Left::Untold(of)),
            _ => Left::counted(self.sectors_in_sync.rest(), of, 1),
        }
    }

    /// While a leg is filled from the others, those that are in sync have everything.
    fn left_on(&self, copy: usize) -> Option<Left> {
        let data = self.devices.iter().filter(|device| **device != DeviceState::Missing);
        let fills = self.action == Action::Recover;
        match data.copied().nth(copy) {
            Some(DeviceState::InSync) if fills => None,
            Some(DeviceState::InSync) => self.left(),
            _ => Some(self.left().unwrap_or(Left::Untold(Unfinished::UnsyncedSectors))),
        }
    }

    /// A missing leg has no device that could be filled.
    fn lost_legs(&self) -> Vec<u32> {
        let legs = (0u32..).zip(&self.devices);
        legs.filter(|(_, device)| **device == DeviceState::Dead).map(|(leg, _)| leg).collect()
    }

    fn stands(&self) -> Option<&'static str> {
        (self.action == Action::Frozen).then_some("frozen: the sync stands still")
    }
}
