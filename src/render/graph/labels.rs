//! The words and the tone of one device, which all drawings of a graph share.

use crate::graph::{Kind, Node, State};
use crate::identity::{DevNum, printable};
use crate::units::Sectors;

/// How much attention a device needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// The device is not mapped.
    Ground,
    /// The device is as it should be.
    Calm,
    /// The device belongs to another owner.
    Foreign,
    /// The map would change the device.
    Pending,
    /// The device does not exist, I/O to it waits, or it is not well.
    Alarm,
}

/// Judges a device by its state, its owner and what the map would do.
pub(super) fn tone(node: &Node) -> Tone {
    let ours = node.uuid.as_deref().is_some_and(|uuid| uuid.starts_with(crate::identity::UUID_PREFIX));
    match (node.state, node.kind) {
        _ if node.in_circle => Tone::Alarm,
        (State::Missing, _) if node.pending.is_empty() => Tone::Alarm,
        (State::Suspended | State::Empty, _) => Tone::Alarm,
        _ if !node.pending.is_empty() => Tone::Pending,
        _ if node.health.is_some_and(|health| !health.is_well()) => Tone::Alarm,
        (_, Kind::Block) => Tone::Ground,
        _ if ours => Tone::Calm,
        _ => Tone::Foreign,
    }
}

/// Returns the name, with characters that can't be shown escaped.
pub(super) fn name(node: &Node) -> String {
    printable(&node.name).into_owned()
}

/// Returns the number, which only a device that exists has.
pub(super) fn number(node: &Node) -> Option<&str> {
    DevNum::parse(&node.id).map(|_| node.id.as_str())
}

/// Returns the size for a person.
pub(super) fn size(node: &Node) -> String {
    node.sectors.map_or_else(|| "?".to_string(), |sectors| Sectors(sectors).human())
}

/// Joins the types of the targets.
pub(super) fn kinds(node: &Node) -> String {
    printable(&node.targets.join("+")).into_owned()
}

/// Joins number, size and target types in a line.
pub(super) fn facts(node: &Node) -> String {
    let mut facts = Vec::new();
    facts.extend(number(node).filter(|number| *number != node.name).map(ToString::to_string));
    facts.push(size(node));
    facts.extend((!node.targets.is_empty()).then(|| kinds(node)));
    facts.join(" \u{b7} ")
}

/// Lists state, access, status, pending steps, owner and users, as far as they differ from the usual.
pub(super) fn remarks(node: &Node) -> Vec<String> {
    let mut remarks = Vec::new();
    match &node.absence {
        Some(absence) => remarks.push(absence.clone()),
        None if node.state != State::Active => remarks.push(node.state.name().to_string()),
        None => {}
    }
    if node.in_circle {
        remarks.push("in a circle".to_string());
    }
    if node.read_only {
        remarks.push("read-only".to_string());
    }
    if !node.fares.is_empty() {
        remarks.push(node.fares.clone());
    }
    let (status, pending) = (&node.status, &node.pending);
    remarks.extend(status.as_ref().filter(|word| *word != node.state.name()).cloned());
    remarks.extend((!pending.is_empty()).then(|| format!("-> {}", pending.join(", "))));
    remarks.extend(node.whose.as_ref().map(|whose| format!("[{whose}]")));
    remarks.extend(node.users.iter().map(|user| format!("on {user}")));
    remarks.iter().map(|remark| printable(remark).into_owned()).collect()
}
