//! Live I/O: for each device a writer and a reader, who see what no apply, and no death of one, may do.
//!
//! Every block says whose it is, which it is and how often it was written, and is filled with what follows from
//! that. The reader knows which writes the kernel has acknowledged: a block that shows an older one is a lost
//! write, one that is of no writing at all is torn, and an error or a block of somewhere else is wrong in any case.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dmctl::access::Access;
use dmctl::units::SECTOR;

use super::chance::Chance;
use crate::guest::{ALIGNMENT, Disk, aligned};
use crate::waiting::until_within;

/// How many blocks of a device are written and read.
const BLOCKS: u64 = 64;
/// How many sectors there are from one to the next.
const STRIDE: u64 = 64;
/// The length of a block in bytes.
const LENGTH: usize = 4096;
/// The pause between two calls.
const PAUSE: Duration = Duration::from_millis(10);
/// How long I/O that goes on at all takes at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// A block of a device: `u64` words that follow from whose it is, which it is and how often it was written.
fn contents(device: u64, block: u64, generation: u64) -> Vec<u8> {
    let mut fill = Chance::new(device << 48 ^ block << 32 ^ generation);
    let head = [device, block, generation];
    let words = head.into_iter().chain((head.len()..LENGTH / 8).map(|_| fill.next()));
    words.flat_map(u64::to_le_bytes).collect()
}

/// How often a block was written.
#[derive(Default)]
struct Block {
    /// Writes that were begun.
    begun: AtomicU64,
    /// Writes that the kernel said were done.
    done: AtomicU64,
}

/// One device under I/O.
struct Line {
    name: String,
    disk: Disk,
    number: u64,
    blocks: Vec<Block>,
    reads: AtomicU64,
    writes: AtomicU64,
    /// The longest that a call took, in microseconds.
    longest: AtomicU64,
    /// The first thing that was wrong.
    wrong: Mutex<Option<String>>,
    end: AtomicBool,
}

