//! Converts the file to the model and back. Every value of a file is checked here; the model relies on that.

use std::collections::BTreeSet;

use super::bytes::MAX_HEAD;
use super::check;
use super::mapping::{Loaded, Mapping};
use super::model::Model;
use super::state::{Disk, FORMAT_VERSION, MappingState, Queue, State, StateRow};
use super::{queue, snapshots, thin};
use crate::access::Access;
use crate::identity::{DevNum, MAX_NAME, MAX_UUID, Name, Uuid, printable};
use crate::table::{self, RawRow};
use crate::targets::MAX_TYPE;
use crate::units::{MAX_BYTES, SECTOR};

impl Model {
    /// Builds the model of a state. An error names the part of the state that is not valid.
    pub(super) fn from_state(state: &State) -> Result<Self, String> {
        let mut model = Self::new(state.kernel.clone());
        for (index, disk) in state.block_devices.iter().enumerate() {
            let place = || format!("block_devices[{index}] ({})", disk.number);
            check_disk(disk).map_err(|says| format!("{}: {says}", place()))?;
            model.add_disk(disk.clone()).map_err(|says| format!("{}: {says}", place()))?;
        }
        // In the order of names, in which they are read later: then they are neighbours in memory.
        let mut by_name: Vec<(usize, &MappingState)> = state.mappings.iter().enumerate().collect();
        by_name.sort_by(|(_, one), (_, two)| one.name.cmp(&two.name));
        for (index, mapping) in &by_name {
            let place = || format!("mappings[{index}] ({})", printable(&mapping.name));
            model.add_mapping(mapping).map_err(|says| format!("{}: {says}", place()))?;
        }
        let mappings: BTreeSet<DevNum> = state.mappings.iter().map(|mapping| mapping.number).collect();
        for disk in model.disks.values_mut() {
            disk.holders.retain(|holder| !mappings.contains(holder));
        }
        let holds =
            |disk: &Disk| disk.holders.iter().map(|holder| (*holder, disk.number)).collect::<Vec<_>>();
        for (holder, device) in model.disks.values().flat_map(holds).collect::<Vec<_>>() {
            model.hold(holder, device);
        }
        // Tables may name devices that come later in the file, so they are loaded once all devices exist.
        for (index, mapping) in &by_name {
            let place = format!("mappings[{index}] ({})", printable(&mapping.name));
            model.add_tables(mapping, &mappings).map_err(|says| format!("{place}.{says}"))?;
        }
        model.separate_open_counts(state);
        model.set_blocks(state);
        let has_origin = |mapping: &&MappingState| {
            mapping.live.iter().flatten().any(|row| row.kind.starts_with("snapshot"))
        };
        state
            .mappings
            .iter()
            .filter(has_origin)
            .for_each(|mapping| snapshots::split(&mut model, mapping.number));
        if let Some(pool) = state.pools.iter().find(|pool| pool.block_size == 0) {
            return Err(format!("pools ({}): block_size is 0", pool.metadata));
        }
        model.pools = state.pools.iter().map(|pool| ((pool.metadata, pool.sector), pool.clone())).collect();
        thin::adopt(&mut model);
        Ok(model)
    }

    fn add_disk(&mut self, disk: Disk) -> Result<(), String> {
        self.add_paths(&disk.paths, disk.number)?;
        if let Some(other) = self.disks.insert(disk.number, disk) {
            return Err(format!("another block device has the number {}, too", other.number));
        }
        Ok(())
    }

    fn add_paths(&mut self, paths: &[String], number: DevNum) -> Result<(), String> {
        for path in paths {
            if !path.starts_with('/') {
                return Err(format!("`{}` is not an absolute path", printable(path)));
            }
            if self.paths.insert(path.clone(), number).is_some_and(|other| other != number) {
                return Err(format!("another device is at `{}`, too", printable(path)));
            }
        }
        Ok(())
    }

