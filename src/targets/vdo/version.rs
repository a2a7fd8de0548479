//! The versions of a row, and what tells them apart (`get_version_number`, `parse_device_config` and
//! `parse_optional_arguments` in `drivers/md/dm-vdo/dm-vdo-target.c`).
//!
//! A kernel takes the versions before its own with a warning, and skips the words that lost their meaning. It prints a row
//! as it was loaded, so a volume that older tools started shows an old one for as long as it runs.

use std::collections::BTreeMap;

use super::super::argument::Argument;
use super::super::choice::choice;
use super::super::{ParamsError, Words};

choice! {
    /// The version of a row. Only `V0` has no word for it.
    #[derive(Default)]
    Version {
        V0 = "V0",
        V1 = "V1",
        V2 = "V2",
        V3 = "V3",
        #[default]
        V4 = "V4",
    }
}

/// The count of words in a row of `V0`, which is known by nothing else.
const WORDS_OF_V0: usize = 10;

impl Version {
    /// Takes the version at the start of a row.
    pub(crate) fn take(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let written = |word: &str| Self::ALL.iter().copied().find(|version| version.word() == word);
        let first = words.peek().unwrap_or_default();
        if !first.starts_with('V') && words.left() == WORDS_OF_V0 {
            return Ok(Self::V0);
        }
        match written(words.next("the version")?) {
            Some(version) if version != Self::V0 => Ok(version),
            _ => Err(words.wrong("the row must start with V4, or with V1, V2 or V3 as older tools write it")),
        }
    }

    /// Whether the row has the size of the storage. Without it the kernel takes the size of the device.
    pub(crate) fn has_size(self) -> bool {
        self != Self::V0
    }

    /// Counts the unused words before the cache size: those of a read cache.
    pub(crate) fn unused_before_cache(self) -> usize {
        match self {
            Self::V0 | Self::V1 => 2,
            Self::V2 | Self::V3 | Self::V4 => 0,
        }
    }

    /// Counts all unused words. Those behind the era length are the RAID5 mode, the write policy and the name of the pool,
    /// of which `V3` has only the second.
    pub(crate) fn unused(self) -> usize {
        match self {
            Self::V0 | Self::V1 => 5,
            Self::V2 => 3,
            Self::V3 => 1,
            Self::V4 => 0,
        }
    }

    /// Whether the options are numbers of threads in one word.
    pub(crate) fn has_thread_list(self) -> bool {
        matches!(self, Self::V0 | Self::V1)
    }

    /// Takes the options at the end of a row.
    pub(crate) fn take_options(
        self,
        words: &mut Words<'_>,
    ) -> Result<BTreeMap<String, Argument>, ParamsError> {
        if self.has_thread_list() {
            return take_thread_list(words);
        }
        let mut options = BTreeMap::new();
        while words.left() > 0 {
            let name = words.next("an option")?.to_string();
            if name.contains(['"', '\'']) {
                // In another order a lone quote would hold other words together.
                return Err(words.wrong("a quote can't stand in the name of an option"));
            }
            let value = words.next(&format!("the value of {name}"))?;
            options.insert(name, argument(words, value)?);
        }
        Ok(options)
    }
}

/// Reads the word taken last, or a part of it.
fn argument(words: &Words<'_>, word: &str) -> Result<Argument, ParamsError> {
    Argument::new(word).map_err(|error| words.wrong(error.to_string()))
}

/// Takes unused words.
pub(crate) fn take_unused(words: &mut Words<'_>, count: usize) -> Result<Vec<Argument>, ParamsError> {
    (0..count)
        .map(|_| {
            let word = words.next("a word that its version has and the kernel skips")?;
            argument(words, word)
        })
        .collect()
}

/// Takes numbers of threads: `.`, or `cpu=2,ack=1`.
fn take_thread_list(words: &mut Words<'_>) -> Result<BTreeMap<String, Argument>, ParamsError> {
    let list = words.next("the numbers of threads")?;
    if list == "." {
        return Ok(BTreeMap::new());
    }
    let entry = |entry: &str| match entry.split_once('=') {
        Some((name, count)) if !name.is_empty() => Ok((name.to_string(), argument(words, count)?)),
        _ => Err(words.wrong("the numbers of threads must be a list such as cpu=2,ack=1, or a dot")),
    };
    list.split(',').map(entry).collect()
}

/// Prints numbers of threads as one word.
pub(crate) fn thread_list(options: &BTreeMap<String, Argument>) -> String {
    if options.is_empty() {
        return ".".to_string();
    }
    options.iter().map(|(name, count)| format!("{name}={count}")).collect::<Vec<_>>().join(",")
}
