//! The names of units that belong to paths, as `systemd-escape --path` makes them.

use crate::text::push;

/// The longest name of a unit, in bytes (`UNIT_NAME_MAX` in systemd).
const MAX_UNIT_NAME: usize = 255;

/// Returns the name of the unit of `kind` for a path. `None` where systemd has no such unit: for a path that is not
/// below `/dev`, or that is too long.
pub(crate) fn of_path(path: &str, kind: &str) -> Option<String> {
    let name = format!("{}.{kind}", escaped(path)?);
    (name.len() <= MAX_UNIT_NAME).then_some(name)
}

/// Returns the target that starts before the users of the block device at a path, and stops after them.
pub(crate) fn block_device_target(path: &str) -> Option<String> {
    let name = format!("blockdev@{}.target", escaped(path)?);
    (name.len() <= MAX_UNIT_NAME).then_some(name)
}

fn escaped(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        // The folders below /dev are no links.
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    if !path.starts_with('/') || parts.first() != Some(&"dev") || parts.len() < 2 {
        return None;
    }
    let mut escaped = String::with_capacity(path.len());
    for byte in parts.join("/").bytes() {
        match byte {
            b'/' => escaped.push('-'),
            b':' | b'_' | b'.' => escaped.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => escaped.push(char::from(byte)),
            _ => {
                push!(escaped, "\\x{byte:02x}");
            }
        }
    }
    Some(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_as_systemd_does_it() {
        let unit = |path| of_path(path, "device");
        assert_eq!(unit("/dev/sda").as_deref(), Some("dev-sda.device"));
        assert_eq!(unit("/dev/disk/by-id/../../sda").as_deref(), Some("dev-sda.device"));
        assert_eq!(unit("//dev/./disk/by-id/").as_deref(), Some("dev-disk-by\\x2did.device"));
        assert_eq!(
            unit("/dev/disk/by-partlabel/a\\x2fb").as_deref(),
            Some("dev-disk-by\\x2dpartlabel-a\\x5cx2fb.device")
        );
        assert_eq!(unit("/dev/disk/by-label/ä").as_deref(), Some("dev-disk-by\\x2dlabel-\\xc3\\xa4.device"));
        assert_eq!(unit("/dev/pci:00_1.2").as_deref(), Some("dev-pci:00_1.2.device"));
    }

    #[test]
    fn some_paths_have_no_unit() {
        for path in [
            "/srv/disk",
            "dev/sda",
            "/dev/../srv/disk",
            "/dev/..",
            "/dev",
            "/",
            &format!("/dev/{}", "-".repeat(70)),
        ] {
            assert_eq!(of_path(path, "device"), None, "{path}");
        }
    }
}
