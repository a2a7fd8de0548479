//! The rows of a table in a document: text and numbers, without keys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, ToSmolStr};

use crate::table::{RawRow, ReadTable, Row};
use crate::targets::Style;

/// One row of a table. Keys are left out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename = "Row", expecting = "struct Row")]
pub struct RowData {
    /// The first sector it serves.
    pub start: u64,
    /// How many sectors.
    pub length: u64,
    /// The type of the target.
    #[serde(rename = "type")]
    pub kind: SmolStr,
    /// Its parameters as the kernel takes them.
    pub params: SmolStr,
    /// Its parameters with the devices as the map writes them, where that says more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<SmolStr>,
    /// Whether the length is only that of a first load, which tells the true one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub provisional: bool,
    /// Its lower devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lowers: Vec<Lower>,
}

/// A lower device of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Lower {
    /// As the map or the kernel writes it.
    pub device: SmolStr,
    /// Its number; null for a device that does not exist yet.
    pub number: Option<SmolStr>,
    /// The first sector that is used of it.
    pub start: u64,
    /// How many sectors are used; null when the target uses what it wants.
    pub length: Option<u64>,
}

impl RowData {
    /// Returns the rows of a table that is wanted.
    pub fn wanted(table: &[Row]) -> Vec<Self> {
        table.iter().map(Self::of).collect()
    }

    /// Returns the rows of a table as the kernel prints it.
    pub fn live(table: &ReadTable) -> Vec<Self> {
        match table.understood() {
            Ok(typed) => Self::wanted(&typed),
            Err(_) => table.iter().map(Self::raw).collect(),
        }
    }

    fn of(row: &Row) -> Self {
        let params = SmolStr::from(row.target.params(Style::Redacted));
        let shown = Some(SmolStr::from(row.target.params(Style::Shown))).filter(|shown| *shown != params);
        let lowers = row
            .lower_devices()
            .iter()
            .map(|lower| Lower {
                device: lower.device.text(),
                number: lower.device.number.map(|number| number.to_smolstr()),
                start: lower.start,
                length: lower.length,
            })
            .collect();
        let (kind, provisional) = (row.target.kind().into(), row.provisional);
        Self { start: row.start, length: row.length, kind, params, shown, provisional, lowers }
    }

    fn raw(row: &RawRow) -> Self {
        Self {
            start: row.start,
            length: row.length,
            kind: row.kind.as_str().into(),
            params: row.redacted_params().into(),
            shown: None,
            provisional: false,
            lowers: Vec::new(),
        }
    }

    /// The first sector after it.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// The parameters for a person.
    pub fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.params)
    }

    /// The row as the kernel takes it, but for its keys: `start length type params`.
    pub fn line(&self) -> String {
        format!("{} {} {} {}", self.start, self.length, self.kind, self.params).trim_end().to_string()
    }
}
