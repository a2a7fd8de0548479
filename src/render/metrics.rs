//! Draws how devices fare as metrics, in the text format that Prometheus and the textfile collector of its node exporter read.
//!
//! Every figure of a state is one, under the name of its field: `dmctl_TYPE_FIELD`. A pair of counts is two:
//! the second, the limit of the first, has `_limit` behind its name. What only grows is a counter, with `_total`. Labels never hold a word of a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::health::{DeviceHealth, RowHealth};
use crate::identity::{Key, Name, Owner, Uuid, printable};
use crate::status::{Entry, Word};
use crate::targets::{Health, Left};
use crate::text::push_line;

/// The fields of states whose words are shown: one of a few, and never from a table.
const WORDS: &[&str] = &["mode", "metadata_mode", "action", "state", "found", "journal"];

/// The metrics of one name.
struct Family {
    help: String,
    is_counter: bool,
    /// The labels and the value of each.
    samples: Vec<(String, u64)>,
}

/// All metrics, by name.
#[derive(Default)]
struct Families(BTreeMap<String, Family>);

/// Writes the metrics of devices, and of the mappings of a map of this owner.
pub fn metrics(devices: &[DeviceHealth], owner: Option<&Owner>, mappings: &[Entry]) -> String {
    let mut all = Families::default();
    for entry in mappings {
        let is_in_sync = u64::from(entry.word == Word::InSync);
        let labels = named(owner.map(Owner::as_str), entry.mapping.as_ref(), &entry.name);
        all.gauge("dmctl_mapping_in_sync", "Whether a mapping is as its map declares.", labels, is_in_sync);
    }
    for device in devices {
        all.device(device);
    }
    all.text()
}

/// Returns the labels that tell a device.
fn named(owner: Option<&str>, mapping: Option<&Key>, name: &Name) -> String {
    let key = mapping.map(ToString::to_string).unwrap_or_default();
    let mut labels = String::new();
    label(&mut labels, "owner", owner.unwrap_or_default());
    label(&mut labels, "mapping", &key);
    label(&mut labels, "name", &name.plain());
    labels
}

/// Adds a label.
fn label(labels: &mut String, name: &str, value: &str) {
    let value = printable(value).replace('\\', "\\\\").replace('"', "\\\"");
    let comma = if labels.is_empty() { "" } else { "," };
    let _ = write!(labels, "{comma}{name}=\"{value}\"");
}

impl Families {
    fn gauge(&mut self, name: &str, help: &str, labels: String, value: u64) {
        self.add(name.to_string(), help, false, labels, value);
    }

    fn add(&mut self, name: String, help: &str, is_counter: bool, labels: String, value: u64) {
        let family = || Family { help: help.to_string(), is_counter, samples: Vec::new() };
        self.0.entry(name).or_insert_with(family).samples.push((labels, value));
    }

    fn device(&mut self, device: &DeviceHealth) {
        let parts = device.uuid.as_ref().and_then(Uuid::parts);
        let owner = parts.as_ref().map(|(owner, _)| owner.to_string());
        let own = named(owner.as_deref(), parts.as_ref().map(|(_, key)| key), &device.name);
        let fares = device.health();
        for health in Health::ALL {
            let mut labels = own.clone();
            label(&mut labels, "state", health.word());
            let is_so = u64::from(health == fares);
            self.gauge(
                "dmctl_device_health",
                "Whether a device fares so, by its worst target.",
                labels,
                is_so,
            );
        }
        let suspended = u64::from(device.suspended);
        self.gauge("dmctl_device_suspended", "Whether a device holds its I/O back.", own.clone(), suspended);
        for row in &device.rows {
            self.row(row, &own);
        }
    }

    fn row(&mut self, row: &RowHealth, own: &str) {
        let mut labels = own.to_string();
        label(&mut labels, "type", &row.kind);
        label(&mut labels, "start", &row.start.to_string());
        if let Some(progress) = row.progress() {
            let mut labels = labels.clone();
            label(&mut labels, "unit", progress.unit.word());
            let done = "How much of its process a target has done.";
            self.gauge("dmctl_target_progress", done, labels.clone(), progress.done);
            let all = "How much there is to do in the process of a target.";
            self.gauge("dmctl_target_progress_limit", all, labels, progress.total);
        }
        if let Some(Left::Counted { count, sectors, .. }) = row.left() {
            let help = "How much would be lost without the target now, in its own unit.";
            self.gauge("dmctl_target_left", help, labels.clone(), count);
            let help = "How much would be lost without the target now, in sectors.";
            self.gauge("dmctl_target_left_sectors", help, labels.clone(), sectors);
        }
        let Ok(reading) = &row.reading else { return };
        let kind = row.kind.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let figures =
            Figures { kind: &kind, counters: reading.state.counters(), prefix: format!("dmctl_{kind}") };
        figures.walk(self, &reading.state.fields(), &figures.prefix, &labels);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, family) in &self.0 {
            let kind = if family.is_counter { "counter" } else { "gauge" };
            push_line!(text, "# HELP {name} {}\n# TYPE {name} {kind}", family.help);
            for (labels, value) in &family.samples {
                push_line!(text, "{name}{{{labels}}} {value}");
            }
        }
        text + "# EOF\n"
    }
}

/// Takes the figures out of a state.
struct Figures<'f> {
    kind: &'f str,
    /// The fields that only grow.
    counters: &'f [&'f str],
    prefix: String,
}

impl Figures<'_> {
    fn walk(&self, all: &mut Families, value: &Value, name: &str, labels: &str) {
        match value {
            Value::Number(number) => self.figure(all, name, labels, number.as_u64()),
            Value::Bool(is_so) => self.figure(all, name, labels, Some(u64::from(*is_so))),
            Value::Object(fields) => match (fields.get("used"), fields.get("total"), fields.len()) {
                (Some(used), Some(total), 2) => {
                    self.figure(all, name, labels, used.as_u64());
                    self.figure(all, &format!("{name}_limit"), labels, total.as_u64());
                }
                _ => {
                    for (field, value) in fields {
                        self.walk(all, value, &format!("{name}_{field}"), labels);
                    }
                }
            },
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate().filter(|(_, item)| item.is_object()) {
                    let field = self.field(name);
                    let mut labels = labels.to_string();
                    label(&mut labels, field, &index.to_string());
                    self.walk(all, item, name, &labels);
                }
            }
            Value::String(word) => {
                let field = WORDS.iter().find(|field| name.ends_with(&format!("_{field}")));
                if let Some(field) = field {
                    let mut labels = labels.to_string();
                    label(&mut labels, field, word);
                    let help = format!("The word that is in the state of a {} target.", self.kind);
                    all.gauge(&format!("{name}_info"), &help, labels, 1);
                }
            }
            Value::Null => {}
        }
    }

    fn field<'n>(&self, name: &'n str) -> &'n str {
        name.strip_prefix(&self.prefix).unwrap_or(name).trim_start_matches('_')
    }

    fn figure(&self, all: &mut Families, name: &str, labels: &str, value: Option<u64>) {
        let Some(value) = value else { return };
        let field = self.field(name);
        let is_counter = self.counters.contains(&field);
        let help = format!("`{field}` of a {} target.", self.kind);
        let name = if is_counter { format!("{name}_total") } else { name.to_string() };
        all.add(name, &help, is_counter, labels.to_string(), value);
    }
}
