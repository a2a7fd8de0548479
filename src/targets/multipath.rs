//! `multipath`: one disk over several paths. Kernel source: `drivers/md/dm-mpath.c`.
//!
//! The kernel prints more, and less, than it was given: the next group is live state; the selectors print
//! their defaults; the request-based queue modes vanish; `retain_attached_hw_handler` appears by itself in
//! bio mode, where a hardware handler is dropped; the arguments of a hardware handler are lost; and
//! `queue_if_no_path` is left out while the device is suspended.

mod state;

mod selector;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::argument::Argument;
use super::choice::choice;
use super::{
    Choice, DeviceUse, DeviceUses, Differences, Doc, Effect, FreshRow, LiveRow, MessageForm, NeededQueue,
    Options, ParamsError, Printer, Problems, QueueKind, RemainingLength, SizeOf, State, Status, Syntax,
    Target, TargetKind, Traits, Unit, Words, alternatives, option,
};
use crate::device::Device;
use crate::policy::Class;

/// The most words of features the kernel reads.
const MAX_FEATURES: usize = 8;
/// How many groups, and paths of a group, are looked at one by one: as many as there may be. A map with more is
/// refused for their number.
const MAX_CHECKED: usize = 1024;
/// `pg_init_delay_msecs` when it is left out.
const DEFAULT_DELAY: u32 = 2000;
/// The most groups, paths in a group, and arguments of one thing.
const MAX_COUNT: u64 = 1024;

/// One disk over several paths.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Multipath {
    /// Keep requests while no path works, instead of failing them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub queue_if_no_path: bool,
    /// Keep the hardware handler that is attached to a path already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retain_attached_hw_handler: bool,
    /// How requests are handled: `bio`, or `rq` and `mq`, which mean the same. Default: `rq`. It is fixed when the
    /// device gets its first table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_mode: Option<QueueMode>,
    /// How often the initialisation of a group is tried again, from 1 to 50. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pg_init_retries: Option<u32>,
    /// How long to wait before that, in milliseconds, at most 60000. Default: 2000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pg_init_delay_msecs: Option<u32>,
    /// The hardware handler of the paths. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hw_handler: Option<HwHandler>,
    /// The groups of paths, the preferred one first.
    #[serde(default)]
    pub groups: Vec<Group>,
}

choice! {
    /// How requests are handled.
    QueueMode {
        /// Bio by bio.
        Bio = "bio",
        /// Request by request.
        Rq = "rq",
        /// The same as `rq`, under the name it once had.
        Mq = "mq",
    }
}

/// A hardware handler: the kernel's knowledge of a kind of storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HwHandler {
    /// Its name: `alua`, `emc`, `rdac`, `hp_sw`.
    pub name: String,
    /// Its arguments. The kernel does not print them, so a change of them alone goes unnoticed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
}

/// Paths among which one selector chooses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    /// The selector: `round-robin`, `queue-length`, `service-time`, `historical-service-time`, `io-affinity`.
    pub selector: String,
    /// Its arguments. `historical-service-time` takes a weight (default 972) and a threshold (default 0).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selector_args: Vec<Argument>,
    /// The paths.
    pub paths: Vec<Path>,
}

/// One path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Path {
    /// The device of the path.
    pub device: Device,
    /// What the selector is told of it, as many words on each path of a group: a repeat count, which the kernel
    /// ignores, and for `service-time` a relative throughput (default 1); for `io-affinity` a mask of CPUs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
}

impl fmt::Display for HwHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// The rest of `words` as arguments.
fn arguments(words: &mut Words<'_>) -> Result<Vec<Argument>, ParamsError> {
    let mut arguments = Vec::new();
    while words.left() > 0 {
        arguments.push(argument(words)?);
    }
    Ok(arguments)
}

fn argument(words: &mut Words<'_>) -> Result<Argument, ParamsError> {
    let word = words.next("an argument")?;
    Argument::new(word).map_err(|error| words.wrong(error.to_string()))
}

