//! Messages that must reach a lower device before a table is loaded: the volumes of thin pools.

use std::collections::HashMap;

use super::change::Change;
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::kept_volume::{KeptVolume, UntoldVolume};
use super::reason::{Cause, Volume};
use super::step::{Message, Operation, Preparation, Step};
use crate::config::Mapping;
use crate::device::Device;
use crate::identity::{DevNum, Key, Name, Uuid};
use crate::observed::{Observed, PoolVolumes};
use crate::policy::Class;
use crate::table::Row;
use crate::targets::{Damage, MessageText, Prepare, Repair, Target};
use crate::thin_metadata::Unreadable;

/// The device that a message goes to.
struct Receiver {
    name: Name,
    uuid: Option<Uuid>,
    number: Option<DevNum>,
}

/// What becomes of a volume that the map would make.
enum Fate {
    /// It is made.
    Made,
    /// The pool has it.
    Kept(KeptVolume),
    /// It is made, unless the pool has it, which is not known.
    Untold(UntoldVolume),
}

/// Returns the targets of a new table that may have a lower device to prepare. A volume that the live table uses does not
/// need it.
fn preparing(change: &Change<'_>) -> Vec<Box<dyn Target>> {
    let rows = change.new_rows();
    if rows.iter().all(|row| row.target.prepare().is_none()) {
        return Vec::new();
    }
    let live = change.device().and_then(|device| device.table.understood().ok()).unwrap_or_default();
    let target = |row: &Row| {
        let before = live.iter().find(|live| live.start == row.start);
        before.map_or_else(|| row.target.clone(), |live| row.target.for_reload(live.target.as_ref(), None))
    };
    rows.iter().map(target).filter(|target| target.prepare().is_some()).collect()
}

/// Lists the pools in which new tables need volumes, with the mappings of these tables.
pub(crate) fn pools<'c>(changes: &'c Changes<'_>) -> impl Iterator<Item = (&'c Mapping, &'c Device)> {
    changes.demanding().flat_map(|change| {
        let wanted = if preparing(change).is_empty() { &[][..] } else { change.new_rows() };
        let pool = |row: &'c Row| row.target.prepare().map(|prepare| (change.mapping, prepare.device));
        wanted.iter().filter_map(pool)
    })
}

/// Tells what becomes of the volume of a target that prepares a lower device.
fn fate(
    change: &Change<'_>,
    target: &dyn Target,
    prepare: &Prepare<'_>,
    changes: &Changes<'_>,
    observed: &Observed,
) -> Fate {
    let Some((_, id)) = target.volume() else { return Fate::Made };
    match observed.pool(changes.map, change.mapping, prepare.device) {
        Some(pool @ (PoolVolumes::Known(_) | PoolVolumes::New)) => {
            pool.volume(id).map_or(Fate::Made, |found| {
                let transaction_id = found.transaction_id;
                Fate::Kept(KeptVolume { id, transaction_id, snapshot_of: prepare.copies })
            })
        }
        Some(PoolVolumes::Unreadable(why)) => Fate::Untold(UntoldVolume::Unreadable(why.clone())),
        Some(PoolVolumes::Unplaced) | None => Fate::Untold(UntoldVolume::Unplaced),
    }
}

/// A volume that a pool would have to make.
pub(crate) struct Made {
    /// Its id.
    pub id: u32,
    /// The pool, as the map writes it.
    pub pool: Device,
    /// What must be repaired in its metadata on disk before.
    pub repair: Option<Repair>,
}

/// Lists the volumes that pools would have to make for the table of `change`.
pub(crate) fn made(change: &Change<'_>, changes: &Changes<'_>, observed: &Observed) -> Vec<Made> {
    let targets = preparing(change);
    let made = |target: &dyn Target| {
        let (prepare, id) = (target.prepare()?, target.volume().map(|(_, id)| id)?);
        let repair = match fate(change, target, &prepare, changes, observed) {
            Fate::Kept(_) => return None,
            Fate::Untold(UntoldVolume::Unreadable(Unreadable::NeedsCheck)) => {
                Some(Repair::of_pool(Damage::NeedsCheck))
            }
            Fate::Made | Fate::Untold(_) => None,
        };
        Some(Made { id, pool: prepare.device.clone(), repair })
    };
    targets.iter().filter_map(|target| made(target.as_ref())).collect()
}

/// Adds the messages that the table of `change` needs.
pub(crate) fn push(
    change: &Change<'_>,
    changes: &Changes<'_>,
    volumes: &Volumes<'_>,
    observed: &Observed,
    steps: &mut Vec<Step>,
) {
    for target in preparing(change) {
        let Some(prepare) = target.prepare() else { continue };
        let untold = match fate(change, target.as_ref(), &prepare, changes, observed) {
            Fate::Kept(_) => continue,
            Fate::Made => None,
            Fate::Untold(why) => Some(why),
        };
        // If the device is not a mapped device, the kernel refuses the table with a message of its own.
        let Some(receiver) = receiver(prepare.device, changes, observed) else { continue };
        let origin = prepare.copies.and_then(|volume| serving(prepare.device, volume, volumes));
        let volume = Volume {
            id: target.volume().map(|(_, id)| id).unwrap_or_default(),
            snapshot_of: prepare.copies,
            untold,
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

/// Tells of the steps that load the table of `change` which of its volumes the pools have already.
pub(crate) fn tell_kept(change: &Change<'_>, changes: &Changes<'_>, observed: &Observed, steps: &mut [Step]) {
    let targets = preparing(change);
    let kept = |target: &dyn Target| match fate(change, target, &target.prepare()?, changes, observed) {
        Fate::Kept(volume) => Some(volume),
        Fate::Made | Fate::Untold(_) => None,
    };
    let kept: Vec<KeptVolume> = targets.iter().filter_map(|target| kept(target.as_ref())).collect();
    if !kept.is_empty() {
        for step in steps.iter_mut().filter(|step| step.new_table().is_some()) {
            step.reason.kept.clone_from(&kept);
        }
    }
}

/// Returns a conflict for each volume that would be made in a pool which makes none.
pub(super) fn conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for change in changes.demanding() {
        for target in preparing(change) {
            let Some((prepare, (_, id))) = target.prepare().zip(target.volume()) else { continue };
            let is_kept =
                || matches!(fate(change, target.as_ref(), &prepare, changes, observed), Fate::Kept(_));
            if makes_none(prepare.device, changes, observed) && !is_kept() {
                conflicts.push(Conflict {
                    mapping: change.mapping.key.clone(),
                    name: change.mapping.name.clone(),
                    reason: Obstacle::NoNewVolumes { pool: prepare.device.into(), id },
                });
            }
        }
    }
    conflicts
}

/// Whether a pool makes no volume, as it is when a message comes.
fn makes_none(pool: &Device, changes: &Changes<'_>, observed: &Observed) -> bool {
    let by_number = pool.number.and_then(|number| changes.key_of(number, observed));
    if let Some(change) = pool.key().or(by_number).and_then(|key| changes.get(key)) {
        return change.rows.iter().any(|row| row.target.keeps_metadata());
    }
    let state = pool.number.and_then(|number| observed.state(number));
    let rows = state.and_then(|state| state.table.understood().ok()).unwrap_or_default();
    rows.iter().any(|row| row.target.keeps_metadata())
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
