//! Why a name, key, owner or uuid is refused.

use thiserror::Error;

/// Why a name, key, owner or uuid is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// The text is empty; the field is `name` or `uuid`.
    #[error("a {0} can't be empty")]
    Empty(&'static str),
    /// The name is `.`, `..` or `control` (`check_name` in `drivers/md/dm-ioctl.c`).
    #[error("`{0}` can't be the name of a device: the kernel keeps it for itself")]
    Reserved(String),
    /// The name holds a slash or a control character.
    #[error("`{}` can't be the name of a device: it holds {}", .0.escape_debug(), describe(*.1))]
    Character(String, char),
    /// The text is longer than the kernel stores.
    #[error("this {what} takes {length} bytes{}, the kernel keeps at most {limit}", if *.mangled { " in mangled form" } else { "" })]
    TooLong {
        /// The kind of text: `name` or `uuid`.
        what: &'static str,
        /// The length in bytes, in the form of the kernel.
        length: usize,
        /// The most bytes that the kernel stores.
        limit: usize,
        /// Whether the length is that of the mangled form.
        mangled: bool,
    },
    /// The name has some characters mangled, and others not that should be.
    #[error("`{0}` mixes mangled (`\\xNN`) and plain characters: write it plain")]
    MixedMangling(String),
    /// The key is empty, too long, or holds a character outside its alphabet.
    #[error("`{}` can't be a key: use 1 to 64 of A-Z a-z 0-9 _ . - and put anything else into `name`", .0.escape_debug())]
    Key(String),
    /// The owner is empty, too long, or holds a character outside its alphabet.
    #[error("`{}` can't be an owner: use 1 to 32 of a-z 0-9 _", .0.escape_debug())]
    Owner(String),
    /// The uuid holds a control character.
    #[error("`{}` can't be a uuid: it holds a control character", .0.escape_debug())]
    Uuid(String),
}

fn describe(character: char) -> String {
    if character == '/' { "`/`".to_string() } else { "a control character".to_string() }
}
