//! Lower devices that must take I/O in some way: requests, or as memory. A mapping of the map is judged by the table that it
//! will have, any other device by what the kernel tells of it.

use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::ground::Ground;
use super::overlap::Identity;
use super::position::ChangeId;
use super::wrong_queue::WrongQueue;
use crate::config::State;
use crate::device::Device;
use crate::identity::DevNum;
use crate::observed::Observed;
use crate::stack::Reach;
use crate::table::Row;
use crate::targets::QueueKind;

/// A device on which it depends whether a new table is taken.
struct End<'a> {
    /// The mapping with the table.
    id: ChangeId,
    /// The target type that needs it.
    kind: &'a str,
    /// The lower device of the table.
    device: &'a Device,
    needed: QueueKind,
    is_lower: bool,
    answer: Answer,
}

/// Where the answer is.
enum Answer {
    /// The kernel knows.
    Kernel(DevNum),
    /// The table of this mapping is in the way.
    Wrong(ChangeId),
}

/// Lists the devices of which must be known how they take I/O.
pub(super) fn asked(changes: &Changes<'_>, observed: &Observed) -> Vec<DevNum> {
    let number = |end: End<'_>| match end.answer {
        Answer::Kernel(number) => Some(number),
        Answer::Wrong(_) => None,
    };
    ends(changes, observed).into_iter().filter_map(number).collect()
}

/// Returns a conflict for each lower device of a new table that takes I/O in another way than the target needs.
pub(super) fn conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for End { id, kind, device, needed, is_lower, answer } in ends(changes, observed) {
        let below = match answer {
            Answer::Wrong(below) => changes.all[below].number().map(|number| observed.called(number)),
            Answer::Kernel(number) => {
                let is_right = observed.queue(number).is_none_or(|facts| match needed {
                    QueueKind::Requests => facts.takes_requests,
                    QueueKind::Memory => facts.is_memory,
                });
                if is_right {
                    continue;
                }
                Some(observed.called(number))
            }
        };
        let change = &changes.all[id];
        conflicts.push(Conflict {
            mapping: change.mapping.key.clone(),
            name: change.mapping.name.clone(),
            reason: Obstacle::WrongQueue(Box::new(WrongQueue {
                kind: kind.into(),
                device: device.into(),
                needed,
                below: below.filter(|_| !is_lower),
            })),
        });
    }
    conflicts
}

fn ends<'c>(changes: &'c Changes<'_>, observed: &Observed) -> Vec<End<'c>> {
    let mut ends = Vec::new();
    let needs = |id: &&ChangeId| {
        let rows = changes.all[**id].new_rows();
        rows.iter().any(|row| row.target.needs_queue().is_some())
    };
    let needing: Vec<ChangeId> = changes.index.demanding.iter().filter(needs).copied().collect();
    if needing.is_empty() {
        return ends;
    }
    let ground = Ground::new(changes, observed);
    for id in needing {
        for row in changes.all[id].new_rows() {
            let Some(need) = row.target.needs_queue() else { continue };
            for device in need.devices {
                let Some(first) = ground.lower(device) else { continue };
                let end = |at, answer| End {
                    id,
                    kind: row.target.kind(),
                    device,
                    needed: need.kind,
                    is_lower: at == first,
                    answer,
                };
                let mut reach = Reach::from_iter([first]);
                while let Some(at) = reach.next() {
                    match (at, need.kind) {
                        (Identity::Other(number), _) => ends.push(end(at, Answer::Kernel(number))),
                        (Identity::Mapping(lower), kind) => {
                            let change = &changes.all[lower];
                            let rows = &change.rows;
                            // A conflict of its own is told.
                            if change.is_blocked() || change.mapping.state == State::Absent || rows.is_empty()
                            {
                                continue;
                            }
                            let passes = match kind {
                                QueueKind::Requests => rows.iter().any(|row| row.target.takes_requests()),
                                QueueKind::Memory => {
                                    let lowers = rows.iter().flat_map(Row::lower_devices);
                                    reach.extend(lowers.filter_map(|lower| ground.lower(lower.device)));
                                    rows.iter().all(|row| row.target.traits().passes_memory)
                                }
                            };
                            if !passes {
                                ends.push(end(at, Answer::Wrong(lower)));
                            }
                        }
                    }
                }
            }
        }
    }
    ends
}
