//! Somebody who reads a device all the time, and notes how long it had to wait.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::libc;

/// What is read each time, in bytes, from an address that is a multiple of it, past all caches.
const BLOCK: usize = 4096;
/// The pause between two reads: the reader is to wait for the device, and nobody for the reader.
const PAUSE: Duration = Duration::from_micros(500);

/// The only mapped device there is, by the node that the kernel makes: not everybody makes one by name.
pub fn mapped_device() -> Result<PathBuf> {
    let names = fs::read_dir("/sys/block")?.flatten().map(|entry| entry.file_name());
    let mut mapped = names.filter(|name| name.to_string_lossy().starts_with("dm-"));
    mapped.next().map(|name| Path::new("/dev").join(name)).context("no mapped device")
}

/// The longest that one read of a device took while `act` went on.
pub fn longest_wait(path: &Path, act: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let device = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path)?;
    let over = AtomicBool::new(false);
    let read = || {
        let mut room = vec![0; 2 * BLOCK];
        let start = room.as_ptr().align_offset(BLOCK);
        let mut longest = Duration::ZERO;
        while !over.load(Ordering::Relaxed) {
            let began = Instant::now();
            device.read_exact_at(&mut room[start..start + BLOCK], 0)?;
            longest = longest.max(began.elapsed());
            thread::sleep(PAUSE);
        }
        Ok(longest)
    };
    thread::scope(|scope| {
        let reader = scope.spawn(read);
        let outcome = act();
        over.store(true, Ordering::Relaxed);
        let longest: std::io::Result<Duration> = reader.join().ok().context("the reader panicked")?;
        outcome?;
        Ok(longest?)
    })
}