    fn add_mapping(&mut self, state: &MappingState) -> Result<(), String> {
        let name = checked_name(state)?;
        let uuid = checked_uuid(state)?;
        if self.named(&name).is_some() {
            return Err("another mapping has this name, too".to_string());
        }
        if uuid.as_ref().is_some_and(|uuid| self.with_uuid(uuid).is_some()) {
            return Err("another mapping has its uuid, too".to_string());
        }
        if self.disk(state.number).is_some() || self.mapping(state.number).is_some() {
            return Err(format!("another device has the number {}, too", state.number));
        }
        if self.mappings().next().is_some_and(|first| first.number.major != state.number.major) {
            return Err(format!("all mappings have one major number, {} has another", state.number));
        }
        state.logical_block_size.map_or(Ok(()), check_block_size)?;
        self.add_paths(&state.paths, state.number)?;
        self.insert(Mapping {
            paths: state.paths.clone(),
            suspended: state.suspended,
            access: Access::from_read_only(state.read_only),
            event_nr: state.event_nr,
            deferred_remove: state.deferred_remove,
            mounts: state.mounts.clone(),
            swap: state.swap,
            processes: state.processes.clone(),
            in_flight: state.in_flight,
            queue: state.queue.or_else(|| queue_of(state)),
            torn: state.torn,
            ..Mapping::new(state.number, name, uuid)
        });
        Ok(())
    }

    fn add_tables(&mut self, state: &MappingState, mappings: &BTreeSet<DevNum>) -> Result<(), String> {
        let mut gone = BTreeSet::new();
        let mut load = |rows: &Option<Vec<StateRow>>, slot: &str, access: Access| {
            // A table without rows is an empty slot: the kernel does not load one.
            let Some(rows) = rows.as_ref().filter(|rows| !rows.is_empty()) else { return Ok(None) };
            let table = checked_table(rows).map_err(|says| format!("{slot}{says}"))?;
            let (loaded, missing) = check::as_found(self, table, access);
            gone.extend(missing);
            let states = rows.iter().filter_map(|row| Some((row.start, row.status.clone()?))).collect();
            Ok::<_, String>(Some(Loaded { states, ..loaded }))
        };
        let live: Option<Loaded> = load(&state.live, "live", Access::from_read_only(state.read_only))?;
        let inactive = load(&state.inactive, "inactive", Access::from_read_only(state.inactive_read_only))?;
        self.gone.extend(gone);
        let foreign: Vec<DevNum> =
            state.holders.iter().filter(|holder| !mappings.contains(holder)).copied().collect();
        for holder in &foreign {
            self.hold(*holder, state.number);
        }
        if let Some(mapping) = self.mapping_mut(state.number) {
            mapping.live = live;
            mapping.inactive = inactive;
            mapping.holders = foreign;
        }
        self.retable(state.number);
        Ok(())
    }

    /// Subtracts the opens by mappings from the open counts of the file: the tables give those.
    fn separate_open_counts(&mut self, state: &State) {
        for mapping in &state.mappings {
            let by_mappings = self.open_count(mapping.number);
            if let Some(kept) = self.mapping_mut(mapping.number) {
                let opens = kept.processes.iter().filter(|process| process.mount.is_none()).count();
                let mounted = !kept.mounts.is_empty() || opens < kept.processes.len();
                let claimed = kept.swap || mounted || !kept.holders.is_empty();
                let least = u32::try_from(opens).unwrap_or(u32::MAX).saturating_add(claimed.into());
                kept.opened = mapping.open_count.saturating_sub(by_mappings).max(least);
            }
        }
    }

    /// Returns the state of this model.
    pub(super) fn to_state(&self) -> State {
        let disks = self.disks.values().map(|disk| {
            let holders = self.held_by(disk.number).into_iter().chain(disk.holders.iter().copied());
            Disk { holders: holders.collect(), ..disk.clone() }
        });
        State {
            format_version: FORMAT_VERSION,
            kernel: self.kernel.clone(),
            block_devices: disks.collect(),
            mappings: self.by_name().map(|mapping| self.mapping_state(mapping)).collect(),
            pools: self.pools.values().cloned().collect(),
        }
    }

