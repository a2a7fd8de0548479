//! Collects the lower devices of mappings that are mappings of the map themselves, and warns of those whose
//! name may mean another disk tomorrow.

use super::super::diagnostic::{Diagnostic, Diagnostics, Spot};
use super::super::merge::Merged;
use super::places::row_origin;
use crate::device::Form;
use crate::identity::Key;
use crate::targets::DeviceUse;

/// A mapping of the map that uses another as a lower device.
pub(super) struct Use {
    pub upper: Key,
    /// The index of its row, where that is the index in the file.
    pub row: Option<usize>,
    /// The lower mapping, which may not exist.
    pub lower: Key,
}

pub(super) fn check(merged: &Merged, diagnostics: &mut Diagnostics) -> Vec<Use> {
    let mut uses = Vec::new();
    for (upper, mapping) in &merged.mappings {
        let whole = !merged.in_part.contains(upper);
        for (row, target) in mapping.rows.iter().map(|row| &row.target).enumerate() {
            // If a mapping was not read in full, some rows before this one are missing.
            let row = Some(row).filter(|_| whole);
            for DeviceUse { device, .. } in target.lower_devices(0) {
                match &device.form {
                    Form::Mapping(lower) => {
                        uses.push(Use { upper: upper.clone(), row, lower: lower.clone() });
                    }
                    Form::Path(path) if is_unstable(path) => {
                        let origin = row_origin(mapping, row);
                        diagnostics.push(unstable(path, Spot::Text(origin, vec![path.to_string()])));
                    }
                    _ => {}
                }
            }
        }
    }
    uses
}

/// Tells whether a path is assigned at each boot, in the order in which disks are found.
fn is_unstable(path: &str) -> bool {
    let is_disk = |name: &str| {
        let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
        !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    let is_number = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    path.strip_prefix("/dev/sd").is_some_and(is_disk) || path.strip_prefix("/dev/dm-").is_some_and(is_number)
}

fn unstable(path: &str, spot: Spot) -> Diagnostic {
    let help = if path.starts_with("/dev/dm-") {
        "write `@key` for a mapping of this map, or `/dev/mapper/NAME` or `/dev/disk/by-id/...` for another"
    } else {
        "write one of its links under `/dev/disk/by-id/` or `/dev/disk/by-partuuid/`"
    };
    Diagnostic::warning(format!("`{path}` may be another device after the next boot"))
        .at(spot)
        .label("numbered in the order in which devices appear")
        .help(help)
}

#[cfg(test)]
mod tests {
    use super::is_unstable;

    #[test]
    fn names_given_out_at_boot_are_known() {
        for path in ["/dev/sda", "/dev/sdaa12", "/dev/dm-0"] {
            assert!(is_unstable(path), "{path}");
        }
        for path in
            ["/dev/disk/by-id/sda", "/dev/sd", "/dev/sd1", "/dev/mapper/dm-0", "/dev/dm-x", "/dev/sda/x"]
        {
            assert!(!is_unstable(path), "{path}");
        }
    }
}
