//! How a wanted `verity` differs from a live one: by what it reads, or by what it does about an error.

use super::super::{Differences, Effect, FieldValue, Unit};
use super::Verity;

/// What a field of the tree means for the data.
const OTHER_TREE: &str = "blocks are checked against another tree, and read as errors where it doesn't fit";

pub(super) fn compare(wanted: &Verity, live: &Verity, differences: &mut Differences) {
    tree("version", &wanted.version, &live.version, differences);
    tree("data.block_size", &wanted.data.block_size, &live.data.block_size, differences);
    tree("hash.block_size", &wanted.hash.block_size, &live.hash.block_size, differences);
    if let (Some(wanted), Some(live)) = (&wanted.data.blocks, &live.data.blocks) {
        tree("data.blocks", &Unit::Blocks.of(*wanted), &Unit::Blocks.of(*live), differences);
    }
    let start = |of: &Verity| Unit::Blocks.of(of.hash.start);
    tree("hash.start", &start(wanted), &start(live), differences);
    tree("algorithm", &wanted.algorithm, &live.algorithm, differences);
    let root = |of: &Verity| of.root_hash.to_ascii_lowercase();
    tree("root_hash", &root(wanted), &root(live), differences);
    tree("salt", &wanted.salt(), &live.salt(), differences);
    differences.field("data.device", &wanted.data.device, &live.data.device, Effect::Remap);
    differences.field("hash.device", &wanted.hash.device, &live.hash.device, Effect::Remap);
    Verity::OPTIONS.compare(wanted, live, differences);
}

/// Compares a field that makes the tree another one.
fn tree<T: PartialEq + FieldValue>(field: &str, wanted: &T, live: &T, differences: &mut Differences) {
    differences.field_with_reason(field, wanted, live, Effect::Remap, OTHER_TREE);
}
