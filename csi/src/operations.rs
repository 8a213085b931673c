//! The table of running operations: a retry joins, a conflict waits or is refused, and the work owns its place in the table.
//!
//! ```text
//!   run(operation)
//!     nothing runs for its key   → the operation is spawned as a task of its own; the caller only waits for it
//!     the same operation runs    → join: wait for that one's result, start nothing
//!     another operation runs     → OnConflict::Wait: wait until it has ended, look again;  OnConflict::Abort: ABORTED at once
//! ```
//!
//! A caller that goes away (deadline, lost connection) drops nothing but its own waiting: the task goes on, keeps its
//! place in the table until it has ended, and the retry joins it.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use futures::future::{BoxFuture, Shared};
use futures::{FutureExt as _, TryFutureExt as _};
use parking_lot::Mutex;
use serve::code::GrpcCode;
use tokio::sync::{oneshot, watch};
use tonic::{Code, Status};
use tracing::{Instrument as _, Span};

mod trace;

/// One request of the CO, parsed, and what is done about it. `Context` is what the operations of one program work with.
///
/// Two operations are the same if they are of one type and equal; the second one then joins the first.
pub trait Operation<Context>: PartialEq + Send + Sync + Sized + 'static {
    /// What a success gives to everybody who waits for it.
    type Output: Clone + Send + Sync + 'static;
    /// Why it fails.
    type Error: GrpcCode + Send;
    /// The name of the RPC, for logs and errors, e.g. `NodeStageVolume`.
    const NAME: &'static str;

    /// What its key is, as traces name it.
    const KEY_IS: &'static str = trace::VOLUME_ID;

    /// What it works on: a volume id, or the name of something that is to be created.
    fn key(&self) -> String;

    /// The id of the volume that it has made, for traces: until then there is only a name.
    fn made(_: &Self::Output) -> Option<&str> {
        None
    }

    /// Further keys that it needs. They are taken after [`Operation::key`], one after the other in this order and each held
    /// while the next one is waited for; so operations that have several must give them in one order, e.g. sorted.
    fn more_keys(&self) -> Vec<String> {
        Vec::new()
    }

    /// What it does when another operation holds its key; `same_kind`: one of the same type with other arguments.
    fn on_conflict(same_kind: bool) -> OnConflict;

    /// Does the work. It is not cancelled when the caller goes away.
    fn run(
        self: Arc<Self>,
        context: Arc<Context>,
    ) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

/// What to do when another operation runs for the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Wait for its end, then look again.
    Wait,
    /// Refuse at once; the caller's retry policy decides when to ask again.
    Abort,
}

/// Why an operation was not run, or has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// Another operation runs for the key.
    #[error("{key}: {running} is still running; ask again when it has ended")]
    Conflict {
        /// The volume or name.
        key: String,
        /// The RPC that runs.
        running: &'static str,
    },
    /// The task ended without a result (it panicked, or the runtime shuts down): nothing is known of the outcome.
    #[error("the operation ended without a result; its outcome is unknown")]
    Lost,
}

impl GrpcCode for Interrupted {
    fn code(&self) -> Code {
        match self {
            // The spec's "operation pending for volume": ask again later.
            Self::Conflict { .. } => Code::Aborted,
            // The outcome is unknown: a code after which every sidecar asks again.
            Self::Lost => Code::Unavailable,
        }
    }
}

serve::into_status!(Interrupted);

/// The operations that run, by key, and what they work with. Clones share one table.
pub struct Operations<Context> {
    context: Arc<Context>,
    table: Arc<Mutex<HashMap<String, Running>>>,
    /// Number of running operations: shutdown waits until it is 0.
    running: Arc<watch::Sender<usize>>,
}

impl<Context> Clone for Operations<Context> {
    fn clone(&self) -> Self {
        Self {
            context: Arc::clone(&self.context),
            table: Arc::clone(&self.table),
            running: Arc::clone(&self.running),
        }
    }
}

