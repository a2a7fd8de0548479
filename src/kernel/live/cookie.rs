//! Cookies: the semaphores that udev answers with.
//!
//! Whoever waits for udev makes a semaphore whose key is a magic number and 16 random bits, the cookie. Every
//! call that makes an event carries the cookie and has raised the semaphore before; the kernel hands it on
//! with the event, and udev's last rule (`95-dm-notify.rules`) has `dmsetup udevcomplete` lower it again. One
//! more is the waiter's own: once that is taken back, zero means that everything was answered.
//!
//! A process that is killed leaves its semaphore behind. That is harmless: nobody waits for it, udev's answers
//! still find it, and it takes one of some thousand places. [`sweep`] takes it away all the same. It can tell,
//! because dmctl's sets have a second semaphore, which udev never touches: who changed that last made the set.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{c_int, key_t};
use nix::unistd::geteuid;

use super::raw;

/// The upper half of the keys (`DM_COOKIE_MAGIC` in libdevmapper).
const MAGIC: key_t = 0x0d4d << 16;
/// Where the kernel lists all sets of semaphores.
const LIST: &str = "/proc/sysvipc/sem";
/// How often another cookie is tried when one is taken. There are 65,535.
const TRIES: usize = 100;

/// The semaphore of a set that udev lowers, and the one that tells who made the set.
const ANSWERS: u16 = 0;
const MAKER: u16 = 1;
const SEMAPHORES: c_int = 2;

/// A cookie, for as long as somebody waits for it.
#[derive(Debug)]
pub(super) struct Cookie {
    set: c_int,
    bits: u16,
}

impl Cookie {
    /// A cookie that nobody has: ENOSPC when there is no room for another semaphore.
    pub fn new() -> Result<Self, Errno> {
        let mut tries = 0..TRIES;
        loop {
            let bits = random()?;
            match raw::make_semaphores(MAGIC | key_t::from(bits), SEMAPHORES) {
                Err(Errno::EEXIST) if tries.next().is_some() => {}
                set => {
                    let cookie = Self { set: set?, bits };
                    raw::change_semaphore(cookie.set, MAKER, 1)?;
                    raw::change_semaphore(cookie.set, ANSWERS, 1)?;
                    return Ok(cookie);
                }
            }
        }
    }

    /// The lower half of what udev is told.
    pub fn bits(&self) -> u16 {
        self.bits
    }

    /// As `dmsetup udevcookies` shows it.
    pub fn name(&self) -> String {
        format!("{:#x}", MAGIC | key_t::from(self.bits))
    }

    /// One answer more is waited for. It fails when 32,767 are.
    pub fn raise(&self) -> Result<(), Errno> {
        raw::change_semaphore(self.set, ANSWERS, 1)
    }

    /// One answer less is waited for.
    pub fn lower(&self) {
        // Whoever removed the set let the waiter go as well.
        let _ = raw::change_semaphore(self.set, ANSWERS, -1);
    }

    /// Waits for all answers: EAGAIN when `limit` is over, EIDRM when somebody removed the set.
    pub fn wait(&self, limit: Duration) -> Result<(), Errno> {
        raw::await_zero(self.set, ANSWERS, limit)
    }
}

impl Drop for Cookie {
    fn drop(&mut self) {
        // It may be gone: `dmsetup udevcomplete_all` takes all of them.
        let _ = raw::remove_semaphores(self.set);
    }
}

/// Sixteen bits, not all of them zero: that is no cookie.
fn random() -> Result<u16, Errno> {
    let mut bytes = [0; 2];
    while bytes == [0; 2] {
        getrandom::fill(&mut bytes).map_err(|_| Errno::EIO)?;
    }
    Ok(u16::from_ne_bytes(bytes))
}

/// Takes away the cookies of processes that died with them: dmctl's, of this user, in this PID namespace.
pub(super) fn sweep() {
    let list = fs::read_to_string(LIST).unwrap_or_default();
    for set in own_sets(&list, geteuid().as_raw()) {
        let dead = |maker: c_int| maker > 0 && !Path::new(&format!("/proc/{maker}")).exists();
        if raw::last_changed_by(set, MAKER).is_ok_and(dead) {
            // Somebody else may have been quicker.
            let _ = raw::remove_semaphores(set);
        }
    }
}

/// The sets in the kernel's list that look like dmctl's and belong to `user`: key, set, mode, count, user.
fn own_sets(list: &str, user: u32) -> impl Iterator<Item = c_int> {
    list.lines().skip(1).filter_map(move |line| {
        let mut words = line.split_whitespace();
        let mut next = || words.next()?.parse::<i64>().ok();
        let (key, set, _mode, count, owner) = (next()?, next()?, next()?, next()?, next()?);
        let ours = key >> 16 == i64::from(MAGIC >> 16) && count == i64::from(SEMAPHORES);
        c_int::try_from(set).ok().filter(|_| ours && owner == i64::from(user))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(cookie: u16) -> bool {
        let key = (MAGIC | key_t::from(cookie)).to_string();
        let list = fs::read_to_string(LIST).unwrap();
        list.lines().any(|line| line.split_whitespace().next() == Some(&key))
    }

    #[test]
    fn a_cookie_is_answered_once_for_each_event() {
        let cookie = Cookie::new().unwrap();
        assert!(there(cookie.bits()));
        cookie.raise().unwrap();
        cookie.lower();
        assert_eq!(cookie.wait(Duration::from_millis(10)), Err(Errno::EAGAIN), "the waiter's own is left");
        cookie.lower();
        assert_eq!(cookie.wait(Duration::from_secs(10)), Ok(()));
        let bits = cookie.bits();
        drop(cookie);
        assert!(!there(bits));
    }

    #[test]
    fn the_cookie_of_a_living_process_stays() {
        let cookie = Cookie::new().unwrap();
        sweep();
        assert!(there(cookie.bits()));
    }

    #[test]
    fn only_sets_like_ours_are_looked_at() {
        let list = "\
       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime
 223165083          0   600          2     0     0     0     0          0 1764000000
 223165084          1   600          1     0     0     0     0          0 1764000000
 123165083          2   600          2     0     0     0     0          0 1764000000
 223165085          3   600          2  1000     0     0     0          0 1764000000
garbage
";
        assert_eq!(own_sets(list, 0).collect::<Vec<_>>(), [0]);
        assert_eq!(own_sets("", 0).count(), 0);
    }
}
