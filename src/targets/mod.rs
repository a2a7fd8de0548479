//! What dmctl knows about each kernel target: one file a target.
//!
//! A file declares the fields of its target in the words of the kernel's documentation. It implements
//! `TargetKind`: how they are read from a row, printed as one and compared with those of the kernel; and
//! [`Target`]: the lower devices, and what is checked before the kernel is asked. The rest of dmctl sees a
//! `dyn Target` and does not know a target by name. Optional words are a table, one line an option
//! (`frame/options.rs`, and `writecache.rs` for an example). To add a target: write its file, declare it and
//! add it to [`KINDS`].
//!
//! A type that is not in the list is handled by `generic`: its words are compared one by one.

pub(crate) mod cache;
mod clone;
mod crypt;
mod delay;
mod dust;
mod ebs;
mod era;
mod error;
mod flakey;
mod inlinecrypt;
pub(crate) mod integrity;
mod linear;
mod log_writes;
mod mirror;
mod multipath;
mod pcache;
mod raid;
mod snapshot;
mod snapshot_merge;
mod snapshot_origin;
mod striped;
mod switch;
mod thin;
mod thin_pool;
mod unstriped;
mod vdo;
mod verity;
mod writecache;
mod zero;
mod zoned;

mod frame;
#[cfg(test)]
mod kit;

pub use frame::UnfinishedFirst;
pub(crate) use frame::state;
use frame::state::MetadataMode;
pub use frame::state::{
    Copy, Damage, FreshRow, Health, Left, LiveRow, Progress, ProgressUnit, Remedy, State, Unfinished,
};
pub use frame::{
    ANY_WORD, Below, Block, Blocks, Change, Contradiction, DeviceAccess, DeviceUse, DeviceUses, Difference,
    Differences, Doc, Effect, Handover, Hazards, IgnoredValue, Incomparable, KeptTags, Kind, MessageForm,
    MessageRisk, MessageText, Mode, Need, NeededBelow, NeededQueue, NeededTags, NoRoom, OnDisk, Order,
    OriginUse, OwnIo, ParamsError, Place, Prepare, Problem, Problems, QueueKind, RemainingLength, Repair,
    Shortage, SizeTaken, Status, Style, Target, Traits, Unit, Value, VolumeList,
};
pub use frame::{After, Leaving, Reading, Unreadable, read_state};
use frame::{
    Choice, Given, Operand, Options, Syntax, alternatives, begins_with, choice, in_whole_blocks, keyed, le16,
    le32, le64, option, part, redact_unknown, redact_words, sector_size,
};
pub(crate) use frame::{
    FieldValue, Found, Metadata, Printer, SizeOf, TargetKind, Words, argument, failed, generic, of_type,
    signature,
};

/// The longest name of a target type the kernel keeps (`DM_MAX_TYPE_NAME` less the NUL).
pub const MAX_TYPE: usize = 15;

/// Every target type dmctl knows, by name.
pub static KINDS: &[Kind] = &[
    Kind::of::<cache::Cache>(),
    Kind::of::<clone::Clone>(),
    Kind::of::<crypt::Crypt>(),
    Kind::of::<delay::Delay>(),
    Kind::of::<dust::Dust>(),
    Kind::of::<ebs::Ebs>(),
    Kind::of::<era::Era>(),
    Kind::of::<error::Error>(),
    Kind::of::<flakey::Flakey>(),
    Kind::of::<inlinecrypt::InlineCrypt>(),
    Kind::of::<integrity::Integrity>(),
    Kind::of::<linear::Linear>(),
    Kind::of::<log_writes::LogWrites>(),
    Kind::of::<mirror::Mirror>(),
    Kind::of::<multipath::Multipath>(),
    Kind::of::<pcache::Pcache>(),
    Kind::of::<raid::Raid>(),
    Kind::of::<snapshot::Snapshot>(),
    Kind::of::<snapshot_merge::SnapshotMerge>(),
    Kind::of::<snapshot_origin::SnapshotOrigin>(),
    Kind::of::<striped::Striped>(),
    Kind::of::<switch::Switch>(),
    Kind::of::<thin::Thin>(),
    Kind::of::<thin_pool::ThinPool>(),
    Kind::of::<unstriped::Unstriped>(),
    Kind::of::<vdo::Vdo>(),
    Kind::of::<verity::Verity>(),
    Kind::of::<writecache::Writecache>(),
    Kind::of::<zero::Zero>(),
    Kind::of::<zoned::Zoned>(),
];

/// The target type of this name, if dmctl knows it.
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// The kernel module that has a target type.
pub(crate) fn module(kind: &str) -> String {
    find(kind).and_then(|known| known.module).map_or_else(|| format!("dm-{kind}"), ToString::to_string)
}

/// Reads the parameters of a row: typed where dmctl knows the type, word by word where it does not.
pub fn parse(kind: &str, params: &str) -> Result<Box<dyn Target>, ParamsError> {
    match find(kind) {
        Some(known) => known.parse(params),
        None => generic::Generic::parse(kind, params).map(|generic| Box::new(generic) as Box<dyn Target>),
    }
}

/// The parameters of a row with every key replaced, whatever else is wrong with them. In a row of a type that
/// dmctl does not know, every long run of hexadecimal digits may be one.
pub fn redact(kind: &str, params: &str) -> String {
    find(kind).map_or_else(|| generic::Generic::redact(params), |known| (known.redact)(params))
}
