//! The state of a pcache: `pcache_status` in `drivers/md/dm-pcache/dm_pcache.c`.

use serde::Serialize;

use crate::targets::state::Dead;
use crate::targets::{Health, Left, ParamsError, State, Unfinished, Words};

/// A place in the cache: a segment, and the offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Place {
    segment: u64,
    offset: u64,
}

/// What is printed of a device.
#[derive(Debug, Serialize)]
struct PcacheState {
    superblock_flags: String,
    segments: u64,
    cache_segments: u64,
    used_segments: u64,
    gc_percent: u64,
    cache_flags: String,
    key_head: Place,
    /// From here on the origin does not have what is cached.
    dirty_tail: Place,
    key_tail: Place,
}

impl Place {
    fn take(words: &mut Words<'_>, what: &str) -> Result<Self, ParamsError> {
        let word = words.next(what)?;
        let (segment, offset) =
            word.split_once(':').ok_or_else(|| words.wrong(format!("{what} is a segment and an offset")))?;
        Ok(Self { segment: words.to_number(segment, what)?, offset: words.to_number(offset, what)? })
    }
}

/// Takes flags, in hexadecimal.
fn flags(words: &mut Words<'_>, what: &str) -> Result<String, ParamsError> {
    let word = words.next(what)?;
    let digits = word.strip_prefix("0x").unwrap_or(word);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(words.wrong(format!("{what} are hexadecimal")));
    }
    Ok(word.to_string())
}

/// Reads the state.
pub(super) fn read(words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    if let Some(dead) = Dead::take(words, Some(Unfinished::DirtyBlocks)) {
        return Ok(dead);
    }
    Ok(Box::new(PcacheState {
        superblock_flags: flags(words, "the flags of the superblock")?,
        segments: words.number("the count of segments")?,
        cache_segments: words.number("the count of segments of the cache")?,
        used_segments: words.number("the count of used segments")?,
        gc_percent: words.number("the percentage at which it is cleaned up")?,
        cache_flags: flags(words, "the flags of the cache")?,
        key_head: Place::take(words, "the head of the keys")?,
        dirty_tail: Place::take(words, "the tail of what is dirty")?,
        key_tail: Place::take(words, "the tail of the keys")?,
    }))
}

impl State for PcacheState {
    fn health(&self) -> Health {
        Health::Ok
    }

    fn figures(&self) -> Option<String> {
        Some(format!("{}/{} segments in use", self.used_segments, self.cache_segments))
    }

    fn findings(&self) -> Vec<String> {
        self.left().map(|left| left.to_string()).into_iter().collect()
    }

    fn left(&self) -> Option<Left> {
        (self.dirty_tail != self.key_head).then_some(Left::Untold(Unfinished::DirtyBlocks))
    }
}
