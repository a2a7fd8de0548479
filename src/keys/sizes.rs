//! The key lengths that a cipher takes.
//!
//! dm-crypt names ciphers in two ways: `cipher[:keycount]-mode-ivmode[:ivopts]`, and `capi:` before a name
//! of the kernel's crypto API. A cipher that is not known here accepts any length, and the kernel decides. Kernel
//! sources: `drivers/md/dm-crypt.c` (`crypt_ctr_cipher_old`, `crypt_ctr_cipher_new`), `crypto/xts.c`, `crypto/lrw.c`,
//! `crypto/authenc.c`.

use std::fmt;

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
        match spec.strip_prefix("capi:") {
            Some(api) => Self::of_api(api.rsplit_once('-').map_or(api, |(api, _)| api), mac),
            None => Self::of_legacy(&Legacy::parse(spec)),
        }
    }

    /// Returns the lengths for a cipher of the crypto API, such as `ctr(aes)`.
    pub fn of_api(spec: &str, mac: Option<usize>) -> Self {
        let Some((template, inner)) = spec.strip_suffix(')').and_then(|spec| spec.split_once('(')) else {
            return Self::of_block_cipher(spec);
        };
        if template != "authenc" {
            return Self::of_block_cipher(inner).in_mode(template);
        }
        let Some((hash, cipher)) = split_arguments(inner) else { return Self::Any };
        match mac.or_else(|| digest_size(hash.strip_prefix("hmac(")?.strip_suffix(')')?)) {
            Some(mac) => Self::of_api(cipher, None).map(|size| Some(size + mac)),
            None => Self::Any,
        }
    }

    fn of_legacy(spec: &Legacy<'_>) -> Self {
        // These IV modes take a part of the key.
        if matches!(spec.iv, Some("lmk" | "tcw" | "elephant")) {
            return Self::Any;
        }
        let count = match spec.count.map(str::parse) {
            None => 1,
            Some(Ok(count)) => count,
            Some(Err(_)) => return Self::Any,
        };
        Self::of_block_cipher(spec.cipher).in_mode(spec.mode).map(|size| size.checked_mul(count))
    }

    fn of_block_cipher(name: &str) -> Self {
        Self::OneOf(match name {
            "aes" | "serpent" | "twofish" | "camellia" | "aria" => vec![16, 24, 32],
            "sm4" => vec![16],
            "des3_ede" => vec![24],
            "cipher_null" => vec![0],
            _ => return Self::Any,
        })
    }

    fn in_mode(self, mode: &str) -> Self {
        match mode {
            "cbc" | "ecb" | "ctr" | "gcm" | "cts" => self,
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

/// The parts of `cipher[:keycount]-mode-ivmode[:ivopts]`, split as `crypt_ctr_cipher_old` splits them.
struct Legacy<'a> {
    cipher: &'a str,
    count: Option<&'a str>,
    mode: &'a str,
    iv: Option<&'a str>,
}

impl<'a> Legacy<'a> {
    fn parse(spec: &'a str) -> Self {
        let mut parts = spec.splitn(3, '-');
        let cipher = parts.next().unwrap_or_default();
        let (mode, iv) = (parts.next(), parts.next());
        let (cipher, count) =
            cipher.split_once(':').map_or((cipher, None), |(cipher, count)| (cipher, Some(count)));
        let iv = iv.map(|iv| iv.split_once(':').map_or(iv, |(iv, _)| iv));
        match (mode, iv) {
            // The first kernels with dm-crypt used this mode for a cipher alone.
            (None, _) | (Some("plain"), None) => Self { cipher, count, mode: "cbc", iv: Some("plain") },
            (Some(mode), iv) => Self { cipher, count, mode, iv },
        }
    }
}

/// Checks what dm-crypt checks in the name of a cipher before it asks the crypto API. Returns the problem as a
/// sentence with advice.
pub fn cipher_problem(spec: &str) -> Option<String> {
    if spec.starts_with("capi:") {
        return None;
    }
    if spec.contains('(') {
        return Some(format!("a name of the crypto API needs `capi:` before it: `capi:{spec}`"));
    }
    let parts = Legacy::parse(spec);
    if parts.cipher.is_empty() {
        return Some("the cipher has no name: write one such as `aes-xts-plain64`".to_string());
    }
    let count_is_right =
        |count: &str| count.parse::<u32>().is_ok_and(u32::is_power_of_two) && !count.starts_with('+');
    if let Some(count) = parts.count.filter(|count| !count_is_right(count)) {
        return Some(format!("the number of keys of a cipher must be a power of two, `{count}` is not"));
    }
    if parts.mode != "ecb" && parts.iv.is_none() {
        return Some(format!("the mode `{0}` needs an IV: `{1}-{0}-plain64`", parts.mode, parts.cipher));
    }
    None
}

/// Splits the two arguments of a template at their comma.
fn split_arguments(inner: &str) -> Option<(&str, &str)> {
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

/// Returns the length of the digest of a hash, in bytes.
pub(crate) fn digest_size(hash: &str) -> Option<usize> {
    Some(match hash {
        "crc32" | "crc32c" => 4,
        "xxhash64" => 8,
        "md5" => 16,
        "sha1" | "rmd160" => 20,
        "sha224" | "sha3-224" => 28,
        "sha256" | "sha3-256" | "sm3" | "blake2s-256" => 32,
        "sha384" | "sha3-384" => 48,
        "sha512" | "sha3-512" | "blake2b-512" | "wp512" => 64,
        _ => return None,
    })
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
            ("aes:64-cbc-lmk", "any number of bytes"),
            ("cipher_null-ecb", "no key"),
            ("sm4-cbc-plain64", "16 bytes"),
            ("xchacha12,aes-adiantum-plain64", "any number of bytes"),
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

    #[test]
    fn names_that_no_kernel_takes() {
        for (spec, expected) in [
            ("aes-xts", "needs an IV"),
            ("aes:3-cbc-plain", "power of two"),
            ("aes:0-cbc-plain", "power of two"),
            ("aes:x-cbc-plain", "power of two"),
            ("xts(aes)-plain64", "`capi:xts(aes)-plain64`"),
            ("", "no name"),
        ] {
            let problem = cipher_problem(spec).unwrap_or_default();
            assert!(problem.contains(expected), "{spec}: {problem}");
        }
        for spec in ["aes", "aes-plain", "cipher_null-ecb", "aes:64-cbc-lmk", "capi:xts(aes)-plain64"] {
            assert_eq!(cipher_problem(spec), None, "{spec}");
        }
    }
}
