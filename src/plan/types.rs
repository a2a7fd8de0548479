//! Target types that the kernel does not list: it may load their modules, or lack them.

use std::collections::BTreeSet;

use super::change::Change;
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::remark::{Fact, Warning};
use crate::observed::Observed;

/// Lists the target types of the tables that will be loaded.
pub(crate) fn wanted<'c>(changes: &'c Changes<'_>) -> impl Iterator<Item = &'c str> {
    changed(changes).flat_map(Change::new_rows).map(|row| row.target.kind())
}

/// Returns a warning for each of these types that the kernel does not list, and a conflict for each that it can't load.
pub(crate) fn judge(changes: &Changes<'_>, observed: &Observed) -> (Vec<Warning>, Vec<Conflict>) {
    let (mut warnings, mut conflicts) = (Vec::new(), Vec::new());
    if observed.lists_all_types() {
        return (warnings, conflicts);
    }
    for change in changed(changes) {
        let (mapping, name) = (&change.mapping.key, &change.mapping.name);
        let kinds: BTreeSet<&str> = change.new_rows().iter().map(|row| row.target.kind()).collect();
        for kind in kinds {
            let (mapping, name) = (mapping.clone(), name.clone());
            match observed.unlisted_type(kind) {
                None => {}
                Some(Some(false)) => {
                    conflicts.push(Conflict { mapping, name, reason: Obstacle::TypeMissing(kind.into()) });
                }
                Some(in_index) => {
                    let fact = Fact::UnlistedType { kind: kind.into(), has_module: in_index == Some(true) };
                    warnings.push(Warning { mapping, name, fact });
                }
            }
        }
    }
    (warnings, conflicts)
}

fn changed<'c, 'a>(changes: &'c Changes<'a>) -> impl Iterator<Item = &'c Change<'a>> {
    changes.index.busy.iter().map(|id| &changes.all[*id])
}
