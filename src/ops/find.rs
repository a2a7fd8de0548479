//! Finds a device by a name, a path or a number that a person wrote.

use super::OpError;
use crate::device::{Device, Form};
use crate::identity::{DevNum, Name, printable};
use crate::kernel::{DeviceState, Id, Info, ListEntry, ReadKernel, Slot};

/// The folder of the nodes of mapped devices.
const NODES: &str = "/dev/mapper/";

/// The least Jaro similarity at which a name is offered in place of another.
const MIN_SIMILARITY: f64 = 0.7;

/// Reads the name for a new device: plain or mangled, with or without `/dev/mapper/` in front.
///
/// ```
/// use dmctl::ops::new_name;
/// assert_eq!(new_name("/dev/mapper/data").unwrap(), new_name("data").unwrap());
/// assert!(new_name("/dev/sda").is_err());
/// ```
///
/// # Errors
///
/// [`OpError::Identity`] when the text can't be the name of a device.
pub fn new_name(text: &str) -> Result<Name, OpError> {
    Ok(Name::new(text.strip_prefix(NODES).unwrap_or(text))?)
}

/// Finds a device by its name, plain or mangled, by its `/dev/mapper/` node, by any other path of it, or by its number.
///
/// A device that another tool named without mangling is found by its plain name as well.
///
/// ```
/// # use dmctl::{kernel::ReadKernel, ops::{self, OpError}};
/// fn number_of(kernel: &dyn ReadKernel, text: &str) -> Result<String, OpError> {
///     Ok(ops::find(kernel, text)?.number.to_string())
/// }
/// ```
///
/// # Errors
///
/// [`OpError::Missing`] with the name of a device with a similar spelling, [`OpError::NotMapped`] for a path that does
/// not lead to a mapped device, [`OpError::Identity`] for a text that can't be a name, [`OpError::Kernel`] when the
/// kernel can't be read.
pub fn find(kernel: &dyn ReadKernel, text: &str) -> Result<ListEntry, OpError> {
    let listed = kernel.list()?;
    let plain = text.strip_prefix(NODES).unwrap_or(text);
    if plain.starts_with('/') {
        return by_path(kernel, listed, plain);
    }
    if let Some(at) = position(&listed, plain) {
        return listed.into_iter().nth(at).ok_or_else(|| OpError::NotMapped(text.to_string()));
    }
    // A device may be called like a number, so that a number comes last.
    let number = DevNum::parse(plain);
    if let Some(at) = number.and_then(|number| listed.iter().position(|device| device.number == number)) {
        return listed.into_iter().nth(at).ok_or_else(|| OpError::NotMapped(text.to_string()));
    }
    let name = Name::new(plain)?;
    let nearest = nearest(&listed, &name);
    Err(OpError::Missing { name, nearest })
}

/// Returns the index of the device of this name: by the mangled name first, by the text that is shown after that, and
/// then by any `\xNN` of it.
fn position(listed: &[ListEntry], plain: &str) -> Option<usize> {
    let wanted = Name::new(plain).ok();
    let by = |has: &dyn Fn(&Name) -> bool| listed.iter().position(|device| has(&device.name));
    by(&|name| wanted.as_ref() == Some(name) || (!name.is_bytes() && name.kernel() == plain))
        .or_else(|| by(&|name| name.plain() == plain || printable(&name.plain()) == plain))
        .or_else(|| by(&|name| name.is_spelled(plain)))
}

fn by_path(kernel: &dyn ReadKernel, listed: Vec<ListEntry>, path: &str) -> Result<ListEntry, OpError> {
    let device = Device { form: Form::Path(path.into()), number: None };
    let number = kernel.resolve(&device)?;
    listed
        .into_iter()
        .find(|device| Some(device.number) == number)
        .ok_or_else(|| OpError::NotMapped(path.to_string()))
}

