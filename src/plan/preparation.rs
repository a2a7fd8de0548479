//! Messages that must reach a lower device before a table is loaded: the volumes of thin pools.

use std::collections::HashMap;

use super::change::Change;
use super::changes::Changes;
use super::reason::{Cause, Volume};
use super::step::{Message, Operation, Preparation, Step};
use crate::device::Device;
use crate::diff;
use crate::identity::{DevNum, Key, Name, Uuid};
use crate::observed::Observed;
use crate::policy::Class;
use crate::targets::MessageText;

/// The device that a message goes to.
struct Receiver {
    name: Name,
    uuid: Option<Uuid>,
    number: Option<DevNum>,
}

/// Adds the messages that the table of `change` needs. A volume that the live table uses does not need one.
pub(crate) fn push(
    change: &Change<'_>,
    changes: &Changes<'_>,
    volumes: &Volumes<'_>,
    observed: &Observed,
    steps: &mut Vec<Step>,
) {
    if change.rows.iter().all(|row| row.target.prepare().is_none()) {
        return;
    }
    let live = change.device().and_then(|device| diff::understand(&device.table).ok()).unwrap_or_default();
    for row in &*change.rows {
        let before = live.iter().find(|live| live.start == row.start);
        let target =
            before.map_or_else(|| row.target.clone(), |live| row.target.for_reload(live.target.as_ref()));
        let Some(prepare) = target.prepare() else { continue };
        // If the device is not a mapped device, the kernel refuses the table with a message of its own.
        let Some(receiver) = receiver(prepare.device, changes, observed) else { continue };
        let origin = prepare.copies.and_then(|volume| serving(prepare.device, volume, volumes));
        let volume = Volume {
            mapping: change.mapping.key.clone(),
            suspended: origin.as_ref().map(|(key, _)| key.clone()),
        };
        steps.push(Step {
            mapping: Some(change.mapping.key.clone()),
            name: receiver.name,
            uuid: receiver.uuid,
            number: receiver.number,
            class: Class::Create,
            refused: None,
            reason: Cause::Volume(Box::new(volume)).into(),
            operation: Operation::Message(Message {
                sector: 0,
                text: MessageText::plain(prepare.message),
                prepares: Some(Box::new(Preparation { copies: prepare.copies, origin })),
            }),
        });
    }
}

fn receiver(device: &Device, changes: &Changes<'_>, observed: &Observed) -> Option<Receiver> {
    let by_number = device.number.and_then(|number| changes.key_of(number, observed));
    let Some(change) = device.key().or(by_number).and_then(|key| changes.get(key)) else {
        let listed = &observed.by_number(device.number?)?.listed;
        let (name, uuid) = (listed.name.clone(), listed.uuid.clone());
        return Some(Receiver { name, uuid, number: device.number });
    };
    let mapping = change.mapping;
    // A device that is adopted is found by its name until it has its uuid.
    let taken_over = change.found.is_some_and(|found| found.taken_over);
    Some(Receiver {
        name: change.found.map_or_else(|| mapping.name.clone(), |found| found.seen.listed.name.clone()),
        uuid: (!taken_over).then(|| change.uuid().clone()),
        number: device.number,
    })
}

/// The mappings that serve volumes, by id. Of two pools the same id may be in use.
pub(crate) type Volumes<'c> = HashMap<u32, Vec<(&'c Device, &'c Change<'c>)>>;

/// All volumes that the map serves.
pub(crate) fn volumes<'c>(changes: &'c Changes<'_>) -> Volumes<'c> {
    let mut volumes = Volumes::new();
    for change in changes.demanding() {
        for (pool, id) in change.rows.iter().filter_map(|row| row.target.volume()) {
            volumes.entry(id).or_default().push((pool, change));
        }
    }
    volumes
}

/// The mapping that serves a volume of `pool`.
fn serving(pool: &Device, volume: u32, volumes: &Volumes<'_>) -> Option<(Key, Uuid)> {
    let mut same_id = volumes.get(&volume)?.iter();
    let (_, change) = same_id.find(|(other, _)| *other == pool)?;
    Some((change.mapping.key.clone(), change.uuid().clone()))
}
