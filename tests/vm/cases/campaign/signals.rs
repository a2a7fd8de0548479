//! SIGTERM, while devices are suspended and while they are not: no repair follows.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::chance::Chance;
use super::deaths::{Moments, end_after, start, tell};
use super::scene::{Scene, USED};
use super::traffic::Traffic;
use super::{borders, moments, seed};
use crate::guest::Guest;

/// How long an apply that was told to stop may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn a_signal_at_every_border_leaves_one_state_or_the_other(guest: &Guest) -> Result<()> {
    let scenes = Scene::both(guest)?;
    scenes[0].reach(guest)?;
    let traffic = Traffic::begin(&USED)?;
    let (mut stopped, mut now) = (0, 0);
    // The way there, from a call further each time, until it comes through; then the way back.
    for way in [1, 0] {
        for calls in borders()? {
            let ran = end_after("TERM", calls, 1, scenes[way].path)?;
            match ran.status {
                Some(6) => stopped += 1,
                Some(0) => now = way,
                _ => bail!("{}, stopped after call {calls}: {ran:?}", scenes[way].path),
            }
            scenes[now].is_reached(guest).with_context(|| format!("stopped after call {calls}: {ran:?}"))?;
            traffic.goes_on().with_context(|| format!("stopped after call {calls}"))?;
            if now == way {
                break;
            }
        }
    }
    let flow = traffic.end()?;
    Scene::nothing()?.reach(guest)?;
    tell("applies stopped at borders", stopped, 0, &flow);
    ensure!(stopped >= 10, "{stopped}");
    Ok(())
}

pub fn a_signal_at_any_moment_leaves_one_state_or_the_other(guest: &Guest) -> Result<()> {
    let scenes = Scene::both(guest)?;
    scenes[0].reach(guest)?;
    let traffic = Traffic::begin(&USED)?;
    let mut chance = Chance::new(seed()?);
    let mut length = Moments::measure(guest, &scenes)?;
    let (mut told, mut stopped, mut now) = (0, 0, 0);
    for _ in 0..moments() / 4 {
        let other = 1 - now;
        let moment = length.draw(&mut chance);
        let apply = start(&scenes[other])?;
        thread::sleep(moment);
        apply.signal("TERM")?;
        let ran = apply.end_within(PATIENCE)?;
        told += 1;
        match ran.status {
            Some(6) => stopped += 1,
            Some(0) => {
                now = other;
                length.was_over(moment);
            }
            _ => bail!("{}, stopped after {moment:?}: {ran:?}", scenes[other].path),
        }
        scenes[now].is_reached(guest).with_context(|| format!("stopped after {moment:?}: {ran:?}"))?;
        traffic.goes_on().with_context(|| format!("stopped after {moment:?}"))?;
    }
    let flow = traffic.end()?;
    Scene::nothing()?.reach(guest)?;
    println!("    {stopped} of {told} were put back");
    tell("applies told to stop at any moment", told, 0, &flow);
    Ok(())
}