fn joined(arguments: &[Argument]) -> String {
    let words: Vec<&str> = arguments.iter().map(Argument::as_str).collect();
    format!("[{}]", words.join(" "))
}

impl Group {
    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let selector = words.next("a path selector")?.to_string();
        let selector_args = arguments(&mut words.counted("selector arguments")?)?;
        let paths: usize = words.number("the number of paths")?;
        let args: usize = words.number("the number of arguments of a path")?;
        let wanted = args.checked_add(1).and_then(|each| each.checked_mul(paths));
        if wanted.is_none_or(|wanted| wanted > words.left()) {
            return Err(words.wrong(format!(
                "{paths} paths with {args} arguments each are announced, {} words follow",
                words.left()
            )));
        }
        let mut group = Self { selector, selector_args, paths: Vec::new() };
        for _ in 0..paths {
            let device = words.device("the device of a path")?;
            let args = (0..args).map(|_| argument(words)).collect::<Result<_, _>>()?;
            group.paths.push(Path { device, args });
        }
        Ok(group)
    }

    fn print(&self, out: &mut Printer) {
        out.word(&self.selector).always_counted(|out| {
            for argument in &self.selector_args {
                out.word(argument);
            }
        });
        out.word(self.paths.len()).word(self.paths.first().map_or(0, |path| path.args.len()));
        for path in &self.paths {
            out.device(&path.device);
            for argument in &path.args {
                out.word(argument);
            }
        }
    }

    fn compare(&self, live: &Self, name: &str, path_effect: Effect, differences: &mut Differences) {
        let field = |field: &str| format!("{name}.{field}");
        differences.field(&field("selector"), &self.selector, &live.selector, Effect::Tune);
        if self.selector == live.selector {
            let [wanted, live] = [self, live].map(|of| selector::group_args(&of.selector, &of.selector_args));
            differences.field(&field("selector_args"), &joined(&wanted), &joined(&live), Effect::Tune);
        }
        differences.field(&field("paths"), &self.paths.len(), &live.paths.len(), path_effect);
        for (index, (wanted, other)) in self.paths.iter().zip(&live.paths).enumerate() {
            let field = |name| format!("{}[{index}].{name}", field("paths"));
            differences.field(&field("device"), &wanted.device, &other.device, path_effect);
            if self.selector == live.selector {
                let [wanted, other] =
                    [wanted, other].map(|path| joined(&selector::path_args(&self.selector, &path.args)));
                differences.field(&field("args"), &wanted, &other, Effect::Tune);
            }
        }
    }
}

impl Multipath {
    fn is_bio(&self) -> bool {
        self.queue_mode == Some(QueueMode::Bio)
    }

    /// Bio mode takes what is attached as it is.
    fn retains(&self) -> bool {
        self.retain_attached_hw_handler || self.is_bio()
    }

    /// The name of the handler, where the kernel keeps one.
    fn handler(&self) -> Option<&HwHandler> {
        self.hw_handler.as_ref().filter(|_| !self.is_bio())
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.groups.iter().flat_map(|group| &group.paths)
    }

    /// Compared by hand: what the kernel prints of them depends on the queue mode.
    const FEATURES: Options<Self> = Options {
        syntax: Syntax::Spaced { unknown: "{} is not a feature of multipath", ignore_case: true },
        all: &[
            option!(queue_if_no_path),
            option!(pg_init_retries).range(1, 50),
            option!(pg_init_delay_msecs).range(0, 60_000),
            option!(retain_attached_hw_handler),
            alternatives!(queue_mode:
                "bio" => Some(QueueMode::Bio),
                "rq" => Some(QueueMode::Rq),
                "mq" => Some(QueueMode::Mq),
            )
            .behind(Choice {
                word: "queue_mode",
                alias: None,
                noun: "the queue mode",
                wrong: "the queue mode must be bio, rq or mq",
            }),
        ],
    };

