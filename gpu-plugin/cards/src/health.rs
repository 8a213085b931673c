//! The health of one card: a pure state machine. Time comes as an argument, as the time since any fixed moment.
//!
//! ```text
//!            application XID: stays                       transient XID, bad probe: attempts + 1,
//!              ┌───────┐                                    next probe 10 s · 2^attempts, at most 10 min later
//!              │       ▼   transient XID, bad probe            ┌───────┐
//!              └─ Healthy ────────────────────────────▶ Suspect ◀──────┘
//!                 ▲  ▲  │ ◀──────────────────────────── │    │
//!                 │  │  │   good probe, once it is due   │    │ fatal XID, fallen off, reset required
//!                 │  │  │                                │    │
//!                 │  │  └──────── fatal XID, fallen off, ┼────┴────▶ Failed ─┐ anything else:
//!                 │  │            reset required         │             │ ▲   │ stays, with the first reason
//!                 │  └── renewed ────────────────────────┘             │ └───┘
//!                 └───── renewed: the card or the driver was away and is back
//! ```
//!
//! A card that falls ill again soon after it recovered goes on with the attempts that it had: one that flaps is looked at ever
//! more rarely instead of taking work every ten seconds. Why [`State::Failed`] is not left by probing: a card that needs a
//! reset often answers every question of NVML and still fails every program.

use std::time::Duration;

use crate::driver::DriverError;
use crate::xid::{self, Class};

/// The first probe of a suspect card comes after this: long enough for the driver to finish its own recovery.
pub const FIRST_PROBE: Duration = Duration::from_secs(10);

/// And a suspect card is looked at no more rarely than this, so that nobody waits longer for one that is well.
pub const LONGEST_PROBE: Duration = Duration::from_secs(600);

/// How ill a card is that is not healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// [`State::Suspect`].
    Suspect,
    /// [`State::Failed`].
    Failed,
}

impl Health {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Suspect => "suspect",
            Self::Failed => "failed",
        }
    }
}

/// A card's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// New work may go there.
    Healthy {
        /// The trouble that it recovered from last.
        before: Option<Before>,
    },
    /// New work is kept away until a probe finds it well.
    Suspect {
        /// Since when.
        since: Duration,
        /// When it is looked at again.
        next_probe: Duration,
        /// How often it was in trouble since it was last calm; 0 for the first time.
        attempts: u32,
        /// The latest reason.
        reason: Reason,
    },
    /// New work is kept away until the card is reset or replaced.
    Failed {
        /// Since when.
        since: Duration,
        /// The first reason.
        reason: Reason,
    },
}

/// A trouble that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// When it ended.
    pub ended: Duration,
    /// As in [`State::Suspect`].
    pub attempts: u32,
}

/// Why a card is not healthy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The kernel driver reported an error.
    #[error("XID {0} ({name})", name = xid::name(*.0))]
    Xid(u32),
    /// The driver answered a question about the card with an error, or does not list it any more.
    #[error("{0}")]
    Driver(DriverError),
}

/// What a state machine hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The kernel driver reported an error.
    Xid(u32),
    /// The card was asked, and this was the answer.
    Probed(Result<(), DriverError>),
    /// The card has fallen off the bus, or the driver does not list it any more.
    Lost,
    /// The card was away, or the driver, and is back.
    Renewed,
}

impl State {
    /// A card that nothing is held against.
    pub const fn new() -> Self {
        Self::Healthy { before: None }
    }

    /// Whether new work may go there.
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy { .. })
    }

    /// When it must be probed.
    pub fn next_probe(&self) -> Option<Duration> {
        match self {
            Self::Suspect { next_probe, .. } => Some(*next_probe),
            Self::Healthy { .. } | Self::Failed { .. } => None,
        }
    }

    /// Why it is not healthy.
    pub fn reason(&self) -> Option<&Reason> {
        self.ill().map(|(_, reason)| reason)
    }

    /// How ill it is and why, if it is not healthy.
    pub fn ill(&self) -> Option<(Health, &Reason)> {
        match self {
            Self::Healthy { .. } => None,
            Self::Suspect { reason, .. } => Some((Health::Suspect, reason)),
            Self::Failed { reason, .. } => Some((Health::Failed, reason)),
        }
    }

    /// The state after an event.
    #[must_use]
    pub fn after(self, event: &Event, now: Duration) -> Self {
        match (self, event) {
            (_, Event::Renewed) => Self::new(),
            (failed @ Self::Failed { .. }, _) => failed,
            (state, Event::Lost) => state.failed(Reason::Driver(DriverError::Lost), now),
            (state, Event::Xid(number)) => match xid::class(*number) {
                Class::Application => state,
                Class::Transient => state.troubled(Reason::Xid(*number), now),
                Class::Fatal => state.failed(Reason::Xid(*number), now),
            },
            (state, Event::Probed(Err(error))) => match error {
                DriverError::Lost | DriverError::ResetRequired(_) => {
                    state.failed(Reason::Driver(error.clone()), now)
                }
                _ => state.troubled(Reason::Driver(error.clone()), now),
            },
            (state, Event::Probed(Ok(()))) => state.answered(now),
        }
    }

    fn failed(self, reason: Reason, now: Duration) -> Self {
        Self::Failed { since: now, reason }
    }

    fn troubled(self, reason: Reason, now: Duration) -> Self {
        let (since, attempts) = match self {
            Self::Suspect { since, attempts, .. } => (since, attempts.saturating_add(1)),
            // Calm for as long as the longest wait: the old trouble is forgotten.
            Self::Healthy { before: Some(before) } if now.saturating_sub(before.ended) < LONGEST_PROBE => {
                (now, before.attempts.saturating_add(1))
            }
            Self::Healthy { .. } | Self::Failed { .. } => (now, 0),
        };
        Self::Suspect { since, next_probe: now.saturating_add(wait(attempts)), attempts, reason }
    }

    fn answered(self, now: Duration) -> Self {
        match self {
            // An answer that comes too early proves nothing yet.
            Self::Suspect { next_probe, attempts, .. } if now >= next_probe => {
                Self::Healthy { before: Some(Before { ended: now, attempts }) }
            }
            state => state,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

/// How long after trouble a card is looked at again.
fn wait(attempts: u32) -> Duration {
    FIRST_PROBE.saturating_mul(1_u32.checked_shl(attempts).unwrap_or(u32::MAX)).min(LONGEST_PROBE)
}

#[cfg(test)]
mod tests;
