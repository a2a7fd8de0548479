//! The name of a cipher of dm-crypt: its parts, and which of them Linux knows.
//!
//! dm-crypt takes two forms: `cipher[:keycount]-mode-ivmode[:ivopts]`, and `capi:` before a name of the kernel's crypto
//! API, with `-ivmode[:ivopts]` behind it. The list of IV modes is a part of dm-crypt itself; ciphers and chain modes
//! are modules of the crypto API, of which a kernel may have others than are known here. Kernel source:
//! `crypt_ctr_cipher_old`, `crypt_ctr_cipher_new` and `crypt_ctr_ivmode` in `drivers/md/dm-crypt.c`; `crypto/*.c` for
//! the names.

use super::digest::{DIGESTS, digest_size};
use crate::mistake::Mistake;
use crate::nearest::nearest;

/// The IV modes, which are compared letter by letter (`crypt_ctr_ivmode`).
const IV_MODES: [&str; 11] =
    ["plain64", "plain64be", "plain", "essiv", "benbi", "null", "eboiv", "elephant", "lmk", "tcw", "random"];

/// Block ciphers that Linux has or had, and their blocks in bytes.
const CIPHERS: [(&str, usize); 20] = [
    ("aes", 16),
    ("anubis", 16),
    ("aria", 16),
    ("blowfish", 8),
    ("camellia", 16),
    ("cast5", 8),
    ("cast6", 16),
    ("cipher_null", 1),
    ("des", 8),
    ("des3_ede", 8),
    ("fcrypt", 8),
    ("khazad", 8),
    ("seed", 16),
    ("serpent", 16),
    ("sm4", 16),
    ("tea", 8),
    ("tnepres", 16),
    ("twofish", 16),
    ("xeta", 8),
    ("xtea", 8),
];

/// Templates of the crypto API that make a cipher of a block cipher.
pub(super) const MODES: [&str; 11] =
    ["cbc", "ecb", "ctr", "xts", "lrw", "pcbc", "cfb", "ofb", "hctr2", "xctr", "adiantum"];

/// Other names of the crypto API that stand in the name of a cipher: templates, stream ciphers and authenticators.
const OTHER_NAMES: [&str; 27] = [
    "aegis128",
    "aegis128l",
    "aegis256",
    "arc4",
    "authenc",
    "authencesn",
    "ccm",
    "chacha20",
    "cmac",
    "cryptd",
    "cts",
    "echainiv",
    "essiv",
    "gcm",
    "hmac",
    "morus1280",
    "morus640",
    "nhpoly1305",
    "poly1305",
    "rfc7539",
    "rfc7539esp",
    "salsa20",
    "seqiv",
    "xcbc",
    "xchacha12",
    "xchacha20",
    "vmac64",
];

/// The name of a cipher, split as dm-crypt splits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cipher<'a> {
    /// The cipher and its chain mode.
    pub algorithm: Algorithm<'a>,
    /// The IV mode.
    pub iv: Option<&'a str>,
    /// The options of the IV mode: the hash of `essiv`.
    pub iv_options: Option<&'a str>,
}

/// The cipher without its IV mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm<'a> {
    /// `cipher[:keycount]-mode`
    Legacy {
        cipher: &'a str,
        /// The number of keys, as written.
        count: Option<&'a str>,
        mode: &'a str,
    },
    /// A name of the crypto API.
    Api(&'a str),
}

impl<'a> Cipher<'a> {
    /// Splits `spec`.
    pub(super) fn parse(spec: &'a str) -> Self {
        match spec.strip_prefix("capi:") {
            Some(api) => Self::of_api(api),
            None => Self::of_legacy(spec),
        }
    }

