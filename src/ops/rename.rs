//! Renames a device, and sets a missing uuid.

use super::settle::settled;
use super::{Foreign, LeftState, OpError, by_name, taken};
use crate::identity::{Name, Uuid};
use crate::kernel::{ChangeKernel, Info};

/// What else [`rename`] does. By default it changes the name only.
#[derive(Debug, Clone, Default)]
pub struct RenameOptions {
    /// The uuid to set. The kernel sets a uuid once: a device that has another one is refused.
    pub uuid: Option<Uuid>,
    /// Whether the device may belong to another subsystem, or the uuid carry its mark.
    pub foreign: Foreign,
}

/// Renames a device, and sets its uuid if one is given and the device has none.
///
/// A name or uuid that the device has already is not sent to the kernel.
///
/// ```
/// # use dmctl::{identity::Name, kernel::ChangeKernel, ops::{self, OpError, RenameOptions}};
/// fn retire(kernel: &dyn ChangeKernel, name: &Name) -> Result<(), OpError> {
///     let retired = Name::new(&format!("{}-old", name.plain()))?;
///     ops::rename(kernel, name, &retired, RenameOptions::default())
/// }
/// ```
///
/// # Errors
///
/// [`OpError::Missing`], [`OpError::NameTaken`], [`OpError::UuidTaken`]; [`OpError::UuidSet`] when the device
/// has another uuid; [`OpError::Foreign`] for its uuid or the new one; [`OpError::Refused`] when the kernel
/// refuses, and the device has its old name; [`OpError::NotRolledBack`] when the uuid is refused and the old name can't be
/// restored; [`OpError::Unsettled`] when the node could not follow.
pub fn rename(
    kernel: &dyn ChangeKernel,
    name: &Name,
    new: &Name,
    options: RenameOptions,
) -> Result<(), OpError> {
    let RenameOptions { uuid, foreign } = options;
    let before = by_name(kernel, name)?;
    foreign.check(name, before.uuid.as_ref())?;
    foreign.check(name, uuid.as_ref())?;
    let uuid = missing_uuid(&before, uuid.as_ref())?;
    let new = Some(new).filter(|new| *new != name);
    taken::refuse(kernel, new, uuid, Some(before.number))?;
    settled(kernel, || perform(kernel, &before, new, uuid))?;
    tracing::info!("renamed `{name}` to `{}`", new.unwrap_or(name));
    Ok(())
}

/// Returns the uuid that is still to be set, if any.
fn missing_uuid<'a>(before: &Info, uuid: Option<&'a Uuid>) -> Result<Option<&'a Uuid>, OpError> {
    match (&before.uuid, uuid) {
        (_, None) => Ok(None),
        (None, Some(wanted)) => Ok(Some(wanted)),
        (Some(has), Some(wanted)) if has == wanted => Ok(None),
        (Some(has), Some(_)) => Err(OpError::UuidSet { name: before.name.clone(), has: has.clone() }),
    }
}

/// Changes the name first: a name can be restored, a uuid can't.
fn perform(
    kernel: &dyn ChangeKernel,
    before: &Info,
    new: Option<&Name>,
    uuid: Option<&Uuid>,
) -> Result<(), OpError> {
    let old = &before.name;
    if let Some(new) = new {
        kernel.rename(old, new).map_err(OpError::refused)?;
    }
    let Some(uuid) = uuid else { return Ok(()) };
    let Err(cause) = kernel.set_uuid(new.unwrap_or(old), uuid) else { return Ok(()) };
    let Some(new) = new else { return Err(OpError::refused(cause)) };
    match kernel.rename(new, old) {
        Ok(()) => Err(OpError::refused(cause)),
        Err(recovery) => {
            let left = LeftState::Renamed { old: old.clone(), new: new.clone() };
            Err(OpError::not_put_back(cause, recovery, left))
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::kernel::ReadKernel;
    use crate::kernel::simulated::Simulated;
    use crate::ops::fixture::{changes, kernel, kernel_with};

    fn rename_data(kernel: &Simulated, new: &str, uuid: Option<&str>) -> Result<(), OpError> {
        let uuid = uuid.map(|uuid| Uuid::new(uuid).unwrap());
        let (old, new) = (Name::new("data").unwrap(), Name::new(new).unwrap());
        rename(kernel, &old, &new, RenameOptions { uuid, ..RenameOptions::default() })
    }

    /// With `data` and `other`, the first without a uuid.
    fn without_uuid() -> Simulated {
        kernel_with(&["data", "other"], |mappings| mappings[0].uuid = None)
    }

    #[test]
    fn a_name_and_a_lacking_uuid_are_set() {
        let kernel = without_uuid();
        rename_data(&kernel, "new", Some("u-1")).unwrap();
        assert_eq!(changes(&kernel), ["rename data", "setuuid new"]);
        let new = by_name(&kernel, &Name::new("new").unwrap()).unwrap();
        assert_eq!(new.uuid, Uuid::new("u-1").ok());
    }

    #[test]
    fn what_is_so_already_is_left_alone() {
        let kernel = kernel(&["data"]);
        rename_data(&kernel, "data", Some("uuid-of-data")).unwrap();
        assert_eq!(changes(&kernel), [""; 0]);
    }

    #[test]
    fn a_refused_uuid_gives_the_old_name_back() {
        let kernel = without_uuid();
        kernel.fail_nth(2, Errno::EINVAL);
        assert!(matches!(rename_data(&kernel, "new", Some("u-1")), Err(OpError::Refused { .. })));
        assert_eq!(changes(&kernel), ["rename data", "setuuid new", "rename new"]);
        assert!(kernel.list().unwrap().iter().any(|listed| listed.name.kernel() == "data"));
    }

    #[test]
    fn an_old_name_that_cannot_be_given_back_is_told() {
        let kernel = without_uuid();
        kernel.fail_nth(2, Errno::EINVAL);
        kernel.fail_nth(3, Errno::ENOMEM);
        let error = rename_data(&kernel, "new", Some("u-1")).unwrap_err();
        assert!(matches!(error, OpError::NotRolledBack { .. }), "{error:?}");
        assert!(error.to_string().contains("`dmctl rename new data`"), "{error}");
    }

    #[test]
    fn taken_names_and_other_uuids_are_refused_before_anything_changes() {
        let with_uuid = kernel(&["data", "other"]);
        assert!(matches!(rename_data(&with_uuid, "other", None), Err(OpError::NameTaken { .. })));
        assert!(matches!(rename_data(&with_uuid, "new", Some("u-1")), Err(OpError::UuidSet { .. })));
        let kernel = without_uuid();
        assert!(matches!(rename_data(&kernel, "new", Some("uuid-of-other")), Err(OpError::UuidTaken { .. })));
        assert!(matches!(rename_data(&kernel, "new", Some("CRYPT-x")), Err(OpError::Foreign { .. })));
        assert_eq!(changes(&kernel), [""; 0]);
    }
}
