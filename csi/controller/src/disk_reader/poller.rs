//! One poller a region: all who wait share its ticks. The pace is the youngest waiter's, so a disk that was just ordered
//! is looked at soon, and those that wait long ride along for nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use ecx::profile::Poll;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument as _, Span};

use super::question::{Answer, HANGS, Query, Question, ask};

/// Somebody who waits: what for, and where the looks go. Gone when the receiver is dropped.
pub(super) struct Waiter {
    query: Query,
    looks: mpsc::UnboundedSender<Answer>,
    /// The span in which is waited.
    waiting: Span,
    pause: Option<Duration>,
    /// When it is looked for again; `None` while a look is under way, so that one that hangs holds up no other.
    next: Option<Instant>,
}

impl Waiter {
    pub(super) fn new(query: Query, looks: mpsc::UnboundedSender<Answer>) -> Self {
        Self { query, looks, waiting: Span::current(), pause: None, next: None }
    }

    /// Plans this waiter's next look.
    fn plan(&mut self, poll: &Poll) {
        let pause = poll.next(self.pause);
        (self.pause, self.next) = (Some(pause), Some(Instant::now() + pause));
    }
}

pub(super) async fn run(
    poll: Poll,
    questions: mpsc::UnboundedSender<Question>,
    mut waiting: mpsc::UnboundedReceiver<Waiter>,
) {
    let mut waiters: BTreeMap<u64, Waiter> = BTreeMap::new();
    let mut looks = FuturesUnordered::new();
    let (mut number, mut looked) = (0, Instant::now());
    loop {
        let tick = waiters.values().filter_map(|waiter| waiter.next).min();
        // A tick waits for the looks of the one before: a request that stands in line behind writes is not asked again.
        let tick = tick.map(|tick| if looks.is_empty() { tick } else { tick.max(looked + HANGS) });
        tokio::select! {
            // Not in a random order, so that a simulation's seed gives the same run again.
            biased;
            arrived = waiting.recv() => {
                // The reader is gone: nobody can wait any more.
                let Some(mut waiter) = arrived else { return };
                waiter.plan(&poll);
                number += 1;
                waiters.insert(number, waiter);
            }
            () = sleep_until(tick.unwrap_or_else(Instant::now)), if tick.is_some() => {
                waiters.retain(|_, waiter| !waiter.looks.is_closed());
                let now = Instant::now();
                // Whose tick it was may have got its answer long ago; the others' time has not come then.
                if !waiters.values().any(|waiter| waiter.next.is_some_and(|next| next <= now)) {
                    continue;
                }
                looked = now;
                // Everybody who waits is asked for, in one batch.
                for (number, waiter) in &mut waiters {
                    if waiter.next.take().is_some() {
                        let (number, query, questions) = (*number, waiter.query.clone(), questions.clone());
                        let look = async move { (number, ask(&questions, query).await) };
                        looks.push(look.instrument(waiter.waiting.clone()));
                    }
                }
            }
            Some((number, answer)) = looks.next(), if !looks.is_empty() => {
                if let Some(waiter) = waiters.get_mut(&number) {
                    let _ = waiter.looks.send(answer);
                    waiter.plan(&poll);
                }
            }
        }
    }
}
