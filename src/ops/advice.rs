//! Advice about a table that the kernel refused. The kernel often answers with one errno for a dozen reasons.

use thiserror::Error;

use crate::access::Access;
use crate::identity::{DevNum, printable};
use crate::kernel::ReadKernel;
use crate::keys::MissingKey;
use crate::redact::redact_quoted;
use crate::table::RawRow;
use crate::targets::{self, DeviceUse, Mode, ParamsError, Problem, Problems, Target};

/// A likely reason why the kernel refused a table. Its `Display` is a sentence: `row 1: there is no block device 8:9`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("row {row}: {problem}")]
pub struct Advice {
    /// The row, counted from 1.
    pub row: usize,
    /// The likely problem of the row.
    pub problem: RowProblem,
}

/// A problem of a row, as far as dmctl can know it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RowProblem {
    /// The kernel does not have the target type; a module may be missing.
    #[error("the kernel has no target type `{}`, and its module `{}` is missing or can't be loaded", printable(.0), printable(&targets::module(.0)))]
    UnknownType(String),
    /// The parameters can't be read.
    #[error("word {} of the parameters: {}", .0.word + 1, .0)]
    Params(ParamsError),
    /// A field breaks a rule of its target.
    #[error("{}", redact_quoted(&.0.to_string()))]
    Field(Problem),
    /// A target of this type needs a read-only table.
    #[error("a table with `{0}` must be loaded read-only")]
    NeedsReadOnly(String),
    /// A target of this type needs a writable table.
    #[error("a table with `{0}` can't be loaded read-only")]
    NeedsWritable(String),
    /// A key is in no keyring of this process.
    #[error("{0}")]
    KeyMissing(MissingKey),
    /// A lower device does not exist.
    #[error("there is no block device {0}")]
    NoDevice(DevNum),
    /// A lower device is too small.
    #[error("{number} has {sectors} sectors, this row uses it up to sector {end}")]
    TooSmall {
        /// The number of the lower device.
        number: DevNum,
        /// The size of the lower device, in sectors.
        sectors: u64,
        /// The end of the range that the row uses, in sectors.
        end: u64,
    },
    /// A lower device refuses writes, and the table is writable.
    #[error("{0} is read-only, and this row would write to it")]
    LowerReadOnly(DevNum),
}

/// Returns the likely reasons why the kernel refused a table.
pub(super) fn on(kernel: &dyn ReadKernel, table: &[RawRow], access: Access) -> Vec<Advice> {
    let numbered = |(row, number)| {
        on_row(kernel, row, access).into_iter().map(move |problem| Advice { row: number, problem })
    };
    table.iter().zip(1..).flat_map(numbered).collect()
}

fn on_row(kernel: &dyn ReadKernel, row: &RawRow, access: Access) -> Vec<RowProblem> {
    if !kernel.has_target(&row.kind) {
        return vec![RowProblem::UnknownType(row.kind.to_string())];
    }
    let target = match targets::parse(&row.kind, row.params()) {
        Ok(target) => target,
        Err(error) => return vec![RowProblem::Params(error)],
    };
    let mut problems = on_fields(target.as_ref(), row);
    problems.extend(on_mode(target.as_ref(), access));
    let missing = target.keyring_keys().into_iter().filter(|key| kernel.has_key(key) == Some(false));
    problems.extend(missing.map(|key| RowProblem::KeyMissing(MissingKey(key.clone()))));
    let lower_devices = target.lower_devices(row.length);
    problems.extend(lower_devices.iter().filter_map(|lower| on_lower(kernel, lower, access)));
    problems
}

fn on_fields(target: &dyn Target, row: &RawRow) -> Vec<RowProblem> {
    let mut problems = Problems::default();
    target.check(Some(row.length), &mut problems);
    problems.into_vec().into_iter().map(RowProblem::Field).collect()
}

fn on_mode(target: &dyn Target, access: Access) -> Option<RowProblem> {
    match (target.traits().mode, access) {
        (Mode::ReadOnly, Access::Writable) => Some(RowProblem::NeedsReadOnly(target.kind().to_string())),
        (Mode::Writable, Access::ReadOnly) => Some(RowProblem::NeedsWritable(target.kind().to_string())),
        _ => None,
    }
}

fn on_lower(kernel: &dyn ReadKernel, lower: &DeviceUse<'_>, access: Access) -> Option<RowProblem> {
    let number = lower.device.number?;
    let Some(device) = kernel.block_device(number).ok()? else { return Some(RowProblem::NoDevice(number)) };
    let end = lower.start.saturating_add(lower.length.unwrap_or(0));
    if end > device.sectors {
        return Some(RowProblem::TooSmall { number, sectors: device.sectors, end });
    }
    let writes = access == Access::Writable && lower.access.writes();
    (device.read_only && writes).then_some(RowProblem::LowerReadOnly(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::kernel;

    #[test]
    fn a_refused_row_is_explained() {
        let kernel = kernel(&[]);
        for (kind, params, expected) in [
            ("linear", "8:0 4000", "row 1: 8:0 has 4096 sectors, this row uses it up to sector 4200"),
            ("linear", "8:9 0", "row 1: there is no block device 8:9"),
            ("linear", "8:0", "row 1: word 2 of the parameters: the row ends without the offset"),
            (
                "future",
                "8:0",
                "row 1: the kernel has no target type `future`, and its module `dm-future` is missing or can't be loaded",
            ),
        ] {
            let row = RawRow::new(0, 200, kind, params.to_string());
            let advice: Vec<String> =
                on(&kernel, &[row], Access::Writable).iter().map(ToString::to_string).collect();
            assert_eq!(advice, [expected], "{kind} {params}");
        }
        let fine = RawRow::new(0, 200, "linear", "8:0 0".to_string());
        assert_eq!(on(&kernel, &[fine], Access::Writable), []);
    }
}