    fn compare_features(&self, live: &Self, differences: &mut Differences) {
        differences.field("queue_if_no_path", &self.queue_if_no_path, &live.queue_if_no_path, Effect::Tune);
        let mode = |of: &Self| if of.is_bio() { "bio" } else { "rq" };
        differences.field("queue_mode", &mode(self), &mode(live), Effect::Recreate);
        differences.field("retain_attached_hw_handler", &self.retains(), &live.retains(), Effect::Tune);
        let retries = |of: &Self| of.pg_init_retries.unwrap_or(0);
        differences.field("pg_init_retries", &retries(self), &retries(live), Effect::Tune);
        let delay = |of: &Self| Unit::Milliseconds.of(of.pg_init_delay_msecs.unwrap_or(DEFAULT_DELAY));
        differences.field("pg_init_delay_msecs", &delay(self), &delay(live), Effect::Tune);
        // A handler that was attached before and is retained is printed in place of the one in the table.
        if !(self.retains() && live.hw_handler.is_some()) {
            let name = |of: &Self| of.handler().map(|handler| handler.name.clone());
            differences.optional("hw_handler", name(self).as_ref(), name(live).as_ref(), Effect::Tune);
        }
    }
}

/// The messages that it takes.
const MESSAGES: &[MessageForm] = &[
    MessageForm::tunes(
        "fail_path",
        "DEVICE",
        "uses a path no more; the last that works needs `loss`: without any path I/O fails, and what waits is lost",
    )
    .failing_path(),
    MessageForm::tunes("reinstate_path", "DEVICE", "uses a path again"),
    MessageForm::tunes("disable_group", "GROUP", "uses a group only when there is no other"),
    MessageForm::tunes("enable_group", "GROUP", "uses a group again"),
    MessageForm::tunes("switch_group", "GROUP", "uses this group first"),
    MessageForm::tunes("queue_if_no_path", "", "lets I/O wait while there is no path"),
    MessageForm::of("fail_if_no_path", "", "fails I/O without a path, also what waits now", Class::Loss),
];

impl TargetKind for Multipath {
    const NAME: &'static str = "multipath";
    const TRAITS: Traits = Traits {
        singleton: true,
        immutable: true,
        messages: MESSAGES,
        passes_tags: true,
        status: Status::Always,
        ..Traits::PLAIN
    };
    const DOC: Doc = Doc {
        summary: "One disk over several paths: groups of paths in the order they are preferred, a selector in each. \
                  multipathd usually makes and changes these devices; declare one only where it does not run.",
        since: "2.6",
        writes: "Nothing.",
        changes: "Features, selectors and the paths of the same disk are a `reload`; a table that shares no path with \
                  the live one is a `remap`. `queue_mode` can't change while the device exists, nor can a device of \
                  another type take requests (`remap`: it is removed and created again). Which group is in use is live state and never compared.",
        example: "type = \"multipath\"\nlength = \"1GiB\"\nqueue_if_no_path = true\ngroups = [\n  { selector = \
                  \"service-time\", paths = [\n    { device = \"/dev/disk/by-path/a\" },\n    { device = \
                  \"/dev/disk/by-path/b\" },\n  ] },\n]",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let mut multipath = Self::default();
        let mut features = words.counted("features")?;
        if features.left() > MAX_FEATURES {
            return Err(features.wrong(format!("multipath takes at most {MAX_FEATURES} words of features")));
        }
        Self::FEATURES.parse(&mut multipath, &mut features)?;
        let mut handler = words.counted("the hardware handler")?;
        if handler.left() > 0 {
            let name = handler.next("the hardware handler")?.to_string();
            multipath.hw_handler = Some(HwHandler { name, args: arguments(&mut handler)? });
        }
        let groups: u64 = words.number("the number of groups")?;
        let next: u64 = words.number("the next group")?;
        if groups > MAX_COUNT || next > MAX_COUNT || (groups == 0) != (next == 0) {
            return Err(words.wrong(format!(
                "the next group must be from 1 to the number of groups (at most {MAX_COUNT}), or 0 where there is none"
            )));
        }
        for _ in 0..groups {
            multipath.groups.push(Group::parse(words)?);
        }
        Ok(multipath)
    }

