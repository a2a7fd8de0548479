//! The tags of a device, and the links that udev makes of them.
//!
//! A person writes a label as it is, `my data`; udev encodes it in the name of a link, `my\x20data`. A value with
//! `\xNN` in it can be meant either way, so it has two links.

use std::fmt::Write as _;

/// The kinds of [`Form::Tag`](super::Form::Tag).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tag {
    /// The uuid of a file system.
    Uuid,
    /// The uuid of a partition.
    PartUuid,
    /// The label of a file system.
    Label,
    /// The label of a partition.
    PartLabel,
}

impl Tag {
    const ALL: [(Tag, &'static str, &'static str); 4] = [
        (Tag::Uuid, "UUID=", "/dev/disk/by-uuid/"),
        (Tag::PartUuid, "PARTUUID=", "/dev/disk/by-partuuid/"),
        (Tag::Label, "LABEL=", "/dev/disk/by-label/"),
        (Tag::PartLabel, "PARTLABEL=", "/dev/disk/by-partlabel/"),
    ];

    /// Splits a text into its tag and the value behind it.
    pub(super) fn split(text: &str) -> Option<(Self, &str)> {
        Self::ALL.iter().find_map(|(tag, prefix, _)| Some((*tag, text.strip_prefix(prefix)?)))
    }

    fn row(self) -> &'static (Tag, &'static str, &'static str) {
        Self::ALL.iter().find(|(tag, ..)| *tag == self).unwrap_or(&Self::ALL[0])
    }

    /// Returns the tag as it is written: `LABEL=`.
    pub(super) fn prefix(self) -> &'static str {
        self.row().1
    }

    /// Returns the links for a value, the likelier one first: that of the value as udev encodes it, where it holds
    /// `\xNN`, and that of the value as it stands. A uuid is one in capitals and in small letters.
    pub(super) fn links(self, value: &str) -> impl Iterator<Item = String> {
        let folder = self.row().2;
        let decoded = unescape(value).map(|bytes| encode(&bytes));
        let mut names: Vec<String> = Vec::new();
        let spellings = if self.has_case(value) { vec![value.to_string()] } else { self.spellings(value) };
        for name in decoded.into_iter().chain(spellings.iter().map(|value| encode(value.as_bytes()))) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.into_iter().map(move |name| format!("{folder}{name}"))
    }

    /// Returns the link of the value exactly as it is written; `None` where it has two readings, by `\xNN`.
    pub(super) fn exact_link(self, value: &str) -> Option<String> {
        unescape(value).is_none().then(|| format!("{}{}", self.row().2, encode(value.as_bytes())))
    }

    /// Whether capitals and small letters of a value are not the same: in a label, and in what is not a number in hex.
    fn has_case(self, value: &str) -> bool {
        let is_hex = value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        matches!(self, Self::Label | Self::PartLabel) || !is_hex
    }

    /// Returns the spellings of a uuid, the one first that udev gives it. libblkid writes the uuid of a partition, and one of
    /// 36 digits, in small letters; the serial number of FAT, exFAT and NTFS in capitals (`blkid_probe_sprintf_uuid` in
    /// `libblkid/src/probe.c`, and `libblkid/src/superblocks/vfat.c` and `ntfs.c` of util-linux). That of NTFS has 16 digits,
    /// as the uuid of UDF has, which is in small letters (`udf.c` there): those may be either.
    fn spellings(self, value: &str) -> Vec<String> {
        const DIGITS: usize = 36;
        const SERIAL: usize = "12AB-34CD".len();
        let (small, capital) = (value.to_ascii_lowercase(), value.to_ascii_uppercase());
        if self == Self::PartUuid || value.len() == DIGITS {
            vec![small, value.to_string(), capital]
        } else if value.len() == SERIAL && value.find('-') == Some(SERIAL / 2) {
            vec![capital, value.to_string(), small]
        } else {
            vec![value.to_string(), capital, small]
        }
    }
}

