//! Devices that have the name of a mapping that is to be absent, and are not its device: a remark of the plan.

use std::fmt;

use super::change::Drift;
use super::changes::Changes;
use crate::config::Mapping;
use crate::identity::{DevNum, Key, Name, Uuid};
use crate::observed::Observed;

/// A device that has the name of an absent mapping and is not the device of that mapping, so that it stays. Its
/// `Display` is a sentence without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namesake {
    /// The key of the mapping.
    pub mapping: Key,
    /// The name of both.
    pub name: Name,
    /// The number of the device.
    pub number: DevNum,
    /// The uuid of the device.
    pub uuid: Option<Uuid>,
}

impl Namesake {
    /// Finds the devices that have the name of an absent mapping, and that the plan does not remove either.
    pub(crate) fn all(changes: &Changes<'_>, observed: &Observed) -> Vec<Self> {
        let absent = changes.all.iter().filter(|change| change.drift == Drift::AbsentOk);
        let namesake = |mapping: &Mapping| {
            let seen = observed.by_name(&mapping.name)?;
            let number = seen.listed.number;
            let is_declared = changes.all.iter().any(|change| change.number() == Some(number));
            (changes.pruned(number).is_none() && !is_declared).then(|| Self {
                mapping: mapping.key.clone(),
                name: mapping.name.clone(),
                number,
                uuid: seen.listed.uuid.clone(),
            })
        };
        absent.filter_map(|change| namesake(change.mapping)).collect()
    }
}

impl fmt::Display for Namesake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {} has this name", self.number)?;
        let Some(uuid) = &self.uuid else {
            return write!(
                f,
                " and no uuid, so it is not the device of this mapping, and stays; `dmctl remove {}` removes it",
                self.name.word()
            );
        };
        let owner = uuid.parts().map(|(owner, _)| format!("the dmctl owner {owner}"));
        let whose = owner.or_else(|| uuid.subsystem().map(ToString::to_string));
        let whose = whose.map_or_else(String::new, |whose| format!(", of {whose}"));
        write!(f, " and the uuid {uuid}{whose}, so it is not the device of this mapping, and stays")?;
        match uuid.field() {
            Some(field) => write!(f, "; write {field} to declare that very device"),
            None => Ok(()),
        }
    }
}
