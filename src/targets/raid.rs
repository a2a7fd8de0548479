//! `raid`: the kernel's MD RAID behind a mapping. Kernel source: `drivers/md/dm-raid.c`.

mod state;

mod check;
mod compare;
mod geometry;
mod level;
mod superblock;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::choice::choice;
use super::{
    Below, Contradiction, Copy, DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, FreshRow, Health,
    LiveRow, MessageForm, Metadata, NoRoom, OnDisk, Options, Order, OwnIo, ParamsError, Printer, Problems,
    RemainingLength, Remedy, SizeOf, SizeTaken, State, Status, Syntax, Target, TargetKind, Traits,
    Unfinished, Unit, Words, alternatives, option,
};
use crate::device::Device;
use crate::mistake::{Mistake, to_serde};
use crate::policy::Class;
use crate::units::Sectors;

use check::{MAX_INT, MAX_WRITE_BEHIND};
pub(crate) use level::{Family, JournalMode, Level, Raid10Format};

/// The kernel's MD RAID behind a mapping.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raid {
    /// The level with its layout: raid0, raid1, raid4, `raid5_ls`, `raid6_zr`, raid10 and their like.
    pub level: Level,
    /// How much goes to one device before the next one's turn: a power of two, at least 4 KiB. raid1 has none.
    #[serde(default)]
    pub chunk: Sectors,
    /// The devices, in order, each with its metadata device.
    pub devices: Vec<Pair>,
    /// How much one entry of the bitmap of unfinished writes stands for: a power of two; default: the kernel
    /// chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_size: Option<Sectors>,
    /// Whether the array is made consistent when it is loaded: `sync` or `nosync`. Left out, it is where the
    /// superblocks don't say that it is consistent. An order, carried out once.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "resync")]
    pub sync: Option<Resync>,
    /// Devices to be filled from the others, by their place from 0. An order, carried out once, and again where the
    /// live array has lost such a device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rebuild: Vec<u32>,
    /// Devices to be read only when no other one can be, by their place from 0; raid1 only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write_mostly: Vec<u32>,
    /// How often the bitmap is cleaned up, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon_sleep: Option<u64>,
    /// The least to recover at, in KiB a second and device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_recovery_rate: Option<u64>,
    /// The most to recover at, in KiB a second and device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_recovery_rate: Option<u64>,
    /// How far a write-mostly device may be behind, in sectors; raid1 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_write_behind: Option<Sectors>,
    /// How many stripes are kept in memory at least; raid4, raid5 and raid6 only. The kernel takes more when it
    /// needs them, so a live array that keeps more doesn't differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_cache: Option<u64>,
    /// How many copies there are; raid10 only, default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raid10_copies: Option<u32>,
    /// How the copies are laid out; raid10 only, default near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raid10_format: Option<Raid10Format>,
    /// How many devices a reshape adds, or takes away when negative. An order, carried out once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_disks: Option<i32>,
    /// Where the data begins on each device, in sectors: room for a reshape. An order, carried out once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_offset: Option<Sectors>,
    /// A device that takes writes first; raid4, raid5 and raid6 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_device: Option<Device>,
    /// When a write through the journal is done; default writethrough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_mode: Option<JournalMode>,
}

/// A device of an array; both left out, it is missing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pair {
    /// The small device that holds superblock and bitmap.
    #[serde(default, deserialize_with = "half", skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Device>,
    /// The device that holds data.
    #[serde(default, deserialize_with = "half", skip_serializing_if = "Option::is_none")]
    pub data: Option<Device>,
}

/// Half of a pair; `-`, as the kernel has it, is a missing one too.
fn half<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Device>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "-" { Ok(None) } else { Device::parse(&text).map(Some).map_err(to_serde) }
}

choice! {
    /// Whether an array is made consistent.
    Resync {
        /// Rewrite parity or copies from the data.
        Sync = "sync",
        /// Take it that they are right already.
        Nosync = "nosync",
    }
}

/// Reads `sync`: the kernel's word, or a flag as the other options have it.
fn resync<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Resync>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Flag(bool),
        Word(String),
    }
    Ok(Some(match Written::deserialize(deserializer)? {
        Written::Flag(true) => Resync::Sync,
        Written::Flag(false) => Resync::Nosync,
        Written::Word(word) => Resync::find(&word)
            .ok_or_else(|| de::Error::custom(format!("sync must be one of {}", Resync::words())))?,
    }))
}

