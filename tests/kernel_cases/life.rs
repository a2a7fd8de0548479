//! The life of a device: load, clear, suspend, resume, and what each leaves behind.

use dmctl::kernel::{ChangeKernel, Suspend};
use nix::errno::Errno;

use super::device::{Device, refused, same, works};
use super::{Disks, Outcome, cases};

cases![
    a_new_device_is_not_suspended_and_has_no_table,
    a_resume_without_any_table_does_nothing,
    a_resume_of_a_suspended_device_without_any_table_is_refused,
    a_load_fills_only_the_inactive_slot,
    a_resume_makes_the_inactive_table_live,
    a_resume_swaps_tables_without_a_suspend,
    a_swap_is_no_event,
    a_load_replaces_the_inactive_table,
    a_refused_load_leaves_both_tables,
    a_load_leaves_the_live_table_and_the_suspension,
    clear_empties_the_inactive_slot_alone,
    clear_of_an_empty_slot_is_no_error,
    suspend_and_resume_set_and_clear_the_flag,
    a_second_suspend_is_no_error,
    a_second_resume_is_no_error,
    a_device_without_a_table_can_be_suspended,
    a_suspend_without_flush_and_freeze_is_a_suspend,
    a_table_is_swapped_while_suspended,
    read_only_is_applied_at_the_swap,
    read_only_can_be_taken_back,
    the_inactive_slot_has_its_own_mode_and_count,
    a_suspended_device_can_be_removed,
    a_device_with_an_inactive_table_can_be_removed,
    a_message_without_a_table_is_not_heard,
    a_message_to_a_target_without_messages_is_refused,
    a_message_behind_the_end_is_refused,
];

fn zero_and(kernel: &dyn ChangeKernel) -> Result<Device<'_>, String> {
    Device::active(kernel, "case-life", "0 8 zero")
}

fn a_new_device_is_not_suspended_and_has_no_table(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let info = Device::create(kernel, "case-new")?.info()?;
    let seen = (info.suspended, info.live_table, info.inactive_table, info.read_only);
    same("suspended, live, inactive, read-only", seen, (false, false, false, false))?;
    same("counts", (info.open_count, info.event_nr, info.target_count), (0, 0, 0))
}

fn a_resume_without_any_table_does_nothing(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-new")?;
    works("resume", device.resume())?;
    let info = device.info()?;
    same("suspended, live", (info.suspended, info.live_table), (false, false))
}

fn a_resume_of_a_suspended_device_without_any_table_is_refused(
    kernel: &dyn ChangeKernel,
    _: &Disks,
) -> Outcome {
    let device = Device::create(kernel, "case-new")?;
    works("suspend", device.suspend())?;
    refused("resume", device.resume(), Errno::EINVAL)?;
    same("suspended", device.info()?.suspended, true)
}

fn a_load_fills_only_the_inactive_slot(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-load")?;
    works("load", device.load("0 8 zero"))?;
    let info = device.info()?;
    same("live, inactive", (info.live_table, info.inactive_table), (false, true))?;
    same("inactive", device.inactive()?, "0 8 zero".to_string())?;
    same("live", device.live()?, String::new())
}

fn a_resume_makes_the_inactive_table_live(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let table = format!("0 8 linear {} 0", disks.number(0));
    let device = Device::active(kernel, "case-live", &table)?;
    let info = device.info()?;
    same("live, inactive", (info.live_table, info.inactive_table), (true, false))?;
    same("suspended", info.suspended, false)?;
    same("live", device.live()?, table)?;
    same("inactive", device.inactive()?, String::new())
}

fn a_resume_swaps_tables_without_a_suspend(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    works("load", device.load("0 16 error"))?;
    same("live before", device.live()?, "0 8 zero".to_string())?;
    works("resume", device.resume())?;
    same("live after", device.live()?, "0 16 error".to_string())?;
    same("suspended", device.info()?.suspended, false)
}

fn a_swap_is_no_event(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    let before = device.info()?.event_nr;
    works("load", device.load("0 16 zero"))?;
    works("resume", device.resume())?;
    same("event_nr", device.info()?.event_nr, before)
}

fn a_load_replaces_the_inactive_table(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    works("load", device.load("0 16 zero"))?;
    works("load again", device.load("0 24 zero"))?;
    same("inactive", device.inactive()?, "0 24 zero".to_string())
}

