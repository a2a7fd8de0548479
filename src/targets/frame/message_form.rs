//! The messages that a target takes: their words, what each does, and what it risks.

use crate::policy::Class;

/// A message that a target takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageForm {
    /// The first word, in lower case; the kernel takes either case. [`ANY_WORD`] stands for words that a policy of the target
    /// defines.
    pub word: &'static str,
    /// The words after it, as the manual writes them.
    pub arguments: &'static str,
    /// What the kernel does, as a clause.
    pub does: &'static str,
    /// What it risks.
    pub risk: MessageRisk,
    /// Whether its third word is a volume that is copied, and must not be written meanwhile.
    pub copies_volume: bool,
    /// Whether its second word is a path that serves no I/O any more: without any path I/O that waits is lost.
    pub fails_path: bool,
}

/// The first word of a form that takes any.
pub const ANY_WORD: &str = "*";

/// What a message risks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageRisk {
    /// As much as a step of this class.
    Class(Class),
    /// More than it can be good for: it is not sent, and this is why, as a clause.
    Never(&'static str),
}

impl MessageForm {
    /// A message that tunes how a target works; nothing is lost, and no sector is served otherwise.
    pub(crate) const fn tunes(word: &'static str, arguments: &'static str, does: &'static str) -> Self {
        Self::of(word, arguments, does, Class::Settle)
    }

    /// A message that changes what sectors hold, or where they are.
    pub(crate) const fn of(
        word: &'static str,
        arguments: &'static str,
        does: &'static str,
        class: Class,
    ) -> Self {
        Self {
            word,
            arguments,
            does,
            risk: MessageRisk::Class(class),
            copies_volume: false,
            fails_path: false,
        }
    }

    /// A message that is not sent.
    pub(crate) const fn never(word: &'static str, does: &'static str, why: &'static str) -> Self {
        Self {
            word,
            arguments: "",
            does,
            risk: MessageRisk::Never(why),
            copies_volume: false,
            fails_path: false,
        }
    }

    /// The same, of a volume that its third word names.
    pub(crate) const fn copying(self) -> Self {
        Self { copies_volume: true, ..self }
    }

    /// The same, which fails the path that its second word names.
    pub(crate) const fn failing_path(self) -> Self {
        Self { fails_path: true, ..self }
    }

    /// Whether a message that begins with `first` is one of this form.
    pub fn begins(&self, first: &str) -> bool {
        self.word == ANY_WORD || self.word.eq_ignore_ascii_case(first)
    }
}
