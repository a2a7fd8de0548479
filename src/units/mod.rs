//! Sectors, bytes, and sizes as text.
//!
//! Device Mapper counts in sectors of 512 bytes everywhere. A map file may write a size as an integer
//! (sectors) or as text with a unit (`"10GiB"`, `"2048s"`); a few kernel fields count in bytes. All
//! arithmetic is exact: a size that is not a whole number of sectors is an error, never rounded.

mod parse;
mod serial;

use std::fmt;

use thiserror::Error;

use crate::mistake::Mistake;

use parse::parse_bytes;

/// The bytes of one sector.
pub const SECTOR: u64 = 512;

/// The largest device the kernel accepts, in bytes: 2^63 - 1.
pub const MAX_BYTES: u64 = i64::MAX as u64;

/// The units of sizes with their bytes, the binary ones first and from the largest down, for printing.
const UNITS: &[(&str, u64)] = &[
    ("EiB", 1 << 60),
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("s", SECTOR),
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("EB", 1_000_000_000_000_000_000),
];

/// Why a text or an integer is not a size.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SizeError {
    /// The text has no unit, or one that does not exist; with the size that was probably meant.
    #[error("{}", not_a_size(.0, .1.as_deref()))]
    Syntax(String, Option<String>),
    /// The size is larger than [`MAX_BYTES`].
    #[error("`{0}` is more than 2^63-1 bytes, the largest device the kernel accepts")]
    TooLarge(String),
    /// The size is not a whole number of sectors.
    #[error("`{0}` is not a whole number of 512-byte sectors")]
    NotSectors(String),
    /// The size is not a whole number of bytes.
    #[error("`{0}` is not a whole number of bytes")]
    NotBytes(String),
    /// The integer is below zero.
    #[error("`{0}` is negative: a size or position counts from 0")]
    Negative(i64),
}

fn not_a_size(text: &str, nearest: Option<&str>) -> Mistake {
    const ADVICE: &str =
        "write an integer of sectors, or text with a unit (s B KiB MiB GiB TiB PiB EiB kB MB GB TB PB EB)";
    Mistake::new(format!("`{text}` is not a size")).advice(ADVICE).nearest(nearest)
}

impl From<SizeError> for Mistake {
    fn from(error: SizeError) -> Self {
        match &error {
            SizeError::Syntax(text, nearest) => not_a_size(text, nearest.as_deref()),
            _ => error.to_string().into(),
        }
    }
}

/// A count of 512-byte sectors: a position or a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sectors(pub u64);

/// A count of bytes, for the few parameters of targets that are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

impl Sectors {
    /// Reads text with a unit.
    ///
    /// ```
    /// use dmctl::units::Sectors;
    /// assert_eq!(Sectors::parse("1.5MiB").unwrap(), Sectors(3072));
    /// assert_eq!(Sectors::parse("2048s").unwrap(), Sectors(2048));
    /// assert!(Sectors::parse("1000B").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`SizeError::Syntax`] for what is not a number with a unit, [`SizeError::NotSectors`] and
    /// [`SizeError::TooLarge`].
    pub fn parse(text: &str) -> Result<Self, SizeError> {
        let bytes = parse_bytes(text)?.ok_or_else(|| SizeError::NotSectors(text.to_string()))?;
        if bytes % SECTOR == 0 {
            Ok(Self(bytes / SECTOR))
        } else {
            Err(SizeError::NotSectors(text.to_string()))
        }
    }

    /// Checks an integer of a map file, a count of sectors.
    ///
    /// # Errors
    ///
    /// [`SizeError::Negative`] and [`SizeError::TooLarge`].
    pub fn from_integer(value: i64) -> Result<Self, SizeError> {
        let sectors = u64::try_from(value).map_err(|_| SizeError::Negative(value))?;
        if sectors > MAX_BYTES / SECTOR {
            return Err(SizeError::TooLarge(value.to_string()));
        }
        Ok(Self(sectors))
    }

    /// Returns the same length in bytes. It saturates at `u64::MAX`, far above [`MAX_BYTES`].
    pub fn bytes(self) -> u64 {
        self.0.saturating_mul(SECTOR)
    }