impl Raid {
    const ONCE: &str = "may stand only once";
    const OPTIONS: Options<Self> = Options {
        syntax: Syntax::Spaced { unknown: "a raid has no option {}", ignore_case: true },
        all: &[
            alternatives!(sync: "sync" => Some(Resync::Sync), "nosync" => Some(Resync::Nosync))
                .exclusive("only one of sync and nosync may stand, and once"),
            option!(rebuild),
            option!(daemon_sleep).tune().range(0, MAX_INT).unit(Unit::Milliseconds).once(Self::ONCE),
            option!(min_recovery_rate)
                .tune()
                .range(0, MAX_INT)
                .unit(Unit::KibibytesPerSecond)
                .once(Self::ONCE),
            option!(max_recovery_rate)
                .tune()
                .range(0, MAX_INT)
                .unit(Unit::KibibytesPerSecond)
                .once(Self::ONCE),
            option!(write_mostly),
            option!(max_write_behind).range(0, MAX_WRITE_BEHIND).once(Self::ONCE),
            option!(stripe_cache).once(Self::ONCE),
            option!(region_size).tune().once(Self::ONCE),
            option!(raid10_copies).once(Self::ONCE),
            option!(raid10_format),
            option!(delta_disks),
            option!(data_offset).once(Self::ONCE),
            option!(journal_device).word("journal_dev").remap(),
            option!(journal_mode),
        ],
    };

    fn parse_option(&mut self, words: &mut Words<'_>) -> Result<(), ParamsError> {
        let is = |word: &str| words.peek().is_some_and(|next| next.eq_ignore_ascii_case(word));
        // The kernel counts this word and does not print it: what it prints could not be told apart.
        if is("raid10_use_near_sets") {
            words.next("an option")?;
            return Err(words.wrong("raid10_use_near_sets is not supported"));
        }
        if is("journal_mode") && self.journal_device.is_none() {
            words.next("an option")?;
            return Err(words.wrong("journal_dev must stand before journal_mode"));
        }
        Self::OPTIONS.parse_one(self, words)
    }

    /// Whether superblocks remember what the array was told.
    fn remembers(&self) -> bool {
        self.devices.iter().all(|pair| pair.data.is_none() || pair.metadata.is_some())
    }

    fn parse_pair(words: &mut Words<'_>) -> Result<Pair, ParamsError> {
        let mut half = |what: &str| match words.peek() {
            Some("-") => words.next(what).map(|_| None),
            _ => words.device(what).map(Some),
        };
        Ok(Pair { metadata: half("a metadata device, or `-`,")?, data: half("a data device, or `-`,")? })
    }

    fn print_half(out: &mut Printer, half: Option<&Device>) {
        match half {
            Some(device) => out.device(device),
            None => out.word("-"),
        };
    }
}

/// The messages that it takes.
const MESSAGES: &[MessageForm] = &[
    MessageForm::tunes("check", "", "reads all and counts mismatches"),
    MessageForm::of(
        "repair",
        "",
        "overwrites what differs: the later legs of raid1, the parity of raid4, 5 and 6",
        Class::Loss,
    ),
    MessageForm::tunes("resync", "", "begins to sync, or goes on"),
    MessageForm::tunes("recover", "", "begins to rebuild, or goes on"),
    MessageForm::tunes("reshape", "", "begins to reshape, or goes on"),
    MessageForm::never("frozen", "stops what runs", NEVER_STOPS),
    MessageForm::never("idle", "stops what runs", NEVER_STOPS),
];
/// Seen on 6.12.117: after either word the kernel prints `AA n/n idle` over a leg that is not rebuilt.
const NEVER_STOPS: &str = "the kernel may then tell an array in sync that is not";

