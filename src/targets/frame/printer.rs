//! Prints the parameters of a row: for the kernel, a file or a reader.

use std::fmt::Display;

use zeroize::Zeroize;

use crate::device::Device;
use crate::secret::{REDACTED, Secret};

/// The form in which a row is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For the kernel: numbers for devices, keys as they are.
    Kernel,
    /// For a file or a machine to read: numbers for devices that have one, no keys.
    Redacted,
    /// For a person: devices as they were written, with their numbers, and no keys.
    Shown,
}

/// Collects the words of a row.
#[derive(Debug)]
pub struct Printer {
    style: Style,
    words: Vec<String>,
}

impl Drop for Printer {
    /// Some of the words may be keys.
    fn drop(&mut self) {
        self.words.zeroize();
    }
}

impl Printer {
    pub(crate) fn new(style: Style) -> Self {
        Self { style, words: Vec::new() }
    }

    pub fn word(&mut self, word: impl Display) -> &mut Self {
        self.words.push(word.to_string());
        self
    }

    /// Adds a device: by number as far as it is known, as written where the reader is a person.
    pub fn device(&mut self, device: &Device) -> &mut Self {
        self.prefixed_device("", device)
    }

    /// Adds `prefix` and a device as one word (`meta_device:253:1`).
    pub fn prefixed_device(&mut self, prefix: &str, device: &Device) -> &mut Self {
        match (self.style, device.number) {
            (Style::Shown, _) => self.word(format_args!("{prefix}{}", device.described())),
            (_, Some(number)) => self.word(format_args!("{prefix}{number}")),
            (_, None) => self.word(format_args!("{prefix}{device}")),
        }
    }

    /// Adds a key, or what stands for it.
    pub fn secret(&mut self, secret: &Secret) -> &mut Self {
        match self.style {
            Style::Kernel => self.word(secret.reveal()),
            Style::Redacted | Style::Shown => self.word(REDACTED),
        }
    }

    /// Adds `prefix` and a key as one word (`journal_mac:hmac(sha256):<key>`).
    pub fn prefixed_secret(&mut self, prefix: &str, secret: &Secret) -> &mut Self {
        match self.style {
            Style::Kernel => self.word(format_args!("{prefix}{}", secret.reveal())),
            Style::Redacted | Style::Shown => self.word(format_args!("{prefix}{REDACTED}")),
        }
    }

    /// Adds the words that `print` adds, joined to one.
    pub fn joined(&mut self, print: impl FnOnce(&mut Printer)) -> &mut Self {
        let mut inner = Printer::new(self.style);
        print(&mut inner);
        self.words.push(inner.words.concat());
        self
    }

    /// Adds the words that `print` adds, behind their count; nothing at all when there are none.
    pub fn counted(&mut self, print: impl FnOnce(&mut Printer)) -> &mut Self {
        let mut inner = Printer::new(self.style);
        print(&mut inner);
        if !inner.words.is_empty() {
            self.word(inner.words.len());
            self.words.append(&mut inner.words);
        }
        self
    }

    /// Adds the words that `print` adds, behind their count, `0` included.
    pub fn always_counted(&mut self, print: impl FnOnce(&mut Printer)) -> &mut Self {
        let mut inner = Printer::new(self.style);
        print(&mut inner);
        self.word(inner.words.len());
        self.words.append(&mut inner.words);
        self
    }

    /// Adds `word` when `on`.
    pub fn flag(&mut self, on: bool, word: &str) -> &mut Self {
        if on { self.word(word) } else { self }
    }

    /// Adds `word` and the value behind it, as two words, when there is one.
    pub fn value(&mut self, word: &str, value: Option<impl Display>) -> &mut Self {
        match value {
            Some(value) => self.word(word).word(value),
            None => self,
        }
    }

    pub(crate) fn finish(self) -> String {
        self.words.join(" ")
    }
}