impl Line {
    fn write(&self, file: &File) -> Result<()> {
        let mut memory = vec![0; LENGTH + ALIGNMENT];
        let buffer = aligned(&mut memory, LENGTH);
        for block in (0..BLOCKS).cycle() {
            if self.end.load(Ordering::SeqCst) {
                return Ok(());
            }
            self.write_one(file, block, buffer)?;
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn write_one(&self, file: &File, block: u64, buffer: &mut [u8]) -> Result<()> {
        let counts = &self.blocks[usize::try_from(block)?];
        let generation = counts.begun.fetch_add(1, Ordering::SeqCst) + 1;
        buffer.copy_from_slice(&contents(self.number, block, generation));
        self.timed(|| file.write_all_at(buffer, block * STRIDE * SECTOR))
            .with_context(|| format!("write block {block} of {}", self.name))?;
        counts.done.store(generation, Ordering::SeqCst);
        self.writes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn read(&self, file: &File) -> Result<()> {
        let mut memory = vec![0; LENGTH + ALIGNMENT];
        let buffer = aligned(&mut memory, LENGTH);
        let mut chance = Chance::new(self.number);
        while !self.end.load(Ordering::SeqCst) {
            self.read_one(file, chance.below(BLOCKS), buffer)?;
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Reads a block. One that is written meanwhile is looked at another time: a disk may give half of each then.
    fn read_one(&self, file: &File, block: u64, buffer: &mut [u8]) -> Result<()> {
        let counts = &self.blocks[usize::try_from(block)?];
        let done = counts.done.load(Ordering::SeqCst);
        self.timed(|| file.read_exact_at(buffer, block * STRIDE * SECTOR))
            .with_context(|| format!("read block {block} of {}", self.name))?;
        self.reads.fetch_add(1, Ordering::SeqCst);
        if counts.begun.load(Ordering::SeqCst) != done || *buffer == *contents(self.number, block, done) {
            return Ok(());
        }
        let word = |n: usize| u64::from_le_bytes(buffer[n * 8..n * 8 + 8].try_into().unwrap_or_default());
        let (device, at, generation) = (word(0), word(1), word(2));
        bail!(
            "block {block} of {} should be as written for the {done}th time, and is as block {at} of device {device} \
             written for the {generation}th time, {}",
            self.name,
            if *buffer == *contents(device, at, generation) { "whole" } else { "torn" }
        )
    }

    fn timed<T>(&self, call: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
        let begin = Instant::now();
        let outcome = call();
        let took = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.longest.fetch_max(took, Ordering::SeqCst);
        outcome
    }

    fn counts(&self) -> (u64, u64) {
        (self.reads.load(Ordering::SeqCst), self.writes.load(Ordering::SeqCst))
    }

    fn check(&self) -> Result<()> {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.as_ref().map_or(Ok(()), |wrong| bail!("{}: {wrong}", self.name))
    }
}

/// I/O on some devices, until it is ended.
pub struct Traffic {
    lines: Vec<Arc<Line>>,
    threads: Vec<JoinHandle<()>>,
}

/// What went over the devices.
pub struct Flow {
    pub reads: u64,
    pub writes: u64,
    /// The longest that a call took.
    pub longest: Duration,
}

impl Traffic {
    /// Writes every block of these mappings once, and begins. The devices stay open.
    pub fn begin(names: &[&str]) -> Result<Self> {
        let mut traffic = Self { lines: Vec::new(), threads: Vec::new() };
        for (number, name) in (1..).zip(names) {
            let line = Arc::new(Line {
                name: (*name).to_string(),
                disk: Disk::mapping(name)?,
                number,
                blocks: (0..BLOCKS).map(|_| Block::default()).collect(),
                reads: AtomicU64::new(0),
                writes: AtomicU64::new(0),
                longest: AtomicU64::new(0),
                wrong: Mutex::new(None),
                end: AtomicBool::new(false),
            });
            let file = line.disk.direct(Access::Writable)?;
            let mut memory = vec![0; LENGTH + ALIGNMENT];
            for block in 0..BLOCKS {
                line.write_one(&file, block, aligned(&mut memory, LENGTH))?;
            }
            traffic.spawn(&line, move |line| line.write(&file));
            let file = line.disk.direct(Access::ReadOnly)?;
            traffic.spawn(&line, move |line| line.read(&file));
            traffic.lines.push(line);
        }
        Ok(traffic)
    }

    /// A thread of its own: one that hangs must not keep a case from saying so.
    fn spawn(&mut self, line: &Arc<Line>, work: impl FnOnce(&Line) -> Result<()> + Send + 'static) {
        let line = Arc::clone(line);
        self.threads.push(thread::spawn(move || {
            if let Err(error) = work(&line) {
                let mut wrong = line.wrong.lock().unwrap_or_else(PoisonError::into_inner);
                wrong.get_or_insert(format!("{error:#}"));
            }
        }));
    }

    /// Every reader and every writer must get on, and must have seen nothing wrong.
    pub fn goes_on(&self) -> Result<()> {
        let before: Vec<_> = self.lines.iter().map(|line| line.counts()).collect();
        let begin = Instant::now();
        for (line, (reads, writes)) in self.lines.iter().zip(before) {
            let goes_on = until_within(PATIENCE.saturating_sub(begin.elapsed()), || {
                line.check()?;
                let now = line.counts();
                // What was on its way does not count: it may have come through before.
                anyhow::Ok(now.0 > reads + 1 && now.1 > writes + 1)
            })?;
            ensure!(goes_on, "I/O on {} hangs", line.name);
        }
        Ok(())
    }

    /// Ends it, and reads every block once more.
    pub fn end(mut self) -> Result<Flow> {
        self.goes_on()?;
        self.stop();
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| anyhow::anyhow!("a reader or writer panicked"))?;
        }
        let mut flow = Flow { reads: 0, writes: 0, longest: Duration::ZERO };
        let mut memory = vec![0; LENGTH + ALIGNMENT];
        let buffer = aligned(&mut memory, LENGTH);
        for line in &self.lines {
            line.check()?;
            let file = line.disk.direct(Access::ReadOnly)?;
            (0..BLOCKS).try_for_each(|block| line.read_one(&file, block, buffer))?;
            let (reads, writes) = line.counts();
            flow.reads += reads;
            flow.writes += writes;
            flow.longest = flow.longest.max(Duration::from_micros(line.longest.load(Ordering::SeqCst)));
        }
        Ok(flow)
    }

    fn stop(&self) {
        self.lines.iter().for_each(|line| line.end.store(true, Ordering::SeqCst));
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop();
    }
}
