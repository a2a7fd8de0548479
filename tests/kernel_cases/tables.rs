//! Tables: what a load takes and refuses, and what is printed back.

use dmctl::access::Access;
use dmctl::kernel::ChangeKernel;
use dmctl::table::RawRow;
use nix::errno::Errno;

use super::device::{Device, refused, same, works};
use super::{Disks, Outcome, cases};

cases![
    devices_are_printed_by_number,
    a_missing_path_is_no_device,
    a_missing_number_is_no_address,
    numbers_are_printed_without_leading_zeros,
    error_forgets_its_words,
    zero_takes_no_words,
    linear_takes_two_words,
    a_striped_row_is_a_whole_number_of_chunks,
    a_table_without_rows_is_refused,
    the_first_row_starts_at_zero,
    a_gap_is_refused,
    an_overlap_is_refused,
    a_row_without_sectors_is_refused,
    an_unknown_type_is_refused,
    rows_of_several_types_stand_in_one_table,
    a_table_of_3000_rows_comes_back_whole,
    the_first_table_is_measured_at_load,
    a_row_that_starts_behind_the_end_is_refused,
    a_row_that_counts_from_the_device_is_measured_by_its_length,
    the_last_sector_of_a_disk_can_be_used,
    a_later_table_is_measured_at_resume,
    a_cleared_first_table_was_the_first_all_the_same,
    a_refused_first_table_was_no_first_table,
    a_device_without_any_table_cannot_stand_below,
    a_device_without_size_is_not_measured,
    a_mapping_is_as_large_as_its_live_table,
    a_lower_mapping_can_shrink_under_an_upper_one,
    a_cipher_is_taken_or_refused_by_its_name_and_its_key,
];

fn devices_are_printed_by_number(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = Device::active(kernel, "case-path", &format!("0 8 linear {} 16", disks.disks[0].path))?;
    same("live", device.live()?, format!("0 8 linear {} 16", disks.number(0)))
}

fn a_missing_path_is_no_device(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-missing")?;
    let result = device.load("0 8 linear /dev/dmctl-case-missing 0");
    // ENODEV on 6.1, ENOENT on 6.12 (48).
    let newer = works("version", kernel.version())?.1 > 47;
    refused("load", result, if newer { Errno::ENOENT } else { Errno::ENODEV })
}

fn a_missing_number_is_no_address(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-missing")?;
    refused("load", device.load("0 8 linear 4000:77 0"), Errno::ENXIO)
}

fn numbers_are_printed_without_leading_zeros(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let (one, two) = (disks.number(0), disks.number(1));
    let device = Device::active(kernel, "case-zeros", &format!("0 64 striped 02 0032 {one} 00 {two} 08"))?;
    same("live", device.live()?, format!("0 64 striped 2 32 {one} 0 {two} 8"))
}

fn error_forgets_its_words(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::active(kernel, "case-error", "0 8 error of some kind")?;
    same("live", device.live()?, "0 8 error".to_string())
}

fn zero_takes_no_words(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-zero")?;
    refused("load", device.load("0 8 zero junk"), Errno::EINVAL)
}

fn linear_takes_two_words(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-words")?;
    let disk = disks.number(0);
    for words in [String::new(), disk.to_string(), format!("{disk} 0 0"), format!("{disk} 0x8")] {
        refused(&words, device.load(&format!("0 8 linear {words}")), Errno::EINVAL)?;
    }
    Ok(())
}

fn a_striped_row_is_a_whole_number_of_chunks(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-chunks")?;
    let (one, two) = (disks.number(0), disks.number(1));
    refused("load", device.load(&format!("0 65 striped 2 32 {one} 0 {two} 0")), Errno::EINVAL)?;
    refused("load", device.load(&format!("0 32 striped 2 32 {one} 0 {two} 0")), Errno::EINVAL)
}

fn a_table_without_rows_is_refused(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-empty")?;
    refused("load", device.load_rows(&[], Access::Writable), Errno::EINVAL)
}

fn zeros(rows: &[(u64, u64)]) -> Vec<RawRow> {
    rows.iter().map(|(start, length)| RawRow::new(*start, *length, "zero", String::new())).collect()
}

fn the_first_row_starts_at_zero(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-start")?;
    refused("load", device.load_rows(&zeros(&[(8, 8)]), Access::Writable), Errno::EINVAL)
}

