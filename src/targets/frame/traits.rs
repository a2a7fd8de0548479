//! How the kernel treats a target type, and its page of the manual.

use super::{ANY_WORD, MessageForm, MessageRisk};
use crate::policy::Class;

/// How the kernel treats tables with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// It must be the only target of its table (`DM_TARGET_SINGLETON`).
    pub singleton: bool,
    /// A live table of this type can only be replaced by the same type (`DM_TARGET_IMMUTABLE`).
    pub immutable: bool,
    /// It reads at load what the live table writes at suspend: suspend, then load, then resume.
    pub suspend_before_load: bool,
    /// Whether the table must, or must not, be loaded read-only.
    pub mode: Mode,
    /// Its parameters may hold a key: loads and reads ask the kernel to wipe its buffers.
    pub secret: bool,
    /// The kernel can make it by itself before anything else runs (`dm_allowed_targets` in
    /// `drivers/md/dm-init.c`).
    pub early: bool,
    /// The messages that it takes (`message` of its `struct target_type`).
    pub messages: &'static [MessageForm],
    /// Whether its device has the tags that a device below keeps with each sector (`DM_TARGET_PASSES_INTEGRITY`).
    pub passes_tags: bool,
    /// Whether it hands direct access to the memory of a lower device on (`direct_access` of its `struct target_type`).
    pub passes_memory: bool,
    /// Whether it finds a sector below by its number in the device, and not in the row: its `map` does not subtract the
    /// start of the row (`dm_target_offset`).
    pub counts_from_device: bool,
    /// Whether a row of it must begin at sector 0 of its device: it finds a sector in what it keeps by the number in the device,
    /// and has room for as many as the row has, so that those of any other row are behind its end (`raid_map`, `era_map`).
    pub first_only: bool,
    /// Whether the kernel prints a state of it.
    pub status: Status,
}

/// Whether the kernel prints a state of a live target (`status` of its `struct target_type` with `STATUSTYPE_INFO`), and
/// when that is the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It prints nothing: the target is never asked.
    None,
    /// It prints a state, of a suspended device too.
    Always,
    /// It prints a state, in which nothing is wrong before the device has had an event (striped).
    AfterEvent,
    /// While the device is suspended it prints words that are not the state (raid).
    WhileActive,
    /// While the device is suspended the call does not end (era).
    HangsSuspended,
}

/// Whether a table may be read-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As the mapping says.
    Any,
    /// Always read-only (verity).
    ReadOnly,
    /// Never read-only (thin-pool).
    Writable,
}

impl Traits {
    /// The traits of most targets: each member is off, and any mode is allowed.
    pub const PLAIN: Self = Self {
        singleton: false,
        immutable: false,
        suspend_before_load: false,
        mode: Mode::Any,
        secret: false,
        early: false,
        messages: &[],
        passes_tags: false,
        passes_memory: false,
        counts_from_device: false,
        first_only: false,
        status: Status::None,
    };

    /// Returns the form of a message that begins with this word, where the target takes such a one.
    pub fn message(&self, first: &str) -> Option<&'static MessageForm> {
        self.messages.iter().find(|form| form.begins(first))
    }

    /// Returns the form of a message that is known to lose data.
    pub(crate) fn losing_message(&self, text: &str) -> Option<&'static MessageForm> {
        let form = self.message(text.split_whitespace().next().filter(|first| !first.starts_with('@'))?)?;
        (form.risk == MessageRisk::Class(Class::Loss) && form.word != ANY_WORD).then_some(form)
    }

    /// Nothing special, but the kernel can make it before anything else runs.
    pub const EARLY: Self = Self { early: true, ..Self::PLAIN };
}

/// The manual's page of a target.
#[derive(Debug, Clone, Copy)]
pub struct Doc {
    /// What it does, in a sentence or two.
    pub summary: &'static str,
    /// The first kernel that has it, as `major.minor`.
    pub since: &'static str,
    /// What is written to disk when its table is loaded.
    pub writes: &'static str,
    /// What a change of a field does to a running device.
    pub changes: &'static str,
    /// A `[[mappings.NAME.targets]]` row, without its header, that is valid as it stands.
    pub example: &'static str,
}