    /// Writes the size rounded, with one decimal and the largest binary unit below it (`10.0 GiB`).
    pub fn human(self) -> String {
        let bytes = self.bytes();
        match UNITS[..6].iter().find(|(_, unit)| bytes >= *unit) {
            None => format!("{bytes} B"),
            Some((name, unit)) => {
                let tenths = (u128::from(bytes) * 10 + u128::from(*unit) / 2) / u128::from(*unit);
                format!("{}.{} {name}", tenths / 10, tenths % 10)
            }
        }
    }

    /// Writes two sizes rounded, or in sectors where they differ and would read the same.
    ///
    /// ```
    /// use dmctl::units::Sectors;
    /// assert_eq!(Sectors(2048).human_beside(Sectors(4096)), ["1.0 MiB".to_string(), "2.0 MiB".to_string()]);
    /// assert_eq!(Sectors(65536).human_beside(Sectors(65544)), ["65536s".to_string(), "65544s".to_string()]);
    /// ```
    pub fn human_beside(self, other: Self) -> [String; 2] {
        let rounded = [self.human(), other.human()];
        if self == other || rounded[0] != rounded[1] {
            rounded
        } else {
            [self, other].map(|size| format!("{}s", size.0))
        }
    }

    /// Writes the size exactly, in the largest binary unit that divides it (`10GiB`), else in sectors (`3s`).
    pub fn exact(self) -> String {
        let bytes = self.bytes();
        match UNITS[..6].iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit)) {
            Some((name, unit)) => format!("{}{name}", bytes / unit),
            None => format!("{}s", self.0),
        }
    }
}

impl Bytes {
    /// Reads text with a unit.
    ///
    /// # Errors
    ///
    /// [`SizeError::Syntax`] for what is not a number with a unit, [`SizeError::NotBytes`] and [`SizeError::TooLarge`].
    pub fn parse(text: &str) -> Result<Self, SizeError> {
        parse_bytes(text)?.map(Self).ok_or_else(|| SizeError::NotBytes(text.to_string()))
    }
}

impl fmt::Display for Sectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_exact() {
        for (text, sectors) in [
            ("0s", 0),
            ("512B", 1),
            ("4096B", 8),
            ("512KiB", 1024),
            ("1 MiB", 2048),
            ("1.5KiB", 3),
            ("128kB", 250),
            ("0.5KiB", 1),
            ("10GiB", 20_971_520),
            ("7EiB", 7 << 51),
        ] {
            assert_eq!(Sectors::parse(text).unwrap(), Sectors(sectors), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "", " ", "10", "KiB", "1  MiB", "1mib", "1.MiB", ".5MiB", "1.2.3MiB", "-1s", "+1s", "1e3s",
            "0x10s",
        ] {
            assert!(matches!(Sectors::parse(text), Err(SizeError::Syntax(..))), "{text}");
        }
        assert!(matches!(Sectors::parse("1B"), Err(SizeError::NotSectors(_))));
        assert!(matches!(Sectors::parse("0.3KiB"), Err(SizeError::NotSectors(_))));
        assert_eq!(Sectors::parse(&format!("1.5{}MiB", "0".repeat(40))).unwrap(), Sectors(3072));
        let fine = format!("0.{}1KiB", "0".repeat(40));
        assert!(matches!(Sectors::parse(&fine), Err(SizeError::NotSectors(_))));
        for text in ["8EiB", "16EiB", "99999999999999999999999s", "9223372036854775808B"] {
            assert!(matches!(Sectors::parse(text), Err(SizeError::TooLarge(_))), "{text}");
        }
        assert!(Sectors::from_integer(-1).is_err());
        assert!(Sectors::from_integer(1 << 54).is_err());
        assert!(Sectors::from_integer((1 << 54) - 1).is_ok());
    }

    #[test]
    fn a_wrong_unit_is_guessed() {
        let message = Sectors::parse("10g").unwrap_err().to_string();
        assert!(message.contains("did you mean `10GiB`?"), "{message}");
    }

    #[test]
    fn printing_for_people_and_for_files() {
        assert_eq!(Sectors(20_971_520).human(), "10.0 GiB");
        assert_eq!(Sectors(1).human(), "512 B");
        assert_eq!(Sectors(3).human(), "1.5 KiB");
        assert_eq!(Sectors(3).exact(), "3s");
        assert_eq!(Sectors(0).exact(), "0s");
        assert_eq!(Sectors(20_971_520).exact(), "10GiB");
    }
}
