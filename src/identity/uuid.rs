//! The uuid of a device, in which dmctl keeps its owner.

use std::cmp::Ordering;
use std::fmt;

use serde::{Serialize, Serializer};
use smol_str::{SmolStr, format_smolstr};

use super::name::{mangle, unmangled};
use super::{IdentityError, Key, Owner, printable};

/// The longest uuid that the kernel stores, in bytes (`DM_UUID_LEN` in `include/uapi/linux/dm-ioctl.h` less the NUL).
pub const MAX_UUID: usize = 128;
/// The prefix of the uuids of devices with a dmctl owner.
pub const UUID_PREFIX: &str = "DMCTL-";

/// The prefixes by which other subsystems mark their uuids, and the names of those subsystems.
///
/// Sources: `UUID_PREFIX` in `lib/activate/dev_manager.c` of lvm2; `DM_UUID_PREFIX` in `lib/utils_device_locking.c` and
/// `lib/libdevmapper.c` of cryptsetup, which systemd, snapd and others use as a library; `libmultipath/devmapper.c` of
/// multipath-tools; `lib/activate/devmapper.c` of dmraid; `engine/strat_engine/names.rs` of stratisd; the `vdo` manager;
/// the types that `lsblk` knows (`misc-utils/lsblk.c` of util-linux).
const SUBSYSTEMS: &[(&str, &str)] = &[
    ("LVM-", "LVM"),
    ("CRYPT-", "cryptsetup"),
    ("mpath-", "multipath"),
    ("DMRAID-", "dmraid"),
    ("stratis-", "Stratis"),
    ("VDO-", "VDO"),
];

/// The mark of a partition that `kpartx` mapped: `part`, its number, and this; behind it the uuid of the device that it
/// is a part of, or a text that was made for one without (`kpartx/devmapper.c` of multipath-tools, and libparted).
const PARTITION: &str = "part";

/// The uuid of a device: a text of at most 128 bytes, not only a UUID of RFC 4122. The kernel sets it once, to any bytes
/// but the NUL; one that is not UTF-8 is kept in mangled form, as a [`Name`](super::Name) is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Uuid {
    /// Whether it starts with [`UUID_PREFIX`].
    prefixed: bool,
    /// Whether each `\xNN` of the text stands for one byte in the kernel.
    is_bytes: bool,
    /// The text behind the prefix: mostly so short that it needs no allocation.
    rest: SmolStr,
}

impl Uuid {
    fn of(text: &str) -> Self {
        let rest = text.strip_prefix(UUID_PREFIX);
        Self { prefixed: rest.is_some(), is_bytes: false, rest: rest.unwrap_or(text).into() }
    }

    /// Checks a uuid from a map or a command line.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] for a uuid that is empty, longer than [`MAX_UUID`] bytes, or holds a control character.
    pub fn new(text: &str) -> Result<Self, IdentityError> {
        if text.is_empty() {
            return Err(IdentityError::Empty("uuid"));
        }
        if text.len() > MAX_UUID {
            return Err(IdentityError::TooLong {
                what: "uuid",
                length: text.len(),
                limit: MAX_UUID,
                mangled: false,
            });
        }
        if text.chars().any(char::is_control) {
            return Err(IdentityError::Uuid(text.to_string()));
        }
        Ok(Self::of(text))
    }

    /// Makes the uuid of the mapping `key` of `owner`.
    pub fn owned(owner: &Owner, key: &Key) -> Self {
        Self { prefixed: true, is_bytes: false, rest: format_smolstr!("{owner}-{key}") }
    }

