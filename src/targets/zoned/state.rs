//! The state of a zoned device: `dmz_status` in `drivers/md/dm-zoned-target.c`. It has no word for a disk that fails.

use serde::Serialize;

use crate::targets::state::Tally;
use crate::targets::{Health, ParamsError, State, Words};

/// The zones of one kind, on one disk.
#[derive(Debug, Serialize)]
struct Zones {
    kind: ZoneKind,
    /// The free zones, of those there are.
    free_zones: Tally,
}

/// A kind of zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum ZoneKind {
    Cache,
    Random,
    Sequential,
}

/// What is printed of a device.
#[derive(Debug, Serialize)]
struct ZonedState {
    zones: u64,
    parts: Vec<Zones>,
}

/// Reads the state.
pub(super) fn read(words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    let zones = words.number("the count of zones")?;
    if words.next("the word `zones`")? != "zones" {
        return Err(words.wrong("here only `zones` stands"));
    }
    let mut parts = Vec::new();
    while words.peek().is_some_and(|word| word.contains('/')) {
        let free_zones = Tally::take(words, "the count of free zones")?;
        let kind = match words.next("the kind of the zones")? {
            "cache" => ZoneKind::Cache,
            "random" => ZoneKind::Random,
            "sequential" => ZoneKind::Sequential,
            _ => return Err(words.wrong("zones are of the kind cache, random or sequential")),
        };
        parts.push(Zones { kind, free_zones });
    }
    if parts.is_empty() {
        return Err(words.wrong("no zones are counted"));
    }
    Ok(Box::new(ZonedState { zones, parts }))
}

impl State for ZonedState {
    fn health(&self) -> Health {
        Health::Ok
    }

    fn figures(&self) -> Option<String> {
        let free = self.parts.iter().map(|part| part.free_zones.used).sum::<u64>();
        Some(format!("{free} of {} zones free", self.zones))
    }
}
