//! A lower device that does not have the target which another one needs: data, with the sentence where it is shown.

use std::fmt;

use smol_str::SmolStr;

use crate::device::Written;
use crate::identity::Called;
use crate::targets::KeptTags;

/// A lower device that does not have the target that another one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongBelow {
    /// The target type that needs it.
    pub kind: SmolStr,
    /// The lower device, as the map writes it.
    pub device: Written,
    /// The target type that is needed.
    pub needed: &'static str,
    /// What is there instead.
    pub found: FoundBelow,
}

/// What a lower device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundBelow {
    /// A device of targets of these types.
    Types(Vec<SmolStr>),
    /// A mapped device without a table.
    NoTable,
    /// No Device Mapper device.
    Unmapped,
    /// A mapped device whose table could not be read.
    Unread,
    /// A device that keeps no tags, or that is over this one, which keeps none.
    Untagged(Option<Called>),
    /// A device that keeps the tags of its own hash.
    OwnTags,
    /// A device over others that keep different tags.
    TagsDiffer(KeptTags, KeptTags),
    /// A device with tags of another size, in bytes.
    TagSize {
        /// The size there.
        kept: u32,
        /// The size in the table above.
        needed: u32,
    },
    /// A device with tags beside blocks of another size, in bytes.
    TagBlock {
        /// The size there.
        kept: u64,
        /// The size in the table above.
        needed: u64,
    },
    /// A device with the right tags, which this kernel would not take for they are not filled.
    TagUnused {
        /// How many bytes of a tag are used.
        used: u32,
        /// The size of the tags, in bytes.
        needed: u32,
    },
}

/// The clauses about the lower device, with the way out.
impl fmt::Display for WrongBelow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, device, needed, found } = self;
        let device = device.described();
        let article = if needed.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        match found {
            FoundBelow::Types(types) => {
                write!(
                    f,
                    "{device} is a device of {}, {kind} needs {article} {needed}",
                    types.join(" and ")
                )?;
            }
            FoundBelow::NoTable => write!(f, "{device} has no table, {kind} needs {article} {needed}")?,
            FoundBelow::Unmapped => {
                write!(f, "{device} is not a Device Mapper device, {kind} needs {article} {needed}")?;
            }
            FoundBelow::Unread => {
                return write!(
                    f,
                    "the table of {device} could not be read, and {kind} needs {article} {needed}; run dmctl where that can be read"
                );
            }
            FoundBelow::Untagged(None) => {
                write!(f, "{device} keeps no tags with its blocks, {kind} needs {article} {needed}")?;
            }
            FoundBelow::Untagged(Some(lower)) => {
                write!(
                    f,
                    "{lower} below {device} keeps no tags with its blocks, {kind} needs {article} {needed}"
                )?;
            }
            FoundBelow::OwnTags => {
                return write!(
                    f,
                    "{device} keeps the tags of its own internal_hash, {kind} needs {article} {needed} without one"
                );
            }
            FoundBelow::TagsDiffer(one, other) => {
                return write!(
                    f,
                    "the devices below {device} keep different tags, {one} and {other}; {kind} takes one {needed}, or some of \
                     equal tags"
                );
            }
            FoundBelow::TagSize { kept, needed: size } => {
                return write!(
                    f,
                    "{device} keeps tags of {kept} bytes, {kind} has a tag_size of {size}; both must have the same tag_size"
                );
            }
            FoundBelow::TagBlock { kept, needed: size } => {
                return write!(
                    f,
                    "{device} keeps a tag with each {kept} bytes, {kind} has a sector_size of {size}; the block_size of the \
                     {needed} must be the sector_size"
                );
            }
            FoundBelow::TagUnused { used, needed: size } => {
                return write!(
                    f,
                    "{kind} uses {used} bytes of the tags of {size} bytes that {device} keeps, and this kernel takes no longer \
                     ones; set tag_size = {used} in both"
                );
            }
        }
        write!(f, "; give it the device of {article} {needed}")
    }
}
