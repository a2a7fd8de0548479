//! Which device has which other open, and what that forbids.

use dmctl::kernel::{ChangeKernel, Removal, Version};
use nix::errno::Errno;

use super::device::{Device, refused, same, works};
use super::{Disks, Outcome, cases};
use crate::waiting::until;

cases![
    a_live_table_opens_its_devices,
    an_inactive_table_opens_its_devices,
    several_rows_open_a_device_once,
    every_mapping_opens_a_device_for_itself,
    a_reload_over_the_same_device_opens_it_once,
    another_mode_opens_a_device_again,
    a_clear_closes_what_the_table_opened,
    a_swap_closes_what_the_old_table_opened,
    a_refused_load_opens_nothing,
    a_failed_resume_closes_what_the_new_table_opened,
    a_device_in_use_is_not_removed,
    a_device_in_use_by_an_inactive_table_is_not_removed,
    a_device_in_use_can_be_renamed_suspended_and_swapped,
    two_mappings_can_use_one_disk,
    holders_are_the_mappings_with_a_table_on_a_device,
    lower_devices_are_those_of_both_tables,
    a_deferred_remove_of_a_closed_device_is_a_remove,
    a_deferred_remove_waits_for_the_last_close,
    a_deferred_remove_runs_down_a_stack,
    a_deferred_remove_can_be_called_off,
    a_table_on_itself_opens_its_own_device,
];

/// A mapping of 64 sectors, to be used by others.
fn lower<'k>(kernel: &'k dyn ChangeKernel, disks: &Disks) -> Result<Device<'k>, String> {
    Device::active(kernel, "case-lower", &format!("0 64 linear {} 0", disks.number(0)))
}

/// A row over 8 sectors of a mapping.
fn over(device: &Device<'_>) -> String {
    format!("0 8 linear {} 0", device.number)
}

fn opens(device: &Device<'_>, expected: u32) -> Outcome {
    same("open count", device.info()?.open_count, expected)
}

fn a_live_table_opens_its_devices(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    opens(&lower, 0)?;
    let _upper = Device::active(kernel, "case-upper", &over(&lower))?;
    opens(&lower, 1)
}

fn an_inactive_table_opens_its_devices(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let upper = Device::create(kernel, "case-upper")?;
    works("load", upper.load(&over(&lower)))?;
    opens(&lower, 1)
}

fn several_rows_open_a_device_once(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let table = format!("0 8 linear {0} 0\n8 8 linear {0} 32", lower.number);
    let _upper = Device::active(kernel, "case-upper", &table)?;
    opens(&lower, 1)
}

fn every_mapping_opens_a_device_for_itself(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let _one = Device::active(kernel, "case-one", &over(&lower))?;
    let _two = Device::active(kernel, "case-two", &over(&lower))?;
    opens(&lower, 2)
}

fn a_reload_over_the_same_device_opens_it_once(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let upper = Device::active(kernel, "case-upper", &over(&lower))?;
    works("load", upper.load(&format!("0 16 linear {} 0", lower.number)))?;
    opens(&lower, 1)?;
    works("resume", upper.resume())?;
    opens(&lower, 1)
}

fn another_mode_opens_a_device_again(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let upper = Device::active(kernel, "case-upper", &over(&lower))?;
    works("load", upper.load_read_only(&over(&lower)))?;
    opens(&lower, 2)?;
    works("resume", upper.resume())?;
    opens(&lower, 1)
}

fn a_clear_closes_what_the_table_opened(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let upper = Device::create(kernel, "case-upper")?;
    works("load", upper.load(&over(&lower)))?;
    works("clear", upper.clear())?;
    opens(&lower, 0)?;
    works("remove", lower.remove())
}

fn a_swap_closes_what_the_old_table_opened(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let upper = Device::active(kernel, "case-upper", &over(&lower))?;
    works("load", upper.load("0 8 zero"))?;
    opens(&lower, 1)?;
    works("resume", upper.resume())?;
    opens(&lower, 0)
}

fn a_refused_load_opens_nothing(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let upper = Device::create(kernel, "case-upper")?;
    let table = format!("{}\n8 8 nosuchtarget", over(&lower));
    refused("load", upper.load(&table), Errno::EINVAL)?;
    opens(&lower, 0)
}

fn a_failed_resume_closes_what_the_new_table_opened(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let upper = Device::active(kernel, "case-upper", "0 8 zero")?;
    works("load", upper.load(&format!("0 65 linear {} 0", lower.number)))?;
    opens(&lower, 1)?;
    refused("resume", upper.resume(), Errno::EINVAL)?;
    opens(&lower, 0)
}

fn a_device_in_use_is_not_removed(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let _upper = Device::active(kernel, "case-upper", &over(&lower))?;
    refused("remove", lower.remove(), Errno::EBUSY)?;
    same("deferred", lower.info()?.deferred_remove, false)
}

