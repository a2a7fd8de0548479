//! Logical block sizes: those that a target gives its device, and the rows that they allow.

use dmctl::kernel::ChangeKernel;
use nix::errno::Errno;

use super::device::{Device, refused, same, works};
use super::{Disks, Outcome, cases};

cases![
    a_target_gives_its_blocks,
    rows_keep_to_the_blocks_below,
    a_target_keeps_to_its_own_blocks,
    a_row_ends_where_the_blocks_of_the_largest_do,
    a_block_may_lie_across_small_rows,
    a_device_above_keeps_its_blocks_until_it_is_loaded_again,
];

/// A crypt row with blocks of 4096 bytes over a disk with blocks of 512.
fn crypt(disks: &Disks, length: u64, offset: u64) -> String {
    format!("{length} crypt cipher_null-ecb - 0 {} {offset} 1 sector_size:4096", disks.number(0))
}

fn block_size(kernel: &dyn ChangeKernel, device: &Device<'_>) -> Result<u32, String> {
    let block = works("block device", kernel.block_device(device.number))?;
    Ok(block.map_or(0, |block| block.logical_block_size))
}

fn a_target_gives_its_blocks(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = Device::active(kernel, "case-blocks", &format!("0 {}", crypt(disks, 800, 0)))?;
    same("of crypt", block_size(kernel, &device)?, 4096)?;
    let upper = Device::active(kernel, "case-upper", &format!("0 64 linear {} 8", device.number))?;
    same("above crypt", block_size(kernel, &upper)?, 4096)
}

fn rows_keep_to_the_blocks_below(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = Device::active(kernel, "case-blocks", &format!("0 {}", crypt(disks, 800, 0)))?;
    let upper = Device::create(kernel, "case-upper")?;
    refused("start", upper.load(&format!("0 64 linear {} 63", device.number)), Errno::EINVAL)?;
    refused("length", upper.load(&format!("0 63 linear {} 0", device.number)), Errno::EINVAL)?;
    works("whole blocks", upper.load(&format!("0 64 linear {} 64", device.number)))
}

fn a_target_keeps_to_its_own_blocks(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-blocks")?;
    refused("offset", device.load(&format!("0 {}", crypt(disks, 800, 7))), Errno::EINVAL)?;
    works("offset", device.load(&format!("0 {}", crypt(disks, 800, 8))))
}

fn a_row_ends_where_the_blocks_of_the_largest_do(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let device = Device::create(kernel, "case-blocks")?;
    let small = |start, length| format!("{start} {length} linear {} 2048", disks.number(1));
    let behind = format!("0 {}\n{}", crypt(disks, 800, 0), small(800, 63));
    refused("behind", device.load(&behind), Errno::EINVAL)?;
    let lower = Device::active(kernel, "case-lower", &format!("0 {}", crypt(disks, 800, 0)))?;
    let before = format!("{}\n63 64 linear {} 0", small(0, 63), lower.number);
    refused("before", device.load(&before), Errno::EINVAL)?;
    works("whole blocks", device.load(&format!("0 {}\n{}", crypt(disks, 800, 0), small(800, 64))))
}

fn a_block_may_lie_across_small_rows(kernel: &dyn ChangeKernel, disks: &Disks) -> Outcome {
    let (one, two) = (disks.number(1), disks.number(2));
    let rows = format!("0 63 linear {one} 0\n63 65 linear {two} 0\n128 {}", crypt(disks, 800, 0));
    Device::active(kernel, "case-blocks", &rows).map(drop)
}

fn a_device_above_keeps_its_blocks_until_it_is_loaded_again(
    kernel: &dyn ChangeKernel,
    disks: &Disks,
) -> Outcome {
    let lower = Device::active(kernel, "case-lower", &format!("0 800 linear {} 0", disks.number(0)))?;
    let rows = format!("0 64 linear {} 0", lower.number);
    let upper = Device::active(kernel, "case-upper", &rows)?;
    works("load", lower.load(&format!("0 {}", crypt(disks, 800, 0))))?;
    works("resume", lower.resume())?;
    same("below", block_size(kernel, &lower)?, 4096)?;
    same("above", block_size(kernel, &upper)?, 512)?;
    works("load again", upper.load(&rows))?;
    works("resume again", upper.resume())?;
    same("above, loaded again", block_size(kernel, &upper)?, 4096)
}