/// Returns the state of the device of this name. Unlike [`info`](super::info) it fails when the device does not exist.
///
/// ```
/// # use dmctl::{identity::Name, kernel::ReadKernel, ops::{self, OpError}};
/// fn is_running(kernel: &dyn ReadKernel, name: &Name) -> Result<bool, OpError> {
///     Ok(!ops::by_name(kernel, name)?.suspended)
/// }
/// ```
///
/// # Errors
///
/// [`OpError::Missing`] when the device does not exist, [`OpError::Kernel`] when the kernel can't be read.
pub fn by_name(kernel: &dyn ReadKernel, name: &Name) -> Result<Info, OpError> {
    state_of(kernel, name).map(|state| state.info)
}

/// Returns the device of this name with its live table.
pub(crate) fn state_of(kernel: &dyn ReadKernel, name: &Name) -> Result<DeviceState, OpError> {
    match kernel.device(&Id::Name(name.clone()), Slot::Live)? {
        Some(state) => Ok(state),
        None => Err(OpError::Missing { name: name.clone(), nearest: nearest(&kernel.list()?, name) }),
    }
}

/// Returns the id of a device that can't move to another device between two calls: the uuid, if there is one.
pub(super) fn stable_id(info: &Info) -> Id {
    Id::stable(&info.name, info.uuid.as_ref())
}

/// Returns the name most similar to `wanted`, if one is similar.
fn nearest(listed: &[ListEntry], wanted: &Name) -> Option<Name> {
    let wanted = wanted.plain();
    listed
        .iter()
        .map(|device| (strsim::jaro(&wanted, &device.name.plain()), &device.name))
        .filter(|(similarity, _)| *similarity > MIN_SIMILARITY)
        .max_by(|(one, _), (two, _)| one.total_cmp(two))
        .map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::kernel;

    #[test]
    fn a_device_is_found_by_any_of_its_spellings() {
        let kernel = kernel(&["data", "my\\x20disk", "raw name"]);
        for (text, name) in [
            ("data", "data"),
            ("/dev/mapper/data", "data"),
            ("/dev/dm-0", "data"),
            ("my disk", "my\\x20disk"),
            ("my\\x20disk", "my\\x20disk"),
            ("/dev/mapper/my\\x20disk", "my\\x20disk"),
            ("raw name", "raw name"),
        ] {
            assert_eq!(find(&kernel, text).unwrap().name.kernel(), name, "{text}");
        }
        let bytes = ListEntry {
            name: Name::from_kernel(b"a b\xff"),
            uuid: None,
            number: crate::identity::DevNum::new(253, 9),
        };
        let literal = ListEntry { name: Name::from_kernel(b"a\\x20b\\xff"), ..bytes.clone() };
        let escape = ListEntry { name: Name::from_kernel(b"a\x1b"), ..bytes.clone() };
        for text in ["a\\x20b\\xff", "a\\x20b\\xFF", "a b\\xff"] {
            assert_eq!(position(std::slice::from_ref(&bytes), text), Some(0), "{text}");
        }
        assert_eq!(position(&[bytes, literal], "a\\x20b\\xff"), Some(1), "as dmsetup takes it");
        for text in ["a\\x1b", "a\\u{1b}"] {
            assert_eq!(position(std::slice::from_ref(&escape), text), Some(0), "{text}");
        }
        assert!(matches!(find(&kernel, "/dev/sda"), Err(OpError::NotMapped(_))));
        assert!(matches!(find(&kernel, "a/b"), Err(OpError::Identity(_))));
    }

    #[test]
    fn a_missing_device_offers_what_is_spelled_alike() {
        let kernel = kernel(&["data", "database", "swap"]);
        let nearest = |text| match find(&kernel, text) {
            Err(OpError::Missing { nearest, .. }) => nearest.map(|name| name.to_string()),
            other => panic!("{other:?}"),
        };
        assert_eq!(nearest("dtaa").as_deref(), Some("data"));
        assert_eq!(nearest("databse").as_deref(), Some("database"));
        assert_eq!(nearest("zzzzz"), None);
    }
}
