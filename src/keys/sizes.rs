//! The key lengths that a cipher takes.
//!
//! dm-crypt names ciphers in two ways: `cipher[:keycount]-mode-ivmode[:ivopts]`, and `capi:` before a name
//! of the kernel's crypto API. A cipher that is not known here accepts any length, and the kernel decides. Kernel
//! sources: `drivers/md/dm-crypt.c` (`crypt_ctr_cipher_old`, `crypt_ctr_cipher_new`), `crypto/xts.c`, `crypto/lrw.c`,
//! `crypto/authenc.c`.

use std::fmt;

use super::cipher::{Algorithm, Cipher};
use super::digest::digest_size;

/// The key lengths that a cipher takes, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySizes {
    /// The cipher is unknown here: every length is accepted.
    Any,
    /// The lengths that are accepted, shortest first.
    OneOf(Vec<usize>),
}

impl KeySizes {
    /// Returns the lengths for a cipher of dm-crypt; `mac` is `integrity_key_size` in bytes, where it is set.
    pub fn of_cipher(spec: &str, mac: Option<usize>) -> Self {
        let cipher = Cipher::parse(spec);
        let (count, sizes) = match cipher.algorithm {
            // lmk has a key for each of the first 64 sectors, and their count can't be written in this form.
            Algorithm::Api(api) if cipher.iv == Some("lmk") => (Some(64), Self::of_api(api, mac)),
            Algorithm::Api(api) => (Some(1), Self::of_api(api, mac)),
            Algorithm::Legacy { cipher, count, mode } => {
                let count = count.map_or(Some(1), |count| count.parse().ok().filter(|count| *count > 0));
                (count, Self::of_block_cipher(cipher).in_mode(mode))
            }
        };
        let (Some(count), Self::OneOf(sizes)) = (count, sizes) else { return Self::Any };
        let iv = cipher.used_iv();
        let lengths = sizes.iter().flat_map(|size| with_iv_key(*size, count, iv, cipher.iv_size()));
        let Some(mut lengths) = lengths.collect::<Option<Vec<usize>>>() else { return Self::Any };
        lengths.sort_unstable();
        lengths.dedup();
        Self::OneOf(lengths)
    }

    /// Returns the lengths for a cipher of the crypto API, such as `ctr(aes)`.
    pub fn of_api(spec: &str, mac: Option<usize>) -> Self {
        let Some((template, inner)) = spec.strip_suffix(')').and_then(|spec| spec.split_once('(')) else {
            return Self::of_block_cipher(spec);
        };
        match template {
            "authenc" => {}
            "cts" => return Self::of_api(inner, None),
            _ => return Self::of_block_cipher(inner).in_mode(template),
        }
        let Some((hash, cipher)) = split_arguments(inner) else { return Self::Any };
        match mac.or_else(|| digest_size(hash.strip_prefix("hmac(")?.strip_suffix(')')?)) {
            Some(mac) => Self::of_api(cipher, None).map(|size| Some(size + mac)),
            None => Self::Any,
        }
    }

    fn of_block_cipher(name: &str) -> Self {
        Self::OneOf(match name {
            "aes" | "serpent" | "twofish" | "camellia" | "aria" => vec![16, 24, 32],
            "sm4" | "khazad" | "seed" | "tea" | "xtea" | "xeta" => vec![16],
            "anubis" => (16..=40).step_by(4).collect(),
            "cast6" => (16..=32).step_by(4).collect(),
            "des" | "fcrypt" => vec![8],
            "des3_ede" => vec![24],
            "cipher_null" => vec![0],
            _ => return Self::Any,
        })
    }

    fn in_mode(self, mode: &str) -> Self {
        match mode {
            "adiantum" => Self::OneOf(vec![32]),
            "cbc" | "ecb" | "ctr" | "gcm" | "cts" | "pcbc" | "cfb" | "ofb" | "xctr" | "hctr2" => self,
            // Two keys of one length, of 128 or 256 bits: IEEE 1619 defines no others.
            "xts" => self.map(|size| (size != 24).then_some(size * 2)),
            // The tweak is a block long.
            "lrw" => self.map(|size| Some(size + 16)),
            _ => Self::Any,
        }
    }

    fn map(self, to: impl Fn(usize) -> Option<usize>) -> Self {
        match self {
            Self::Any => Self::Any,
            Self::OneOf(sizes) => Self::OneOf(sizes.into_iter().filter_map(to).collect()),
        }
    }

    /// Whether the cipher takes a key of `bytes` bytes, as far as is known here.
    pub fn accepts(&self, bytes: usize) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(sizes) => sizes.contains(&bytes),
        }
    }
}

impl fmt::Display for KeySizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any number of bytes"),
            Self::OneOf(sizes) if sizes == &[0] => f.write_str("no key"),
            Self::OneOf(sizes) => {
                let words: Vec<String> = sizes.iter().map(ToString::to_string).collect();
                match words.split_last() {
                    Some((last, [])) => write!(f, "{last} bytes"),
                    Some((last, others)) => write!(f, "{} or {last} bytes", others.join(", ")),
                    None => f.write_str("no key that is known"),
                }
            }
        }
    }
}

