//! Creates a device.

use super::advice::Advice;
use super::origins::Writers;
use super::settle::settled;
use super::{Foreign, LeftState, OpError, advice, rows, taken, waits};
use crate::access::Access;
use crate::identity::{DevNum, Name, Uuid};
use crate::kernel::retry::{self, PATIENCE};
use crate::kernel::{ChangeKernel, Id, KernelError};
use crate::table::RawRow;

/// How a device is created. By default it is writable and gets a random uuid.
#[derive(Debug, Clone)]
pub struct CreateOptions {
    /// The uuid of the device. `None` takes a random one of RFC 4122, version 4, which carries no mark of an
    /// owner: a map never takes the device for its own.
    pub uuid: Option<Uuid>,
    /// Whether the device refuses writes. A table with a target that is always read-only, such as verity, is loaded
    /// read-only all the same: the kernel takes it in no other way.
    pub access: Access,
    /// Whether the uuid may carry the mark of another subsystem.
    pub foreign: Foreign,
    /// Whether a device of another subsystem may be suspended while a snapshot of the device that it writes is made.
    pub origins: Foreign,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self { uuid: None, access: Access::Writable, foreign: Foreign::Refuse, origins: Foreign::Refuse }
    }
}

/// A device that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The number of the device.
    pub number: DevNum,
    /// The uuid of the device, given or random.
    pub uuid: Uuid,
}

/// Creates a device with a table, and resumes it: it serves I/O when the call returns. For a snapshot, the devices that
/// write its origin are suspended meanwhile, and resumed after it.
///
/// The rows of `table` are in sectors of 512 bytes, from sector 0 on and without gaps. Their lower devices may be
/// written as paths. A device whose table can't be loaded or made live is removed again.
///
/// ```
/// # use dmctl::{access::Access, identity::Name, kernel::ChangeKernel, table::RawRow};
/// # use dmctl::ops::{self, CreateOptions, OpError};
/// /// Creates a read-only device of 1 MiB of zeros.
/// fn zeros(kernel: &dyn ChangeKernel) -> Result<String, OpError> {
///     let row = RawRow::new(0, 2048, "zero", String::new());
///     let options = CreateOptions { access: Access::ReadOnly, ..CreateOptions::default() };
///     let created = ops::create(kernel, &Name::new("zeros")?, &[row], options)?;
///     Ok(created.number.to_string())
/// }
/// ```
///
/// # Errors
///
/// [`OpError::NameTaken`] and [`OpError::UuidTaken`]; [`OpError::Foreign`] for a uuid that would mark the
/// device as another subsystem's; [`OpError::NoDevice`] and [`OpError::KeyInTable`] for a row;
/// [`OpError::Refused`] when the kernel refuses, and the device is removed again; [`OpError::NotRolledBack`] when it can't
/// be removed; [`OpError::Unsettled`] when the device runs and its node is missing.
pub fn create(
    kernel: &dyn ChangeKernel,
    name: &Name,
    table: &[RawRow],
    options: CreateOptions,
) -> Result<Created, OpError> {
    let CreateOptions { uuid, access, foreign, origins } = options;
    foreign.check(name, uuid.as_ref())?;
    let uuid = uuid.map_or_else(random_uuid, Ok)?;
    taken::refuse(kernel, Some(name), Some(&uuid), None)?;
    let access = if rows::are_read_only(table) { Access::ReadOnly } else { access };
    let table = rows::resolve(kernel, table)?;
    waits::refuse_load(kernel, &table, None)?;
    let writers = Writers::find(kernel, &table, None, origins)?;
    let new = New { name, uuid, table: &table, access };
    let made = settled(kernel, || make(kernel, new, writers))?;
    tracing::info!("created `{name}` ({}) with uuid `{}`", made.number, made.uuid);
    Ok(made)
}

/// A device to create.
struct New<'n> {
    name: &'n Name,
    uuid: Uuid,
    table: &'n [RawRow],
    access: Access,
}

fn make(kernel: &dyn ChangeKernel, new: New<'_>, writers: Writers) -> Result<Created, OpError> {
    let New { name, uuid, table, access } = new;
    let number = kernel.create(name, Some(&uuid)).map_err(OpError::refused)?;
    let id = Id::Uuid(uuid.clone());
    let undone = |cause| undo(kernel, name, &id, cause, || advice::on(kernel, table, access));
    kernel.load(&id, table, access).map_err(undone)?;
    writers.around(kernel, undone, || kernel.resume(&id).map_err(undone))?;
    Ok(Created { number, uuid })
}

