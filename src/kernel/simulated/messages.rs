//! Messages to targets, and which of them a target accepts.
//!
//! Only those to a thin pool change state that other calls can see, so only those are carried out
//! ([`thin`](super::thin)). The others tune how a target works, which a model that does no I/O can't show:
//! they are accepted or refused as the kernel would, and leave no trace.

use nix::errno::Errno;

use super::model::Model;
use super::refusal::Refusal;
use super::{stuck, thin};
use crate::identity::DevNum;
use crate::targets;

/// Sends `text` to the target at `sector` of a mapping.
pub(super) fn send(model: &mut Model, number: DevNum, sector: u64, text: &str) -> Result<(), Refusal> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let Some(first) = words.first() else {
        return Err(Refusal::new(Errno::EINVAL, "Empty message received."));
    };
    if first.starts_with('@') {
        return to_core(model, number, &words);
    }
    let live = model.mapping(number).and_then(|mapping| mapping.live.as_ref());
    // Without a table there is no target to refuse it: the kernel drops the message (seen on 6.1).
    let Some(live) = live else { return Ok(()) };
    let Some(row) = live.rows.iter().find(|row| (row.start..row.end()).contains(&sector)) else {
        return Err(Refusal::new(Errno::EINVAL, "Target message sector outside device."));
    };
    if row.kind == "thin-pool" {
        stuck::messaged(model, number)?;
        return thin::message(model, number, &words);
    }
    if row.kind == "crypt" && first.eq_ignore_ascii_case("key") {
        // `crypt_message`; what a wiped key makes of reads is not modelled.
        let suspended = model.mapping(number).is_some_and(|mapping| mapping.suspended);
        let active = Refusal::new(Errno::EINVAL, "crypt: not suspended during key manipulation.");
        return if suspended { Ok(()) } else { Err(active) };
    }
    let traits = targets::find(&row.kind).map(|kind| kind.traits);
    let Some(traits) = traits.filter(|traits| !traits.messages.is_empty()) else {
        return Err(Refusal::new(Errno::EINVAL, "Target type does not support messages"));
    };
    match traits.message(first) {
        Some(_) => Ok(()),
        None => Err(Refusal::new(Errno::EINVAL, format!("{}: unrecognised message received", row.kind))),
    }
}

/// A message to Device Mapper itself, which a device without a table takes, too.
fn to_core(model: &mut Model, number: DevNum, words: &[&str]) -> Result<(), Refusal> {
    match (words, model.mapping_mut(number)) {
        ([only], Some(mapping)) if only.eq_ignore_ascii_case("@cancel_deferred_remove") => {
            mapping.deferred_remove = false;
            Ok(())
        }
        _ => Err(Refusal::new(Errno::EINVAL, "Unsupported message sent to DM core")),
    }
}
