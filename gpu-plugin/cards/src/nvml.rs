//! The driver through NVIDIA's library, NVML.
//!
//! NVML's handles live no longer than its initialisation, and a call into it can hang for as long as a card does. So each
//! initialisation ([`session`]) has a thread of its own that holds the handles and the set of events, and a call that is not
//! answered in time ends in [`DriverError::Stuck`] instead of with the plugin. Any other error ends the session; the next
//! call starts another, which is how a driver that is installed, loaded or reloaded later is found.

mod read;
mod session;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ideal_gpu::card::CardId;

use crate::driver::{CardEvent, CardUsage, Driver, DriverError, Found};
use session::{Order, Reply, Session};

/// Where the loader finds the library of the installed driver.
pub const LIBRARY: &str = "libnvidia-ml.so.1";

/// How long a call may take beyond what it waits for by itself. Without persistence mode the driver initialises each card
/// when NVML opens it: some seconds a card, and machines have up to sixteen.
pub const ANSWER: Duration = Duration::from_secs(60);

/// How long the program's end may wait for NVML's: a plugin is killed after 30 s, and the kernel cleans up as well.
const FAREWELL: Duration = Duration::from_secs(5);

/// NVML.
#[derive(Debug)]
pub struct Nvml {
    libraries: Vec<PathBuf>,
    answer: Duration,
    session: Option<Session>,
    /// A session whose end was not seen yet: until it is, a new one would hang where it does.
    left: Option<Session>,
    known: BTreeMap<CardId, CardHistory>,
}

/// What is remembered of a card from one session to the next.
#[derive(Debug, Default)]
struct CardHistory {
    incarnation: u32,
    away: bool,
}

impl Nvml {
    /// Loads nothing yet. Of the `libraries`, paths, the first that is there is loaded by the first call, and again whenever it
    /// is needed; a name like [`LIBRARY`] is for the loader's own search.
    pub fn new(libraries: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        let libraries = libraries.into_iter().map(Into::into).collect();
        Self { libraries, answer: ANSWER, session: None, left: None, known: BTreeMap::new() }
    }

    /// Gives calls so long beyond what they wait for by themselves, instead of [`ANSWER`].
    #[must_use]
    pub fn answering_within(mut self, answer: Duration) -> Self {
        self.answer = answer;
        self
    }

    /// The library to load now: a driver may be installed at any time, and a container sees the host's in one of several
    /// folders. If none is there, the loader says so of the first.
    fn library(&self) -> PathBuf {
        let there = self.libraries.iter().find(|path| path.exists());
        there.or(self.libraries.first()).cloned().unwrap_or_default()
    }

    fn session(&mut self) -> Result<&Session, DriverError> {
        if let Some(left) = self.left.take()
            && !left.has_ended()
        {
            self.left = Some(left);
            return Err(DriverError::Stuck);
        }
        if self.session.is_none() {
            let (session, started) = Session::start(&self.library(), self.answer)?;
            self.session = Some(session);
            started?;
        }
        self.session.as_ref().ok_or(DriverError::Stuck)
    }

    /// Gives an order and waits for the answer. `lasts` is what the order waits for by itself.
    fn ask<T>(&mut self, lasts: Duration, order: impl FnOnce(Reply<T>) -> Order) -> Result<T, DriverError> {
        let patience = lasts.saturating_add(self.answer);
        let answer = self.session().and_then(|session| session.ask(order, patience));
        if let Err(error) = &answer {
            self.failed(error);
        }
        answer
    }

    fn failed(&mut self, error: &DriverError) {
        if error.is_absent() {
            self.known.values_mut().for_each(|known| known.away = true);
        }
        // What is wrong with one card is no reason to let go of the others.
        match error {
            DriverError::Lost | DriverError::ResetRequired(_) => {}
            DriverError::Stuck => self.end(Duration::ZERO),
            _ => self.end(self.answer),
        }
    }

    /// Ends the session and waits for it, so that the next one finds NVML shut down and not merely initialised twice.
    fn end(&mut self, patience: Duration) {
        if let Some(session) = self.session.take() {
            self.left = session.end(patience);
        }
    }

    /// Remembers which cards are there, and counts those that came back.
    fn count(&mut self, found: &mut [Found]) {
        for (id, known) in &mut self.known {
            known.away |= !found.iter().any(|card| card.id == *id);
        }
        for card in found {
            let known = self.known.entry(card.id.clone()).or_default();
            if std::mem::take(&mut known.away) {
                known.incarnation += 1;
            }
            card.incarnation = known.incarnation;
        }
    }
}

impl Driver for Nvml {
    fn cards(&mut self) -> Result<Vec<Found>, DriverError> {
        // NVML looks for cards when it is initialised. If one is away, only a new session can see it come back.
        if self.known.is_empty() || self.known.values().any(|known| known.away) {
            self.end(self.answer);
        }
        let mut found = self.ask(Duration::ZERO, Order::Cards)?;
        self.count(&mut found);
        Ok(found)
    }

    fn next_event(&mut self, patience: Duration) -> Result<Option<CardEvent>, DriverError> {
        let event = self.ask(patience, |reply| Order::NextEvent(patience, reply))?;
        if let Some(CardEvent::Lost { card }) = &event {
            self.known.entry(card.clone()).or_default().away = true;
        }
        Ok(event)
    }

    fn usage(&mut self) -> Result<Vec<CardUsage>, DriverError> {
        self.ask(Duration::ZERO, Order::Usage)
    }

    fn probe(&mut self, card: &CardId) -> Result<(), DriverError> {
        self.ask(Duration::ZERO, |reply| Order::Probe(card.clone(), reply))
    }
}

impl Drop for Nvml {
    fn drop(&mut self) {
        self.end(self.answer.min(FAREWELL));
    }
}