impl TargetKind for Raid {
    const NAME: &'static str = "raid";
    const TRAITS: Traits =
        Traits { status: Status::WhileActive, messages: MESSAGES, first_only: true, ..Traits::PLAIN };
    const DOC: Doc = Doc {
        summary: "The kernel's MD RAID behind a mapping: levels 0, 1, 4, 5, 6 and 10. Metadata devices remember \
                  what is consistent; without them nothing does.",
        since: "2.6",
        writes: "Superblocks onto metadata devices that have none, and, unless sync = \"nosync\", parity or copies \
                 over what the devices hold. Superblocks that are there win over the fields.",
        changes: "Region size, rates, write_mostly, stripe cache and journal mode are a `reload`. Level, chunk, \
                  number of devices and layout are reshaped by the kernel, if at all, and other devices hold other \
                  data (`remap`). sync, rebuild, delta_disks and data_offset are orders, carried out once and \
                  never compared. A device in rebuild that the live array has lost (`D` in its status) is filled \
                  by a `reload`.",
        example: "type = \"raid\"\nlength = \"1GiB\"\nlevel = \"raid1\"\ndevices = [\n  { metadata = \
                  \"/dev/disk/by-id/disk-a-part1\", data = \"/dev/disk/by-id/disk-a-part2\" },\n  { metadata = \
                  \"/dev/disk/by-id/disk-b-part1\", data = \"/dev/disk/by-id/disk-b-part2\" },\n]\nregion_size = \
                  \"512KiB\"",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let name = words.next("the level")?;
        let level = Level::find(name).ok_or_else(|| {
            let mistake = Mistake::new(format!("`{}` is not a level", name.escape_debug()));
            words.wrong(mistake.advice(format!("use one of {}", Level::words())))
        })?;
        let mut options = words.counted("the parameters of the array")?;
        let mut raid = Self { level, chunk: options.sectors("the chunk size")?, ..Self::default() };
        while options.left() > 0 {
            raid.parse_option(&mut options)?;
        }
        let count: usize = words.number("the number of devices")?;
        if count.checked_mul(2) != Some(words.left()) {
            let left = words.left();
            return Err(
                words.wrong(format!("{count} devices take a pair of words each, {left} words follow"))
            );
        }
        for _ in 0..count {
            raid.devices.push(Self::parse_pair(words)?);
        }
        Ok(raid)
    }

    fn print(&self, out: &mut Printer) {
        out.word(self.level).counted(|out| {
            out.word(self.chunk);
            Self::OPTIONS.print(self, out);
        });
        out.word(self.devices.len());
        for pair in &self.devices {
            Self::print_half(out, pair.metadata.as_ref());
            Self::print_half(out, pair.data.as_ref());
        }
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        compare::compare(self, live, differences);
    }

    /// Keeps `sync`: an array that was made with it has superblocks without a bitmap, and the kernel refuses them in a
    /// row without the word (`analyse_superblocks` and `super_init_validation` in `drivers/md/dm-raid.c`: it skips
    /// what the superblocks hold, so the array is not one of first use, for which a bitmap is written).
    fn for_export(&self) -> Self {
        Self {
            sync: self.sync.filter(|order| *order == Resync::Sync || !self.remembers()),
            ..self.for_rollback()
        }
    }

    fn for_rollback(&self) -> Self {
        let mut again = self.clone();
        // Taken in sectors, printed in KiB.
        again.max_write_behind = again.max_write_behind.map(|kib| Sectors(kib.0.saturating_mul(2)));
        again.without_orders_of(self)
    }

    fn for_reload(&self, live: &Self, state: Option<&dyn State>) -> Self {
        let mut over = self.clone().without_orders_of(live);
        if let Some(Order::Rebuild(legs)) = state.and_then(|state| self.order_due(state)) {
            over.rebuild = self
                .rebuild
                .iter()
                .copied()
                .filter(|leg| over.rebuild.contains(leg) || legs.contains(leg))
                .collect();
        }
        over
    }
}

impl Target for Raid {
    /// A leg that is lost is filled again by the next load of its table.
    fn remedy(&self, state: Option<&dyn State>) -> Remedy {
        let is_lost = state.is_some_and(|state| state.health() >= Health::Degraded);
        if is_lost { Remedy::GoodLegFirst } else { Remedy::Wait }
    }

    fn order_due(&self, state: &dyn State) -> Option<Order> {
        let lost = state.lost_legs();
        let legs: Vec<u32> = self.rebuild.iter().copied().filter(|leg| lost.contains(leg)).collect();
        (!legs.is_empty()).then_some(Order::Rebuild(legs))
    }

    fn without_order(&self, order: &Order) -> Option<Box<dyn Target>> {
        let Order::Rebuild(legs) = order;
        let rebuild = self.rebuild.iter().copied().filter(|leg| !legs.contains(leg)).collect();
        Some(Box::new(Self { rebuild, ..self.clone() }))
    }

    fn reloaded_state(&self, before: &str) -> String {
        state::reloaded(self, before)
    }

    fn unfinished(&self) -> Option<Unfinished> {
        (self.level.family() != Family::Stripes).then_some(Unfinished::UnsyncedSectors)
    }