/// The whitening of the IV mode `tcw`, in bytes (`TCW_WHITENING_SIZE`).
const TCW_WHITENING: usize = 16;
/// The keys that the IV mode `elephant` takes for its own cipher, which is AES.
const ELEPHANT_KEYS: [usize; 3] = [16, 24, 32];

/// Returns the lengths of a whole key, in bytes: `count` keys of `size` bytes, and what the IV mode takes beside them
/// (`crypt_ctr_ivmode` in `drivers/md/dm-crypt.c`). `None` in place of a length that is not known.
fn with_iv_key(size: usize, count: usize, iv: Option<&str>, iv_size: Option<usize>) -> Vec<Option<usize>> {
    let Some(keys) = size.checked_mul(count) else { return Vec::new() };
    match iv {
        // One more key, the seed; a length that all keys divide is taken for keys alone.
        Some("lmk") => {
            let seeded = keys.checked_add(size).filter(|length| length % count != 0);
            [Some(keys), seeded].into_iter().flatten().map(Some).collect()
        }
        Some("tcw") => vec![iv_size.map(|iv| keys + iv + TCW_WHITENING)],
        // A half of the key is for the other cipher.
        Some("elephant") => {
            ELEPHANT_KEYS.into_iter().filter(|half| *half == keys).map(|half| Some(half * 2)).collect()
        }
        _ => vec![Some(keys)],
    }
}

/// Splits the two arguments of a template at their comma.
pub(super) fn split_arguments(inner: &str) -> Option<(&str, &str)> {
    let mut depth = 0usize;
    let comma = inner.find(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })?;
    Some((&inner[..comma], &inner[comma + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_cipher_mode_and_count() {
        for (spec, sizes) in [
            ("aes-xts-plain64", "32 or 64 bytes"),
            ("serpent-xts-plain64", "32 or 64 bytes"),
            ("twofish-cbc-essiv:sha256", "16, 24 or 32 bytes"),
            ("aes", "16, 24 or 32 bytes"),
            ("aes-plain", "16, 24 or 32 bytes"),
            ("aes-lrw-benbi", "32, 40 or 48 bytes"),
            ("aes:2-cbc-plain64", "32, 48 or 64 bytes"),
            ("aes:64-cbc-lmk", "1024, 1040, 1536, 1560, 2048 or 2080 bytes"),
            ("capi:cbc(aes)-lmk", "1024, 1040, 1536, 1560, 2048 or 2080 bytes"),
            ("aes-cbc-lmk", "16, 24 or 32 bytes"),
            ("aes:2-cbc-lmk", "32, 48 or 64 bytes"),
            ("aes-cbc-tcw", "48, 56 or 64 bytes"),
            ("aes-xts-tcw", "64 or 96 bytes"),
            ("aes:2-cbc-tcw", "64, 80 or 96 bytes"),
            ("des3_ede-cbc-tcw", "48 bytes"),
            ("capi:cbc(aes)-tcw", "48, 56 or 64 bytes"),
            ("aes-cbc-elephant", "32, 48 or 64 bytes"),
            ("aes-xts-elephant", "64 bytes"),
            ("aes:2-cbc-elephant", "64 bytes"),
            ("aes-ecb-lmk", "16, 24 or 32 bytes"),
            ("unheard-cbc-tcw", "any number of bytes"),
            ("capi:cbc(aes)-essiv:sha3-256", "16, 24 or 32 bytes"),
            ("capi:cts(cbc(aes))-plain64", "16, 24 or 32 bytes"),
            ("cipher_null-ecb", "no key"),
            ("sm4-cbc-plain64", "16 bytes"),
            ("xchacha12,aes-adiantum-plain64", "32 bytes"),
            ("capi:adiantum(xchacha12,aes)-plain64", "32 bytes"),
            ("capi:xts(aes)-plain64", "32 or 64 bytes"),
            ("capi:authenc(hmac(sha256),xts(aes))-random", "64 or 96 bytes"),
            ("capi:authenc(hmac(new),xts(aes))-random", "any number of bytes"),
            ("capi:rfc7539(chacha20,poly1305)-random", "any number of bytes"),
            ("capi:(", "any number of bytes"),
            ("unheard-of-plain", "any number of bytes"),
            ("aes-xts-", "32 or 64 bytes"),
            ("", "any number of bytes"),
        ] {
            assert_eq!(KeySizes::of_cipher(spec, None).to_string(), sizes, "{spec}");
        }
        let mac = KeySizes::of_cipher("capi:authenc(hmac(new),xts(aes))-random", Some(16));
        assert_eq!(mac.to_string(), "48 or 80 bytes");
        assert!(mac.accepts(48) && !mac.accepts(64));
    }
}