fn a_gap_is_refused(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-gap")?;
    refused("load", device.load_rows(&zeros(&[(0, 8), (9, 8)]), Access::Writable), Errno::EINVAL)
}

fn an_overlap_is_refused(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-overlap")?;
    refused("load", device.load_rows(&zeros(&[(0, 8), (7, 8)]), Access::Writable), Errno::EINVAL)
}

fn a_row_without_sectors_is_refused(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-nothing")?;
    refused("load", device.load_rows(&zeros(&[(0, 0)]), Access::Writable), Errno::EINVAL)
}

fn an_unknown_type_is_refused(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-unknown")?;
    refused("load", device.load("0 8 nosuchtarget"), Errno::EINVAL)
}

fn rows_of_several_types_stand_in_one_table(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let table = format!("0 8 linear {} 0\n8 8 zero\n16 8 error", disks.number(0));
    let device = Device::active(kernel, "case-mixed", &table)?;
    same("live", device.live()?, table)?;
    same("target_count", device.info()?.target_count, 3)
}

fn a_table_of_3000_rows_comes_back_whole(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    // Every other sector, so that no row could be taken for the end of the one before it.
    let row = |n: u64| format!("{n} 1 linear {} {}", disks.number(0), n * 2);
    let table = (0..3000).map(row).collect::<Vec<String>>().join("\n");
    let device = Device::active(kernel, "case-long", &table)?;
    same("target_count", device.info()?.target_count, 3000)?;
    same("live", device.live()?, table)
}

fn the_first_table_is_measured_at_load(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-large")?;
    let table = format!("0 {} linear {} 8", disks.disks[0].sectors, disks.number(0));
    refused("load", device.load(&table), Errno::EINVAL)?;
    same("inactive table", device.info()?.inactive_table, false)
}

fn a_row_that_starts_behind_the_end_is_refused(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-behind")?;
    let table = format!("0 8 linear {} {}", disks.number(0), disks.disks[0].sectors);
    refused("load", device.load(&table), Errno::EINVAL)
}

/// What is checked begins at 0 (`origin_iterate_devices` in `drivers/md/dm-snap.c`), other than what is read.
fn a_row_that_counts_from_the_device_is_measured_by_its_length(
    kernel: &dyn ChangeKernel,
    disks: &Disks,
) -> Outcome {
    let device = Device::create(kernel, "case-counts")?;
    let (disk, size) = (disks.number(0), disks.disks[0].sectors);
    let rows = |length: u64| format!("0 64 zero\n64 {length} snapshot-origin {disk}");
    refused("longer", device.load(&rows(size + 8)), Errno::EINVAL)?;
    works("as long", device.load(&rows(size)))
}

fn the_last_sector_of_a_disk_can_be_used(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let table = format!("0 8 linear {} {}", disks.number(0), disks.disks[0].sectors - 8);
    let device = Device::active(kernel, "case-last", &table)?;
    same("live", device.live()?, table)
}

fn a_later_table_is_measured_at_resume(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let good = format!("0 8 linear {} 0", disks.number(0));
    let device = Device::active(kernel, "case-later", &good)?;
    let large = format!("0 {} linear {} 8", disks.disks[1].sectors, disks.number(1));
    works("load", device.load(&large))?;
    refused("resume", device.resume(), Errno::EINVAL)?;
    let info = device.info()?;
    same("inactive table", info.inactive_table, false)?;
    same("suspended", info.suspended, true)?;
    same("live", device.live()?, good.clone())?;
    works("second resume", device.resume())?;
    same("suspended", device.info()?.suspended, false)?;
    same("live", device.live()?, good)
}

fn a_cleared_first_table_was_the_first_all_the_same(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-first")?;
    works("load", device.load(&format!("0 8 linear {} 0", disks.number(0))))?;
    works("clear", device.clear())?;
    let large = format!("0 {} linear {} 8", disks.disks[0].sectors, disks.number(0));
    works("load", device.load(&large))?;
    refused("resume", device.resume(), Errno::EINVAL)?;
    same("suspended", device.info()?.suspended, true)?;
    refused("second resume", device.resume(), Errno::EINVAL)
}

fn a_refused_first_table_was_no_first_table(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-first")?;
    let large = format!("0 {} linear {} 8", disks.disks[0].sectors, disks.number(0));
    refused("load", device.load(&large), Errno::EINVAL)?;
    refused("load again", device.load(&large), Errno::EINVAL)
}

