//! What of a kernel must not be left between two states.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dmctl::identity::DevNum;
use dmctl::kernel::simulated::{MappingState, Simulated, StateRow};
use dmctl::targets::{self, Style};

/// The devices of a kernel by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture(pub BTreeMap<String, Device>);

/// A device, without what the kernel chooses or counts by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub uuid: Option<String>,
    /// Its live table, with names for the numbers of mapped devices: one that was made again has another.
    pub live: Option<Vec<String>>,
    pub inactive: bool,
    pub suspended: bool,
    pub read_only: bool,
    pub open_count: u32,
    pub deferred_remove: bool,
}

impl Picture {
    pub fn of(kernel: &Simulated) -> Self {
        let state = kernel.state();
        let names: BTreeMap<DevNum, &str> =
            state.mappings.iter().map(|mapping| (mapping.number, mapping.name.as_str())).collect();
        Self(state.mappings.iter().map(|mapping| (mapping.name.clone(), device(mapping, &names))).collect())
    }

    /// Whether this is `before`, give or take what can't be, or need not be, undone: a device that was taken
    /// over may keep its uuid, and what was left in an inactive slot may be gone.
    pub fn is_put_back_to(&self, before: &Self) -> bool {
        // What is in an inactive slot holds what is below.
        let held_by_leftovers = before.0.values().any(|was| was.inactive);
        let same = |(now, was): (&Device, &Device)| {
            let uuid = was.uuid.as_ref().and(now.uuid.clone());
            let inactive = was.inactive || now.inactive;
            let open_count = if held_by_leftovers { was.open_count } else { now.open_count };
            Device { uuid, inactive, open_count, ..now.clone() } == *was
        };
        self.0.keys().eq(before.0.keys()) && self.0.values().zip(before.0.values()).all(same)
    }

    /// Devices that are suspended, or have something in their inactive slot, or no table.
    pub fn unsettled(&self) -> Vec<&str> {
        let unsettled = |device: &Device| device.suspended || device.inactive || device.live.is_none();
        self.0.iter().filter(|(_, device)| unsettled(device)).map(|(name, _)| name.as_str()).collect()
    }
}

impl std::fmt::Display for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, device) in &self.0 {
            let mut states = String::new();
            for (holds, says) in [
                (device.suspended, " suspended"),
                (device.inactive, " inactive"),
                (device.read_only, " read-only"),
                (device.deferred_remove, " going away when closed"),
            ] {
                if holds {
                    write!(states, "{says}")?;
                }
            }
            let table = device.live.as_ref().map_or("no table".to_string(), |live| live.join(" | "));
            writeln!(f, "    {name} {:?} open {}{states}: {table}", device.uuid, device.open_count)?;
        }
        Ok(())
    }
}

fn device(mapping: &MappingState, names: &BTreeMap<DevNum, &str>) -> Device {
    let row = |row: &StateRow| {
        // Orders that were carried out, and what is printed in other units than it is taken, mean the same.
        let typed = targets::parse(&row.kind, row.params.reveal());
        let params = typed.map_or_else(
            |_| row.params.reveal().to_string(),
            |typed| typed.for_export().params(Style::Kernel),
        );
        let words = params.split_whitespace().map(|word| {
            let name = DevNum::parse(word).and_then(|number| names.get(&number));
            name.map_or(word.to_string(), |name| format!("<{name}>"))
        });
        format!("{} {} {} {}", row.start, row.length, row.kind, words.collect::<Vec<_>>().join(" "))
    };
    Device {
        uuid: mapping.uuid.clone(),
        live: mapping.live.as_ref().map(|live| live.iter().map(row).collect()),
        inactive: mapping.inactive.is_some(),
        suspended: mapping.suspended,
        read_only: mapping.read_only,
        open_count: mapping.open_count,
        deferred_remove: mapping.deferred_remove,
    }
}
