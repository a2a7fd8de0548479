//! What a path leads to.

use std::fs::FileType;
use std::os::unix::fs::FileTypeExt;

/// Names the kind of a file; `None` for a regular one.
pub(crate) fn other(file_type: FileType) -> Option<&'static str> {
    Some(if file_type.is_file() {
        return None;
    } else if file_type.is_dir() {
        "a directory"
    } else if file_type.is_fifo() {
        "a FIFO"
    } else if file_type.is_block_device() {
        "a block device"
    } else if file_type.is_char_device() {
        "a character device"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "not a file"
    })
}
