//! The state of a multipath device: `multipath_status` in `drivers/md/dm-mpath.c`, and `status` of its path selectors.

use serde::Serialize;

use super::Multipath;
use crate::targets::{Health, ParamsError, State, Words};

/// A group of paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum GroupState {
    #[serde(rename = "A")]
    Active,
    #[serde(rename = "E")]
    Enabled,
    #[serde(rename = "D")]
    Disabled,
}

/// A path.
#[derive(Debug, Serialize)]
struct PathLine {
    device: String,
    is_active: bool,
    /// Failures since the table was loaded.
    failures: u64,
    /// What the selector tells of the path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    selector_words: Vec<String>,
}

/// A group as it is printed.
#[derive(Debug, Serialize)]
struct GroupLine {
    state: GroupState,
    /// What the selector tells of the group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    selector_words: Vec<String>,
    paths: Vec<PathLine>,
}

/// What is printed of a device.
#[derive(Debug, Serialize)]
struct MultipathState {
    /// Whether I/O is held back: before the first request, and while paths are prepared.
    queues_io: bool,
    path_group_inits: u64,
    /// From 1; 0 without a group.
    next_group: u64,
    groups: Vec<GroupLine>,
    #[serde(skip)]
    queues_without_path: bool,
}

/// Reads the state.
pub(super) fn read(multipath: &Multipath, words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    let mut features = words.always_counted("features")?;
    let queues_io: u64 = features.number("whether I/O is queued")?;
    let path_group_inits = features.number("the count of path group initialisations")?;
    drop(words.always_counted("words of the hardware handler")?);
    let count: usize = words.number("the count of groups")?;
    let next_group = words.number("the next group")?;
    let mut groups = Vec::new();
    for _ in 0..count {
        groups.push(GroupLine::take(words)?);
    }
    let queues_without_path = multipath.queue_if_no_path;
    Ok(Box::new(MultipathState {
        queues_io: queues_io != 0,
        path_group_inits,
        next_group,
        groups,
        queues_without_path,
    }))
}

impl GroupLine {
    fn take(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let state = match words.next("the state of a group")? {
            "A" => GroupState::Active,
            "E" => GroupState::Enabled,
            "D" => GroupState::Disabled,
            _ => return Err(words.wrong("the state of a group is A, E or D")),
        };
        let selector_words = words.always_counted("words of the selector")?.rest();
        let count: usize = words.number("the count of paths")?;
        let each: usize = words.number("the count of words of a path")?;
        let mut paths = Vec::new();
        for _ in 0..count {
            paths.push(PathLine::take(words, each)?);
        }
        Ok(Self { state, selector_words, paths })
    }
}

impl PathLine {
    fn take(words: &mut Words<'_>, selector: usize) -> Result<Self, ParamsError> {
        let device = words.next("a path")?.to_string();
        let is_active = match words.next("the state of a path")? {
            "A" => true,
            "F" => false,
            _ => return Err(words.wrong("the state of a path is A or F")),
        };
        let failures = words.number("the count of failures")?;
        let mut selector_words = Vec::new();
        for _ in 0..selector {
            selector_words.push(words.next("a word of the selector")?.to_string());
        }
        Ok(Self { device, is_active, failures, selector_words })
    }
}

/// Returns what is printed of one that was just made: each path is active, and no request was sent yet.
pub(super) fn fresh(multipath: &Multipath) -> String {
    let groups = multipath.groups.iter().map(|group| {
        let each = match group.selector.as_str() {
            "queue-length" | "io-affinity" => vec!["0"],
            "service-time" => vec!["0", "1"],
            "historical-service-time" => vec!["0", "0", "0"],
            _ => Vec::new(),
        };
        let own = if group.selector == "historical-service-time" { "2 0 0" } else { "0" };
        let path = |path: &super::Path| {
            let mut words = vec![path.device.to_string(), "A 0".to_string()];
            words.extend(each.iter().map(ToString::to_string));
            words.push(String::new());
            words.join(" ")
        };
        let paths = group.paths.iter().map(path).collect::<Vec<String>>().concat();
        format!("E {own} {} {} {paths}", group.paths.len(), each.len())
    });
    let count = multipath.groups.len();
    format!("2 1 0 0 {count} {} {}", count.min(1), groups.collect::<Vec<String>>().concat())
}

impl MultipathState {
    fn paths(&self) -> impl Iterator<Item = &PathLine> {
        self.groups.iter().flat_map(|group| &group.paths)
    }

    fn failed(&self) -> usize {
        self.paths().filter(|path| !path.is_active).count()
    }

    fn disabled(&self) -> usize {
        self.groups.iter().filter(|group| group.state == GroupState::Disabled).count()
    }
}

impl State for MultipathState {
    fn counters(&self) -> &'static [&'static str] {
        &["path_group_inits", "groups_paths_failures"]
    }

    fn health(&self) -> Health {
        if self.failed() == self.paths().count() {
            Health::Failed
        } else if self.failed() > 0 || self.disabled() > 0 {
            Health::Degraded
        } else {
            Health::Ok
        }
    }

    fn working_paths(&self) -> Vec<&str> {
        self.paths().filter(|path| path.is_active).map(|path| path.device.as_str()).collect()
    }

    fn figures(&self) -> Option<String> {
        let paths = self.paths().count();
        Some(format!("{} of {paths} paths active", paths - self.failed()))
    }

    fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        let paths = self.paths().count();
        if self.failed() == paths {
            let io = if self.queues_without_path { "waits" } else { "fails" };
            findings.push(format!("no path is left: I/O {io}"));
        } else if self.failed() > 0 {
            findings.push(format!("{} of {paths} paths failed", self.failed()));
        }
        for path in self.paths().filter(|path| !path.is_active) {
            let failures = path.failures;
            findings.push(format!("path {} failed, {failures} since the table was loaded", path.device));
        }
        if self.disabled() > 0 {
            findings.push(format!("{} of {} groups are disabled", self.disabled(), self.groups.len()));
        }
        findings
    }
}
