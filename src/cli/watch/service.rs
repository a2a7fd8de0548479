//! What systemd is told, where it asks (`sd_notify(3)`): everywhere else all of this does nothing.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// This process as a service.
pub struct Service {
    /// How often systemd wants to hear that this is alive: half of what it waits for.
    period: Option<Duration>,
    heartbeat: Option<Instant>,
    /// Whether systemd waits to hear that this is ready.
    awaited: bool,
    status: String,
}

impl Service {
    /// One that is starting.
    pub fn new() -> Self {
        let period = sd_notify::watchdog_enabled().map(|patience| patience / 2);
        let heartbeat = period.map(|period| Instant::now() + period);
        Self { period, heartbeat, awaited: true, status: String::new() }
    }

    /// A look is over, and this is how everything stands.
    pub fn ready(&mut self, status: &str) {
        let mut news = Vec::new();
        if std::mem::take(&mut self.awaited) {
            news.push(NotifyState::Ready);
        }
        // A line break would begin another word to systemd.
        let line = status.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        if self.status != line {
            self.status = line;
            news.push(NotifyState::Status(&self.status));
        }
        tell(&news);
    }

    /// Somebody asked for a look.
    pub fn reloading(&mut self) {
        self.awaited = true;
        // Without the time a service of Type=notify-reload would be ended.
        let states = [Ok(NotifyState::Reloading), NotifyState::monotonic_usec_now()];
        tell(&states.into_iter().flatten().collect::<Vec<_>>());
    }

    /// When systemd wants to hear from this next, if it does.
    pub fn due(&self) -> Option<Instant> {
        self.heartbeat
    }

    /// It is alive at `now`.
    pub fn alive(&mut self, now: Instant) {
        if self.heartbeat.is_some_and(|at| at <= now) {
            tell(&[NotifyState::Watchdog]);
            self.heartbeat = self.period.map(|period| now + period);
        }
    }
}

impl Drop for Service {
    /// However it ends.
    fn drop(&mut self) {
        tell(&[NotifyState::Stopping]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let (false, Err(error)) = (states.is_empty(), sd_notify::notify(states)) {
        tracing::warn!("systemd can't be told: {error}");
    }
}
