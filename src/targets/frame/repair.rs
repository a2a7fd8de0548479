//! What has to be done to the metadata of a target before the kernel changes anything of it.

use std::fmt;

use super::state::Damage;

/// The way out of metadata that the kernel does not write any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repair {
    /// The target, as in `pool`.
    pub target: &'static str,
    /// Everything that has to be taken down, as in `the pool and its volumes`.
    pub down: &'static str,
    /// The programs that check and write the metadata.
    pub programs: [&'static str; 2],
    /// What is wrong.
    pub damage: Damage,
}

impl Repair {
    /// The way out for a thin pool.
    pub(crate) const fn of_pool(damage: Damage) -> Self {
        let programs = ["thin_check", "thin_repair"];
        Self { target: "pool", down: "the pool and its volumes", programs, damage }
    }

    /// The way out for a cache.
    pub(crate) const fn of_cache(damage: Damage) -> Self {
        let programs = ["cache_check", "cache_repair"];
        Self { target: "cache", down: "the cache", programs, damage }
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, down, programs: [check, repair], damage } = self;
        match damage {
            Damage::NeedsCheck => write!(f, "the metadata of the {target} needs a check")?,
            Damage::Failed => write!(f, "the {target} has failed")?,
            Damage::ReadOnly => {
                return write!(
                    f,
                    "the metadata of the {target} can't be written, for want of room mostly: grow its metadata device first, \
                     in an apply of its own"
                );
            }
        }
        write!(
            f,
            ", and the kernel changes nothing of it before: take {down} down, run `{check} --clear-needs-check-flag` on the \
             metadata device, or `{repair}` onto another one, and bring {down} up again"
        )
    }
}
