//! Bytes that may hold a key. They are wiped in one call: `Zeroizing` wipes a vector byte by byte, which for all
//! buffers of an apply takes longer than everything else that is done with them.

use std::ops::{Deref, DerefMut};

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes that are wiped when they are dropped. They must not grow beyond their capacity: that would leave a copy.
#[derive(Clone)]
pub(super) struct ZeroizingBuf(Vec<u8>);

impl ZeroizingBuf {
    /// Creates `count` zero bytes.
    pub(crate) fn zeroes(count: usize) -> Self {
        Self(vec![0; count])
    }
}

impl From<Vec<u8>> for ZeroizingBuf {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for ZeroizingBuf {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for ZeroizingBuf {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Zeroize for ZeroizingBuf {
    fn zeroize(&mut self) {
        self.0.as_mut_slice().zeroize();
        self.0.spare_capacity_mut().zeroize();
    }
}

impl Drop for ZeroizingBuf {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for ZeroizingBuf {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_is_wiped() {
        let mut bytes = ZeroizingBuf::from(b"a key".to_vec());
        bytes.zeroize();
        assert_eq!(**bytes, [0; 5]);
    }
}