    fn of_api(spec: &'a str) -> Self {
        let behind = |text: &'a str, border: char| match text.rsplit_once(border) {
            Some((before, behind)) => (before, Some(behind)),
            None => (text, None),
        };
        let (spec, iv_options) = behind(spec, ':');
        let (api, iv) = behind(spec, '-');
        Self { algorithm: Algorithm::Api(api), iv, iv_options }
    }

    fn of_legacy(spec: &'a str) -> Self {
        let mut parts = spec.splitn(3, '-');
        let cipher = parts.next().unwrap_or_default();
        let (mode, iv) = (parts.next(), parts.next());
        let (cipher, count) =
            cipher.split_once(':').map_or((cipher, None), |(cipher, count)| (cipher, Some(count)));
        let (iv, iv_options) = match iv.map(|iv| iv.split_once(':').ok_or(iv)) {
            None => (None, None),
            Some(Ok((iv, options))) => (Some(iv), Some(options)),
            Some(Err(iv)) => (Some(iv), None),
        };
        match (mode, iv) {
            // The first kernels with dm-crypt used this mode for a cipher alone.
            (None, _) | (Some("plain"), None) => {
                let algorithm = Algorithm::Legacy { cipher, count, mode: "cbc" };
                Self { algorithm, iv: Some("plain"), iv_options: None }
            }
            (Some(mode), iv) => Self { algorithm: Algorithm::Legacy { cipher, count, mode }, iv, iv_options },
        }
    }

    /// Returns the IV mode that is used: ciphers without an IV pass over the one that is written.
    pub(super) fn used_iv(&self) -> Option<&'a str> {
        self.iv.filter(|_| self.iv_size() != Some(0))
    }

    /// Returns the length of the IV in bytes, `0` where the cipher takes none; `None` where it is not known.
    pub(super) fn iv_size(&self) -> Option<usize> {
        let (mode, inner) = match self.algorithm {
            Algorithm::Legacy { cipher, mode, .. } => (mode, cipher),
            Algorithm::Api(api) => api.strip_suffix(')')?.split_once('(')?,
        };
        match mode {
            "ecb" => Some(0),
            "ctr" | "xts" | "lrw" | "xctr" => Some(16),
            "hctr2" | "adiantum" => Some(32),
            _ if inner == "cipher_null" => Some(0),
            "cbc" | "pcbc" | "cfb" | "ofb" => block_size(inner).map(|block| block.max(8)),
            _ => None,
        }
    }

    /// Lists the names in it that the crypto API looks up, each with those that it may have meant.
    fn names(&self) -> Vec<(&'static str, &'a str)> {
        let mut names = match self.algorithm {
            Algorithm::Legacy { cipher, mode, .. } => {
                let ciphers = cipher.split(',').map(|name| (CIPHER, name));
                ciphers.chain([(MODE, mode)]).collect()
            }
            Algorithm::Api(api) => {
                let words = api.split(['(', ')', ',']).filter(|word| !word.is_empty());
                words.map(|word| (API_NAME, word)).collect::<Vec<_>>()
            }
        };
        if self.iv == Some("essiv") {
            names.extend(self.iv_options.map(|hash| (HASH, hash)));
        }
        names
    }
}

/// The kinds of names, in words.
const CIPHER: &str = "cipher";
const MODE: &str = "chain mode";
const API_NAME: &str = "name of the crypto API";
const HASH: &str = "hash";

fn block_size(cipher: &str) -> Option<usize> {
    CIPHERS.iter().find(|(name, _)| *name == cipher).map(|(_, block)| *block)
}

/// A name that no Linux is known to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownName<'a> {
    /// The kind of name, in words.
    pub kind: &'static str,
    /// The name.
    pub name: &'a str,
    /// The known name that is closest.
    pub nearest: Option<&'static str>,
}

/// Returns the first name in the cipher `spec` that no Linux is known to have. A kernel may have it all the same, from
/// a module of its own.
pub(crate) fn unknown_name(spec: &str) -> Option<UnknownName<'_>> {
    let ciphers = || CIPHERS.iter().map(|(name, _)| *name);
    let mut names = Cipher::parse(spec).names().into_iter();
    names.find_map(|(kind, name)| {
        let all: Vec<&'static str> = match kind {
            MODE => MODES.to_vec(),
            HASH => DIGESTS.iter().map(|(name, _)| *name).collect(),
            CIPHER => ciphers().chain(OTHER_NAMES).collect(),
            _ => ciphers().chain(OTHER_NAMES).chain(MODES).collect(),
        };
        let known = all.contains(&name) || (kind != MODE && digest_size(name).is_some());
        // The name of one implementation, such as `xts-aes-aesni` or `aes-generic`.
        let driver = kind == API_NAME && name.contains('-');
        (!known && !driver).then(|| UnknownName { kind, name, nearest: nearest(name, all) })
    })
}

/// Checks what dm-crypt checks in the name of a cipher before it asks the crypto API.
pub fn cipher_problem(spec: &str) -> Option<Mistake> {
    if !spec.starts_with("capi:") && spec.contains('(') {
        return Some(format!("a name of the crypto API needs `capi:` before it: `capi:{spec}`").into());
    }
    let cipher = Cipher::parse(spec);
    if let Algorithm::Legacy { cipher: name, count, mode } = cipher.algorithm {
        if name.is_empty() {
            return Some("the cipher has no name: write one such as `aes-xts-plain64`".into());
        }
        let is_right =
            |count: &str| count.parse::<u32>().is_ok_and(u32::is_power_of_two) && !count.starts_with('+');
        if let Some(count) = count.filter(|count| !is_right(count)) {
            return Some(
                format!("the number of keys of a cipher must be a power of two, `{count}` is not").into(),
            );
        }
        if mode != "ecb" && cipher.iv.is_none() {
            return Some(format!("the mode `{mode}` needs an IV: `{name}-{mode}-plain64`").into());
        }
        // A chain mode that is a slip of the pen is not a module of that kernel alone.
        if let Some(meant) = nearest(mode, MODES).filter(|_| !MODES.contains(&mode)) {
            let mistake = Mistake::new(format!("`{mode}` is not a chain mode of Linux"));
            return Some(mistake.advice(format!("the nearest is `{meant}`")));
        }
    }
    iv_problem(spec, &cipher)
}

