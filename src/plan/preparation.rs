//! Messages that must reach a lower device before a table is loaded: the volumes of thin pools.

use super::changes::{Change, Changes};
use super::{Action, Detail, Preparation, Step};
use crate::device::Device;
use crate::diff;
use crate::identity::{DevNum, Key, Name, Uuid};
use crate::observed::Observed;
use crate::policy::Class;
use crate::targets::Typed;

/// The device that a message goes to.
struct Receiver {
    name: Name,
    uuid: Option<Uuid>,
    number: Option<DevNum>,
}

/// Adds the messages that the table of `change` needs. What its live table shows to be there needs none.
pub fn push(change: &Change<'_>, changes: &Changes<'_>, observed: &Observed, steps: &mut Vec<Step>) {
    let live = change.device().and_then(|device| diff::understand(&device.table).ok()).unwrap_or_default();
    for row in &change.rows {
        let before = live.iter().find(|live| live.start == row.start);
        let target = before.map_or_else(|| row.target.clone(), |live| row.target.over(live.target.as_ref()));
        let Some(prepare) = target.prepare() else { continue };
        // Of a device that is no mapped device the kernel refuses the table, and says so.
        let Some(receiver) = receiver(prepare.device, changes, observed) else { continue };
        let origin = prepare.copies.and_then(|volume| serving(prepare.device, volume, changes));
        let meanwhile = origin.as_ref().map(|(key, _)| format!("; {key} is suspended meanwhile"));
        steps.push(Step {
            action: Action::Message,
            mapping: Some(change.mapping.key.clone()),
            name: receiver.name,
            uuid: receiver.uuid,
            number: receiver.number,
            class: Class::Create,
            refused: None,
            reason: format!("it makes the volume of {}{}", change.mapping.key, meanwhile.unwrap_or_default()),
            detail: Detail::Message {
                sector: 0,
                text: prepare.message.clone(),
                prepares: Some(Preparation { copies: prepare.copies, origin }),
            },
        });
    }
}

fn receiver(device: &Device, changes: &Changes<'_>, observed: &Observed) -> Option<Receiver> {
    let by_number = device.number.and_then(|number| changes.key_of(number));
    let Some(change) = device.key().or(by_number).and_then(|key| changes.get(key)) else {
        let listed = &observed.by_number(device.number?)?.listed;
        let (name, uuid) = (listed.name.clone(), listed.uuid.clone());
        return Some(Receiver { name, uuid, number: device.number });
    };
    let mapping = change.mapping;
    // Before it is taken over it is found by its name only.
    let taken_over = change.found.is_some_and(|found| found.taken_over);
    Some(Receiver {
        name: change.found.map_or_else(|| mapping.name.clone(), |found| found.seen.listed.name.clone()),
        uuid: (!taken_over).then(|| mapping.uuid.clone()),
        number: device.number,
    })
}

/// The mapping that serves a volume of `pool`.
fn serving(pool: &Device, volume: u32, changes: &Changes<'_>) -> Option<(Key, Uuid)> {
    let serves = |target: &dyn Typed| target.volume() == Some((pool, volume));
    let change = changes.all.iter().find(|change| change.rows.iter().any(|row| serves(row.target.as_ref())));
    change.map(|change| (change.mapping.key.clone(), change.mapping.uuid.clone()))
}