fn a_device_in_use_by_an_inactive_table_is_not_removed(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let upper = Device::create(kernel, "case-upper")?;
    works("load", upper.load(&over(&lower)))?;
    refused("remove", lower.remove(), Errno::EBUSY)
}

fn a_device_in_use_can_be_renamed_suspended_and_swapped(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let _upper = Device::active(kernel, "case-upper", &over(&lower))?;
    works("rename", lower.rename(&super::device::plain("case-renamed")?))?;
    works("suspend", lower.suspend())?;
    works("load", lower.load(&format!("0 128 linear {} 0", disks.number(1))))?;
    works("resume", lower.resume())?;
    same("live", lower.live()?, format!("0 128 linear {} 0", disks.number(1)))?;
    opens(&lower, 1)
}

fn two_mappings_can_use_one_disk(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let table = format!("0 8 linear {} 0", disks.number(0));
    let _one = Device::active(kernel, "case-one", &table)?;
    let two = Device::active(kernel, "case-two", &table)?;
    same("live", two.live()?, table)
}

fn holders_are_the_mappings_with_a_table_on_a_device(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let disk = disks.number(2);
    let holders = || works("users", kernel.users(disk)).map(|users| users.holders);
    same("before", holders()?, Vec::new())?;
    let device = Device::create(kernel, "case-holder")?;
    works("load", device.load(&format!("0 8 linear {disk} 0")))?;
    same("loaded", holders()?, vec![device.number])?;
    works("resume", device.resume())?;
    same("live", holders()?, vec![device.number])?;
    works("remove", device.remove())?;
    same("after", holders()?, Vec::new())
}

fn lower_devices_are_those_of_both_tables(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-lower-devices")?;
    let lower =
        || works("block device", kernel.block_device(device.number)).map(|block| block.map(|b| b.lower));
    let (one, two) = (disks.number(0), disks.number(1));
    works("load", device.load(&format!("0 8 linear {one} 0\n8 8 linear {one} 64")))?;
    works("resume", device.resume())?;
    same("live", lower()?, Some(vec![one]))?;
    works("load", device.load(&format!("0 8 linear {two} 0")))?;
    same("loaded", lower()?, Some(vec![one, two]))?;
    works("resume", device.resume())?;
    same("swapped", lower()?, Some(vec![two]))?;
    works("remove", device.remove())
}

/// Whether a device is gone soon: the kernel removes a deferred one from a work queue.
fn goes_away(kernel: &dyn ChangeKernel, device: &Device<'_>) -> Outcome {
    if !until(|| device.exists().map(|exists| !exists))? {
        return Err(format!("{} is still there", device.name()));
    }
    // Its node goes with the next settle: no call of ours removed the device.
    works("settle", kernel.settle())
}

fn a_deferred_remove_of_a_closed_device_is_a_remove(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    works("remove", kernel.remove(&lower.id(), Removal::Deferred))?;
    same("exists", lower.exists()?, false)
}

fn a_deferred_remove_waits_for_the_last_close(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let one = Device::active(kernel, "case-one", &over(&lower))?;
    let two = Device::active(kernel, "case-two", &over(&lower))?;
    works("remove", kernel.remove(&lower.id(), Removal::Deferred))?;
    same("deferred", lower.info()?.deferred_remove, true)?;
    works("remove one", one.remove())?;
    same("exists", lower.exists()?, true)?;
    works("remove two", two.remove())?;
    goes_away(kernel, &lower)
}

fn a_deferred_remove_runs_down_a_stack(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let middle = Device::active(kernel, "case-middle", &over(&lower))?;
    let upper = Device::active(kernel, "case-upper", &over(&middle))?;
    works("remove lower", kernel.remove(&lower.id(), Removal::Deferred))?;
    works("remove middle", kernel.remove(&middle.id(), Removal::Deferred))?;
    works("remove upper", upper.remove())?;
    goes_away(kernel, &middle)?;
    goes_away(kernel, &lower)
}

fn a_deferred_remove_can_be_called_off(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let lower = lower(kernel, disks)?;
    let upper = Device::active(kernel, "case-upper", &over(&lower))?;
    works("remove", kernel.remove(&lower.id(), Removal::Deferred))?;
    works("message", lower.message(0, "@cancel_deferred_remove"))?;
    same("deferred", lower.info()?.deferred_remove, false)?;
    works("remove upper", upper.remove())?;
    same("exists", lower.exists()?, true)
}

fn a_table_on_itself_opens_its_own_device(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = lower(kernel, disks)?;
    let result = device.load(&over(&device));
    if works("version", kernel.version())? >= Version(4, 48, 0) {
        return refused("load", result, Errno::EINVAL);
    }
    works("load", result)?;
    opens(&device, 1)?;
    refused("remove", device.remove(), Errno::EBUSY)?;
    works("clear", device.clear())?;
    works("remove", device.remove())
}
