//! The law of the metadata of a thin pool: whatever bytes a disk has, the volumes are told in order, or it is told why not.

use super::text::is_plain;
use crate::thin_metadata::written::Written;
use crate::thin_metadata::{BLOCK, PoolContent, Unreadable};

/// Holds the bytes of a disk to the law, as they are and with right checksums.
pub(super) fn hold(input: &[u8]) {
    let disk = Written::of(input);
    check(disk.read(), disk.blocks.len());
    let sealed = disk.sealed();
    check(sealed.read(), sealed.blocks.len());
}

fn check(outcome: Result<PoolContent, Unreadable>, blocks: usize) {
    match outcome {
        Ok(content) => {
            assert!(content.volumes.is_sorted_by(|one, two| one.id < two.id), "volumes out of order");
            assert!(content.volumes.len() <= blocks * BLOCK / 32, "more volumes than there is room for");
            assert!(content.volumes.iter().all(|volume| volume.id < 1 << 24), "an id that no volume has");
        }
        Err(why) => {
            is_plain("why metadata can't be read", &why.to_string());
            assert_ne!(why, Unreadable::Changing, "a disk that does not change");
        }
    }
}