    fn copies(&self, _: Option<&dyn State>) -> Vec<Copy<'_>> {
        if self.level.family() != Family::Mirror {
            return Vec::new();
        }
        let sector = self.data_offset.unwrap_or_default().0;
        self.devices.iter().filter_map(|pair| Some(Copy { device: pair.data.as_ref()?, sector })).collect()
    }

    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(self, words)
    }

    fn fresh_state(&self, row: FreshRow<'_>) -> String {
        state::fresh(self, row)
    }

    fn keeps_state(&self) -> bool {
        self.remembers()
    }

    fn copies_unasked(&self) -> bool {
        self.level.family() != Family::Stripes
    }

    fn writes_unasked(&self) -> bool {
        true
    }

    /// The constructor refuses a device that is smaller than its share (`_check_data_dev_sectors` in
    /// `drivers/md/dm-raid.c`).
    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        let share = self.share(length);
        let data = move |device| {
            let whole = DeviceUse::whole(device, DeviceAccess::Write).taking_size(SizeTaken::Checked);
            DeviceUse { length: share, ..whole }
        };
        let apart =
            |device| DeviceUse::whole(device, DeviceAccess::Write).apart().with_own_io(OwnIo::EachChange);
        let pairs = self.devices.iter().flat_map(move |pair| {
            let metadata = pair.metadata.iter().map(apart);
            metadata.chain(pair.data.iter().map(data))
        });
        pairs.chain(self.journal_device.iter().map(apart)).collect()
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        let pairs = self.devices.iter_mut().flat_map(|pair| pair.metadata.iter_mut().chain(&mut pair.data));
        pairs.chain(&mut self.journal_device).collect()
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        check::check(self, length, problems);
    }

    /// The layouts with parity, and those of a reshape, are the kernel's business.
    /// A mirror is filled from its first device, and read there until it is (`read_balance` in `drivers/md/raid1.c`).
    fn fresh_map(&self) -> Option<(&Device, u64)> {
        let is_mirror = self.level.family() == Family::Mirror;
        let is_plain = self.delta_disks.is_none() && self.data_offset.is_none() && !self.rebuild.contains(&0);
        let is_filled = self.sync != Some(Resync::Nosync);
        let first = self.devices.first().and_then(|pair| pair.data.as_ref());
        first.filter(|_| is_mirror && is_plain && is_filled).map(|device| (device, 0))
    }

    fn below(&self, sector: u64) -> Below<'_> {
        let data = || self.devices.iter().filter_map(|pair| pair.data.as_ref());
        match self.level.family() {
            _ if self.delta_disks.is_some() || self.data_offset.is_some() => Below::Unknown,
            Family::Mirror => Below::copies(data().map(|device| (device, sector))),
            Family::Stripes => {
                let devices: Vec<_> = data().map(|device| (device, 0)).collect();
                Below::striped(&devices, self.chunk.0, sector)
            }
            Family::Copies | Family::Parity(_) => Below::Unknown,
        }
    }

    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        let (Some(data), Some(_)) = (self.data_devices(), self.share(0)) else {
            return RemainingLength::NotApplicable;
        };
        let sizes: Option<Vec<u64>> =
            self.devices.iter().filter_map(|pair| pair.data.as_ref()).map(size_of).collect();
        let Some(sizes) = sizes else { return RemainingLength::Unknown };
        let Some(smallest) = sizes.into_iter().min() else { return RemainingLength::NotApplicable };
        let used = smallest - smallest % self.chunk.0.max(1);
        let length = used.checked_mul(data).filter(|length| *length > 0);
        length.ok_or(NoRoom::SmallestDevice(smallest)).into()
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        superblock::places(self)
    }

    fn contradiction(&self, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
        superblock::contradiction(self, on_disk)
    }
}

impl Raid {
    /// This, without the orders that `live` shows: they are carried out, or under way as the superblocks
    /// know. Without superblocks they are kept, for the kernel would start with another one.
    fn without_orders_of(mut self, live: &Self) -> Self {
        if !self.remembers() {
            return self;
        }
        if self.sync == live.sync {
            self.sync = None;
        }
        self.rebuild.retain(|index| !live.rebuild.contains(index));
        if self.delta_disks == live.delta_disks {
            self.delta_disks = None;
        }
        if self.data_offset == live.data_offset {
            self.data_offset = None;
        }
        self
    }
}
