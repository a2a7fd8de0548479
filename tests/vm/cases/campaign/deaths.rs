//! `kill -9`, and the next apply.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::chance::Chance;
use super::scene::{ALLOW, Scene, USED};
use super::traffic::{Flow, Traffic};
use super::{borders, is_whole, moments, mortal, seed};
use crate::guest::{Background, Guest, Ran, dmctl};

/// How long an apply may take, or a process that was killed may be there.
const PATIENCE: Duration = Duration::from_secs(60);

/// Applies a map in a process that ends itself with this signal, once it has made `calls` calls.
pub fn end_after(signal: &str, calls: usize, jobs: usize, path: &str) -> Result<Ran> {
    let (calls, jobs) = (calls.to_string(), jobs.to_string());
    Background::this(&[mortal::WORD, signal, &calls, &jobs, path])?.end_within(PATIENCE)
}

/// What a case did.
pub fn tell(harm: &str, count: usize, between: usize, flow: &Flow) {
    println!(
        "    {harm} {count} ({between} between two states), states left between 0; {} reads and {} writes of live I/O, \
         none lost or torn, the longest {} ms",
        flow.reads,
        flow.writes,
        flow.longest.as_millis()
    );
}

pub fn a_death_at_every_border_is_made_good(guest: &Guest) -> Result<()> {
    let scenes = Scene::both(guest)?;
    scenes[0].reach(guest)?;
    let traffic = Traffic::begin(&USED)?;
    let (mut deaths, mut between) = (0, 0);
    let mut over = [false; 2];
    // There and back, each time a call further, until both come to their end.
    for calls in borders()? {
        for (way, scene) in [1, 0].into_iter().zip([&scenes[1], &scenes[0]]) {
            if over[way] {
                scene.reach(guest)?;
                continue;
            }
            let ran = end_after("KILL", calls, 1, scene.path)?;
            match ran.status {
                None => deaths += 1,
                Some(0) => over[way] = true,
                Some(_) => bail!("{}, to be killed after call {calls}: {ran:?}", scene.path),
            }
            between += usize::from(Scene::unsettled(guest)? > 0);
            if deaths % 4 == 0 {
                repair(guest).with_context(|| format!("killed after call {calls}"))?;
            }
            scene.reach(guest).with_context(|| format!("killed after call {calls}"))?;
            traffic.goes_on().with_context(|| format!("killed after call {calls}"))?;
        }
        if over == [true; 2] {
            break;
        }
    }
    let flow = traffic.end()?;
    Scene::nothing()?.reach(guest)?;
    tell("processes killed at borders", deaths, between, &flow);
    let least = if is_whole() { 40 } else { 12 };
    ensure!(deaths >= least && between > 5, "{deaths} deaths, {between} of them between two states");
    Ok(())
}

pub fn a_death_at_any_moment_is_made_good(guest: &Guest) -> Result<()> {
    let scenes = Scene::both(guest)?;
    scenes[0].reach(guest)?;
    let traffic = Traffic::begin(&USED)?;
    let mut chance = Chance::new(seed()?);
    let mut length = Moments::measure(guest, &scenes)?;
    let (mut deaths, mut between, mut now) = (0, 0, 0);
    while deaths < moments() {
        let other = &scenes[1 - now];
        let moment = length.draw(&mut chance);
        let mut apply = start(other)?;
        thread::sleep(moment);
        apply.kill()?;
        let ran = apply.end_within(PATIENCE)?;
        match ran.status {
            None => deaths += 1,
            Some(0) => length.was_over(moment),
            Some(_) => bail!("{}, to be killed after {moment:?}: {ran:?}", other.path),
        }
        between += usize::from(Scene::unsettled(guest)? > 0);
        if chance.below(3) == 0 {
            repair(guest).with_context(|| format!("killed after {moment:?}"))?;
        }
        // On to where it was going, or back.
        now = usize::try_from(chance.below(2))?;
        scenes[now].reach(guest).with_context(|| format!("killed after {moment:?}"))?;
        traffic.goes_on().with_context(|| format!("killed after {moment:?}"))?;
    }
    let flow = traffic.end()?;
    Scene::nothing()?.reach(guest)?;
    tell("processes killed at any moment", deaths, between, &flow);
    Ok(())
}

/// What was left is set right without a map.
fn repair(guest: &Guest) -> Result<()> {
    let ran = dmctl(&["repair", "--owner", "lab"])?;
    ensure!(ran.status == Some(0) && Scene::unsettled(guest)? == 0, "{ran:?}");
    Ok(())
}

/// Starts an apply, and waits until it has the lock: from there on it plans, and carries out.
pub fn start(scene: &Scene) -> Result<Background> {
    let mut apply = Background::dmctl(&[&["apply", scene.path], &ALLOW[..]].concat())?;
    apply.has_lock()?;
    Ok(apply)
}

/// The moments of an apply, from when it has the lock to its end.
pub struct Moments(Duration);

impl Moments {
    /// Measures both ways, and ends where it began.
    pub fn measure(guest: &Guest, scenes: &[Scene; 2]) -> Result<Self> {
        let mut longest = Duration::ZERO;
        for scene in [&scenes[1], &scenes[0]] {
            let apply = start(scene)?;
            let begin = Instant::now();
            let ran = apply.end_within(PATIENCE)?;
            longest = longest.max(begin.elapsed());
            ensure!(ran.status == Some(0), "{ran:?}");
            scene.is_reached(guest)?;
        }
        Ok(Self(longest))
    }

    pub fn draw(&self, chance: &mut Chance) -> Duration {
        let micros = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(chance.below(micros))
    }

    /// It was over before `moment` came: the machine is less busy than it was.
    pub fn was_over(&mut self, moment: Duration) {
        self.0 = (self.0 + moment) / 2;
    }
}
