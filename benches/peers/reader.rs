//! A reader of a device that never pauses, and notes how long each read had to wait.
//!
//! A ram disk answers at once. A read that sleeps waits for a device that is suspended; one that is only late, because
//! the processor did something else, does not sleep, and is not what is asked about.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::libc;
use nix::sys::resource::{UsageWho, getrusage};

/// What is read each time, in bytes, from an address that is a multiple of it, past all caches.
const BLOCK: usize = 4096;
/// The only mapped device there is, by the node that the kernel makes: not everybody makes one by name.
pub fn mapped_device() -> Result<PathBuf> {
    let names = fs::read_dir("/sys/block")?.flatten().map(|entry| entry.file_name());
    let mut mapped = names.filter(|name| name.to_string_lossy().starts_with("dm-"));
    mapped.next().map(|name| Path::new("/dev").join(name)).context("no mapped device")
}

/// The longest that one read of a device slept while `act` went on; none when none did.
pub fn longest_wait(path: &Path, act: impl FnOnce() -> Result<()>) -> Result<Option<Duration>> {
    let device = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path)?;
    let over = AtomicBool::new(false);
    let read = || {
        let mut room = vec![0; 2 * BLOCK];
        let start = room.as_ptr().align_offset(BLOCK);
        let mut longest = None;
        while !over.load(Ordering::Relaxed) {
            let (began, sleeps) = (Instant::now(), sleeps()?);
            device.read_exact_at(&mut room[start..start + BLOCK], 0)?;
            if self::sleeps()? > sleeps {
                longest = longest.max(Some(began.elapsed()));
            }
        }
        Ok(longest)
    };
    thread::scope(|scope| {
        let reader = scope.spawn(read);
        let outcome = act();
        over.store(true, Ordering::Relaxed);
        let longest: Result<Option<Duration>> = reader.join().ok().context("the reader panicked")?;
        outcome.and(longest)
    })
}

/// How often this thread has slept.
fn sleeps() -> Result<i64> {
    Ok(getrusage(UsageWho::RUSAGE_THREAD)?.voluntary_context_switches())
}
