//! Why a name, key, owner or uuid is refused.

use thiserror::Error;

/// Why a name, key, owner or uuid is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// Nothing there.
    #[error("a {0} can't be empty")]
    Empty(&'static str),
    /// A name the kernel or every tool treats specially.
    #[error("`{0}` can't be the name of a device: the kernel keeps it for itself")]
    Reserved(String),
    /// A slash or a control character.
    #[error("`{}` can't be the name of a device: it holds {}", .0.escape_debug(), describe(*.1))]
    Character(String, char),
    /// Longer than the kernel keeps.
    #[error("this {what} takes {length} bytes{}, the kernel keeps at most {limit}", if *.mangled { " in mangled form" } else { "" })]
    TooLong {
        /// What is too long: a name or a uuid.
        what: &'static str,
        /// Its length in bytes, as the kernel would store it.
        length: usize,
        /// The most the kernel keeps.
        limit: usize,
        /// Whether mangling made it that long.
        mangled: bool,
    },
    /// A name in which some characters are mangled and others are not.
    #[error("`{0}` mixes mangled (`\\xNN`) and plain characters: write it plain")]
    MixedMangling(String),
    /// A key outside its alphabet.
    #[error("`{}` can't be a key: use 1 to 64 of A-Z a-z 0-9 _ . - and put anything else into `name`", .0.escape_debug())]
    Key(String),
    /// An owner outside its alphabet.
    #[error("`{}` can't be an owner: use 1 to 32 of a-z 0-9 _", .0.escape_debug())]
    Owner(String),
    /// A uuid with a control character.
    #[error("`{}` can't be a uuid: it holds a control character", .0.escape_debug())]
    Uuid(String),
}

fn describe(character: char) -> String {
    if character == '/' { "`/`".to_string() } else { "a control character".to_string() }
}
