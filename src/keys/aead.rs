//! Ciphers that make a tag as they encrypt (AEAD), how long the tag may be, and the IV that is drawn for a sector.
//!
//! Kernel source: `crypto_aead_setauthsize` in `crypto/aead.c`, and what it calls in `authenc.c`, `gcm.c`, `ccm.c`,
//! `chacha20poly1305.c` and `aegis128-core.c` there.

use std::fmt;

use super::cipher::{Algorithm, Cipher, MODES};
use super::digest::digest_size;
use super::sizes::split_arguments;

/// The lengths of the tag that a cipher makes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagSizes {
    /// It makes none.
    NotAny,
    /// From 1 up to this one.
    UpTo(usize),
    /// One of these.
    OneOf(&'static [usize]),
    /// The cipher is not known here, and the kernel decides.
    Unknown,
}

impl TagSizes {
    /// Returns the lengths for a cipher of dm-crypt.
    pub(crate) fn of_cipher(spec: &str) -> Self {
        match Cipher::parse(spec).algorithm {
            // `crypt_ctr_cipher_old` in `drivers/md/dm-crypt.c` takes no AEAD cipher.
            Algorithm::Legacy { .. } => Self::NotAny,
            Algorithm::Api(api) => Self::of_api(api),
        }
    }

    fn of_api(spec: &str) -> Self {
        let (template, inner) =
            spec.strip_suffix(')').and_then(|spec| spec.split_once('(')).unwrap_or((spec, ""));
        match template {
            "authenc" | "authencesn" => {
                let digest =
                    |(hash, _): (&str, &str)| digest_size(hash.strip_prefix("hmac(")?.strip_suffix(')')?);
                split_arguments(inner).and_then(digest).map_or(Self::Unknown, Self::UpTo)
            }
            "gcm" => Self::OneOf(&[4, 8, 12, 13, 14, 15, 16]),
            "ccm" => Self::OneOf(&[4, 6, 8, 10, 12, 14, 16]),
            "rfc7539" | "rfc7539esp" => Self::OneOf(&[16]),
            "aegis128" => Self::OneOf(&[8, 9, 10, 11, 12, 13, 14, 15, 16]),
            _ if template == "cts" || MODES.contains(&template) => Self::NotAny,
            _ => Self::Unknown,
        }
    }

    /// Whether the cipher makes tags of `bytes` bytes, as far as is known here.
    pub(crate) fn accepts(self, bytes: usize) -> bool {
        match self {
            Self::NotAny => false,
            Self::UpTo(most) => (1..=most).contains(&bytes),
            Self::OneOf(sizes) => sizes.contains(&bytes),
            Self::Unknown => bytes > 0,
        }
    }

    /// Whether the cipher certainly makes tags.
    pub(crate) fn is_aead(self) -> bool {
        matches!(self, Self::UpTo(_) | Self::OneOf(_))
    }

    /// Returns the longest tag, where that is known.
    pub(crate) fn longest(self) -> Option<usize> {
        match self {
            Self::UpTo(most) => Some(most),
            Self::OneOf(sizes) => sizes.last().copied(),
            Self::NotAny | Self::Unknown => None,
        }
    }
}

impl fmt::Display for TagSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAny => f.write_str("no tag"),
            Self::UpTo(most) => write!(f, "1 to {most} bytes"),
            Self::OneOf([only]) => write!(f, "{only} bytes"),
            Self::OneOf(sizes) => {
                let words: Vec<String> = sizes.iter().map(ToString::to_string).collect();
                write!(f, "{} bytes", words.join(", "))
            }
            Self::Unknown => f.write_str("any number of bytes"),
        }
    }
}

/// Returns how many bytes of the tag of a sector are the IV that is drawn for it, with the IV mode `random`
/// (`crypt_ctr_ivmode`); 0 with any other. `None` where that is not known.
pub(crate) fn drawn_iv(spec: &str) -> Option<usize> {
    let cipher = Cipher::parse(spec);
    if cipher.used_iv() != Some("random") {
        return Some(0);
    }
    let Algorithm::Api(api) = cipher.algorithm else { return cipher.iv_size() };
    let (template, inner) = api.strip_suffix(')').and_then(|api| api.split_once('(')).unwrap_or((api, ""));
    match template {
        "gcm" | "rfc7539" => Some(12),
        "ccm" | "aegis128" => Some(16),
        "authenc" => Cipher::parse(&format!("capi:{}", split_arguments(inner)?.1)).iv_size(),
        _ => cipher.iv_size(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_the_authenticator() {
        for (spec, sizes, iv) in [
            ("capi:authenc(hmac(sha256),xts(aes))-random", "1 to 32 bytes", Some(16)),
            ("capi:authenc(hmac(sha256),xts(aes))-plain64", "1 to 32 bytes", Some(0)),
            ("capi:authenc(hmac(sha512),cbc(aes))-essiv:sha256", "1 to 64 bytes", Some(0)),
            ("capi:authenc(cmac(aes),xts(aes))-random", "any number of bytes", Some(16)),
            ("capi:gcm(aes)-random", "4, 8, 12, 13, 14, 15, 16 bytes", Some(12)),
            ("capi:rfc7539(chacha20,poly1305)-random", "16 bytes", Some(12)),
            ("capi:aegis128-random", "8, 9, 10, 11, 12, 13, 14, 15, 16 bytes", Some(16)),
            ("capi:xts(aes)-plain64", "no tag", Some(0)),
            ("capi:unheard(aes)-plain64", "any number of bytes", Some(0)),
            ("aes-xts-random", "no tag", Some(16)),
            ("aes-xts-plain64", "no tag", Some(0)),
        ] {
            assert_eq!(TagSizes::of_cipher(spec).to_string(), sizes, "{spec}");
            assert_eq!(drawn_iv(spec), iv, "{spec}");
        }
    }
}
