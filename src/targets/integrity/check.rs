//! What the kernel would refuse of an `integrity`.

use super::super::Problems;
use super::{Integrity, Mode};
use crate::units::SECTOR;

impl Integrity {
    pub(super) fn check_all(&self, length: Option<u64>, problems: &mut Problems) {
        self.check_sizes(length, problems);
        self.check_hash(problems);
        self.check_inline(problems);
        for (field, algorithm) in self.algorithms() {
            if let Some(algorithm) = algorithm {
                algorithm.check(field, field == "journal_crypt", problems);
            }
        }
    }

    fn check_sizes(&self, length: Option<u64>, problems: &mut Problems) {
        if let Some(size) = self.tag_size {
            problems.range("tag_size", size.into(), 1, 255);
        }
        if let Some(size) = self.block_size {
            problems.power_of_two("block_size", size.0, SECTOR, 4096);
        }
        Self::OPTIONS.check(self, problems);
        if let Some(length) = length {
            problems.whole_blocks(length, self.sectors_per_block(), "block_size");
        }
    }

    fn check_hash(&self, problems: &mut Problems) {
        if self.internal_hash.is_some() {
            return;
        }
        for (field, set, why) in [
            (
                "tag_size",
                self.tag_size.is_none(),
                "tag_size must be given when there is no internal_hash to tell it",
            ),
            (
                "mode",
                self.mode == Mode::Bitmap,
                "bitmap mode needs an internal_hash, from which tags are recalculated",
            ),
            ("mode", self.mode == Mode::Inline, "inline mode needs an internal_hash"),
            ("allow_discards", self.allow_discards, "allow_discards needs an internal_hash"),
            ("recalculate", self.recalculate, "recalculate needs an internal_hash to make tags with"),
            (
                "reset_recalculate",
                self.reset_recalculate,
                "reset_recalculate needs an internal_hash to make tags with",
            ),
        ] {
            if set {
                problems.at(field, why);
            }
        }
    }

    fn check_inline(&self, problems: &mut Problems) {
        if self.mode != Mode::Inline {
            return;
        }
        for (field, set) in [
            ("meta_device", self.meta_device.is_some()),
            ("journal_crypt", self.journal_crypt.is_some()),
            ("journal_mac", self.journal_mac.is_some()),
            ("allow_discards", self.allow_discards),
        ] {
            if set {
                problems.at(
                    field,
                    format!("{field} can't go with inline mode: the disk keeps the tags, without a journal"),
                );
            }
        }
    }
}
