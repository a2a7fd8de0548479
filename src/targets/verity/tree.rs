//! The size of the tree of hashes.

/// Returns how many blocks of `block` bytes the tree over `data` blocks has, with hashes of `digest` bytes; `None`
/// where a block has no room for two of them.
///
/// As the kernel computes it: a block holds as many hashes as the largest power of two that fits, and levels
/// are added until one block covers all (`verity_ctr`).
pub(super) fn blocks(data: u64, block: u64, digest: u64) -> Option<u64> {
    let bits = block.checked_div(digest)?.checked_ilog2().filter(|bits| *bits > 0)?;
    let mut level = data;
    let mut total = 0u64;
    while level > 1 {
        level = level.div_ceil(1 << bits);
        total = total.checked_add(level)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn levels_add_up() {
        // 128 hashes of sha256 in a block of 4096 bytes.
        assert_eq!(blocks(1, 4096, 32), Some(0));
        assert_eq!(blocks(128, 4096, 32), Some(1));
        assert_eq!(blocks(129, 4096, 32), Some(2 + 1));
        assert_eq!(blocks(256, 4096, 32), Some(2 + 1));
        assert_eq!(blocks(262_144, 4096, 32), Some(2048 + 16 + 1));
        // sha1 leaves room unused: 204 fit, 128 are kept.
        assert_eq!(blocks(256, 4096, 20), Some(2 + 1));
        assert_eq!(blocks(u64::MAX, 512, 32).map(|blocks| blocks > 1 << 59), Some(true));
        for (block, digest) in [(0, 32), (4096, 0), (32, 32), (16, 32)] {
            assert_eq!(blocks(256, block, digest), None);
        }
    }
}
