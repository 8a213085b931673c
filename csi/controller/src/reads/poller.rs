//! One poller a region: all who wait share its ticks. The pace is the youngest waiter's, so a disk that was just ordered
//! is looked at soon, and those that wait long ride along for nothing.

use std::time::Duration;

use ecx::profile::Poll;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{Answer, Query, Question, ask};

/// Somebody who waits: what for, and where the looks go. Gone when the receiver is dropped.
pub(super) struct Waiter {
    query: Query,
    looks: mpsc::UnboundedSender<Answer>,
    pause: Option<Duration>,
    next: Option<Instant>,
}

impl Waiter {
    pub(super) fn new(query: Query, looks: mpsc::UnboundedSender<Answer>) -> Self {
        Self { query, looks, pause: None, next: None }
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
    let mut waiters: Vec<Waiter> = Vec::new();
    loop {
        let tick = waiters.iter().filter_map(|w| w.next).min();
        let arrived = match tick {
            None => waiting.recv().await,
            Some(tick) => tokio::select! {
                arrived = waiting.recv() => arrived,
                () = sleep_until(tick) => {
                    look(&poll, &questions, &mut waiters).await;
                    continue;
                }
            },
        };
        // The reader is gone: nobody can wait any more.
        let Some(mut waiter) = arrived else { return };
        waiter.plan(&poll);
        waiters.push(waiter);
    }
}

/// One tick: everybody who waits is asked for, in one batch.
async fn look(poll: &Poll, questions: &mpsc::UnboundedSender<Question>, waiters: &mut Vec<Waiter>) {
    waiters.retain(|waiter| !waiter.looks.is_closed());
    let asked = waiters.iter().map(|waiter| ask(questions, waiter.query.clone()));
    let answers = futures::future::join_all(asked).await;
    for (waiter, answer) in waiters.iter_mut().zip(answers) {
        let _ = waiter.looks.send(answer);
        waiter.plan(poll);
    }
}