    fn mapping_state(&self, mapping: &Mapping) -> MappingState {
        let rows = |table: &Option<Loaded>| {
            let table = table.as_ref()?;
            let row = |row: &RawRow| StateRow {
                status: table.states.get(&row.start).cloned(),
                ..StateRow::from(row)
            };
            Some(table.rows.iter().map(row).collect::<Vec<StateRow>>())
        };
        let state = MappingState {
            name: mapping.name.kernel().to_string(),
            name_is_bytes: mapping.name.is_bytes(),
            uuid: mapping.uuid.as_ref().map(|uuid| uuid.text().to_string()),
            uuid_is_bytes: mapping.uuid.as_ref().is_some_and(Uuid::is_bytes),
            number: mapping.number,
            paths: mapping.paths.clone(),
            suspended: mapping.suspended,
            read_only: mapping.access.is_read_only(),
            open_count: mapping.open_count(),
            event_nr: mapping.event_nr,
            live: rows(&mapping.live),
            inactive: rows(&mapping.inactive),
            inactive_read_only: mapping.inactive.as_ref().is_some_and(|table| table.access.is_read_only()),
            deferred_remove: mapping.deferred_remove,
            mounts: mapping.mounts.clone(),
            swap: mapping.swap,
            processes: mapping.processes.clone(),
            holders: mapping.holders.clone(),
            in_flight: mapping.in_flight,
            queue: None,
            torn: mapping.torn,
            logical_block_size: self.kept_block_size(mapping),
        };
        let told = queue_of(&state) == mapping.queue;
        MappingState { queue: mapping.queue.filter(|_| !told), ..state }
    }
}

/// Finds the queue of a mapping by its tables.
fn queue_of(state: &MappingState) -> Option<Queue> {
    let rows = [&state.live, &state.inactive].into_iter().flatten().find(|rows| !rows.is_empty())?;
    let targets: Vec<RawRow> = rows.iter().map(RawRow::from).collect();
    Some(queue::of_rows(&targets))
}

fn check_disk(disk: &Disk) -> Result<(), String> {
    if disk.sectors > MAX_BYTES / SECTOR {
        return Err(format!("{} sectors are more than a device can have", disk.sectors));
    }
    check_block_size(disk.logical_block_size)?;
    if disk.head.as_ref().is_some_and(|head| head.0.len() > MAX_HEAD) {
        return Err(format!("head is longer than the {MAX_HEAD} bytes that are kept"));
    }
    Ok(())
}

fn check_block_size(size: u32) -> Result<(), String> {
    if !size.is_power_of_two() || !(512..=65536).contains(&size) {
        return Err(format!("logical_block_size is {size}: it is a power of two from 512 to 65536"));
    }
    Ok(())
}

fn checked_name(state: &MappingState) -> Result<Name, String> {
    let name = if state.name_is_bytes {
        Name::from_mangled_bytes(&state.name).ok_or("name_is_bytes, and the name is UTF-8")?
    } else {
        Name::from_kernel(state.name.as_bytes())
    };
    let bytes = name.bytes();
    if bytes.is_empty() || bytes.len() > MAX_NAME {
        return Err(format!("a name has 1 to {MAX_NAME} bytes, this one {}", bytes.len()));
    }
    if bytes.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return Err("a name can't hold `/` or a zero byte".to_string());
    }
    Ok(name)
}

/// Checks a uuid; an empty one is `None`.
fn checked_uuid(state: &MappingState) -> Result<Option<Uuid>, String> {
    let Some(text) = &state.uuid else { return Ok(None) };
    let uuid = if state.uuid_is_bytes {
        Some(Uuid::from_mangled_bytes(text).ok_or("uuid_is_bytes, and the uuid is UTF-8")?)
    } else {
        Uuid::from_kernel(text.as_bytes())
    };
    let length = uuid.as_ref().map_or(0, |uuid| uuid.bytes().len());
    if length > MAX_UUID {
        return Err(format!("a uuid has at most {MAX_UUID} bytes, this one {length}"));
    }
    Ok(uuid)
}

fn checked_table(rows: &[StateRow]) -> Result<table::Table, String> {
    let mut end = 0u64;
    for (index, row) in rows.iter().enumerate() {
        let fail = |says: String| Err(format!("[{index}]: {says}"));
        if row.kind.is_empty() || row.kind.len() > MAX_TYPE || row.kind.contains(char::is_whitespace) {
            return fail(format!("a type has 1 to {MAX_TYPE} bytes and no blanks"));
        }
        if row.length == 0 {
            return fail("a target of 0 sectors".to_string());
        }
        if row.start != end {
            return fail(format!("it starts at {}, the one before it ends at {end}", row.start));
        }
        match row.start.checked_add(row.length).filter(|end| *end <= MAX_BYTES / SECTOR) {
            Some(sum) => end = sum,
            None => return fail("it reaches past the end of the largest device there can be".to_string()),
        }
    }
    Ok(rows.iter().map(RawRow::from).collect())
}
