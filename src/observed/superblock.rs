//! The smallest piece in which a file system, or swap space, reads and writes its device, as its superblock tells.
//!
//! All numbers are little-endian but for XFS. A device may show the marks of two file systems, of which one is old: then
//! the smaller piece counts. Nothing is guessed: without a known mark the piece is not known.

/// The piece in which something on a device reads and writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// A known one.
    Known {
        /// The kind of file system, as the kernel names it.
        kind: &'static str,
        /// The size, in bytes.
        bytes: u64,
    },
    /// The superblock can't be read, or is not a known one.
    Unknown,
}

/// Where a file system has its mark, and the number that tells its piece.
struct Format {
    kind: &'static str,
    /// The byte at which the mark is, and the mark.
    mark: (u64, &'static [u8]),
    /// The byte at which the number is, and how many bytes it has.
    number: (u64, usize),
    /// Turns the number into bytes.
    piece: fn(u64) -> Option<u64>,
}

/// The known file systems.
const FORMATS: &[Format] = &[
    // `struct ext4_super_block` at byte 1024: `s_log_block_size`, `s_magic` (fs/ext4/ext4.h). ext2 and ext3 have the same.
    Format {
        kind: "ext",
        mark: (1024 + 56, &[0x53, 0xef]),
        number: (1024 + 24, 4),
        piece: |log| power(log, 10),
    },
    // `struct xfs_dsb`: `sb_magicnum`, `sb_sectsize`, big-endian (fs/xfs/libxfs/xfs_format.h).
    Format { kind: "xfs", mark: (0, b"XFSB"), number: (102, 2), piece: |size| Some(size.swap_bytes() >> 48) },
    // `struct fat_boot_sector`: `sector_size` (include/uapi/linux/msdos_fs.h).
    Format { kind: "vfat", mark: (82, b"FAT32"), number: (11, 2), piece: Some },
    Format { kind: "vfat", mark: (54, b"FAT1"), number: (11, 2), piece: Some },
    // `struct boot_sector`: `fs_name`, `sect_size_bits` (fs/exfat/exfat_raw.h).
    Format { kind: "exfat", mark: (3, b"EXFAT   "), number: (108, 1), piece: |log| power(log, 0) },
    // `struct btrfs_super_block` at 64 KiB: `magic`, `sectorsize` (include/uapi/linux/btrfs_tree.h).
    Format { kind: "btrfs", mark: (65536 + 64, b"_BHRfS_M"), number: (65536 + 144, 4), piece: Some },
    // `struct f2fs_super_block` at byte 1024: `magic`, `log_blocksize` (include/linux/f2fs_fs.h).
    Format {
        kind: "f2fs",
        mark: (1024, &[0x10, 0x20, 0xf5, 0xf2]),
        number: (1024 + 16, 4),
        piece: |log| power(log, 0),
    },
    // `struct erofs_super_block` at byte 1024: `magic`, `blkszbits` (fs/erofs/erofs_fs.h).
    Format {
        kind: "erofs",
        mark: (1024, &[0xe2, 0xe1, 0xf5, 0xe0]),
        number: (1024 + 12, 1),
        piece: |log| power(log, 0),
    },
    // Reads in pieces of `SQUASHFS_DEVBLK_SIZE`, 1024 bytes (fs/squashfs/super.c).
    Format { kind: "squashfs", mark: (0, b"hsqs"), number: (0, 1), piece: |_| Some(1024) },
    // `struct iso_primary_descriptor` at 32 KiB: `id`, `logical_block_size` (include/uapi/linux/iso_fs.h).
    Format { kind: "iso9660", mark: (32768 + 1, b"CD001"), number: (32768 + 128, 2), piece: Some },
];

/// The last bytes of the first page of swap space (`union swap_header` in include/linux/swap.h).
const SWAP_MARK: &[u8] = b"SWAPSPACE2";
/// The sizes that a page may have, in bytes.
const PAGES: [u64; 3] = [4096, 16384, 65536];

/// Reads the piece of a file system. `peek` reads bytes of the device.
pub(super) fn of_file_system(peek: impl Fn(u64, usize) -> Option<Vec<u8>>) -> Piece {
    let is_there = |format: &&Format| {
        let (at, mark) = format.mark;
        peek(at, mark.len()).is_some_and(|bytes| bytes == mark)
    };
    let read = |format: &Format| {
        let (at, length) = format.number;
        let number = peek(at, length)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let bytes = (format.piece)(number).filter(|bytes| bytes.is_power_of_two() && *bytes >= 512);
        Some(bytes.map_or(Piece::Unknown, |bytes| Piece::Known { kind: format.kind, bytes }))
    };
    let found = FORMATS.iter().filter(is_there).map(|format| read(format).unwrap_or(Piece::Unknown));
    found.min_by_key(|piece| piece.bytes()).unwrap_or(Piece::Unknown)
}

/// Reads the piece of swap space: a page.
pub(super) fn of_swap(peek: impl Fn(u64, usize) -> Option<Vec<u8>>) -> Piece {
    let length = SWAP_MARK.len();
    let ends_so = |page: &u64| peek(page - length as u64, length).is_some_and(|bytes| bytes == SWAP_MARK);
    let page = PAGES.into_iter().find(ends_so);
    page.map_or(Piece::Unknown, |bytes| Piece::Known { kind: "swap", bytes })
}

impl Piece {
    /// Returns the size in bytes; 0 for one that is not known.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Known { bytes, .. } => bytes,
            Self::Unknown => 0,
        }
    }
}

