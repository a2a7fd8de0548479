//! What the kernel would refuse of a `verity`, or take and make nothing of.

use super::super::Problems;
use super::Verity;
use crate::keys::digest_size;
use crate::units::{MAX_BYTES, SECTOR};

/// The largest block of data, in bytes: a page of memory.
const PAGE: u64 = if cfg!(target_arch = "x86_64") { 4096 } else { 65536 };

impl Verity {
    pub(super) fn check_all(&self, length: Option<u64>, problems: &mut Problems) {
        problems.range("version", self.version.into(), 0, 1);
        problems.power_of_two("data.block_size", self.data.block_size.0, SECTOR, PAGE);
        problems.power_of_two("hash.block_size", self.hash.block_size.0, SECTOR, 1 << 30);
        self.check_digests(problems);
        self.check_blocks(length, problems);
        self.check_fec(problems);
        if let Some(description) = &self.root_hash_sig_key_desc {
            problems.word("root_hash_sig_key_desc", description);
        }
    }

    fn check_digests(&self, problems: &mut Problems) {
        problems.word("algorithm", &self.algorithm);
        let hex = |text: &str| {
            !text.is_empty() && text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit())
        };
        if !hex(&self.root_hash) {
            problems.at("root_hash", "root_hash must be hex, two digits a byte");
        } else if let Some(bytes) =
            digest_size(&self.algorithm).filter(|bytes| bytes * 2 != self.root_hash.len())
        {
            problems.at(
                "root_hash",
                format!(
                    "root_hash has {} digits, a hash of {} has {}",
                    self.root_hash.len(),
                    self.algorithm,
                    bytes * 2
                ),
            );
        } else if self.digest() * 2 > self.hash.block_size.0 {
            problems.at("hash.block_size", "a block of hashes must have room for two of them");
        }
        let salt = self.salt();
        if salt != "-" && !hex(&salt) {
            let message = "salt must be hex, two digits a byte";
            problems.at("salt", message).help("leave it out if there is no salt");
        }
    }

    fn check_blocks(&self, length: Option<u64>, problems: &mut Problems) {
        let step = self.step();
        let most = (MAX_BYTES / SECTOR / step).max(1);
        if let Some(blocks) = self.data.blocks {
            problems.range("data.blocks", blocks, 1, most);
            if self.check_at_most_once && blocks > i32::MAX as u64 {
                problems.at(
                    "check_at_most_once",
                    format!("check_at_most_once can keep track of {} blocks, these are {blocks}", i32::MAX),
                );
            }
        }
        self.check_start(problems);
        let Some(length) = length else { return };
        let covered = self.data.blocks.map_or(u64::MAX, |blocks| blocks.saturating_mul(step));
        if length > covered {
            problems.at(
                "length",
                format!("length must not be past the {covered} sectors that data.blocks covers, {length} is"),
            );
        } else {
            problems.whole_blocks(length, step, "data.block_size");
        }
    }

    fn check_start(&self, problems: &mut Problems) {
        let block = self.hash.block_size.0.max(1);
        problems.range("hash.start", self.hash.start, 0, MAX_BYTES / block);
        // On one device, the kernel would take a tree inside the data, and nothing would check.
        let Some(blocks) = self.data.blocks.filter(|_| self.data.device == self.hash.device) else { return };
        let first = blocks.saturating_mul(self.data.block_size.0).div_ceil(block);
        if self.hash.start < first {
            problems.at(
                "hash.start",
                format!(
                    "hash.start must be behind the data, which is on the same device: block {first} or later, {} is not",
                    self.hash.start
                ),
            );
        }
    }

    fn check_fec(&self, problems: &mut Problems) {
        let Some(fec) = &self.fec else { return };
        problems.range("fec.roots", fec.roots.into(), 2, 24);
        if self.data.block_size != self.hash.block_size {
            problems.at("fec", "error correction needs the same block_size for data and hash");
        }
        let covered = self.data.blocks.zip(self.hash_blocks()).map(|(data, hash)| data.saturating_add(hash));
        if let Some(covered) = covered.filter(|covered| fec.blocks < *covered) {
            let message = format!("fec.blocks must cover data and hashes, {covered} blocks at least");
            problems.at("fec.blocks", message).help(format!("{} does not", fec.blocks));
        }
    }
}
