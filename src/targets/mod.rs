//! What dmctl knows about each kernel target: one file a target.
//!
//! A file declares the fields of its target in the words of the kernel's documentation and says, by
//! implementing [`TargetType`], how they are read from a row, printed as one, checked before the kernel
//! is asked, and compared with what the kernel has. Everything else in dmctl sees a [`Typed`] target and
//! no target by name. To add one: write its file and add it to the list below.
//!
//! A type that is not in the list is handled by [`generic`]: its words are compared one by one.

pub mod argument;
mod choice;
mod contract;
mod difference;
pub mod failed;
pub mod generic;
mod keyed;
mod kind;
pub mod manual;
mod printer;
mod problems;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod seen;
pub mod superblock;
#[cfg(test)]
mod testing;
mod typed;
mod words;

pub use contract::{
    Access, Doc, Found, Handover, Lower, Metadata, Mode, Prepare, TargetType, Traits, rest_of,
};
pub use difference::{Difference, Differences, Effect};
pub use kind::Kind;
pub use printer::{Printer, Style};
pub use problems::{Problem, Problems};
pub use typed::Typed;
pub use words::{ParamsError, Words};

/// The longest name of a target type the kernel keeps (`DM_MAX_TYPE_NAME` less the NUL).
pub const MAX_TYPE: usize = 15;

/// Lists the targets: a module and its type each.
macro_rules! targets {
    ($($module:ident::$type:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// Every target type dmctl knows, by name.
        pub static KINDS: &[Kind] = &[$(Kind::of::<$module::$type>()),*];
    };
}

targets! {
    cache::Cache,
    clone::Clone,
    crypt::Crypt,
    delay::Delay,
    dust::Dust,
    ebs::Ebs,
    era::Era,
    error::Error,
    flakey::Flakey,
    inlinecrypt::InlineCrypt,
    integrity::Integrity,
    linear::Linear,
    log_writes::LogWrites,
    mirror::Mirror,
    multipath::Multipath,
    pcache::Pcache,
    raid::Raid,
    snapshot::Snapshot,
    snapshot_merge::SnapshotMerge,
    snapshot_origin::SnapshotOrigin,
    striped::Striped,
    switch::Switch,
    thin::Thin,
    thin_pool::ThinPool,
    unstriped::Unstriped,
    vdo::Vdo,
    verity::Verity,
    writecache::Writecache,
    zero::Zero,
    zoned::Zoned,
}

/// The target type of this name, if dmctl knows it.
#[must_use]
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Reads the parameters of a row: typed where dmctl knows the type, word by word where it does not.
pub fn parse(kind: &str, params: &str) -> Result<Box<dyn Typed>, ParamsError> {
    match find(kind) {
        Some(known) => known.parse(params),
        None => generic::Generic::parse(kind, params).map(|generic| Box::new(generic) as Box<dyn Typed>),
    }
}

/// The parameters of a row with every key replaced, whatever else is wrong with them.
#[must_use]
pub fn redact(kind: &str, params: &str) -> String {
    find(kind).map_or_else(|| params.to_string(), |known| (known.redact)(params))
}