    fn print(&self, out: &mut Printer) {
        out.always_counted(|out| Self::FEATURES.print(self, out));
        out.always_counted(|out| {
            if let Some(handler) = &self.hw_handler {
                out.word(&handler.name);
                for argument in &handler.args {
                    out.word(argument);
                }
            }
        });
        out.word(self.groups.len()).word(u32::from(!self.groups.is_empty()));
        for group in &self.groups {
            group.print(out);
        }
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        self.compare_features(live, differences);
        // One path in common shows that both tables are of the same disk.
        let same_disk = self.paths().any(|path| live.paths().any(|other| other.device == path.device));
        let path_effect = if same_disk { Effect::Tune } else { Effect::Remap };
        differences.field("groups", &self.groups.len(), &live.groups.len(), path_effect);
        for (index, (wanted, live)) in self.groups.iter().zip(&live.groups).enumerate() {
            wanted.compare(live, &format!("groups[{index}]"), path_effect, differences);
        }
    }

    fn compare_suspended(&self, live: &Self, differences: &mut Differences) {
        let hidden = self.queue_if_no_path && !live.queue_if_no_path;
        let live = Self { queue_if_no_path: live.queue_if_no_path || hidden, ..live.clone() };
        self.compare(&live, differences);
    }
}

impl Target for Multipath {
    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(self, words)
    }

    fn fresh_state(&self, _: FreshRow<'_>) -> String {
        state::fresh(self)
    }

    /// The feature is printed as it is now (`multipath_message` and `multipath_status` in `drivers/md/dm-mpath.c`). Groups
    /// and paths that a message turned off are printed by the status alone.
    fn shows_message(&self, message: &str) -> bool {
        let is = |word: &str| message.trim().eq_ignore_ascii_case(word);
        is("queue_if_no_path") || is("fail_if_no_path")
    }

    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        self.paths().map(|path| DeviceUse::write(&path.device, 0, length)).collect()
    }

    /// `dm_table_set_type` in `alloc_multipath_stage2`.
    fn takes_requests(&self) -> bool {
        !self.is_bio()
    }

    fn needs_queue(&self) -> Option<NeededQueue<'_>> {
        let devices = || self.paths().map(|path| &path.device).collect();
        self.takes_requests().then(|| NeededQueue { devices: devices(), kind: QueueKind::Requests })
    }

    fn has_ways(&self) -> bool {
        true
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        self.groups.iter_mut().flat_map(|group| &mut group.paths).map(|path| &mut path.device).collect()
    }

    fn check(&self, _: Option<u64>, problems: &mut Problems) {
        Self::FEATURES.check(self, problems);
        problems.range("groups", self.groups.len() as u64, 0, MAX_COUNT);
        if let Some(handler) = &self.hw_handler {
            selector::check_name("hw_handler.name", &handler.name, problems);
            // The name of the handler counts as one of the words.
            problems.range("hw_handler.args", handler.args.len() as u64, 0, MAX_COUNT - 1);
        }
        for (index, group) in self.groups.iter().enumerate().take(MAX_CHECKED) {
            selector::check(group, &format!("groups[{index}]"), problems);
        }
    }

    /// All paths lead to one disk, so any of them tells its size.
    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        let known = self.paths().find(|path| size_of(&path.device).is_some()).or(self.paths().next());
        known.map_or(RemainingLength::NotApplicable, |path| {
            RemainingLength::from_sector(&path.device, 0, size_of)
        })
    }
}

#[cfg(test)]
mod tests;
