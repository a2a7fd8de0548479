//! How devices fare, as plain data: what `health`, `status` and `info` print as JSON.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{DeviceHealth, RowHealth};
use crate::targets::{Health, Left, Progress, Unfinished};

/// How devices fare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HealthDocument {
    /// The devices, by name.
    pub devices: Vec<HealthDevice>,
}

/// How a device fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HealthDevice {
    /// The name of the device.
    pub name: String,
    /// Its number, as `major:minor`.
    pub number: String,
    /// Its uuid; null for a device without one.
    pub uuid: Option<String>,
    /// Whether I/O is held back.
    pub suspended: bool,
    /// The health of its worst target.
    pub health: Health,
    /// The targets of its live table, in order.
    pub targets: Vec<HealthTarget>,
}

/// How a target fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HealthTarget {
    /// The first sector of the device that the target serves.
    pub start: u64,
    /// The number of sectors.
    pub length: u64,
    /// The target type.
    #[serde(rename = "type")]
    pub kind: String,
    /// How it fares.
    pub health: Health,
    /// The kernel's words, with what may be a key replaced; null where it has none, or was not asked.
    pub text: Option<String>,
    /// What there is to say of it, a clause each, the worst first.
    pub says: Vec<String>,
    /// How far the process is that runs.
    pub progress: Option<Progress>,
    /// What would be lost without the target now.
    pub left: Option<HealthLeft>,
    /// The fields of the state, as this type of target has them; null where it can't be told.
    pub state: Option<Value>,
}

/// What would be lost without a target now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HealthLeft {
    /// What is counted.
    pub of: Unfinished,
    /// How many; null where that can't be told.
    pub count: Option<u64>,
    /// Their size together, in sectors; null where that can't be told.
    pub sectors: Option<u64>,
}

impl From<Left> for HealthLeft {
    fn from(left: Left) -> Self {
        match left {
            Left::Counted { count, of, sectors } => Self { of, count: Some(count), sectors: Some(sectors) },
            Left::Untold(of) => Self { of, count: None, sectors: None },
        }
    }
}

impl HealthDocument {
    /// Returns the document of these devices.
    pub fn of<'d>(devices: impl IntoIterator<Item = &'d DeviceHealth>) -> Self {
        Self { devices: devices.into_iter().map(HealthDevice::of).collect() }
    }
}

impl HealthDevice {
    fn of(device: &DeviceHealth) -> Self {
        Self {
            name: device.name.to_string(),
            number: device.number.to_string(),
            uuid: device.uuid.as_ref().map(ToString::to_string),
            suspended: device.suspended,
            health: device.health(),
            targets: device.rows.iter().map(HealthTarget::of).collect(),
        }
    }
}

impl HealthTarget {
    /// Returns what there is to say where it is not `ok`: how far its process is, or what is wrong, a clause each.
    fn unwell(&self) -> Vec<String> {
        match self.health {
            Health::Ok => Vec::new(),
            Health::Busy => {
                self.progress.map_or_else(|| self.says.clone(), |progress| vec![progress.to_string()])
            }
            _ => self.says.clone(),
        }
    }

    /// Returns the part of a document that is about one row.
    pub fn of(row: &RowHealth) -> Self {
        Self {
            start: row.start,
            length: row.length,
            kind: row.kind.to_string(),
            health: row.health(),
            text: row.text.clone(),
            says: row.says(),
            progress: row.progress(),
            left: row.left().map(HealthLeft::from),
            state: row.reading.as_ref().ok().map(|reading| reading.state.fields()),
        }
    }
}

/// How a device fares, beside other facts of it: its worst target, and all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fares {
    /// The health of its worst target; null for a device that does not exist, and where it was not read.
    pub health: Option<Health>,
    /// The targets of its live table, in order.
    pub targets: Vec<HealthTarget>,
}

impl Fares {
    /// Returns how this device fares.
    pub fn of(device: &DeviceHealth) -> Self {
        Self { health: Some(device.health()), targets: device.rows.iter().map(HealthTarget::of).collect() }
    }

    /// Whether it needs attention: it is degraded, failed, or can't be told.
    pub fn is_unwell(&self) -> bool {
        self.health.is_some_and(|health| !health.is_well())
    }
}

/// Writes the health where it is not `ok`, and the reason: `degraded: data space is low, ...`. Nothing where it is, and for a
/// device without a table, which is told as that.
impl fmt::Display for Fares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(health) = self.health.filter(|health| *health != Health::Ok && !self.targets.is_empty())
        else {
            return Ok(());
        };
        let tells: Vec<String> = self.targets.iter().flat_map(HealthTarget::unwell).collect();
        f.write_str(health.word())?;
        if !tells.is_empty() {
            write!(f, ": {}", tells.join(", "))?;
        }
        Ok(())
    }
}
