//! Whatever fails while a plan is carried out, and whenever: afterwards the kernel is as it was, or as the
//! map says.
//!
//! Every scenario is carried out once as it should be. Then, on a fresh simulated kernel each time, the first
//! changing call fails, then the second, and so on, with each answer a kernel may give; then the process dies
//! after each of them; and then the way back fails, too. What died is also repaired without its map,
//! and what was applied for a time is put back.

mod campaign;
mod picture;
mod put_back;
mod repairs;
mod scenario;
mod way_out;
