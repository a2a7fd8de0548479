//! The checksum of a block: CRC-32C (Castagnoli, RFC 3720) over all bytes behind the checksum itself, not inverted at its end, and
//! mixed with a number for each kind of block (`dm_bm_checksum` in `drivers/md/persistent-data/dm-block-manager.c`).

use super::block::{Block, le32};

/// The polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What a byte does to the checksum.
static TABLE: [u32; 256] = table();

/// A kind of block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockKind {
    /// `SUPERBLOCK_CSUM_XOR` in `dm-thin-metadata.c`.
    Superblock,
    /// `BTREE_CSUM_XOR` in `dm-btree-spine.c`.
    Node,
}

impl BlockKind {
    const fn mixed(self) -> u32 {
        match self {
            Self::Superblock => 160_774,
            Self::Node => 121_107,
        }
    }

    /// Returns the checksum that a block of this kind must have.
    pub(super) fn checksum(self, block: &Block) -> u32 {
        register(&block[4..]) ^ self.mixed()
    }

    /// Whether a block of this kind has its checksum.
    pub(super) fn is_whole(self, block: &Block) -> bool {
        le32(block, 0) == self.checksum(block)
    }
}

/// Returns the register after these bytes; its inverse is the CRC-32C.
fn register(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |register, byte| {
        let [low, ..] = register.to_le_bytes();
        TABLE[usize::from(low ^ byte)] ^ (register >> 8)
    })
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let (mut byte, mut remainder) = (0, 0u32);
    while byte < table.len() {
        let (mut bits, mut bit) = (remainder, 0);
        while bit < 8 {
            bits = if bits & 1 == 1 { (bits >> 1) ^ POLYNOMIAL } else { bits >> 1 };
            bit += 1;
        }
        table[byte] = bits;
        byte += 1;
        remainder += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 3720, B.4, and the check value of the catalogues.
    #[test]
    fn as_the_standard_has_it() {
        assert_eq!(!register(&[0; 32]), 0x8a91_36aa);
        assert_eq!(!register(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(!register(&std::array::from_fn::<u8, 32, _>(|at| u8::try_from(at).unwrap())), 0x46dd_794e);
        assert_eq!(!register(b"123456789"), 0xe306_9283);
    }
}
