//! The bytes of a size in text, exactly.

use super::{MAX_BYTES, SizeError, UNITS};

/// Returns the bytes of a size in text; `None` when they are not a whole number.
pub(super) fn parse_bytes(text: &str) -> Result<Option<u64>, SizeError> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(digits_end);
    let unit = rest.strip_prefix(' ').unwrap_or(rest);
    let syntax = || SizeError::Syntax(text.to_string(), suggestion(number, unit));
    let (_, unit_bytes) = *UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(syntax)?;
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(syntax()),
        None => (number, ""),
    };
    if whole.is_empty() || fraction.contains('.') {
        return Err(syntax());
    }
    // Zeros at the end of a fraction do not change it.
    let fraction = fraction.trim_end_matches('0');
    let too_large = || SizeError::TooLarge(text.to_string());
    // More digits than any size needs: refuse instead of overflowing. No unit has so fine a fraction in whole bytes.
    if whole.trim_start_matches('0').len() > 20 {
        return Err(too_large());
    }
    if fraction.len() > 18 {
        return Ok(None);
    }
    let scale = 10u128.pow(u32::try_from(fraction.len()).map_err(|_| too_large())?);
    let whole: u128 = whole.parse().map_err(|_| syntax())?;
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| syntax())? };
    let scaled = (whole * scale + fraction).checked_mul(u128::from(unit_bytes)).ok_or_else(too_large)?;
    if scaled / scale > u128::from(MAX_BYTES) {
        return Err(too_large());
    }
    if scaled % scale != 0 {
        return Ok(None);
    }
    Ok(u64::try_from(scaled / scale).ok())
}

/// Returns the size that was most likely meant by a wrong unit.
fn suggestion(number: &str, unit: &str) -> Option<String> {
    if number.is_empty() || number.starts_with('.') {
        return None;
    }
    let meant = match unit.trim().to_ascii_lowercase().as_str() {
        "k" | "kib" => "KiB",
        "m" | "mib" => "MiB",
        "g" | "gib" => "GiB",
        "t" | "tib" => "TiB",
        "p" | "pib" => "PiB",
        "e" | "eib" => "EiB",
        "kb" => "kB",
        "mb" => "MB",
        "gb" => "GB",
        "tb" => "TB",
        "pb" => "PB",
        "eb" => "EB",
        "b" | "byte" | "bytes" => "B",
        "" | "s" | "sector" | "sectors" => "s",
        _ => return None,
    };
    Some(format!("{number}{meant}"))
}
