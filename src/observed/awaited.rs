//! The lower devices that are not there yet and may come, for an apply that waits.
//!
//! All mappings wait together: each for its own time, and all times begin at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::config::{Map, State};
use crate::device::{Device, Form};
use crate::identity::Key;
use crate::kernel::{KernelError, ReadKernel};

/// A lower device that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Awaited {
    /// The device as the map writes it.
    pub device: Device,
    /// The mappings that use it and wait.
    pub mappings: BTreeSet<Key>,
    /// The longest time that one of them waits, from the start.
    pub wait: Duration,
}

impl Awaited {
    /// Returns the paths at which the device may appear.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        match &self.device.form {
            // The link that udev makes for a number.
            Form::Number(number) => vec![PathBuf::from(format!("/dev/block/{number}"))],
            _ => self.device.paths().iter().map(|path| PathBuf::from(path.as_ref())).collect(),
        }
    }
}

/// Lists the lower devices that `map` waits for at `now`, when the wait began at `start`. Empty where a wait can't help:
/// a device of the map can never appear, for a file of another kind is in its place.
///
/// # Errors
///
/// The error of the kernel.
pub(crate) fn awaited(
    kernel: &dyn ReadKernel,
    map: &Map,
    start: Instant,
    now: Instant,
) -> Result<Vec<Awaited>, KernelError> {
    let waited = now.saturating_duration_since(start);
    let present = map.mappings.values().filter(|mapping| mapping.state != State::Absent);
    let mut all: BTreeMap<Form, Awaited> = BTreeMap::new();
    let mut there: BTreeSet<Form> = BTreeSet::new();
    for mapping in present {
        for lower in mapping.rows.iter().flat_map(|row| row.target.lower_devices(0)) {
            let device = lower.device;
            if device.key().is_some() || there.contains(&device.form) {
                continue;
            }
            if !all.contains_key(&device.form) {
                if kernel.resolve(device)?.is_some() {
                    there.insert(device.form.clone());
                    continue;
                }
                if !kernel.absence(device).can_end() {
                    return Ok(Vec::new());
                }
            }
            if mapping.wait <= waited {
                continue;
            }
            let awaited = all.entry(device.form.clone()).or_insert_with(|| Awaited {
                device: device.clone(),
                mappings: BTreeSet::new(),
                wait: Duration::ZERO,
            });
            awaited.mappings.insert(mapping.key.clone());
            awaited.wait = awaited.wait.max(mapping.wait);
        }
    }
    Ok(all.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_str;
    use crate::kernel::simulated::{DiskSpec, Simulated, State};

    fn waits(map: &str, after: Duration) -> Vec<(String, usize, Duration)> {
        let disk: DiskSpec = "/dev/sda=1GiB".parse().unwrap();
        let kernel = Simulated::new(&State::from_disks(&[disk]).unwrap()).unwrap();
        let map = parse_str("map", &format!("format = 1\nowner = \"t\"\n{map}")).map.unwrap();
        let start = Instant::now();
        let all = awaited(&kernel, &map, start, start + after).unwrap();
        all.into_iter().map(|one| (one.device.to_string(), one.mappings.len(), one.wait)).collect()
    }

    const MAP: &str = "
        [mappings.a]
        wait = \"3s\"
        targets = [{ type = \"linear\", length = 8, device = \"/dev/sdx\" }]
        [mappings.b]
        wait = \"5s\"
        targets = [
            { type = \"linear\", length = 8, device = \"/dev/sdx\", offset = 8 },
            { type = \"linear\", length = 8, device = \"/dev/sda\" },
        ]
        [mappings.c]
        targets = [{ type = \"linear\", length = 8, device = \"/dev/sdy\" }]";

    #[test]
    fn each_mapping_waits_its_own_time_from_one_start() {
        let second = Duration::from_secs;
        assert_eq!(waits(MAP, second(0)), [("/dev/sdx".to_string(), 2, second(5))]);
        assert_eq!(waits(MAP, second(4)), [("/dev/sdx".to_string(), 1, second(5))]);
        assert_eq!(waits(MAP, second(5)), []);
    }
}
