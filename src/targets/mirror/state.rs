//! The state of a mirror: `mirror_status` in `drivers/md/dm-raid1.c`, and `core_status` and `disk_status` of its log in
//! `drivers/md/dm-log.c`.

use serde::Serialize;

use super::{LogKind, Mirror};
use crate::targets::state::Tally;
use crate::targets::{FreshRow, Health, Left, ParamsError, Progress, ProgressUnit, State, Unfinished, Words};
use crate::units::Sectors;

/// What was seen of a device since the table was loaded (`device_status_char`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum LegState {
    #[serde(rename = "A")]
    Alive,
    #[serde(rename = "F")]
    FlushError,
    #[serde(rename = "D")]
    WriteError,
    #[serde(rename = "S")]
    SyncError,
    #[serde(rename = "R")]
    ReadError,
    #[serde(rename = "U")]
    Unclassified,
}

/// A leg as it is printed.
#[derive(Debug, Serialize)]
struct LegLine {
    device: String,
    state: LegState,
}

/// What is printed of a mirror.
#[derive(Debug, Serialize)]
struct MirrorState {
    legs: Vec<LegLine>,
    /// The regions that are the same on all legs.
    regions_in_sync: Tally,
    log: LogState,
    #[serde(skip)]
    region_sectors: u64,
}

/// The log as it is printed.
#[derive(Debug, Serialize)]
struct LogState {
    #[serde(rename = "type")]
    kind: String,
    /// The device and its letter, for a log on a device: `A`, `D` when it is dead, `F` when a flush failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<(String, char)>,
    /// Further words, of a log that dmctl does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    words: Vec<String>,
}

impl LegState {
    fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'A' => Self::Alive,
            'F' => Self::FlushError,
            'D' => Self::WriteError,
            'S' => Self::SyncError,
            'R' => Self::ReadError,
            'U' => Self::Unclassified,
            _ => return None,
        })
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Alive => "no error",
            Self::FlushError => "a flush failed",
            Self::WriteError => "a write failed",
            Self::SyncError => "a write of the sync failed",
            Self::ReadError => "a read failed",
            Self::Unclassified => "an error that the kernel does not name",
        }
    }
}

/// Reads the state.
pub(super) fn read(mirror: &Mirror, words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    let count: usize = words.number("the count of legs")?;
    let mut devices = Vec::new();
    for _ in 0..count {
        devices.push(words.next("a leg")?.to_string());
    }
    let regions_in_sync = Tally::take(words, "the count of regions")?;
    let mut letters = words.always_counted("letters")?;
    let text = letters.next("the letters of the legs")?;
    let states: Option<Vec<LegState>> = text.chars().map(LegState::of).collect();
    let states = states
        .filter(|states| states.len() == count)
        .ok_or_else(|| letters.wrong(format!("the letters of {count} legs are A, F, D, S, R or U")))?;
    let legs = devices.into_iter().zip(states).map(|(device, state)| LegLine { device, state });
    Ok(Box::new(MirrorState {
        legs: legs.collect(),
        regions_in_sync,
        log: LogState::take(&mut words.always_counted("words of the log")?)?,
        region_sectors: mirror.log.region_size.0,
    }))
}

impl LogState {
    fn take(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let kind = words.next("the type of the log")?.to_string();
        let device = match kind.as_str() {
            "disk" => {
                let device = words.next("the log device")?.to_string();
                let letter = words.next("the letter of the log device")?;
                let known = ["A", "D", "F"].contains(&letter).then(|| letter.chars().next()).flatten();
                Some((device, known.ok_or_else(|| words.wrong("the letter of a log is A, D or F"))?))
            }
            _ => None,
        };
        Ok(Self { kind, device, words: words.rest() })
    }

    fn letter(&self) -> char {
        self.device.as_ref().map_or('A', |(_, letter)| *letter)
    }
}

/// Returns what is printed of one that is in sync.
pub(super) fn fresh(mirror: &Mirror, row: FreshRow<'_>) -> String {
    let devices: Vec<String> = mirror.legs.iter().map(|leg| leg.device.to_string()).collect();
    let count = devices.len();
    let regions = row.length.div_ceil(mirror.log.region_size.0.max(1));
    let log = match (mirror.log.kind, &mirror.log.device) {
        (LogKind::Disk, Some(device)) => format!("3 disk {device} A"),
        _ => "1 core".to_string(),
    };
    format!("{count} {} {regions}/{regions} 1 {} {log}", devices.join(" "), "A".repeat(count))
}

impl State for MirrorState {
    fn health(&self) -> Health {
        let alive = self.legs.iter().filter(|leg| leg.state == LegState::Alive).count();
        if alive == 0 || self.log.letter() == 'D' {
            Health::Failed
        } else if alive < self.legs.len() || self.log.letter() != 'A' {
            Health::Degraded
        } else if self.regions_in_sync.rest() > 0 {
            Health::Busy
        } else {
            Health::Ok
        }
    }

    fn figures(&self) -> Option<String> {
        let region = Sectors(self.region_sectors).human();
        Some(format!("{} regions of {region} in sync", self.regions_in_sync))
    }

    fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        match &self.log.device {
            Some((device, 'D')) => findings.push(format!("the log device {device} is dead: writes wait")),
            Some((device, 'F')) => findings.push(format!("a flush of the log device {device} failed")),
            _ => {}
        }
        for (place, leg) in self.legs.iter().enumerate().filter(|(_, leg)| leg.state != LegState::Alive) {
            findings.push(format!("leg {place} ({}): {}", leg.device, leg.state.describe()));
        }
        findings.extend(self.left().map(|left| left.to_string()));
        findings
    }

    fn progress(&self) -> Option<Progress> {
        let Tally { used: done, total } = self.regions_in_sync;
        let serves = self.health() != Health::Failed;
        (done < total && serves).then_some(Progress { done, total, unit: ProgressUnit::Regions })
    }

    fn left(&self) -> Option<Left> {
        Left::counted(self.regions_in_sync.rest(), Unfinished::UnsyncedRegions, self.region_sectors)
    }

    /// The first leg without an error is the one that the others are made equal to. A leg with an error lacks what was
    /// written meanwhile, whatever the count says.
    fn left_on(&self, copy: usize) -> Option<Left> {
        let is_alive = |place: usize| self.legs.get(place).is_some_and(|leg| leg.state == LegState::Alive);
        if !is_alive(copy) {
            Some(self.left().unwrap_or(Left::Untold(Unfinished::UnsyncedRegions)))
        } else if (0..copy).any(is_alive) {
            self.left()
        } else {
            None
        }
    }
}
