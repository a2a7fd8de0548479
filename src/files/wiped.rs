//! Reads what may hold a key and leaves no copy of it behind: a buffer that grows is wiped where it was.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

/// The room of the first buffer where no size is known, in bytes.
const FIRST: usize = 4096;

/// Reads up to the end, `limit` bytes at most. `size` is the length that is expected: then the buffer does not grow.
pub(crate) fn read_wiped(mut from: impl Read, size: u64, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let room = if size == 0 { FIRST } else { size.saturating_add(1) }.min(limit);
    let mut bytes = Zeroizing::new(vec![0; room]);
    let mut length = 0;
    while length < limit {
        if length == bytes.len() {
            let mut grown = Zeroizing::new(vec![0; length.saturating_mul(2).clamp(1, limit)]);
            grown[..length].copy_from_slice(&bytes);
            bytes = grown;
        }
        match from.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Takes the bytes as text, without a copy of them. The error is the place of the first byte that is not UTF-8.
pub(crate) fn text(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, usize> {
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            drop(Zeroizing::new(error.into_bytes()));
            Err(at)
        }
    }
}

/// Takes what is written to it.
#[derive(Default)]
pub(crate) struct WipedBuffer(Zeroizing<Vec<u8>>);

impl WipedBuffer {
    /// Returns what was written; nothing if that is not text.
    pub(crate) fn text(self) -> Zeroizing<String> {
        text(self.0).unwrap_or_default()
    }
}

impl Write for WipedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.0.len().saturating_add(bytes.len());
        if length > self.0.capacity() {
            let mut grown = Zeroizing::new(Vec::with_capacity(length.saturating_mul(2).max(FIRST)));
            grown.extend_from_slice(&self.0);
            self.0 = grown;
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most three bytes at a time, as a pipe may.
    struct Slow<'t>(&'t [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let room = into.len().min(3);
            self.0.read(&mut into[..room])
        }
    }

    #[test]
    fn all_is_read_up_to_the_limit() {
        let long = vec![7; 10_000];
        for (size, limit) in [(0, u64::MAX), (1, u64::MAX), (10_000, 20_000), (20_000, 10_000), (0, 10_000)] {
            assert_eq!(*read_wiped(Slow(&long), size, limit).unwrap(), long, "{size} {limit}");
        }
        assert_eq!(read_wiped(&long[..], 0, 9_999).unwrap().len(), 9_999);
        assert_eq!(*read_wiped(&b""[..], 0, 5).unwrap(), b"");
        assert_eq!(*text(Zeroizing::new(b"ab".to_vec())).unwrap(), "ab");
        assert_eq!(text(Zeroizing::new(b"ab\xff".to_vec())), Err(2));
    }
    #[test]
    fn what_is_written_is_all_there() {
        let mut buffer = WipedBuffer::default();
        for _ in 0..FIRST {
            buffer.write_all(b"1234").unwrap();
        }
        assert_eq!(*buffer.text(), "1234".repeat(FIRST));
    }
}
