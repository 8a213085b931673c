//! The table of running operations: a retry joins, a conflict waits or is refused, and the work owns its place.
//!
//! ```text
//!   run(key, request, work)
//!     nothing runs for key     → the work is spawned as a task of its own; the caller only waits for it
//!     the same request runs    → join: wait for that one's result, start nothing
//!     another request runs     → Rule::Wait: wait until it has ended, look again;  Rule::Abort: Conflict at once
//! ```
//!
//! A caller that goes away (deadline, lost connection) drops nothing but its own waiting: the task goes on, keeps its
//! place in the table until it has ended, and the retry joins it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::Shared;
use tokio::sync::{oneshot, watch};

/// What to do when a different operation already runs for the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Wait for its end, then look again.
    Wait,
    /// Refuse at once; the caller's retry policy decides when to ask again.
    Abort,
}

/// Why `run` has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// Another operation runs for the same volume.
    #[error("{key}: {running} is still running; ask again when it has ended")]
    Conflict {
        /// The volume.
        key: String,
        /// What runs.
        running: String,
    },
    /// The task ended without a result (it panicked, or the runtime shuts down): nothing is known of the outcome.
    #[error("the operation ended without a result; its outcome is unknown")]
    Lost,
}

/// A request that can be compared with a running one.
pub trait Request: PartialEq + Send + Sync + 'static {
    /// A word for logs and errors, e.g. `NodeStageVolume`.
    fn name(&self) -> &'static str;

    /// What this request does when `running` holds the key.
    fn rule(&self, running: &Self) -> Rule;
}

/// The end of an operation, for all who wait for it. They are woken in one order, the same each time: a `watch` draws
/// it, and then no simulation gives the same run again.
type Ending<R> = Shared<oneshot::Receiver<R>>;

struct Running<Q, R> {
    request: Arc<Q>,
    result: Ending<R>,
}

type Table<Q, R> = Mutex<HashMap<String, Running<Q, R>>>;

/// The operations that run, by key (a volume id or name). Clones share one table.
pub struct Operations<Q, R> {
    table: Arc<Table<Q, R>>,
    /// Changes whenever the table becomes empty or not: shutdown waits on it.
    busy: Arc<watch::Sender<usize>>,
}

impl<Q, R> Clone for Operations<Q, R> {
    fn clone(&self) -> Self {
        Self { table: Arc::clone(&self.table), busy: Arc::clone(&self.busy) }
    }
}

impl<Q: Request, R: Clone + Send + Sync + 'static> Default for Operations<Q, R> {
    fn default() -> Self {
        Self { table: Arc::default(), busy: Arc::new(watch::channel(0).0) }
    }
}

/// The place in the table. Dropping it gives the place back, also when the work panics.
struct Place<Q: Request, R: Clone + Send + Sync + 'static> {
    operations: Operations<Q, R>,
    key: String,
}

impl<Q: Request, R: Clone + Send + Sync + 'static> Drop for Place<Q, R> {
    fn drop(&mut self) {
        self.operations.lock().remove(&self.key);
        self.operations.busy.send_modify(|n| *n -= 1);
    }
}

impl<Q: Request, R: Clone + Send + Sync + 'static> Operations<Q, R> {
    /// Runs `work` for `key`, or joins the same request that runs already. See the module's text.
    pub async fn run<F, W>(&self, key: &str, request: Q, work: W) -> Result<R, Interrupted>
    where
        F: Future<Output = R> + Send + 'static,
        W: FnOnce(Arc<Q>) -> F,
    {
        let request = Arc::new(request);
        loop {
            match self.enter(key, &request)? {
                Entry::Started(sender, place, ending) => {
                    spawn(work(request), sender, place);
                    return ending.await.map_err(|_| Interrupted::Lost);
                }
                Entry::Joined(ending) => return ending.await.map_err(|_| Interrupted::Lost),
                // The end of the other one is what we wait for; its result is not ours.
                Entry::Other(ending) => drop(ending.await),
            }
        }
    }

    /// Number of operations that run now.
    pub fn running(&self) -> usize {
        *self.busy.borrow()
    }

    /// Returns when nothing runs any more: what a shutdown waits for.
    pub async fn idle(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.busy.subscribe().wait_for(|n| *n == 0).await;
    }

    /// Looks and takes the place under one lock, so that two callers never both start.
    fn enter(&self, key: &str, request: &Arc<Q>) -> Result<Entry<Q, R>, Interrupted> {
        let mut table = self.lock();
        if let Some(running) = table.get(key) {
            if *running.request == **request {
                return Ok(Entry::Joined(running.result.clone()));
            }
            return match request.rule(&running.request) {
                Rule::Wait => Ok(Entry::Other(running.result.clone())),
                Rule::Abort => {
                    let running = running.request.name().to_owned();
                    Err(Interrupted::Conflict { key: key.to_owned(), running })
                }
            };
        }
        let (sender, receiver) = oneshot::channel();
        let ending = receiver.shared();
        table.insert(key.to_owned(), Running { request: Arc::clone(request), result: ending.clone() });
        drop(table);
        self.busy.send_modify(|n| *n += 1);
        Ok(Entry::Started(sender, Place { operations: self.clone(), key: key.to_owned() }, ending))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Running<Q, R>>> {
        // A panic cannot leave the map half-changed: every change is one call.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Entry<Q: Request, R: Clone + Send + Sync + 'static> {
    Started(oneshot::Sender<R>, Place<Q, R>, Ending<R>),
    Joined(Ending<R>),
    Other(Ending<R>),
}

fn spawn<Q: Request, R: Clone + Send + Sync + 'static>(
    work: impl Future<Output = R> + Send + 'static,
    sender: oneshot::Sender<R>,
    place: Place<Q, R>,
) {
    tokio::spawn(async move {
        let result = work.await;
        // Free first, answer then: who hears the answer and asks again must not meet this operation.
        drop(place);
        let _ = sender.send(result);
    });
}

#[cfg(test)]
mod tests;
