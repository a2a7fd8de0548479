//! Tags that a crypt keeps on an integrity below: which pairs the model refuses, with the words of Linux 6.1.

use dmctl::kernel::ChangeKernel;
use nix::errno::Errno;

use super::{kernel, load, make, name};

const CIPHER: &str = "capi:authenc(hmac(sha256),xts(aes))";

#[test]
fn tags_must_be_those_of_the_device_below() {
    let kernel = kernel();
    make(&kernel, "i48", "0 8192 integrity /dev/ram0 0 48 J 0").unwrap();
    make(&kernel, "i16", "0 8192 integrity /dev/ram1 0 16 J 0").unwrap();
    make(&kernel, "half", "0 4096 linear 254:0 0\n4096 4096 linear /dev/ram2 0").unwrap();
    make(&kernel, "differ", "0 4096 linear 254:0 4096\n4096 4096 linear 254:1 0").unwrap();
    make(&kernel, "over", "0 4096 linear 254:0 0").unwrap();
    kernel.create(&name("c"), None).unwrap();
    let key = "11".repeat(96);
    for (tail, log) in [
        (format!("{CIPHER}-random {key} 0 254:0 0 1 integrity:48:aead"), ""),
        (format!("{CIPHER}-random {key} 0 254:4 0 1 integrity:48:aead"), ""),
        (
            format!("{CIPHER}-random {key} 0 /dev/ram2 8192 1 integrity:48:aead"),
            "Integrity profile not supported.",
        ),
        (format!("{CIPHER}-random {key} 0 254:2 0 1 integrity:48:aead"), "Integrity profile not supported."),
        (format!("{CIPHER}-random {key} 0 254:3 0 1 integrity:48:aead"), "Integrity profile not supported."),
        (
            format!("{CIPHER}-random {key} 0 254:1 0 1 integrity:48:aead"),
            "Integrity profile tag size mismatch.",
        ),
        (
            format!("{CIPHER}-random {key} 0 254:0 0 1 integrity:32:aead"),
            "Integrity profile tag size mismatch.",
        ),
        (
            format!("{CIPHER}-random {key} 0 254:0 0 2 integrity:48:aead sector_size:4096"),
            "Integrity profile sector size mismatch.",
        ),
        (format!("{CIPHER}-plain64 {key} 0 254:0 0 1 integrity:48:aead"), "does not fit"),
        (format!("{CIPHER}-plain64 {key} 0 254:0 0 0"), "makes a tag"),
        (format!("aes-xts-random {} 0 254:1 0 1 integrity:16:none", &key[..128]), ""),
        (
            format!("aes-xts-random {} 0 254:0 0 1 integrity:48:none", &key[..128]),
            "Not enough space for integrity tag in the profile.",
        ),
        (format!("aes-xts-plain64 {} 0 254:0 0 1 integrity:48:aead", &key[..128]), "makes no tag"),
    ] {
        match load(&kernel, "c", &format!("0 1024 crypt {tail}")) {
            Ok(()) => assert_eq!(log, "", "{tail}"),
            Err(error) => {
                assert_eq!(error.errno(), Some(Errno::EINVAL), "{tail}");
                assert!(!log.is_empty() && error.to_string().contains(log), "{tail}: {error}");
            }
        }
    }
}