    /// Takes a uuid from the kernel, whatever it holds. `None` when the device has none.
    pub fn from_kernel(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| match std::str::from_utf8(bytes) {
            Ok(text) => Self::of(text),
            Err(_) => Self { is_bytes: true, ..Self::of(&mangle(bytes)) },
        })
    }

    /// Reads the mangled form of a uuid that is not UTF-8. `None` for any other text.
    pub(crate) fn from_mangled_bytes(text: &str) -> Option<Self> {
        unmangled(text).and_then(|bytes| Self::from_kernel(&bytes)).filter(Self::is_bytes)
    }

    /// Whether the uuid is not UTF-8: the kernel stores a byte for each `\xNN` of its text.
    pub fn is_bytes(&self) -> bool {
        self.is_bytes
    }

    /// Returns the bytes that the kernel stores.
    pub fn bytes(&self) -> Vec<u8> {
        let text = self.text();
        let decoded = self.is_bytes.then(|| unmangled(&text)).flatten();
        decoded.unwrap_or_else(|| text.as_bytes().to_vec())
    }

    /// Whether the uuid starts with [`UUID_PREFIX`], with any owner.
    pub fn is_prefixed(&self) -> bool {
        self.prefixed
    }

    /// Returns the owner and the key of the device, when a dmctl owner has it.
    pub fn parts(&self) -> Option<(Owner, Key)> {
        let (owner, key) = self.rest.split_once('-').filter(|_| self.prefixed)?;
        Some((Owner::new(owner).ok()?, Key::new(key).ok()?))
    }

    /// Whether the uuid is one of `owner`.
    pub fn is_of(&self, owner: &Owner) -> bool {
        self.within(owner).is_some()
    }

    /// Whether the uuid is that of the mapping `key` of `owner`.
    pub fn is_owned(&self, owner: &Owner, key: &Key) -> bool {
        self.within(owner) == Some(key.as_str())
    }

    /// Returns the key behind the prefix and `owner`. A uuid with another text there was not made by dmctl, so the device
    /// has no dmctl owner.
    fn within(&self, owner: &Owner) -> Option<&str> {
        let key = self.rest.strip_prefix(owner.as_str())?.strip_prefix('-').filter(|_| self.prefixed)?;
        Key::is_valid(key).then_some(key)
    }

    /// Returns the name of the subsystem whose mark the uuid carries, such as `LVM` or `cryptsetup`. `None` for a dmctl
    /// uuid and for one without a known mark.
    pub fn subsystem(&self) -> Option<&'static str> {
        if self.prefixed {
            return None;
        }
        if let Some(whole) = whole_of_partition(&self.rest) {
            let multipath = |known: &&'static str| *known == "multipath";
            return subsystem_of(whole).filter(multipath).or(Some("kpartx"));
        }
        subsystem_of(&self.rest)
    }

    /// Returns the uuid as text, in mangled form where it is not UTF-8.
    pub fn text(&self) -> SmolStr {
        if self.prefixed { format_smolstr!("{UUID_PREFIX}{}", self.rest) } else { self.rest.clone() }
    }
}

/// Returns the subsystem whose prefix the text has. Upper and lower case are the same here, as they are to `lsblk`.
fn subsystem_of(text: &str) -> Option<&'static str> {
    let has = |prefix: &str| text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    SUBSYSTEMS.iter().find(|(prefix, _)| has(prefix)).map(|(_, name)| *name)
}

/// Returns the uuid of the device of which this uuid names a partition.
fn whole_of_partition(text: &str) -> Option<&str> {
    let head = text.get(..PARTITION.len()).filter(|head| head.eq_ignore_ascii_case(PARTITION))?;
    let (number, whole) = text[head.len()..].split_once('-')?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(whole)
}

/// Orders uuids by their texts.
impl Ord for Uuid {
    fn cmp(&self, other: &Self) -> Ordering {
        let texts = if self.prefixed == other.prefixed {
            self.rest.cmp(&other.rest)
        } else {
            self.text().cmp(&other.text())
        };
        texts.then(self.is_bytes.cmp(&other.is_bytes))
    }
}

