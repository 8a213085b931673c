//! One question about the disks of a region, and its answer.

use std::time::Duration;

use ecx::Error;
use ecx::api::Disk;
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

/// A read that takes longer is not waited for by the next batch. Far above an ordinary reply, even when the request stands
/// in line behind a burst of writes (20 at 10 a second), and far below the HTTP timeout of 10 s.
pub(super) const HANGS: Duration = Duration::from_secs(3);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Query {
    /// The disk with this id, if a look at the region's list shows it: where a disk is looked for.
    Hint(String),
    /// The disk with this id: none or one. That there is none is by the disk's own word.
    Id(String),
    /// The same, and that it is at rest, and where, is by the disk's own word as well.
    Proven(String),
    /// The disks with this name: any number. That there is none is by the cloud's look for the name.
    Name(String),
    /// The disks with this name, if a look at the region's list shows them: while one is waited for.
    Shown(String),
    /// All disks of the region.
    All,
}

/// The answer: the disks that fit the query.
pub(crate) type Answer = Result<Vec<Disk>, Error>;

/// A question, and where its answer goes.
pub(super) struct Question {
    pub(super) query: Query,
    pub(super) reply: oneshot::Sender<Answer>,
    /// The span in which is asked.
    pub(super) asking: Span,
}

/// Asks a region's task.
pub(super) async fn ask(questions: &mpsc::UnboundedSender<Question>, query: Query) -> Answer {
    let lost = || {
        let message = "the reader ended".to_owned();
        Error::NoReply(ecx::error::ApiMessage { message, ..Default::default() })
    };
    let (reply, answer) = oneshot::channel();
    questions.send(Question { query, reply, asking: Span::current() }).map_err(|_| lost())?;
    answer.await.map_err(|_| lost())?
}
