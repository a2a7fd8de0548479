//! Advice about a table that the kernel refused. The kernel often answers with one errno for a dozen reasons.

use crate::access::Access;
use crate::device::Device;
use crate::kernel::ReadKernel;
use crate::table::RawRow;
use crate::targets::{self, DeviceAccess, DeviceUse, Mode, Problems, Target};

/// Returns the likely problems of a table, a sentence each that names the row, counted from 1.
pub(super) fn on(kernel: &dyn ReadKernel, table: &[RawRow], access: Access) -> Vec<String> {
    let mut advice = Vec::new();
    for (index, row) in table.iter().enumerate() {
        for sentence in on_row(kernel, row, access) {
            advice.push(format!("row {}: {sentence}", index + 1));
        }
    }
    advice
}

fn on_row(kernel: &dyn ReadKernel, row: &RawRow, access: Access) -> Vec<String> {
    let unknown = targets::find(&row.kind).is_none();
    if unknown && kernel.targets().is_ok_and(|loaded| !loaded.contains_key(row.kind.as_str())) {
        return vec![format!("the kernel has no target type `{}`", crate::identity::printable(&row.kind))];
    }
    let target = match targets::parse(&row.kind, row.params()) {
        Ok(target) => target,
        Err(error) => return vec![format!("word {} of the parameters: {error}", error.word + 1)],
    };
    let mut advice = on_fields(target.as_ref(), row);
    advice.extend(on_mode(target.as_ref(), access));
    advice
        .extend(target.lower_devices(row.length).iter().filter_map(|lower| on_lower(kernel, lower, access)));
    advice
}

fn on_fields(target: &dyn Target, row: &RawRow) -> Vec<String> {
    let mut problems = Problems::default();
    target.check(Some(row.length), &mut problems);
    problems.into_vec().into_iter().map(|problem| problem.to_string()).collect()
}

fn on_mode(target: &dyn Target, access: Access) -> Option<String> {
    match (target.traits().mode, access) {
        (Mode::ReadOnly, Access::Writable) => {
            Some(format!("a table with `{}` must be loaded read-only", target.kind()))
        }
        (Mode::Writable, Access::ReadOnly) => {
            Some(format!("a table with `{}` can't be loaded read-only", target.kind()))
        }
        _ => None,
    }
}

fn on_lower(kernel: &dyn ReadKernel, lower: &DeviceUse<'_>, access: Access) -> Option<String> {
    let Device { number: Some(number), .. } = lower.device else { return None };
    let Some(device) = kernel.block_device(*number).ok()? else {
        return Some(format!("there is no block device {number}"));
    };
    let end = lower.start.saturating_add(lower.length.unwrap_or(0));
    if end > device.sectors {
        return Some(format!("{number} has {} sectors, this row uses it up to sector {end}", device.sectors));
    }
    (device.read_only && access == Access::Writable && lower.access != DeviceAccess::Read)
        .then(|| format!("{number} is read-only, and this row would write to it"))
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
            ("linear", "8:0", "row 1: word 2 of the parameters: the row ends where the offset should stand"),
            ("future", "8:0", "row 1: the kernel has no target type `future`"),
        ] {
            let row = RawRow::new(0, 200, kind, params.to_string());
            assert_eq!(on(&kernel, &[row], Access::Writable), [expected], "{kind} {params}");
        }
        let fine = RawRow::new(0, 200, "linear", "8:0 0".to_string());
        assert_eq!(on(&kernel, &[fine], Access::Writable), [""; 0]);
    }
}