impl PartialOrd for Uuid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Uuid {
    /// Writes the field `uuid` of a map that has this uuid; `None` for one that is not UTF-8, which a map can't hold.
    pub(crate) fn field(&self) -> Option<String> {
        let value = toml::Value::from(self.text().as_str());
        (!self.is_bytes()).then(|| format!("uuid = {value}"))
    }
}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text().serialize(serializer)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Uuid").field(&self.text()).finish()
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&printable(&self.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_ordered_and_told_apart_by_their_texts() {
        let texts = ["", "DMCTL", "DMCTL-", "DMCTL-a", "DMCTL-b-c", "DMCTM", "LVM-a", "a", "b-c"];
        let uuids: Vec<Uuid> = texts.iter().map(|text| Uuid::of(text)).collect();
        assert!(uuids.is_sorted_by(|one, two| one < two));
        assert!(uuids.iter().zip(texts).all(|(uuid, text)| uuid.text() == text));
        assert_ne!(Uuid::of("DMCTL-a"), Uuid::of("a"));
    }

    #[test]
    fn a_uuid_that_is_not_utf_8_keeps_its_bytes() {
        let lab = Owner::new("lab").unwrap();
        for bytes in [&b"raw-\xff"[..], b"DMCTL-lab-\xff", b"a b\\\x80"] {
            let uuid = Uuid::from_kernel(bytes).unwrap();
            assert!(uuid.is_bytes() && uuid.text().is_ascii() && !uuid.is_of(&lab) && uuid.parts().is_none());
            assert_eq!(uuid.bytes(), bytes);
            let same_text = Uuid::of(&uuid.text());
            assert!(same_text != uuid && same_text < uuid);
        }
    }

    #[test]
    fn an_owner_ends_at_its_hyphen() {
        let lab = Owner::new("lab").unwrap();
        let uuid = Uuid::owned(&lab, &Key::new("a-b").unwrap());
        assert_eq!(uuid.text(), "DMCTL-lab-a-b");
        assert!(uuid.is_of(&lab));
        assert!(!uuid.is_of(&Owner::new("la").unwrap()));
        for odd in ["DMCTL-lab-", "DMCTL-lab-a b", "DMCTL-lab-a/b", "DMCTL-lab"] {
            assert!(!Uuid::new(odd).unwrap().is_of(&lab), "{odd}");
        }
        assert!(Uuid::of(&format!("DMCTL-lab-{}", "k".repeat(64))).is_of(&lab));
        assert!(!Uuid::of(&format!("DMCTL-lab-{}", "k".repeat(65))).is_of(&lab));
        assert_eq!(uuid.parts().unwrap().1.as_str(), "a-b");
        assert_eq!(uuid.subsystem(), None);
    }

    #[test]
    fn every_subsystem_is_known_by_its_mark() {
        for (uuid, subsystem) in [
            ("LVM-abc", Some("LVM")),
            ("LVM-abc-cow", Some("LVM")),
            ("CRYPT-LUKS2-abc-home", Some("cryptsetup")),
            ("CRYPT-SUBDEV-abc-home_dif", Some("cryptsetup")),
            ("CRYPT-PLAIN-x", Some("cryptsetup")),
            ("CRYPT-VERITY-abc-root", Some("cryptsetup")),
            ("mpath-3600", Some("multipath")),
            ("MPATH-3600", Some("multipath")),
            ("part1-mpath-3600", Some("multipath")),
            ("part12-mpath-3600", Some("multipath")),
            ("part1-devnode_7:6_Wh5pYvM", Some("kpartx")),
            ("part3-LVM-abc", Some("kpartx")),
            ("part3-CRYPT-LUKS2-abc-x", Some("kpartx")),
            ("part3-DMCTL-lab-disk", Some("kpartx")),
            ("part1-", Some("kpartx")),
            ("DMRAID-isw_bfd_Volume0", Some("dmraid")),
            ("stratis-1-private-abc-flex-thindata", Some("Stratis")),
            ("VDO-f2b1ca8e", Some("VDO")),
            ("part-x", None),
            ("partx-1", None),
            ("part1", None),
            ("party1-x", None),
            ("pärt1-x", None),
            ("LVMx", None),
            ("DMCTL-lab-part1-x", None),
            ("DMCTL-LVM-x", None),
            ("4f0e2d8c-6a6d-4a11-9b54-0c7b3c1f3a10", None),
        ] {
            assert_eq!(Uuid::new(uuid).unwrap().subsystem(), subsystem, "{uuid}");
        }
    }
}
