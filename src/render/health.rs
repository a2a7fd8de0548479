//! Draws how devices fare: a line a row as text, or a document.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::json::versioned;
use crate::health::{DeviceHealth, RowHealth};
use crate::identity::printable;
use crate::targets::{Health, Left, Progress, Unfinished};
use crate::text::columns;

/// How devices fare.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HealthDocument {
    /// The devices, by name.
    pub devices: Vec<HealthDevice>,
}

/// How a device fares.
#[derive(Debug, Serialize, JsonSchema)]
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
#[derive(Debug, Serialize, JsonSchema)]
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
#[derive(Debug, Serialize, JsonSchema)]
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

/// Returns the schema of the document, with its version.
pub fn health_schema() -> Value {
    versioned::<HealthDocument>()
}

/// Writes a line for each row: name, number, type, health, and what tells how it fares.
pub fn health(devices: &[DeviceHealth]) -> String {
    let line = |device: &DeviceHealth, kind: &str, health: Health, tells: String| {
        let suspended =
            device.suspended.then(|| "suspended".to_string()).filter(|_| !tells.contains("suspended"));
        let tells: Vec<String> =
            suspended.into_iter().chain(Some(tells).filter(|text| !text.is_empty())).collect();
        [
            device.name.to_string(),
            device.number.to_string(),
            kind.to_string(),
            health.to_string(),
            tells.join("; "),
        ]
    };
    let mut rows = Vec::new();
    for device in devices {
        if device.rows.is_empty() {
            rows.push(line(device, "-", device.health(), device.says().join("; ")));
        }
        rows.extend(
            device.rows.iter().map(|row| line(device, &printable(&row.kind), row.health(), tells(row))),
        );
    }
    columns(&rows)
}

/// Returns figures, progress, and what there is to say of a row, in one line.
fn tells(row: &RowHealth) -> String {
    let figures = row.figures().into_iter();
    figures.chain(row.says()).collect::<Vec<String>>().join("; ")
}

/// Writes each row as `dmsetup status` does: start, length, type, and the kernel's words as they are. With more than one
/// device, its name stands in front.
pub fn raw_health(devices: &[DeviceHealth]) -> String {
    let mut text = String::new();
    for device in devices {
        let name = if devices.len() > 1 { Cow::from(format!("{}: ", device.name)) } else { Cow::from("") };
        for row in &device.rows {
            let words = row.text.as_deref().unwrap_or_default();
            let kind = printable(&row.kind);
            crate::text::push_line!(text, "{name}{} {} {kind} {}", row.start, row.length, printable(words));
        }
    }
    text
}
