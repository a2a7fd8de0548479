//! The hashes of the kernel that dmctl knows, and the lengths of their digests. Kernel source: `crypto/*.c`.

/// Hashes, and the lengths of their digests in bytes.
pub(super) const DIGESTS: [(&str, usize); 21] = [
    ("crc32", 4),
    ("crc32c", 4),
    ("xxhash64", 8),
    ("md5", 16),
    ("sha1", 20),
    ("rmd160", 20),
    ("sha224", 28),
    ("sha3-224", 28),
    ("sha256", 32),
    ("sha3-256", 32),
    ("sm3", 32),
    ("blake2s-256", 32),
    ("sha384", 48),
    ("sha3-384", 48),
    ("sha512", 64),
    ("sha3-512", 64),
    ("blake2b-512", 64),
    ("wp512", 64),
    ("md4", 16),
    ("streebog256", 32),
    ("streebog512", 64),
];

/// Returns the length of the digest of a hash, in bytes.
pub(crate) fn digest_size(hash: &str) -> Option<usize> {
    DIGESTS.iter().find(|(name, _)| *name == hash).map(|(_, size)| *size)
}
