//! Tells who could have written a file, and who could have read it.
//!
//! A map decides what root's kernel does, and a key file decides who reads a disk. Both are believed only
//! as far as the permissions of the file go.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use thiserror::Error;

use crate::identity::printable;

/// One way in which a file is open to others.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Laxness {
    /// Its group or everyone may write to the file.
    #[error(
        "`{}` is writable by users other than its owner (mode {mode:04o}), who could decide what dmctl does; run `chmod go-w`",
        printable(.path)
    )]
    Writable {
        /// The file or directory.
        path: String,
        /// The permissions of the file.
        mode: u32,
    },
    /// The owner of the file is neither root nor the reading user.
    #[error("`{}` belongs to user {owner}: its owner decides what dmctl does; run `chown`", printable(.path))]
    Foreign {
        /// The file or directory.
        path: String,
        /// The user number of the owner.
        owner: u32,
    },
    /// The file holds a key, and its group or everyone may read it.
    #[error(
        "`{}` holds a key and is readable by users other than its owner (mode {mode:04o}); run `chmod go-rwx`",
        printable(.path)
    )]
    Readable {
        path: String,
        /// The permissions of the file.
        mode: u32,
    },
}

/// The owner and the permissions of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guard {
    path: String,
    owner: u32,
    mode: u32,
}

impl Guard {
    /// Takes owner and permissions of the file called `path` in messages.
    pub(crate) fn of(path: &str, metadata: &Metadata) -> Self {
        Self { path: path.to_string(), owner: metadata.uid(), mode: metadata.mode() & 0o7777 }
    }

    /// Lists the ways in which users other than `user` and root may write.
    pub(crate) fn writers(&self, user: u32) -> Vec<Laxness> {
        let path = || self.path.clone();
        let writable = (self.mode & 0o022 != 0).then(|| Laxness::Writable { path: path(), mode: self.mode });
        let foreign = (self.owner != user && self.owner != 0)
            .then(|| Laxness::Foreign { path: path(), owner: self.owner });
        writable.into_iter().chain(foreign).collect()
    }

    /// Returns the way in which users other than `user` and root may read, if there is one.
    pub(crate) fn readers(&self, user: u32) -> Option<Laxness> {
        let path = || self.path.clone();
        if self.mode & 0o044 != 0 {
            Some(Laxness::Readable { path: path(), mode: self.mode })
        } else if self.owner != user && self.owner != 0 {
            Some(Laxness::Foreign { path: path(), owner: self.owner })
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_and_root_are_believed() {
        let guard = |owner, mode| Guard { path: "map".to_string(), owner, mode };
        assert_eq!(guard(0, 0o644).writers(0), []);
        assert_eq!(guard(1000, 0o600).writers(1000), []);
        assert_eq!(guard(0, 0o600).writers(1000), []);
        assert!(matches!(guard(1000, 0o600).writers(0)[..], [Laxness::Foreign { owner: 1000, .. }]));
        assert!(matches!(guard(0, 0o664).writers(0)[..], [Laxness::Writable { .. }]));
        assert!(matches!(guard(0, 0o602).writers(0)[..], [Laxness::Writable { .. }]));
    }

    #[test]
    fn keys_are_for_their_owner() {
        let guard = |owner, mode| Guard { path: "map".to_string(), owner, mode };
        assert_eq!(guard(0, 0o600).readers(0), None);
        assert!(matches!(guard(0, 0o640).readers(0), Some(Laxness::Readable { .. })));
        assert!(matches!(guard(5, 0o600).readers(0), Some(Laxness::Foreign { .. })));
    }
}
