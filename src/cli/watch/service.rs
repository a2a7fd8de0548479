//! Tells systemd about this process, where it asks (`sd_notify(3)`); everywhere else all of this does nothing.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// This process as a service of systemd.
pub(super) struct Service {
    /// The time between two heartbeats: half of the time that systemd waits for one.
    period: Option<Duration>,
    /// The time of the next one.
    heartbeat: Option<Instant>,
    /// Whether systemd waits for the process to be ready.
    awaited: bool,
    status: String,
}

impl Service {
    /// Begins the heartbeat of a service that is starting.
    pub(super) fn new() -> Self {
        let period = sd_notify::watchdog_enabled().map(|patience| patience / 2);
        let heartbeat = period.map(|period| Instant::now() + period);
        Self { period, heartbeat, awaited: true, status: String::new() }
    }

    /// Tells that a comparison is over, and the state that it showed.
    pub(super) fn ready(&mut self, status: &str) {
        let mut news = Vec::new();
        if std::mem::take(&mut self.awaited) {
            news.push(NotifyState::Ready);
        }
        // A line break would begin another variable to systemd.
        let line = status.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        if self.status != line {
            self.status = line;
            news.push(NotifyState::Status(&self.status));
        }
        tell(&news);
    }

    /// Tells that SIGHUP came, and a comparison begins.
    pub(super) fn reloading(&mut self) {
        self.awaited = true;
        // Without the time a service of Type=notify-reload would be ended.
        let states = [Ok(NotifyState::Reloading), NotifyState::monotonic_usec_now()];
        tell(&states.into_iter().flatten().collect::<Vec<_>>());
    }

    /// Returns the time of the next heartbeat, where systemd waits for one.
    pub(super) fn due(&self) -> Option<Instant> {
        self.heartbeat
    }

    /// Sends the heartbeat, if it is due at `now`.
    pub(super) fn alive(&mut self, now: Instant) {
        if self.heartbeat.is_some_and(|at| at <= now) {
            tell(&[NotifyState::Watchdog]);
            self.heartbeat = self.period.map(|period| now + period);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        tell(&[NotifyState::Stopping]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let (false, Err(error)) = (states.is_empty(), sd_notify::notify(states)) {
        tracing::warn!("systemd can't be told: {error}");
    }
}