/// Encodes a value as in the name of a link (`blkid_encode_string` in `libblkid/src/encode.c` of util-linux): characters
/// beyond ASCII stay, bytes that are not UTF-8 do not.
pub(super) fn encode(value: &[u8]) -> String {
    let mut name = String::with_capacity(value.len());
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            if stays(c) {
                name.push(c);
            } else {
                escape(&mut name, c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        escape(&mut name, chunk.invalid());
    }
    name
}

fn stays(c: char) -> bool {
    let reserved = matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xffff == 0xffff;
    c.is_ascii_alphanumeric() || "#+-.:=@_".contains(c) || !(c.is_ascii() || reserved)
}

fn escape(name: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // A String takes every text.
        let _ = write!(name, "\\x{byte:02x}");
    }
}

/// Whether each backslash of a text begins a `\xNN`.
pub(super) fn is_escaped(text: &str) -> bool {
    text.split('\\').skip(1).all(|rest| hex_byte(rest).is_some())
}

/// Returns the bytes of a text with `\xNN` in it; `None` for a text without, or with another backslash.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    let mut escaped = None;
    for part in parts {
        bytes.push(hex_byte(part)?);
        bytes.extend(&part.as_bytes()[3..]);
        escaped = Some(());
    }
    escaped.map(|()| bytes)
}

/// Reads the byte of `xNN` at the start of a text.
fn hex_byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix('x')?.get(..2)?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(value: &str) -> Vec<String> {
        let names = Tag::Label.links(value);
        names.map(|link| link.trim_start_matches("/dev/disk/by-label/").to_string()).collect()
    }

    #[test]
    fn a_value_is_encoded_as_the_links_are() {
        assert_eq!(links("data"), ["data"]);
        assert_eq!(links("my data"), ["my\\x20data"]);
        assert_eq!(links("a%b/c\\d"), ["a\\x25b\\x2fc\\x5cd"]);
        assert_eq!(links("größe"), ["größe"]);
        assert_eq!(links("a\u{ffff}"), ["a\\xef\\xbf\\xbf"]);
        assert_eq!(links("\"q\""), ["\\x22q\\x22"]);
    }

    #[test]
    fn a_uuid_is_the_same_in_capitals() {
        let links = |tag: Tag, value| -> Vec<String> {
            tag.links(value).map(|link| link.rsplit('/').next().unwrap().to_string()).collect()
        };
        assert_eq!(links(Tag::PartUuid, "AB12-01"), ["ab12-01", "AB12-01"]);
        assert_eq!(links(Tag::PartUuid, "Ab-01"), ["ab-01", "Ab-01", "AB-01"]);
        assert_eq!(links(Tag::Uuid, "12ab-34cd"), ["12AB-34CD", "12ab-34cd"]);
        assert_eq!(links(Tag::Uuid, "12Ab-34cd"), ["12AB-34CD", "12Ab-34cd", "12ab-34cd"]);
        assert_eq!(links(Tag::Uuid, "12ab34cd12ab34cd"), ["12ab34cd12ab34cd", "12AB34CD12AB34CD"]);
        let uuid = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";
        assert_eq!(links(Tag::Uuid, uuid), [uuid.to_lowercase().as_str(), uuid]);
        assert_eq!(links(Tag::Uuid, "1-2"), ["1-2"]);
        // A label is text, and an unknown uuid may be.
        assert_eq!(
            (links(Tag::Label, "AB"), links(Tag::PartLabel, "ab")),
            (vec!["AB".into()], vec!["ab".into()])
        );
        assert_eq!(links(Tag::Uuid, "Xy-1"), ["Xy-1"]);
    }

    #[test]
    fn an_encoded_value_has_both_readings() {
        assert_eq!(links("my\\x20data"), ["my\\x20data", "my\\x5cx20data"]);
        // Letters that need no escape, and UTF-8 byte by byte.
        assert_eq!(links("\\x61b\\xc3\\xbc")[0], "abü");
        assert_eq!(links("\\xff")[0], "\\xff");
        assert_eq!(links("a\\x2"), ["a\\x5cx2"]);
        assert_eq!(Tag::Label.exact_link("a\\x20b"), None);
        assert_eq!(Tag::Label.exact_link("a b").as_deref(), Some("/dev/disk/by-label/a\\x20b"));
        assert!(is_escaped("a\\x20b") && is_escaped("ab") && !is_escaped("a\\b") && !is_escaped("\\x+1"));
    }
}
