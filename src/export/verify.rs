//! Exports a map that changes nothing: the text is read again and planned, and a mapping that would change becomes a
//! comment with the reason.

use std::collections::{BTreeMap, BTreeSet};

use super::devices::Host;
use super::draft::{self, Drafts, LeftOut};
use super::note::Note;
use super::text::{self, Commented};
use super::{ExportError, Selection};
use crate::config::{self, Severity, Spot};
use crate::device::Device;
use crate::identity::{Key, Uuid};
use crate::kernel::{KernelError, ReadKernel};
use crate::plan::{self, Action};

/// Writes the mappings as a map file. Applied at once it changes no table: at most it sets the uuid of a device that has
/// none, and clears an inactive slot.
///
/// # Errors
///
/// [`ExportError::Kernel`] when the kernel can't be read.
pub fn map(kernel: &dyn ReadKernel, selection: &Selection) -> Result<String, ExportError> {
    let host = Host::read(kernel, selection)?;
    let mut drafts = draft::of(&host, selection);
    loop {
        drafts.name_lower_devices(&host, &|device: &Device| {
            kernel.resolve(device).is_ok_and(|number| number == device.number)
        });
        drafts.share();
        let text = written(&drafts, &host, selection);
        let wrong = wrong(kernel, &text)?;
        let mut left_out = false;
        for draft in drafts.all.iter_mut().filter(|draft| draft.left_out.is_none()) {
            if let Some(why) = wrong.get(&draft.mapping.key) {
                draft.left_out = Some(why.clone());
                left_out = true;
            }
        }
        if !left_out {
            return Ok(text);
        }
    }
}

fn written(drafts: &Drafts, host: &Host, selection: &Selection) -> String {
    let head = [head(drafts)];
    let mappings: Vec<Commented<'_>> =
        drafts.written().map(|draft| Commented { mapping: &draft.mapping, notes: &draft.notes }).collect();
    let (mut tail, mut seen) = (Vec::new(), BTreeSet::new());
    for draft in &drafts.all {
        seen.insert(draft.number);
        if let Some(why) = &draft.left_out {
            tail.push(format!("Left out: {} ({}): {why}", draft.mapping.name, draft.number));
        }
    }
    for other in host.observed.devices.iter().filter(|other| !seen.contains(&other.listed.number)) {
        let subsystem = other.listed.uuid.as_ref().and_then(Uuid::subsystem);
        if let Some(whose) = subsystem.filter(|_| selection.only.is_none() && selection.owner.is_none()) {
            let name = &other.listed.name;
            tail.push(format!(
                "Left out: {name} ({}), a device of {whose}; name it to have it, too.",
                other.listed.number
            ));
        }
    }
    text::write(&head, drafts.owner.as_ref(), &mappings, &tail)
}

/// Returns the first comment: the effect of the map on this host.
fn head(drafts: &Drafts) -> String {
    let staged: Vec<String> = drafts
        .written()
        .filter(|draft| draft.notes.contains(&Note::InactiveTable))
        .map(|draft| format!("`{}`", draft.mapping.name))
        .collect();
    let effect = match staged.as_slice() {
        [] => "changes no table".to_string(),
        [one] => format!("clears the inactive table of {one}, and changes no other"),
        all => format!("clears the inactive tables of {}, and changes no other", all.join(", ")),
    };
    format!("Written by `dmctl export`: applied to this host, it {effect}.")
}

/// Returns the mappings that the map would change, with the reason.
fn wrong(kernel: &dyn ReadKernel, text: &str) -> Result<BTreeMap<Key, LeftOut>, KernelError> {
    let loaded = config::parse_str("the export", text);
    let Some(map) = loaded.map else {
        let errors = loaded.diagnostics.iter().filter(|found| found.severity == Severity::Error);
        let of_mapping = errors
            .filter_map(|error| Some((key_at(text, &error.spot)?, LeftOut::Refused(error.message.clone()))));
        return Ok(of_mapping.collect());
    };
    let plan = plan::plan(kernel, &map, &BTreeSet::new())?;
    let mut wrong: BTreeMap<Key, LeftOut> = plan
        .conflicts
        .iter()
        .map(|conflict| (conflict.mapping.clone(), LeftOut::Conflict(conflict.reason.clone().into())))
        .collect();
    for step in &plan.steps {
        // These two do not change a live table.
        if !matches!(step.action(), Action::SetUuid | Action::Clear)
            && let Some(key) = &step.mapping
        {
            let changed =
                || LeftOut::Changed { action: step.action(), reason: Box::new(step.reason.clone()) };
            wrong.entry(key.clone()).or_insert_with(changed);
        }
    }
    Ok(wrong)
}

/// Returns the key of the mapping in whose TOML table a place of the text is.
fn key_at(text: &str, spot: &Spot) -> Option<Key> {
    let Spot::Span { span, .. } = spot else { return None };
    let header = |line: &str| {
        let path =
            line.trim_start_matches('[').strip_prefix("mappings.").filter(|_| line.starts_with('['))?;
        let path = path.trim_end_matches(']').trim_end_matches(".targets");
        Key::new(path.trim_matches('"')).ok()
    };
    let end = text[span.start..].find('\n').map_or(text.len(), |at| span.start + at);
    text[..end].lines().rev().find_map(header)
}
