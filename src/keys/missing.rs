//! A key that a table names and no keyring holds.

use thiserror::Error;

use super::Keyring;
use crate::identity::printable;

/// A key that the kernel would not find. It looks in the keyrings of the process that loads the table, and asks no
/// other program for the key (`set_key_user` and its like in `drivers/md/dm-crypt.c`, `request_key(9)`). Its `Display`
/// is a sentence without its end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "no keyring of this process holds the {kind} key `{description}` of {} bytes; add it there first, as \
     `keyctl padd {kind} {description} @u <FILE` does",
    .0.bytes,
    kind = .0.kind,
    description = printable(&.0.description)
)]
pub struct MissingKey(pub Keyring);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_is_told() {
        let key = Keyring::new("logon:cryptsetup:1f-d0", 64).unwrap();
        let says = MissingKey(key).to_string();
        assert!(
            says.starts_with("no keyring of this process holds the logon key `cryptsetup:1f-d0` of 64"),
            "{says}"
        );
        assert!(says.contains("keyctl padd logon cryptsetup:1f-d0 @u"), "{says}");
    }
}
