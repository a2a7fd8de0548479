//! What Device Mapper does, as cases that run on any kernel: the simulated one and a real one.
//!
//! Each case states one fact in its name, makes what it needs out of two or three small disks, prints
//! nothing and cleans up after itself, whether it holds or not. Where the two kernels differ, the model is
//! wrong.

mod blocks;
mod device;
mod identity;
mod life;
mod tables;
mod users;

use dmctl::identity::DevNum;
use dmctl::kernel::ChangeKernel;

/// A disk that a case may use: at least 16 MiB, writable, not in use.
pub struct Disk {
    /// Its number.
    pub number: DevNum,
    /// Its node.
    pub path: String,
    /// Its size.
    pub sectors: u64,
}

/// The disks of a case.
pub struct Disks {
    /// Three of them, of one size.
    pub disks: Vec<Disk>,
}

impl Disks {
    /// The number of the disk `index`, to be written into a row.
    fn number(&self, index: usize) -> DevNum {
        self.disks[index].number
    }
}

/// How a case ends: with what was seen instead of what was stated.
pub type Outcome = Result<(), String>;

/// The proof of a fact.
pub type Fact = fn(&dyn ChangeKernel, &Disks) -> Outcome;

/// A case: the fact in words, and its proof.
pub type Case = (&'static str, Fact);

/// Every case.
pub fn all() -> Vec<Case> {
    [blocks::CASES, identity::CASES, tables::CASES, life::CASES, users::CASES].concat()
}

/// Lists functions as cases of their names.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(super) const CASES: &[super::Case] = &[$((concat!("facts::", stringify!($name)), $name)),*];
    };
}
use cases;
