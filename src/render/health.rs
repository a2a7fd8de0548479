//! Draws how devices fare: a line a row.

use std::borrow::Cow;

use serde_json::Value;

use super::json::versioned;
use crate::health::{DeviceHealth, HealthDocument};
use crate::identity::printable;
use crate::targets::Health;
use crate::text::columns;

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
            device.rows.iter().map(|row| line(device, &printable(&row.kind), row.health(), row.tells())),
        );
    }
    columns(&rows)
}

/// Writes each row as the kernel does: start, length, type, and its words as they are. With more than one
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
