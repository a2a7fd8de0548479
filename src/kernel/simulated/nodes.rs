//! Resolves paths to numbers: the nodes and links of a host without a `/dev` of its own.

use super::model::Model;
use crate::device::Device;
use crate::identity::{DevNum, Name, Uuid};

/// Reads the minor number in `/dev/dm-N`.
pub(super) fn dm_minor(path: &str) -> Option<u32> {
    let digits = path.strip_prefix("/dev/dm-")?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let canonical = digits == "0" || !digits.starts_with('0');
    (plain && canonical).then(|| digits.parse().ok()).flatten()
}

impl Model {
    /// Finds the device at `path`: `.` and `..` are followed as if no folder on the way were a link.
    pub(super) fn at_path(&self, path: &str) -> Option<DevNum> {
        let path = normal(path)?;
        if let Some(number) = self.paths.get(&path) {
            return Some(*number);
        }
        if let Some(minor) = dm_minor(&path) {
            let number = DevNum::new(self.major(), minor);
            return self.mapping(number).map(|_| number);
        }
        let name = ["/dev/mapper/", "/dev/disk/by-id/dm-name-"].iter().find_map(|dir| path.strip_prefix(dir));
        if let Some(name) = name {
            return self.named(&Name::from_kernel(name.as_bytes())).map(|mapping| mapping.number);
        }
        let uuid = path.strip_prefix("/dev/disk/by-id/dm-uuid-")?;
        self.with_uuid(&Uuid::from_kernel(uuid.as_bytes())?).map(|mapping| mapping.number)
    }

    /// Finds the device at its exact path, or else at any of its paths; `None` where two of these are two devices.
    pub(super) fn at_paths(&self, device: &Device) -> Option<DevNum> {
        let exact = device.exact_path().and_then(|path| self.at_path(&path));
        if exact.is_some() {
            return exact;
        }
        let paths = device.paths();
        let mut found = paths.iter().filter_map(|path| self.at_path(path));
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)
    }

    /// Returns the kernel's own name of a device, as in its log: `sda`, `dm-3`.
    pub(super) fn disk_name(&self, number: DevNum) -> String {
        if self.mapping(number).is_some() {
            return format!("dm-{}", number.minor);
        }
        let path = self.disk(number).and_then(|disk| disk.paths.first());
        path.and_then(|path| path.rsplit('/').next()).map_or_else(|| number.to_string(), str::to_string)
    }
}

/// Normalises an absolute path: drops empty parts, `.` and `..`.
fn normal(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_plain() {
        assert_eq!(normal("/dev/../dev//./ram0").as_deref(), Some("/dev/ram0"));
        assert_eq!(normal("/../dev/sda").as_deref(), Some("/dev/sda"));
        assert_eq!(normal("dev/sda"), None);
    }

    #[test]
    fn dm_nodes_have_one_spelling() {
        assert_eq!(dm_minor("/dev/dm-12"), Some(12));
        for other in ["/dev/dm-", "/dev/dm-01", "/dev/dm-+1", "/dev/dm-1x", "/dev/dm-99999999999"] {
            assert_eq!(dm_minor(other), None, "{other}");
        }
    }
}