impl<Context: Send + Sync + 'static> Operations<Context> {
    /// An empty table for operations that work with `context`.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, table: Arc::default(), running: Arc::new(watch::channel(0).0) }
    }

    /// What the operations work with.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Runs the operation, or joins the same one that runs already. A different one on the same key waits for that one's end, or
    /// is refused, as [`Operation::on_conflict`] says.
    pub async fn run<O: Operation<Context>>(&self, operation: O) -> Result<O::Output, Status> {
        let operation = Arc::new(operation);
        let asking = Span::current();
        trace::about(&asking, O::KEY_IS, &operation.key());
        loop {
            let ending =
                match self.enter(operation.key(), &operation, || span_of::<Context, O>(&operation))? {
                    Entry::Started(guard, ending) => {
                        self.spawn(operation, guard);
                        ending
                    }
                    Entry::Joined(ending) => ending,
                    Entry::Busy(ended) => {
                        ended.await;
                        continue;
                    }
                };
            let result = ending.await;
            tell_made::<Context, O>(&asking, &result);
            return result;
        }
    }

    /// Number of operations that run now.
    pub fn running(&self) -> usize {
        *self.running.borrow()
    }

    /// Returns when nothing runs any more: what a shutdown waits for.
    pub async fn idle(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.running.subscribe().wait_for(|n| *n == 0).await;
    }

    fn spawn<O: Operation<Context>>(&self, operation: Arc<O>, guard: Guard<Context, O>) {
        let (operations, span) = (self.clone(), guard.span.clone());
        let work = async move {
            let result = operations.run_with_all_keys(operation).await;
            tell_made::<Context, O>(&guard.span, &result);
            trace::ended(&guard.span, result.as_ref().err());
            guard.leave(result);
        };
        tokio::spawn(work.instrument(span));
    }

    /// Takes the further keys, runs the operation and gives the keys back.
    async fn run_with_all_keys<O: Operation<Context>>(&self, operation: Arc<O>) -> Result<O::Output, Status> {
        let mut guards = Vec::new();
        for key in operation.more_keys() {
            guards.push(self.wait_to_enter(&key, &operation).await?);
        }
        let result = Arc::clone(&operation).run(Arc::clone(&self.context)).await;
        let result = result.map_err(|error| error.status());
        for guard in guards {
            guard.leave(result.clone());
        }
        result
    }

    async fn wait_to_enter<O: Operation<Context>>(
        &self,
        key: &str,
        operation: &Arc<O>,
    ) -> Result<Guard<Context, O>, Status> {
        loop {
            match self.enter(key.to_owned(), operation, Span::current)? {
                Entry::Started(guard, _) => return Ok(guard),
                // The same operation under another first key cannot be: equal operations have equal keys.
                Entry::Joined(ending) => drop(ending.await),
                Entry::Busy(ended) => ended.await,
            }
        }
    }

    /// Looks and takes the place under one lock, so that two callers never both start.
    fn enter<O: Operation<Context>>(
        &self,
        key: String,
        operation: &Arc<O>,
        span: impl FnOnce() -> Span,
    ) -> Result<Entry<Context, O>, Interrupted> {
        let mut table = self.table.lock();
        if let Some(running) = table.get(&key) {
            // Not its child: it has been running, for whoever started it.
            Span::current().follows_from(&running.span);
            return match (running.ending_of(&**operation), running.is::<O>()) {
                (Some(ending), _) => Ok(Entry::Joined(ending)),
                (None, same_kind) => match O::on_conflict(same_kind) {
                    OnConflict::Wait => Ok(Entry::Busy(running.ended.clone())),
                    OnConflict::Abort => Err(Interrupted::Conflict { key, running: running.name }),
                },
            };
        }
        let (sender, receiver) = oneshot::channel();
        // They are woken in one order, the same each time; a `watch` draws it, and then no simulation gives the same run again.
        let lost = |_| Err(Interrupted::Lost.into());
        let ending: Ending<O::Output> = receiver.unwrap_or_else(lost).boxed().shared();
        let span = span();
        table.insert(key.clone(), Running::new(Arc::clone(operation), O::NAME, span.clone(), ending.clone()));
        let guard = Guard { operations: self.clone(), key, span, sender: Some(sender) };
        drop(table);
        self.running.send_modify(|n| *n += 1);
        Ok(Entry::Started(guard, ending))
    }
}

fn span_of<Context, O: Operation<Context>>(operation: &O) -> Span {
    let span = trace::of(O::NAME);
    trace::about(&span, O::KEY_IS, &operation.key());
    span
}

/// The span is also about the volume that was made.
fn tell_made<Context, O: Operation<Context>>(span: &Span, result: &Result<O::Output, Status>) {
    if let Some(id) = result.as_ref().ok().and_then(O::made) {
        trace::about(span, trace::VOLUME_ID, id);
    }
}

/// The result of an operation, for all who wait for it.
type Ending<T> = Shared<BoxFuture<'static, Result<T, Status>>>;

/// A running operation, of whatever type.
struct Running {
    name: &'static str,
    span: Span,
    operation: Arc<dyn Any + Send + Sync>,
    /// Its `Ending<O::Output>`.
    ending: Box<dyn Any + Send + Sync>,
    /// The same without the result, for those whose type the result is not.
    ended: Shared<BoxFuture<'static, ()>>,
}

impl Running {
    fn new<O: Send + Sync + 'static, T: Clone + Send + Sync + 'static>(
        operation: Arc<O>,
        name: &'static str,
        span: Span,
        ending: Ending<T>,
    ) -> Self {
        let ended = ending.clone().map(drop).boxed().shared();
        Self { name, span, operation, ending: Box::new(ending), ended }
    }

    fn is<O: 'static>(&self) -> bool {
        self.operation.is::<O>()
    }

    /// The ending, if this is the same operation.
    fn ending_of<O: PartialEq + 'static, T: Clone + 'static>(&self, operation: &O) -> Option<Ending<T>> {
        let same = self.operation.downcast_ref::<O>() == Some(operation);
        // An operation of the same type has an ending of the same type.
        self.ending.downcast_ref::<Ending<T>>().filter(|_| same).cloned()
    }
}

/// A key in the table. Dropping it gives the key back, also when the work panics.
struct Guard<Context, O: Operation<Context>> {
    operations: Operations<Context>,
    key: String,
    span: Span,
    sender: Option<oneshot::Sender<Result<O::Output, Status>>>,
}

impl<Context, O: Operation<Context>> Guard<Context, O> {
    /// Gives the key back, then tells the result: who hears it and asks again must not meet this operation.
    fn leave(mut self, result: Result<O::Output, Status>) {
        let sender = self.sender.take();
        drop(self);
        if let Some(sender) = sender {
            // Nobody may be waiting any more.
            let _ = sender.send(result);
        }
    }
}

impl<Context, O: Operation<Context>> Drop for Guard<Context, O> {
    fn drop(&mut self) {
        self.operations.table.lock().remove(&self.key);
        self.operations.running.send_modify(|n| *n -= 1);
    }
}

enum Entry<Context, O: Operation<Context>> {
    Started(Guard<Context, O>, Ending<O::Output>),
    Joined(Ending<O::Output>),
    Busy(Shared<BoxFuture<'static, ()>>),
}

/// Runs what blocks (mounts, tools, reads of devices) on a thread for blocking work.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            // The operation ends as its work did, and its table tells that the outcome is unknown.
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime shuts down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests;
