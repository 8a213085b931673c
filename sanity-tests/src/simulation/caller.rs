//! A call of the controller, as a task: what is asked, what is told, and what the cloud had at that moment.

use std::sync::Arc;

use ecx_sim::Local;
use ecx_sim::world::DiskRecord;
use tokio::sync::mpsc;
use tonic::Status;

use super::bug::Bug;
use crate::direct::{Created, Direct};
use crate::sidecar::Claim;

/// What is asked about a volume; machines by their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// The so-manieth time: a retry prefers another region.
    Create(u32),
    Publish(usize),
    Unpublish(usize),
    /// To so many GiB.
    Expand(u64),
    Delete,
    Get,
    List,
}

/// A success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Created(Created),
    /// To so many GiB.
    Expanded(u64),
    Done,
    /// The nodes.
    Got(Vec<String>),
    /// Each volume with its nodes.
    Listed(Vec<(String, Vec<String>)>),
}

/// What a call needs to know.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) ask: Ask,
    pub(super) claim: Claim,
    pub(super) id: String,
    /// Of the machine that the ask names.
    pub(super) node: String,
}

/// The end of a call.
pub(super) struct Ended {
    pub(super) number: u64,
    pub(super) told: Result<Answer, Status>,
    /// The disks of the volume's name at that moment.
    pub(super) disks: Vec<DiskRecord>,
}

/// Calls, and says what it was told.
pub(super) async fn call(
    controller: Direct,
    cloud: Arc<Local>,
    bug: Option<Bug>,
    call: Call,
    ended: mpsc::UnboundedSender<Ended>,
) {
    let told = match bug {
        None => ask(&controller, &call).await,
        Some(bug) => bug.ask(&controller, &call).await,
    };
    let named = |disk: &&DiskRecord| disk.disk.disk_name == call.claim.name;
    let disks = cloud.look(|world| world.disks.values().filter(named).cloned().collect());
    // Whoever listened may be gone with his life.
    let _ = ended.send(Ended { number: call.number, told, disks });
}

pub(super) async fn ask(controller: &Direct, call: &Call) -> Result<Answer, Status> {
    let (id, node) = (call.id.clone(), call.node.clone());
    match call.ask {
        Ask::Create(turn) => controller.create(&call.claim, turn).await.map(Answer::Created),
        Ask::Publish(_) => controller.publish(id, node).await.map(|()| Answer::Done),
        Ask::Unpublish(_) => controller.unpublish(id, node).await.map(|()| Answer::Done),
        Ask::Expand(gib) => controller.expand(id, gib).await.map(Answer::Expanded),
        Ask::Delete => controller.delete(id).await.map(|()| Answer::Done),
        Ask::Get => controller.get(id).await.map(Answer::Got),
        Ask::List => controller.list().await.map(Answer::Listed),
    }
}