/// Checks the IV mode of a cipher.
fn iv_problem(spec: &str, cipher: &Cipher<'_>) -> Option<Mistake> {
    if cipher.iv == Some("essiv") && cipher.iv_options.is_none_or(str::is_empty) {
        let spec = spec.trim_end_matches(':');
        return Some(format!("the IV mode `essiv` needs a hash: `{spec}:sha256`").into());
    }
    let iv = cipher.used_iv()?;
    if IV_MODES.contains(&iv) {
        return None;
    }
    let advice = match nearest(iv, IV_MODES) {
        Some(meant) => format!("the nearest is `{meant}`"),
        None => format!("there are {}", IV_MODES.join(", ")),
    };
    Some(Mistake::new(format!("`{iv}` is not an IV mode of dm-crypt")).advice(advice))
}

/// Returns the IV mode of a cipher, where the cipher uses it.
pub(crate) fn iv_mode(spec: &str) -> Option<&str> {
    Cipher::parse(spec).used_iv()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_kernel_takes() {
        for (spec, expected) in [
            ("aes-xts", "needs an IV"),
            ("aes:3-cbc-plain", "power of two"),
            ("aes:0-cbc-plain", "power of two"),
            ("aes:x-cbc-plain", "power of two"),
            ("xts(aes)-plain64", "`capi:xts(aes)-plain64`"),
            ("", "no name"),
            ("aes-xts-", "`` is not an IV mode"),
            ("aes-xts-plain46", "the nearest is `plain64`"),
            ("aes-xts-PLAIN64", "the nearest is `plain64`"),
            ("aes-cbc-esiv:sha256", "the nearest is `essiv`"),
            ("aes-cbc-xyz", "there are plain64, plain64be, plain"),
            ("capi:xts(aes)-plain46", "the nearest is `plain64`"),
            ("capi:cbc(aes)-essv:sha256", "the nearest is `essiv`"),
            ("aes-cbc-essiv", "`aes-cbc-essiv:sha256`"),
            ("capi:cbc(aes)-essiv:", "`capi:cbc(aes)-essiv:sha256`"),
            ("aes-cbcc-plain64", "the nearest is `cbc`"),
        ] {
            let problem = cipher_problem(spec).map(|mistake| mistake.to_string()).unwrap_or_default();
            assert!(problem.contains(expected), "{spec}: {problem}");
        }
        for spec in [
            "aes",
            "aes-plain",
            "cipher_null-ecb",
            "aes:64-cbc-lmk",
            "capi:xts(aes)-plain64",
            "capi:xts(aes)",
            // No IV, so the mode is passed over.
            "aes-ecb-plain46",
            "capi:ecb(aes)-foo",
            "cipher_null-cbc-foo",
            "aes-cbc-essiv:sha3-256",
            "capi:cbc(aes)-essiv:sha3-256",
            "capi:authenc(hmac(sha256),xts(aes))-random",
            "xchacha12,aes-adiantum-plain64",
            "aes-newmode-plain64",
        ] {
            assert_eq!(cipher_problem(spec), None, "{spec}");
        }
    }

    #[test]
    fn names_that_no_linux_has() {
        let unknown = |spec| unknown_name(spec).map(|unknown| (unknown.name, unknown.nearest));
        for (spec, name, meant) in [
            ("aess-xts-plain64", "aess", Some("aes")),
            ("serpnt-xts-plain64", "serpnt", Some("serpent")),
            ("aes-newmode-plain64", "newmode", None),
            ("aes-cbc-essiv:sha265", "sha265", Some("sha256")),
            ("capi:xtss(aes)-plain64", "xtss", Some("xts")),
            ("capi:xts(aess)-plain64", "aess", Some("aes")),
            ("capi:authenc(hmac(sha265),xts(aes))-random", "sha265", None),
        ] {
            assert_eq!(unknown(spec).map(|(name, _)| name), Some(name), "{spec}");
            if meant.is_some() {
                assert_eq!(unknown(spec).and_then(|(_, nearest)| nearest), meant, "{spec}");
            }
        }
        for spec in [
            "aes",
            "aes-xts-plain64",
            "xchacha12,aes-adiantum-plain64",
            "capi:adiantum(xchacha20,aes)-plain64",
            "capi:authenc(hmac(sha256),xts(aes))-random",
            "capi:rfc7539(chacha20,poly1305)-random",
            "capi:cts(cbc(aes))-plain64",
            "capi:xts(ecb(aes-generic))-plain64",
            "cipher_null-ecb",
            "aes-cbc-essiv:rmd160",
        ] {
            assert_eq!(unknown_name(spec), None, "{spec}");
        }
    }
}