/// Returns 2 to the power of `log + more`.
fn power(log: u64, more: u32) -> Option<u64> {
    1u64.checked_shl(u32::try_from(log).ok()?.checked_add(more)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a device of 128 KiB with these bytes, zeros elsewhere.
    fn device(pieces: &'static [(usize, &'static [u8])]) -> impl Fn(u64, usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 128 << 10];
        for (at, piece) in pieces {
            bytes[*at..at + piece.len()].copy_from_slice(piece);
        }
        move |at, length| Some(bytes.get(usize::try_from(at).ok()?..)?.get(..length)?.to_vec())
    }

    fn found(pieces: &'static [(usize, &'static [u8])]) -> (&'static str, u64) {
        match of_file_system(device(pieces)) {
            Piece::Known { kind, bytes } => (kind, bytes),
            Piece::Unknown => ("", 0),
        }
    }

    #[test]
    fn each_file_system_tells_its_piece() {
        assert_eq!(found(&[(1080, &[0x53, 0xef])]), ("ext", 1024));
        assert_eq!(found(&[(1080, &[0x53, 0xef]), (1048, &[2])]), ("ext", 4096));
        assert_eq!(found(&[(0, b"XFSB"), (102, &[2, 0])]), ("xfs", 512));
        assert_eq!(found(&[(0, b"XFSB"), (102, &[0x10, 0])]), ("xfs", 4096));
        assert_eq!(found(&[(82, b"FAT32   "), (11, &[0, 2])]), ("vfat", 512));
        assert_eq!(found(&[(54, b"FAT16   "), (11, &[0, 16])]), ("vfat", 4096));
        assert_eq!(found(&[(3, b"EXFAT   "), (108, &[9])]), ("exfat", 512));
        assert_eq!(found(&[(65600, b"_BHRfS_M"), (65680, &[0, 16])]), ("btrfs", 4096));
        assert_eq!(found(&[(1024, &[0x10, 0x20, 0xf5, 0xf2]), (1040, &[12])]), ("f2fs", 4096));
        assert_eq!(found(&[(1024, &[0xe2, 0xe1, 0xf5, 0xe0]), (1036, &[12])]), ("erofs", 4096));
        assert_eq!(found(&[(0, b"hsqs")]), ("squashfs", 1024));
        assert_eq!(found(&[(32769, b"CD001"), (32896, &[0, 8])]), ("iso9660", 2048));
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        assert_eq!(found(&[]), ("", 0));
        assert_eq!(found(&[(1080, &[0x53, 0xef]), (1048, &[0xff, 0xff, 0xff, 0xff])]), ("", 0));
        assert_eq!(found(&[(0, b"XFSB"), (102, &[0, 3])]), ("", 0));
        // An old mark beside a new one.
        assert_eq!(found(&[(1080, &[0x53, 0xef]), (1048, &[2]), (0, b"XFSB"), (102, &[2, 0])]), ("xfs", 512));
        assert_eq!(of_file_system(|_, _| None), Piece::Unknown);
    }

    #[test]
    fn swap_space_is_used_by_the_page() {
        let page = |at| move |from: u64, _: usize| (from == at).then(|| SWAP_MARK.to_vec());
        assert_eq!(of_swap(page(4086)).bytes(), 4096);
        assert_eq!(of_swap(page(65526)).bytes(), 65536);
        assert_eq!(of_swap(page(100)), Piece::Unknown);
    }
}
