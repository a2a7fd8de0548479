//! What stands on what, drawn: a tree of lines, the languages of two drawing tools, a drawing.

mod dot;
mod mermaid;
mod svg;
mod text;

pub use dot::dot;
pub use mermaid::mermaid;
pub use svg::svg;
pub use text::text;

use crate::graph::{Kind, Node, State};
use crate::identity::printable;
use crate::units::Sectors;

/// How much a device asks to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    /// A disk.
    Ground,
    /// Nothing is the matter.
    Calm,
    /// Somebody else has it.
    Foreign,
    /// It would be changed.
    Pending,
    /// It is not there, or I/O to it waits.
    Alarm,
}

fn tone(node: &Node) -> Tone {
    let ours = node.uuid.as_deref().is_some_and(|uuid| uuid.starts_with(crate::identity::UUID_PREFIX));
    match (node.state, node.kind) {
        (State::Missing, _) if node.pending.is_empty() => Tone::Alarm,
        (State::Suspended | State::Empty, _) => Tone::Alarm,
        _ if !node.pending.is_empty() => Tone::Pending,
        (_, Kind::Block) => Tone::Ground,
        _ if ours => Tone::Calm,
        _ => Tone::Foreign,
    }
}

/// Its name, fit to be shown.
fn name(node: &Node) -> String {
    printable(&node.name).into_owned()
}

/// How large it is.
fn size(node: &Node) -> String {
    node.sectors.map_or_else(|| "?".to_string(), |sectors| Sectors(sectors).human())
}

/// The types of its targets.
fn kinds(node: &Node) -> String {
    printable(&node.targets.join("+")).into_owned()
}

/// Number, size and kind, in a line.
fn facts(node: &Node) -> String {
    let mut facts = Vec::new();
    if !node.id.starts_with('@') && node.id != node.name {
        facts.push(node.id.clone());
    }
    facts.push(size(node));
    facts.extend((!node.targets.is_empty()).then(|| kinds(node)));
    facts.join(" \u{b7} ")
}

/// All else there is to say of it.
fn remarks(node: &Node) -> Vec<String> {
    let mut remarks = Vec::new();
    if node.state != State::Active {
        remarks.push(node.state.name().to_string());
    }
    if node.read_only {
        remarks.push("read-only".to_string());
    }
    let (status, pending) = (&node.status, &node.pending);
    remarks.extend(status.as_ref().filter(|word| *word != node.state.name()).cloned());
    remarks.extend((!pending.is_empty()).then(|| format!("-> {}", pending.join(", "))));
    remarks.extend(node.whose.as_ref().map(|whose| format!("[{whose}]")));
    remarks.extend(node.users.iter().map(|user| format!("on {user}")));
    remarks.iter().map(|remark| printable(remark).into_owned()).collect()
}
