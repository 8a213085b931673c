//! A call of the controller, as a task: the request, the result, and what the cloud held at that moment.

use std::sync::Arc;

use ecx_sim::Local;
use ecx_sim::world::DiskRecord;
use tokio::sync::mpsc;
use tonic::Status;

use crate::direct::{Created, Direct};
use crate::sidecar::Claim;

/// A request about a volume; machines by their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// With the number of the attempt: a retry prefers another region.
    Create(u32),
    Publish(usize),
    Unpublish(usize),
    /// To this size in GiB.
    Expand(u64),
    Delete,
    Get,
    List,
}

/// A success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Created(Created),
    /// To this size in GiB.
    Expanded(u64),
    Done,
    /// The nodes of one volume.
    Got(Vec<String>),
    /// Each volume with its nodes.
    Listed(Vec<(String, Vec<String>)>),
}

/// A request with everything that is sent.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) request: Request,
    pub(super) claim: Claim,
    pub(super) volume_id: String,
    /// Of the machine that the request names; empty if it names none.
    pub(super) node_id: String,
}

/// A call that has ended.
pub(super) struct Completed {
    pub(super) number: u64,
    pub(super) result: Result<Reply, Status>,
    /// The disks with the volume's name at that moment.
    pub(super) disks: Vec<DiskRecord>,
}

/// Whoever serves the calls: the controller, or a decorator around it.
pub(super) trait Service: Send + Sync {
    fn serve(&self, call: &Call) -> impl Future<Output = Result<Reply, Status>> + Send;
}

impl Service for Direct {
    async fn serve(&self, call: &Call) -> Result<Reply, Status> {
        let (volume, node) = (call.volume_id.clone(), call.node_id.clone());
        match call.request {
            Request::Create(attempt) => self.create(&call.claim, attempt).await.map(Reply::Created),
            Request::Publish(_) => self.publish(volume, node).await.map(|()| Reply::Done),
            Request::Unpublish(_) => self.unpublish(volume, node).await.map(|()| Reply::Done),
            Request::Expand(gib) => self.expand(volume, gib).await.map(Reply::Expanded),
            Request::Delete => self.delete(volume).await.map(|()| Reply::Done),
            Request::Get => self.get(volume).await.map(Reply::Got),
            Request::List => self.list().await.map(Reply::Listed),
        }
    }
}

/// Makes the call, and sends its result.
pub(super) async fn call(
    service: impl Service,
    cloud: Arc<Local>,
    call: Call,
    completed: mpsc::UnboundedSender<Completed>,
) {
    let result = service.serve(&call).await;
    let named = |disk: &&DiskRecord| disk.disk.disk_name == call.claim.name;
    let disks = cloud.look(|world| world.disks.values().filter(named).cloned().collect());
    // The receiver is gone if the controller crashes at this moment.
    let _ = completed.send(Completed { number: call.number, result, disks });
}