fn a_refused_load_leaves_both_tables(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    works("load", device.load("0 16 zero"))?;
    refused("load", device.load("0 8 nosuchtarget"), Errno::EINVAL)?;
    same("live", device.live()?, "0 8 zero".to_string())?;
    same("inactive", device.inactive()?, "0 16 zero".to_string())
}

fn a_load_leaves_the_live_table_and_the_suspension(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    works("suspend", device.suspend())?;
    works("load", device.load("0 16 zero"))?;
    same("suspended", device.info()?.suspended, true)?;
    same("live", device.live()?, "0 8 zero".to_string())
}

fn clear_empties_the_inactive_slot_alone(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    works("load", device.load("0 16 zero"))?;
    works("clear", device.clear())?;
    same("inactive table", device.info()?.inactive_table, false)?;
    works("resume", device.resume())?;
    same("live", device.live()?, "0 8 zero".to_string())
}

fn clear_of_an_empty_slot_is_no_error(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-clear")?;
    works("clear", device.clear())?;
    works("clear again", device.clear())
}

fn suspend_and_resume_set_and_clear_the_flag(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    works("suspend", device.suspend())?;
    same("suspended", device.info()?.suspended, true)?;
    works("resume", device.resume())?;
    same("suspended", device.info()?.suspended, false)
}

fn a_second_suspend_is_no_error(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    works("suspend", device.suspend())?;
    works("suspend again", device.suspend())?;
    works("resume", device.resume())?;
    same("suspended", device.info()?.suspended, false)
}

fn a_second_resume_is_no_error(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    works("resume", device.resume())?;
    same("live", device.live()?, "0 8 zero".to_string())
}

fn a_device_without_a_table_can_be_suspended(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-shell")?;
    works("suspend", device.suspend())?;
    works("load", device.load("0 8 zero"))?;
    works("resume", device.resume())?;
    let info = device.info()?;
    same("suspended, live", (info.suspended, info.live_table), (false, true))
}

fn a_suspend_without_flush_and_freeze_is_a_suspend(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    works("suspend", kernel.suspend(&device.id(), Suspend { flush: false, freeze: false }))?;
    same("suspended", device.info()?.suspended, true)
}

fn a_table_is_swapped_while_suspended(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    works("load", device.load("0 16 zero"))?;
    works("suspend", device.suspend())?;
    same("live before", device.live()?, "0 8 zero".to_string())?;
    works("resume", device.resume())?;
    same("live after", device.live()?, "0 16 zero".to_string())
}

fn read_only_is_applied_at_the_swap(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    works("load", device.load_read_only("0 8 zero"))?;
    same("read-only before", device.info()?.read_only, false)?;
    works("resume", device.resume())?;
    same("read-only after", device.info()?.read_only, true)
}

fn read_only_can_be_taken_back(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-back")?;
    works("load", device.load_read_only("0 8 zero"))?;
    works("resume", device.resume())?;
    same("read-only", device.info()?.read_only, true)?;
    works("load", device.load("0 8 zero"))?;
    works("resume", device.resume())?;
    same("read-only", device.info()?.read_only, false)
}

fn the_inactive_slot_has_its_own_mode_and_count(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    works("load", device.load_read_only("0 8 zero\n8 8 error"))?;
    let (live, inactive) = (device.info()?, device.inactive_info()?);
    same("live", (live.read_only, live.target_count), (false, 1))?;
    same("inactive", (inactive.read_only, inactive.target_count), (true, 2))
}

fn a_suspended_device_can_be_removed(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    works("suspend", device.suspend())?;
    works("remove", device.remove())?;
    same("exists", device.exists()?, false)
}

fn a_device_with_an_inactive_table_can_be_removed(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = zero_and(kernel)?;
    works("load", device.load(&format!("0 8 linear {} 0", disks.number(0))))?;
    works("remove", device.remove())?;
    same("exists", device.exists()?, false)
}

fn a_message_without_a_table_is_not_heard(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-message")?;
    // Seen to vanish on 6.1 (47), and refused on 6.12 (48).
    let newer = works("version", kernel.version())?.1 > 47;
    let result = device.message(0, "hello");
    if newer { refused("message", result, Errno::EINVAL) } else { works("message", result).map(drop) }
}

fn a_message_to_a_target_without_messages_is_refused(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    refused("message", zero_and(kernel)?.message(0, "hello"), Errno::EINVAL)
}

fn a_message_behind_the_end_is_refused(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    refused("message", zero_and(kernel)?.message(8, "hello"), Errno::EINVAL)
}
