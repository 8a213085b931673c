//! Looks at disks and file systems that may hang: each on a thread of its own, so that one hung file system holds one
//! thread, however often it is asked for, and never one that another volume needs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use eck_csi::operations::{Operations, Request, Rule};
use eck_csi::volume::DiskId;
use serve::code::GrpcCode as _;
use tonic::Status;

use crate::error::StatsError;
use crate::health::{self, Finding, Question, Severity};
use crate::host::Host;
use crate::known::Known;
use crate::stats::{self, Stats};

/// How long a file system may take to answer; the kubelet asks every minute and for every volume.
const PATIENCE: Duration = Duration::from_secs(5);

/// A look, as the table of running looks compares them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Look {
    Stats(DiskId, PathBuf),
    Health(Question),
    Storage,
}

/// What was seen.
#[derive(Clone)]
enum Seen {
    Stats(Stats),
    Health(Vec<Finding>),
}

impl Request for Look {
    fn name(&self) -> &'static str {
        match self {
            Self::Stats(..) => "NodeGetVolumeStats",
            Self::Health(_) => "NodeGetVolumeHealth",
            Self::Storage => "NodeGetStorageHealth",
        }
    }

    fn rule(&self, _: &Self) -> Rule {
        Rule::Wait
    }
}

impl Look {
    /// Looks of the same key follow each other: the next would hang where the first does.
    fn key(&self) -> String {
        match self {
            Self::Stats(_, path) => path.to_string_lossy().into_owned(),
            Self::Health(q) => q.volume.to_string(),
            Self::Storage => String::new(),
        }
    }

    fn run(&self, host: &impl Host, known: &Known) -> Result<Seen, Status> {
        match self {
            Self::Stats(disk, path) => {
                stats::stats(host, disk, path).map(Seen::Stats).map_err(|e| e.status())
            }
            Self::Health(q) => health::volume(host, q, known).map(Seen::Health).map_err(|e| e.status()),
            Self::Storage => Ok(Seen::Health(health::storage(host, known))),
        }
    }
}

/// The looks that run. Clones share them.
pub(crate) struct Looks<H> {
    host: Arc<H>,
    known: Known,
    table: Operations<Look, Result<Seen, Status>>,
}

impl<H> Clone for Looks<H> {
    fn clone(&self) -> Self {
        Self { host: Arc::clone(&self.host), known: self.known.clone(), table: self.table.clone() }
    }
}

impl<H: Host> Looks<H> {
    pub(crate) fn new(host: Arc<H>, known: Known) -> Self {
        Self { host, known, table: Operations::default() }
    }

    /// Statistics of what is at the path.
    pub(crate) async fn stats(&self, disk: DiskId, path: PathBuf) -> Result<Stats, Status> {
        let hangs = StatsError::Hangs { path: path.clone() };
        match self.look(Look::Stats(disk, path)).await? {
            Some(Seen::Stats(stats)) => Ok(stats),
            Some(Seen::Health(_)) => Err(Status::internal("the look ended with the result of another kind")),
            None => Err(hangs.status()),
        }
    }

    /// What is wrong with a volume. That it does not answer is an answer.
    pub(crate) async fn health(&self, q: Question) -> Result<Vec<Finding>, Status> {
        self.findings(Look::Health(q), Severity::Inaccessible).await
    }

    /// What is wrong with this node's disks.
    pub(crate) async fn storage(&self) -> Result<Vec<Finding>, Status> {
        self.findings(Look::Storage, Severity::Degraded).await
    }

    async fn findings(&self, look: Look, hangs: Severity) -> Result<Vec<Finding>, Status> {
        match self.look(look).await? {
            Some(Seen::Health(found)) => Ok(found),
            Some(Seen::Stats(_)) => Err(Status::internal("the look ended with the result of another kind")),
            None => Ok(vec![health::hangs(hangs)]),
        }
    }

    /// What is seen, or `None` when nothing answers within the patience.
    async fn look(&self, look: Look) -> Result<Option<Seen>, Status> {
        let (host, known) = (Arc::clone(&self.host), self.known.clone());
        let work = |look: Arc<Look>| async move {
            let (reply, answer) = tokio::sync::oneshot::channel();
            let asked = std::thread::Builder::new().name("look".to_owned()).spawn(move || {
                let _ = reply.send(look.run(&*host, &known));
            });
            if let Err(error) = asked {
                return Err(Status::unavailable(format!("no thread for a look: {error}")));
            }
            answer.await.unwrap_or_else(|_| Err(Status::unavailable("the look ended without a result")))
        };
        match tokio::time::timeout(PATIENCE, self.table.run(&look.key(), look, work)).await {
            Ok(seen) => seen.map_err(|interrupted| interrupted.status())?.map(Some),
            Err(_) => Ok(None),
        }
    }
}
