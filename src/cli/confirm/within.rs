//! `apply --confirm-within`: the time that it takes, and the plans that it refuses.

use std::time::Duration;

use crate::config::parse_duration;
use crate::confirm::PendingApply;
use crate::plan::{Action, Plan, Step};
use crate::policy::Class;
use anyhow::anyhow;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::note::note;

/// The longest time to wait.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Parses the time to wait: from 1 s to [`MAX_WAIT`].
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text).map_err(|error| error.to_string())?;
    let sane = (Duration::from_secs(1)..=MAX_WAIT).contains(&time);
    if sane { Ok(time) } else { Err("a time from 1s to 24h".to_string()) }
}

/// Refuses a plan with steps that can't be undone, and warns of steps that stay.
pub(crate) fn permit(plan: &Plan) -> Result<(), Failure> {
    let describe = |step: &Step| format!("{} {} [{}]", step.action().name(), step.name, step.class);
    let gone = plan.steps.iter().filter(|step| matches!(step.class, Class::Format | Class::Loss));
    let gone: Vec<String> = gone.map(describe).collect();
    if !gone.is_empty() {
        let error = anyhow!(
            "refused, so nothing was changed: nothing brings back what this overwrites or loses: {}",
            gone.join(", ")
        );
        return Err(Failure::new(Exit::Refused, error)
            .hint("`dmctl apply` without --confirm-within does it, for good"));
    }
    for step in plan.steps.iter().filter(|step| stays(step).is_some()) {
        note(format_args!(
            "warning: {} {} stays, even if the rest is put back",
            step.action().name(),
            step.name
        ));
    }
    Ok(())
}

/// Describes what stays of a step when everything else is put back; `None` for a step that can be undone.
fn stays(step: &Step) -> Option<String> {
    match step.action() {
        Action::SetUuid => Some(format!("`{}` stays adopted", step.name)),
        Action::Message => Some(format!("the message to `{}` stays sent", step.name)),
        _ => None,
    }
}

/// Writes the record that the plan is going to be applied.
pub(crate) fn begin(context: &Context, plan: &Plan) -> Result<PendingApply, Failure> {
    let message = "that this waits to be confirmed can't be written down";
    let staying = plan.steps.iter().filter_map(stays).collect();
    PendingApply::begin(&context.confirmation()?, plan.steps.len(), staying)
        .map_err(|error| Failure::new(Exit::Error, anyhow!("{message}: {error}")))
}
