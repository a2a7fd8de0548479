//! Why a name, key, owner or uuid is refused.

use thiserror::Error;

use crate::mistake::Mistake;

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
    #[error("{}", mixed(.0))]
    MixedMangling(String),
    /// The key is empty, too long, or holds a character outside its alphabet.
    #[error("{}", not_a_key(.0))]
    Key(String),
    /// The owner is empty, too long, or holds a character outside its alphabet.
    #[error("{}", not_an_owner(.0))]
    Owner(String),
    /// The uuid holds a control character.
    #[error("`{}` can't be a uuid: it holds a control character", .0.escape_debug())]
    Uuid(String),
}

fn mixed(name: &str) -> Mistake {
    Mistake::new(format!("`{name}` mixes mangled (`\\xNN`) and plain characters")).advice("write it plain")
}

fn not_a_key(text: &str) -> Mistake {
    Mistake::new(format!("`{}` can't be a key", text.escape_debug()))
        .advice("use 1 to 64 of A-Z a-z 0-9 _ . - and put anything else into `name`")
}

fn not_an_owner(text: &str) -> Mistake {
    Mistake::new(format!("`{}` can't be an owner", text.escape_debug())).advice("use 1 to 32 of a-z 0-9 _")
}

impl From<IdentityError> for Mistake {
    fn from(error: IdentityError) -> Self {
        match &error {
            IdentityError::MixedMangling(name) => mixed(name),
            IdentityError::Key(text) => not_a_key(text),
            IdentityError::Owner(text) => not_an_owner(text),
            _ => error.to_string().into(),
        }
    }
}

fn describe(character: char) -> String {
    if character == '/' { "`/`".to_string() } else { "a control character".to_string() }
}
