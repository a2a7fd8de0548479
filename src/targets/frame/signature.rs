//! What the first bytes of a device tell about its content: file systems, labels and metadata that others know it by.

/// A signature: the byte that it begins at, its bytes, and what it is of.
type Signature = (usize, &'static [u8], &'static str);

/// The signatures that are looked for, as util-linux's libblkid has them (`libblkid/src/superblocks/*.c`).
const SIGNATURES: [Signature; 20] = [
    (0, b"LUKS\xba\xbe", "the LUKS volume"),
    (0, b"SKUL\xba\xbe", "the LUKS volume"),
    (0, b"XFSB", "the xfs file system"),
    (1080, b"\x53\xef", "the ext file system"),
    (1024, b"\x10\x20\xf5\xf2", "the f2fs file system"),
    (1024, b"\xe2\xe1\xf5\xe0", "the erofs file system"),
    (0, b"hsqs", "the squashfs file system"),
    (3, b"NTFS    ", "the ntfs file system"),
    (3, b"EXFAT   ", "the exfat file system"),
    (54, b"FAT1", "the fat file system"),
    (82, b"FAT32   ", "the fat file system"),
    (4086, b"SWAPSPACE2", "the swap area"),
    (0, b"LABELONE", "the physical volume of LVM"),
    (512, b"LABELONE", "the physical volume of LVM"),
    (1024, b"LABELONE", "the physical volume of LVM"),
    (1536, b"LABELONE", "the physical volume of LVM"),
    (512, b"EFI PART", "the partition table"),
    (0, b"\xfc\x4e\x2b\xa9", "the member of an md array"),
    (0, b"integrt\0", "the integrity metadata"),
    (0, b"verity\0\0", "the verity metadata"),
];

/// How many bytes are looked at.
pub(crate) const HEAD: usize = 4096;

/// Returns what the first bytes of a device are of; `None` for zeros, ciphertext, and all that has no signature here.
pub(crate) fn content(head: &[u8]) -> Option<&'static str> {
    let is_at = |(at, magic, _): &&Signature| head.get(*at..).is_some_and(|rest| rest.starts_with(magic));
    SIGNATURES.iter().find(is_at).map(|(.., content)| *content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_known_by_its_signature() {
        let mut head = vec![0; HEAD];
        assert_eq!(content(&head), None);
        head[1080..1082].copy_from_slice(&[0x53, 0xef]);
        assert_eq!(content(&head), Some("the ext file system"));
        assert_eq!(content(&[0xff; HEAD]), None);
        assert_eq!(content(b"LABEL"), None);
        let mut head = vec![0; HEAD];
        head[4086..].copy_from_slice(b"SWAPSPACE2");
        assert_eq!(content(&head), Some("the swap area"));
    }
}
