//! Links that udev moved up a stack.
//!
//! udev gives a link such as `/dev/disk/by-uuid/...` to the newest device that shows the content (`link_priority` in
//! systemd's `udev-node.c`). A mapping shows what is below its first sector, so once it exists the link by which its lower
//! device was found leads to the mapping itself, or to a device above it. What the link meant is what the mapping has.

use std::collections::{BTreeSet, HashMap};

use super::{Observed, Seen};
use crate::config::{Map, Mapping, State};
use crate::device::{Device, Form, Tag};
use crate::identity::{DevNum, Key};
use crate::stack::Reach;

/// What a link means that udev moved up, or that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The lower device that the mapping has: the link leads to the mapping, or to a device above it.
    Had(DevNum),
    /// The lower device that the mapping has, provided that it needs no other table: the link leads to another device that
    /// shows the content of this one.
    Shows(DevNum),
    /// The lower device that the mapping has in the place of one that is not found, provided that it needs no other table.
    Gone(Gone),
    /// One of several lower devices; which, can't be told.
    Unknown,
}

/// A lower device of a live table in the place of one that is not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// The device that the live table has.
    pub number: DevNum,
    /// Whether a record of that device has the path that is gone. Otherwise the path may mean any device.
    pub is_recorded: bool,
}

/// The links that were moved, by the mapping that is written with them.
pub(super) type Links = HashMap<Key, HashMap<Form, Meaning>>;

impl Observed {
    /// Returns what a link means that udev moved; `None` for any other device, which is the one that the link leads to.
    pub fn meaning(&self, mapping: &Mapping, device: &Device) -> Option<&Meaning> {
        if self.links.is_empty() { None } else { self.links.get(&mapping.key)?.get(&device.form) }
    }

    /// Finds the links of a map that udev moved up.
    pub(super) fn moved_links(&self, map: &Map) -> Links {
        // A link to a device with nothing below it was not moved up.
        let is_upper = |number: &DevNum| !self.below(*number).is_empty();
        let suspects: HashMap<&Form, DevNum> = self
            .resolved
            .iter()
            .filter(|(form, number)| moves(form) && is_upper(number))
            .map(|(form, number)| (form, *number))
            .collect();
        let mut links = Links::new();
        if suspects.is_empty() {
            return links;
        }
        for mapping in map.mappings.values().filter(|mapping| mapping.state != State::Absent) {
            let written = devices(mapping);
            let suspected =
                written.iter().filter_map(|device| Some((&device.form, *suspects.get(&device.form)?)));
            for (form, leads_to) in suspected {
                if let Some(meaning) = self.meant(map, (mapping, &written), (form, leads_to)) {
                    links.entry(mapping.key.clone()).or_default().insert(form.clone(), meaning);
                }
            }
        }
        links
    }

    /// Finds out what a link of a mapping means, if it was moved up.
    fn meant(
        &self,
        map: &Map,
        (mapping, written): (&Mapping, &[&Device]),
        (form, leads_to): (&Form, DevNum),
    ) -> Option<Meaning> {
        let own = self.device_of(mapping)?;
        let live = own.mapped.as_ref()?.table.lower_devices();
        if live.is_empty() || live.contains(&leads_to) {
            return None;
        }
        let reached = self.reached(leads_to);
        if reached.contains(&own.listed.number) {
            // In a circle, the lower device that it has is no better than the mapping itself.
            let real = |number: &DevNum| !self.reached(*number).contains(&own.listed.number);
            return Some(match self.unexplained(map, written, live)[..] {
                [number] if real(&number) => Meaning::Had(number),
                [_] => return None,
                _ => Meaning::Unknown,
            });
        }
        // The content of one device shows through others: it says nothing about which of them is meant.
        let shown = self.by_number(leads_to).is_some() && names_content(form);
        let below: Vec<DevNum> =
            live.iter().copied().filter(|number| shown && reached.contains(number)).collect();
        match below[..] {
            [number] => Some(Meaning::Shows(number)),
            _ => None,
        }
    }

    /// Lists the live lower devices of a mapping that are not written in another way.
    fn unexplained(&self, map: &Map, written: &[&Device], live: &[DevNum]) -> Vec<DevNum> {
        if live.len() == 1 {
            return live.to_vec();
        }
        let number = |device: &Device| match device.key() {
            Some(key) => Some(self.device_of(map.mappings.get(key)?)?.listed.number),
            None => self.number(device),
        };
        let others: BTreeSet<DevNum> = written.iter().filter_map(|device| number(device)).collect();
        live.iter().copied().filter(|number| !others.contains(number)).collect()
    }

    /// Returns a device and all devices below it.
    fn reached(&self, number: DevNum) -> BTreeSet<DevNum> {
        let mut reach = Reach::from_iter([number]);
        let mut reached = BTreeSet::new();
        while let Some(number) = reach.next() {
            reach.extend(self.below(number).iter().copied());
            reached.insert(number);
        }
        reached
    }

    /// Returns the device of a mapping: by its uuid, or by the name of a device without uuid that it takes over.
    pub(super) fn device_of(&self, mapping: &Mapping) -> Option<&Seen> {
        let adopted = mapping.adopt.then_some(&mapping.name);
        let named = || {
            let mut names = mapping.renamed_from.iter().chain(adopted);
            names.find_map(|name| self.by_name(name).filter(|seen| seen.listed.uuid.is_none()))
        };
        self.by_uuids(mapping).or_else(named)
    }
}

/// Lists the lower devices that a mapping is written with.
fn devices(mapping: &Mapping) -> Vec<&Device> {
    let lowers = mapping.rows.iter().flat_map(|row| row.target.lower_devices(0));
    lowers.map(|lower| lower.device).collect()
}

/// Whether udev gives a link to one device of several, and may move it. Links with the name or the uuid of a mapped device
/// have one device only.
fn moves(form: &Form) -> bool {
    match form {
        Form::Tag(..) => true,
        Form::Path(path) => path
            .strip_prefix("/dev/disk/by-")
            .is_some_and(|link| !link.starts_with("id/dm-name-") && !link.starts_with("id/dm-uuid-")),
        Form::Number(_) | Form::Mapping(_) => false,
    }
}

/// Whether a link is made of what is stored on a device, rather than of the device.
fn names_content(form: &Form) -> bool {
    match form {
        Form::Tag(tag, _) => matches!(tag, Tag::Uuid | Tag::Label),
        Form::Path(path) => {
            ["/dev/disk/by-uuid/", "/dev/disk/by-label/"].iter().any(|folder| path.starts_with(folder))
        }
        Form::Number(_) | Form::Mapping(_) => false,
    }
}
