//! Comments about a mapping: facts that its fields can't express, or that its reader must know.

use std::fmt;

/// A comment about a mapping. Its `Display` is one sentence or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// The device is suspended.
    Suspended,
    /// The inactive slot of the device holds a table.
    InactiveTable,
    /// The device has no uuid.
    NoUuid,
    /// A key is replaced by the path of a file that must hold it.
    Key {
        /// The fields that have the key.
        fields: Vec<&'static str>,
        /// The length of the key in bytes, where it is known.
        bytes: Option<usize>,
        /// The path of the file.
        path: String,
    },
    /// Words that may be keys are replaced, in the row of a type that dmctl does not know.
    KeyWord,
    /// The kernel does not show this state of the target.
    Hidden(&'static str),
    /// An order that the kernel has carried out is left out: the name of its field.
    CarriedOut(String),
    /// A lower device is the node of a mapped device that the text does not have.
    NodeOfAnother(String),
    /// A lower device is written in a form that may lead to another device after the next boot.
    Unstable(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suspended => {
                f.write_str("It is suspended, and I/O to it waits; without `state` it would be resumed.")
            }
            Self::InactiveTable => f.write_str("A table waits in its inactive slot; apply clears that slot."),
            Self::NoUuid => {
                f.write_str("It has no uuid yet: apply gives it one, and it is owned from then on.")
            }
            Self::Key { fields, bytes, path } => {
                write!(f, "A key is not exported: put the {} of this device", fields.join(" and "))?;
                if let Some(bytes) = bytes {
                    write!(f, " ({bytes} bytes)")?;
                }
                write!(f, " into {path}, or say where it comes from.")
            }
            Self::KeyWord => f.write_str(
                "What may be a key is not exported: write it in place of each `<secret>`, and make this file readable by its owner only.",
            ),
            Self::Hidden(state) => write!(f, "Not known, so not written: {state}."),
            Self::CarriedOut(order) => {
                write!(f, "Not written, for it is an order that the kernel has carried out: {order}.")
            }
            Self::NodeOfAnother(node) => write!(
                f,
                "No device of the text has the minor number of {node}: it may be another device on each host."
            ),
            Self::Unstable(device) => write!(f, "No path that lasts for {device} is known."),
        }
    }
}