fn a_device_without_any_table_cannot_stand_below(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let lower = Device::create(kernel, "case-lower")?;
    let upper = Device::create(kernel, "case-upper")?;
    refused("load", upper.load(&format!("0 8 linear {} 0", lower.number)), Errno::ENXIO)
}

fn a_device_without_size_is_not_measured(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let lower = Device::create(kernel, "case-lower")?;
    works("load lower", lower.load("0 8 zero"))?;
    let upper = Device::create(kernel, "case-upper")?;
    works("load upper", upper.load(&format!("0 1024 linear {} 0", lower.number)))
}

fn a_mapping_is_as_large_as_its_live_table(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let lower = Device::active(kernel, "case-lower", "0 64 zero")?;
    let size = works("size", kernel.block_device(lower.number))?.map(|device| device.sectors);
    same("sectors", size, Some(64))?;
    let upper = Device::create(kernel, "case-upper")?;
    refused("load", upper.load(&format!("0 65 linear {} 0", lower.number)), Errno::EINVAL)?;
    works("load", upper.load(&format!("0 64 linear {} 0", lower.number)))
}

fn a_lower_mapping_can_shrink_under_an_upper_one(kernel: &dyn ChangeKernel, _: &Disks) -> Outcome {
    let lower = Device::active(kernel, "case-lower", "0 64 zero")?;
    let upper = Device::active(kernel, "case-upper", &format!("0 64 linear {} 0", lower.number))?;
    works("load", lower.load("0 8 zero"))?;
    works("resume", lower.resume())?;
    same("upper", upper.live()?, format!("0 64 linear {} 0", lower.number))
}

/// Ciphers, the length of their keys in bytes, and how the kernel refuses them.
const CIPHERS: [(&str, usize, Option<Errno>); 30] = [
    ("aes-xts-plain64", 64, None),
    ("aes-xts-plain46", 64, Some(Errno::EINVAL)),
    ("aes-xts-PLAIN64", 64, Some(Errno::EINVAL)),
    ("aes-ecb-plain46", 16, None),
    ("capi:xts(aes)", 64, None),
    ("capi:xts(aes)-plain46", 64, Some(Errno::EINVAL)),
    ("capi:ecb(aes)-foo", 32, None),
    ("aes-cbc-tcw", 32, Some(Errno::EINVAL)),
    ("aes-cbc-tcw", 48, None),
    ("aes-cbc-tcw", 64, None),
    ("aes-xts-tcw", 96, None),
    ("aes:2-cbc-tcw", 64, None),
    ("capi:cbc(aes)-tcw", 48, None),
    ("aes:64-cbc-lmk", 2112, Some(Errno::EINVAL)),
    ("aes:64-cbc-lmk", 1024, None),
    ("aes:64-cbc-lmk", 1040, None),
    ("aes:64-cbc-lmk", 2080, None),
    ("capi:cbc(aes)-lmk", 1040, None),
    ("aes-cbc-lmk", 32, None),
    ("aes-cbc-elephant", 16, Some(Errno::EINVAL)),
    ("aes-cbc-elephant", 48, None),
    ("aes:2-cbc-elephant", 64, None),
    ("aes:2-cbc-elephant", 96, Some(Errno::EINVAL)),
    ("aes-cbc-essiv", 32, Some(Errno::EINVAL)),
    ("aes-cbc-essiv:sha256", 32, None),
    ("aes-cbc-essiv:sha265", 32, Some(Errno::ENOENT)),
    ("aes-cbc-random", 32, Some(Errno::EINVAL)),
    ("aess-cbc-plain64", 32, Some(Errno::ENOENT)),
    ("aes-newmode-plain64", 32, Some(Errno::ENOENT)),
    ("capi:xts(aess)-plain64", 64, Some(Errno::ENOENT)),
];

fn a_cipher_is_taken_or_refused_by_its_name_and_its_key(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    for (cipher, bytes, errno) in CIPHERS {
        let device = Device::create(kernel, "case-cipher")?;
        let key = "0f".repeat(bytes);
        let loaded = device.load(&format!("0 8 crypt {cipher} {key} 0 {} 0", disks.number(0)));
        match errno {
            None => works(&format!("{cipher} {bytes}"), loaded)?,
            Some(errno) => refused(&format!("{cipher} {bytes}"), loaded, errno)?,
        }
    }
    Ok(())
}
