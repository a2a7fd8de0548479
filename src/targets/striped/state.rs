//! The state of stripes: `stripe_status` in `drivers/md/dm-stripe.c`.

use serde::Serialize;

use super::Striped;
use crate::targets::{Health, ParamsError, State, Words};

/// A device as it is printed.
#[derive(Debug, Serialize)]
struct StripeLine {
    device: String,
    /// Whether a request to it failed since the table was loaded. That stays until the table is loaded again.
    failed: bool,
}

/// What is printed of stripes.
#[derive(Debug, Serialize)]
struct StripedState {
    stripes: Vec<StripeLine>,
}

/// Reads the state.
pub(super) fn read(words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    let count: usize = words.number("the count of stripes")?;
    let mut devices = Vec::new();
    for _ in 0..count {
        devices.push(words.next("a stripe")?.to_string());
    }
    let mut letters = words.always_counted("letters")?;
    let text = letters.next("the letters of the stripes")?;
    if text.chars().count() != count || !text.chars().all(|letter| matches!(letter, 'A' | 'D')) {
        return Err(letters.wrong(format!("the letters of {count} stripes are A or D")));
    }
    let stripes = devices
        .into_iter()
        .zip(text.chars())
        .map(|(device, letter)| StripeLine { device, failed: letter == 'D' });
    Ok(Box::new(StripedState { stripes: stripes.collect() }))
}

/// Returns what is printed of stripes without an error.
pub(super) fn fresh(striped: &Striped) -> String {
    let devices: Vec<String> = striped.stripes.iter().map(|stripe| stripe.device.to_string()).collect();
    format!("{} {} 1 {}", devices.len(), devices.join(" "), "A".repeat(devices.len()))
}

impl State for StripedState {
    fn health(&self) -> Health {
        let failed = self.stripes.iter().any(|stripe| stripe.failed);
        if failed { Health::Degraded } else { Health::Ok }
    }

    fn findings(&self) -> Vec<String> {
        let failed = self.stripes.iter().enumerate().filter(|(_, stripe)| stripe.failed);
        failed
            .map(|(place, stripe)| {
                format!("stripe {place} ({}): I/O failed since the table was loaded", stripe.device)
            })
            .collect()
    }
}
