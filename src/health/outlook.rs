//! What becomes of a device that is left alone: whether its processes are finished, go on, or can't be finished.

use super::{DeviceHealth, RowHealth, Untold};
use crate::targets::{Health, Unreadable};

/// What becomes of the processes of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlook {
    /// Nothing runs, and nothing is left that has no other copy.
    Finished,
    /// They go on: what is left, a clause each.
    GoesOn(Vec<String>),
    /// They can't be finished: why not, a clause each.
    Stuck(Vec<String>),
}

impl DeviceHealth {
    /// Tells what becomes of it. The worst of its rows counts.
    pub fn outlook(&self) -> Outlook {
        let (mut goes_on, mut stuck) = (Vec::new(), Vec::new());
        for row in &self.rows {
            match row.outlook() {
                Outlook::Finished => {}
                Outlook::GoesOn(says) => goes_on.extend(says),
                Outlook::Stuck(says) => stuck.extend(says),
            }
        }
        if self.rows.is_empty() {
            Outlook::Stuck(self.says())
        } else if !stuck.is_empty() {
            Outlook::Stuck(stuck)
        } else if !goes_on.is_empty() {
            Outlook::GoesOn(goes_on)
        } else {
            Outlook::Finished
        }
    }
}

impl RowHealth {
    fn outlook(&self) -> Outlook {
        let state = match &self.reading {
            Ok(reading) => &reading.state,
            // That is over in a moment, or when the device is resumed.
            Err(
                Untold::Suspended | Untold::Locked | Untold::Changing | Untold::Words(Unreadable::Suspended),
            ) => {
                return Outlook::GoesOn(self.says());
            }
            Err(Untold::Table(_) | Untold::Words(_)) => return Outlook::Stuck(self.says()),
        };
        let says = || {
            let left = state.left().map(|left| left.to_string());
            let progress = state.progress().map(|progress| progress.to_string());
            left.into_iter().chain(progress).collect::<Vec<String>>()
        };
        if state.health() >= Health::Unknown {
            return Outlook::Stuck(self.says());
        }
        let runs = state.progress().is_some() || state.left().is_some() || state.health() == Health::Busy;
        match (runs, state.stands()) {
            (false, _) => Outlook::Finished,
            (true, Some(why)) => Outlook::Stuck(says().into_iter().chain([why.to_string()]).collect()),
            // A leg that is lost, or metadata that can't be written: what is left stays.
            (true, None) if state.health() == Health::Degraded => Outlook::Stuck(self.says()),
            (true, None) => Outlook::GoesOn(says()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Access;
    use crate::health;
    use crate::identity::Name;
    use crate::kernel::ChangeKernel;
    use crate::kernel::Id;
    use crate::kernel::simulated::{Simulated, State};
    use crate::table::RawRow;

    /// Returns `finished`, `goes on` or `stuck` for a row with this state.
    fn outlook(row: &str, words: &str) -> &'static str {
        let disks = ["/dev/sda=1MiB", "/dev/sdb=64MiB", "/dev/sdc=64MiB"].map(|disk| disk.parse().unwrap());
        let kernel = Simulated::new(&State::from_disks(&disks).unwrap()).unwrap();
        let name = Name::new("v").unwrap();
        let id = Id::Name(name.clone());
        kernel.create(&name, None).unwrap();
        kernel.load(&id, &[RawRow::parse(row).unwrap()], Access::Writable).unwrap();
        kernel.resume(&id).unwrap();
        kernel.go_on(&name, 0, words);
        match health::read(&kernel, &id).unwrap().unwrap().outlook() {
            Outlook::Finished => "finished",
            Outlook::GoesOn(says) => {
                assert!(!says.is_empty());
                "goes on"
            }
            Outlook::Stuck(says) => {
                assert!(!says.is_empty());
                "stuck"
            }
        }
    }

    #[test]
    fn a_process_is_finished_goes_on_or_is_stuck() {
        let clone = "0 16384 clone 8:0 8:16 8:32 64 0 0";
        let hydrated = |features: &str, count: u64, mode: &str| {
            format!(
                "8 6/128 64 {count}/256 0 {features} 4 hydration_threshold 1 hydration_batch_size 1 {mode}"
            )
        };
        assert_eq!(outlook(clone, &hydrated("0", 256, "rw")), "finished");
        assert_eq!(outlook(clone, &hydrated("0", 2, "rw")), "goes on");
        assert_eq!(outlook(clone, &hydrated("1 no_hydration", 2, "rw")), "stuck");
        assert_eq!(outlook(clone, &hydrated("0", 2, "ro")), "stuck");
        assert_eq!(outlook(clone, "Fail"), "stuck");
        assert_eq!(outlook(clone, "8 6/128"), "stuck");
        let mirror = "0 16384 mirror core 1 1024 2 8:16 0 8:32 0 1 handle_errors";
        assert_eq!(outlook(mirror, "2 8:16 8:32 16/16 1 AA 1 core"), "finished");
        assert_eq!(outlook(mirror, "2 8:16 8:32 3/16 1 AA 1 core"), "goes on");
        assert_eq!(outlook(mirror, "2 8:16 8:32 3/16 1 AD 1 core"), "stuck");
        let cache = "0 16384 cache 8:0 8:16 8:32 64 1 writeback cleaner 0";
        let dirty = |dirty: u64| {
            format!(
                "8 7/256 64 20/64 0 0 0 0 0 20 {dirty} 1 writeback 2 migration_threshold 2048 cleaner 0 rw - "
            )
        };
        assert_eq!(outlook(cache, &dirty(0)), "finished");
        assert_eq!(outlook(cache, &dirty(9)), "goes on");
        assert_eq!(outlook("0 16384 linear 8:16 0", ""), "finished");
    }
}
