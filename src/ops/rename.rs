//! Giving a device another name, and the uuid it may lack.

use super::settle::settled;
use super::{Foreign, OpError, by_name, taken};
use crate::identity::{Name, Uuid};
use crate::kernel::{ChangeKernel, Info};

/// Gives a device another name, and sets its uuid if one is given and it has none yet.
///
/// A name or uuid that the device has already is left as it is.
///
/// ```
/// # use dmctl::{identity::Name, kernel::ChangeKernel, ops::{self, Foreign, OpError}};
/// fn retire(kernel: &dyn ChangeKernel, name: &Name) -> Result<(), OpError> {
///     let old = Name::new(&format!("{}-old", name.plain()))?;
///     ops::rename(kernel, name, &old, None, Foreign::Refuse)
/// }
/// ```
///
/// # Errors
///
/// [`OpError::Missing`], [`OpError::NameTaken`], [`OpError::UuidTaken`]; [`OpError::UuidSet`] when the device
/// has another uuid; [`OpError::Foreign`] for its uuid or the new one; [`OpError::Refused`] when the kernel
/// refuses, with the old name in place; [`OpError::NotPutBack`] when the uuid is refused and the old name
/// can't be given back.
pub fn rename(
    kernel: &dyn ChangeKernel,
    name: &Name,
    new: &Name,
    uuid: Option<&Uuid>,
    foreign: Foreign,
) -> Result<(), OpError> {
    let before = by_name(kernel, name)?;
    foreign.check(name, before.uuid.as_ref())?;
    foreign.check(name, uuid)?;
    let uuid = lacking(&before, uuid)?;
    let new = Some(new).filter(|new| *new != name);
    taken::refuse(kernel, new, uuid, Some(before.number))?;
    settled(kernel, perform(kernel, &before, new, uuid))?;
    tracing::info!("renamed `{name}` to `{}`", new.unwrap_or(name));
    Ok(())
}

/// The uuid that is still to be set, if any.
fn lacking<'a>(before: &Info, uuid: Option<&'a Uuid>) -> Result<Option<&'a Uuid>, OpError> {
    match (&before.uuid, uuid) {
        (_, None) => Ok(None),
        (None, Some(wanted)) => Ok(Some(wanted)),
        (Some(has), Some(wanted)) if has == wanted => Ok(None),
        (Some(has), Some(_)) => Err(OpError::UuidSet { name: before.name.clone(), has: has.clone() }),
    }
}

/// The name first: it can be given back, a uuid can't.
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
            let left =
                format!("the device is called `{new}` and has no uuid: try `dmctl rename {new} {old}`");
            Err(OpError::not_put_back(cause, recovery, left))
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::kernel::{Call, ReadKernel};
    use crate::ops::recorder::Recorder;

    fn rename_data(kernel: &Recorder, new: &str, uuid: Option<&str>) -> Result<(), OpError> {
        let uuid = uuid.map(|uuid| Uuid::new(uuid).unwrap());
        let (old, new) = (Name::new("data").unwrap(), Name::new(new).unwrap());
        rename(kernel, &old, &new, uuid.as_ref(), Foreign::Refuse)
    }

    #[test]
    fn a_name_and_a_lacking_uuid_are_set() {
        let kernel = Recorder::with(&["data"]);
        kernel.change("data", |info| info.uuid = None);
        rename_data(&kernel, "new", Some("u-1")).unwrap();
        assert_eq!(kernel.changes(), ["rename data new", "set-uuid new u-1", "settle"]);
        let listed = kernel.list().unwrap();
        assert_eq!((listed[0].name.kernel(), listed[0].uuid.clone()), ("new", Uuid::new("u-1").ok()));
    }

    #[test]
    fn what_is_so_already_is_left_alone() {
        let kernel = Recorder::with(&["data"]);
        rename_data(&kernel, "data", Some("uuid-of-data")).unwrap();
        assert_eq!(kernel.changes(), ["settle"]);
    }

    #[test]
    fn a_refused_uuid_gives_the_old_name_back() {
        let kernel = Recorder::with(&["data"]).refusing(Call::SetUuid, &[Errno::EINVAL]);
        kernel.change("data", |info| info.uuid = None);
        assert!(matches!(rename_data(&kernel, "new", Some("u-1")), Err(OpError::Refused { .. })));
        assert_eq!(kernel.list().unwrap()[0].name.kernel(), "data");
    }

    #[test]
    fn taken_names_and_other_uuids_are_refused_before_anything_changes() {
        let kernel = Recorder::with(&["data", "other"]);
        assert!(matches!(rename_data(&kernel, "other", None), Err(OpError::NameTaken { .. })));
        assert!(matches!(rename_data(&kernel, "new", Some("u-1")), Err(OpError::UuidSet { .. })));
        kernel.change("data", |info| info.uuid = None);
        assert!(matches!(rename_data(&kernel, "new", Some("uuid-of-other")), Err(OpError::UuidTaken { .. })));
        assert!(matches!(rename_data(&kernel, "new", Some("CRYPT-x")), Err(OpError::Foreign { .. })));
        assert_eq!(kernel.changes(), [""; 0]);
    }
}
