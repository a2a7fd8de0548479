//! The text of a map: one source a file, with its name and the owners and modes that decide who could have written it.
//!
//! TOML is not understood here. `reading` reads the sources.

use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::files::{Guard, Laxness};

/// One file of a map.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name of the file in messages.
    pub name: String,
    /// The text of the file, which may hold a key. Bytes that are not UTF-8 are replaced.
    pub text: Zeroizing<String>,
    /// The place of the first byte that is not UTF-8, if there is one.
    pub(super) broken_at: Option<usize>,
    /// Whether the file holds a key in clear.
    pub(super) holds_keys: bool,
    /// Whether the file has settings of the whole map: an owner or a policy.
    pub(super) has_settings: bool,
    /// Where the text was read; `None` for standard input and for text in memory.
    pub(crate) path: Option<PathBuf>,
    /// The owners and modes that decide who could have written it, its own first.
    guards: Vec<Arc<Guard>>,
}

/// What is known of a file of a map, beside its text.
#[derive(Debug, Clone)]
pub(crate) struct MapFile {
    /// Where it was read; `None` for standard input.
    pub path: Option<PathBuf>,
    /// Whether it holds a key in clear.
    pub holds_keys: bool,
    /// Whether it has settings of the whole map.
    pub has_settings: bool,
}

impl Source {
    /// Makes a source of text that is in memory already: it does not have a file that others could have
    /// written.
    pub fn from_text(name: &str, text: &str) -> Self {
        Self::new(name.to_string(), text.as_bytes().to_vec().into(), Vec::new())
    }

    pub(super) fn new(name: String, mut bytes: Zeroizing<Vec<u8>>, guards: Vec<Arc<Guard>>) -> Self {
        let (text, broken_at) = match String::from_utf8(std::mem::take(&mut *bytes)) {
            Ok(text) => (Zeroizing::new(text), None),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let bytes = Zeroizing::new(error.into_bytes());
                (Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()), Some(at))
            }
        };
        Self { name, text, broken_at, holds_keys: false, has_settings: false, path: None, guards }
    }

    /// Returns what is known of it beside its text, which may hold a key.
    pub(crate) fn facts(&self) -> MapFile {
        let Self { path, holds_keys, has_settings, .. } = self;
        MapFile { path: path.clone(), holds_keys: *holds_keys, has_settings: *has_settings }
    }

    /// Adds name, text and permissions to a hash.
    pub(super) fn feed(&self, hash: &mut Sha256) {
        for part in [self.name.as_str(), self.text.as_str(), &format!("{:?}", self.guards)] {
            // The length is added too, or the parts of two sources could make those of two others.
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }

    /// Lists the ways in which users other than `user` and root could have written this file or put it in its
    /// place; and, when it holds a key in clear, could have read it. The caller decides whether that is
    /// refused or only reported.
    pub fn laxness(&self, user: u32) -> Vec<Laxness> {
        let read = self.guards.first().filter(|_| self.holds_keys).and_then(|guard| guard.readers(user));
        self.writers(user).chain(read).collect()
    }

    /// Lists the ways in which users other than `user` and root could have written this file.
    pub(super) fn writers(&self, user: u32) -> impl Iterator<Item = Laxness> {
        self.guards.iter().flat_map(move |guard| guard.writers(user))
    }
}
