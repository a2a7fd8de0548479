//! A span of time as a map or an option writes it: `"500ms"`, `"30s"`, `"5m"`, `"1h"`.

use std::time::Duration;

use thiserror::Error;

use crate::mistake::Mistake;

/// The error for a text that is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", not_a_duration(.0))]
pub struct DurationSyntax(pub String);

fn not_a_duration(text: &str) -> Mistake {
    Mistake::new(format!("`{}` is not a span of time", text.escape_debug()))
        .advice("write a whole number and a unit, as in \"500ms\", \"30s\", \"5m\" or \"1h\"")
}

impl From<DurationSyntax> for Mistake {
    fn from(error: DurationSyntax) -> Self {
        not_a_duration(&error.0)
    }
}

/// The units, with their milliseconds.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Reads a whole number and a unit: `ms`, `s`, `m` or `h`.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(dmctl::config::parse_duration("30s").unwrap(), Duration::from_secs(30));
/// assert!(dmctl::config::parse_duration("30").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, DurationSyntax> {
    let syntax = || DurationSyntax(text.to_string());
    let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(syntax)?;
    let (number, unit) = text.split_at(end);
    let (_, milliseconds) =
        UNITS.iter().find(|(name, _)| *name == unit.trim_start_matches(' ')).ok_or_else(syntax)?;
    let number: u64 = number.parse().map_err(|_| syntax())?;
    number.checked_mul(*milliseconds).map(Duration::from_millis).ok_or_else(syntax)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, milliseconds) in
            [("0s", 0), ("500ms", 500), ("30s", 30_000), ("5 m", 300_000), ("1h", 3_600_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1.5s", "1d", "99999999999999999999s", "18446744073709551615h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