/// Removes a device whose table was refused.
fn undo(
    kernel: &dyn ChangeKernel,
    name: &Name,
    id: &Id,
    cause: KernelError,
    advice: impl FnOnce() -> Vec<Advice>,
) -> OpError {
    match retry::remove(kernel, id, PATIENCE, &|| false) {
        Ok(()) => OpError::Refused { cause, advice: advice() },
        Err(recovery) => OpError::not_put_back(cause, recovery, LeftState::HalfMade { name: name.clone() }),
    }
}

/// Makes a random uuid of RFC 4122, version 4.
fn random_uuid() -> Result<Uuid, OpError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| OpError::Random(error.to_string()))?;
    Ok(Uuid::new(&version_4(bytes))?)
}

/// Sets version and variant (RFC 4122, 4.4), and writes the text.
fn version_4(bytes: [u8; 16]) -> String {
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::kernel::ReadKernel;
    use crate::kernel::simulated::Simulated;
    use crate::ops::fixture::{changes, kernel, rows};

    fn create_zero(kernel: &Simulated, uuid: Option<&str>) -> Result<Created, OpError> {
        let uuid = uuid.map(|uuid| Uuid::new(uuid).unwrap());
        let row = RawRow::new(0, 8, "zero", String::new());
        create(kernel, &Name::new("new").unwrap(), &[row], CreateOptions { uuid, ..CreateOptions::default() })
    }

    #[test]
    fn a_device_is_created_loaded_and_resumed() {
        let kernel = kernel(&["data"]);
        let made = create_zero(&kernel, Some("u-1")).unwrap();
        assert_eq!(made, Created { number: DevNum::new(254, 1), uuid: Uuid::new("u-1").unwrap() });
        assert_eq!(changes(&kernel), ["create new", "load new", "resume new"]);
        assert_eq!(rows(&kernel, "new"), ["0 8 zero"]);
    }

    #[test]
    fn a_random_uuid_has_no_owner() {
        assert_eq!(version_4([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(version_4([0; 16]), "00000000-0000-4000-8000-000000000000");
        let (one, two) = (random_uuid().unwrap(), random_uuid().unwrap());
        assert_ne!(one, two);
        assert_eq!((one.parts(), one.subsystem()), (None, None));
    }

    #[test]
    fn what_fails_half_way_is_removed_again() {
        let all = ["create new", "load new", "resume new"];
        for nth in 1..=3 {
            let kernel = kernel(&[]);
            kernel.fail_nth(nth, Errno::ENOMEM);
            let error = create_zero(&kernel, None).unwrap_err();
            assert!(
                matches!(&error, OpError::Refused { cause, .. } if cause.errno() == Some(Errno::ENOMEM)),
                "{error:?}"
            );
            let undo = if nth > 1 { &["remove new"][..] } else { &[] };
            assert_eq!(changes(&kernel), [&all[..nth], undo].concat());
            assert!(kernel.list().unwrap().is_empty());
        }
    }

    #[test]
    fn a_half_made_device_that_stays_is_told() {
        let kernel = kernel(&[]);
        kernel.fail_nth(2, Errno::EINVAL);
        kernel.fail_nth(3, Errno::ENOMEM);
        let error = create_zero(&kernel, None).unwrap_err();
        assert!(matches!(error, OpError::NotRolledBack { .. }), "{error:?}");
        assert!(error.to_string().contains("`dmctl remove new`"), "{error}");
    }

    #[test]
    fn taken_names_and_uuids_are_refused_before_anything_changes() {
        let taken = kernel(&["new"]);
        assert!(matches!(create_zero(&taken, None), Err(OpError::NameTaken { .. })));
        let kernel = kernel(&["data"]);
        assert!(matches!(create_zero(&kernel, Some("uuid-of-data")), Err(OpError::UuidTaken { .. })));
        assert!(matches!(create_zero(&kernel, Some("LVM-x")), Err(OpError::Foreign { .. })));
        assert_eq!(changes(&kernel), [""; 0]);
    }
}
