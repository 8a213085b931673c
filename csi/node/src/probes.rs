//! Reads of disks and file systems that may hang: each on a thread of its own, so that one hung file system holds one
//! thread, however often it is asked for, and never one that another volume needs.

use std::time::Duration;

use eck_csi::operations::{Operation, Operations};
use serve::code::GrpcCode as _;
use tonic::Status;

use crate::driver::Driver;

/// How long a file system may take to answer; the kubelet asks every minute and for every volume.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An operation that reads and may hang.
pub(crate) trait Probe<Context>: Operation<Context> {
    /// What is told when there is no answer in time.
    fn no_answer(&self) -> Result<Self::Output, Self::Error>;
}

/// The probes that run. Clones share them.
pub(crate) struct Probes<H> {
    operations: Operations<Driver<H>>,
}

impl<H> Clone for Probes<H> {
    fn clone(&self) -> Self {
        Self { operations: self.operations.clone() }
    }
}

impl<H: Send + Sync + 'static> Probes<H> {
    /// A table of their own: a probe that hangs keeps no operation of its volume waiting.
    pub(crate) fn new(operations: Operations<Driver<H>>) -> Self {
        Self { operations }
    }

    /// Runs the probe, for no longer than [`TIMEOUT`].
    pub(crate) async fn run<P: Probe<Driver<H>>>(&self, probe: P) -> Result<P::Output, Status> {
        let no_answer = probe.no_answer();
        match tokio::time::timeout(TIMEOUT, self.operations.run(probe)).await {
            Ok(answer) => answer,
            Err(_) => no_answer.map_err(|error| error.status()),
        }
    }
}

/// Runs what may hang on a thread that nothing else needs.
pub(crate) async fn on_own_thread<T: Send + 'static, E: From<std::io::Error> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let (reply, answer) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("probe".to_owned()).spawn(move || {
        // Whoever asked may have gone.
        let _ = reply.send(work());
    })?;
    match answer.await {
        Ok(answer) => answer,
        // The thread panicked: this task ends the same way, and its table tells that the outcome is unknown.
        Err(_) => std::panic::resume_unwind(Box::new("the probe panicked")),
    }
}
