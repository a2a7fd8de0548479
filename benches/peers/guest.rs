//! What is measured in the guest, a round after the other, so that whatever else the machine does meets everybody.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::Asked;
use crate::contenders::{Contender, Deed};
use crate::reader;
use crate::report::{self, Row};

/// How often a device is reloaded under a reader in each round.
const RELOADS: usize = 5;

/// The times of one contender.
#[derive(Default)]
struct Times {
    deeds: [Vec<Duration>; Deed::ALL.len()],
    waits: Vec<Duration>,
}

/// Measures everybody, and gives the table to print.
pub fn measure(asked: &Asked, ioctls: &str) -> Result<String> {
    let (rounds, count) = (asked.rounds, asked.count);
    if asked.in_place {
        fs::write("/proc/sys/kernel/randomize_va_space", "0")?;
    }
    let contenders = [Contender::Ioctls(ioctls), Contender::Dmsetup, Contender::Dmctl(&asked.dmctl)];
    let mut times: [Times; 3] = Default::default();
    for round in 0..rounds {
        for (contender, times) in contenders.iter().zip(&mut times) {
            deeds(*contender, count, times).with_context(|| format!("{contender:?}"))?;
        }
        for (contender, times) in contenders.iter().zip(&mut times) {
            waits(*contender, times).with_context(|| format!("{contender:?}"))?;
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    let [ioctls, dmsetup, dmctl] = &times;
    let deed = |deed: Deed| {
        let of = |times: &Times| median(&times.deeds[deed as usize]);
        (of(ioctls), of(dmsetup), of(dmctl))
    };
    let wait = |times: &Times| median(&times.waits);
    // Where one processor does everything nothing waits for the others, and to do more than the calls takes longer.
    let one = fs::read_to_string("/proc/cpuinfo")?.matches("processor\t").count() == 1;
    let promised = |ratio: f64| (!one).then_some(ratio);
    let (create, reload, remove) = (deed(Deed::Create), deed(Deed::Reload), deed(Deed::Remove));
    Ok(report::table(&[
        Row::faster(format!("{count} creates, beside the C program"), create.0, create.2, promised(1.0)),
        Row::faster(format!("{count} reloads, beside the C program"), reload.0, reload.2, promised(5.0)),
        Row::faster(format!("{count} removes, beside the C program"), remove.0, remove.2, promised(5.0)),
        Row::faster(
            format!("{count} creates, beside `dmsetup create --concise`"),
            create.1,
            create.2,
            promised(1.0),
        ),
        Row::faster(
            format!("{count} removes, beside one `dmsetup remove`"),
            remove.1,
            remove.2,
            promised(1.0),
        ),
        Row::longer(
            "longest wait of a reader, beside the C program",
            wait(dmctl),
            wait(ioctls),
            promised(1.5),
        ),
        Row::longer(
            "longest wait of a reader, beside suspend, reload, resume",
            wait(dmctl),
            wait(dmsetup),
            Some(0.2),
        ),
    ]))
}

fn deeds(contender: Contender<'_>, count: usize, times: &mut Times) -> Result<()> {
    for deed in Deed::ALL {
        times.deeds[deed as usize].extend(contender.time(deed, count)?);
    }
    Ok(())
}

fn waits(contender: Contender<'_>, times: &mut Times) -> Result<()> {
    contender.time(Deed::Create, 1)?;
    let device = reader::mapped_device()?;
    for turn in 1..=RELOADS {
        times.waits.extend(reader::longest_wait(&device, || contender.shift(8 * turn))?);
    }
    contender.time(Deed::Remove, 1).map(drop)
}

/// The median; of an even number the longer of the two in the middle.
fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
