//! Nodes whose machine is off: tainted out of service, so that Kubernetes deletes their pods and moves their disks at once. The taint goes
//! again when the node is ready.
//!
//! The taint is the word that a machine runs no more; said of one that runs it lets two machines write to one disk. So it is put only
//! when the kubelet is silent, its disks and its name lead to one machine, and the cloud has said twice that this machine is off or gone.
//! What is not known counts as running.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use eck_csi::volume::NodeId;
use eck_csi_fencing::{Node, OutOfService, Outages};
use eck_csi_kubernetes::ClusterError;
use ecx::api::Group;
use futures::future::try_join_all;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::driver::Driver;
use crate::machines::MachineState;

mod evidence;

use evidence::{Evidence, judge};

/// How often it is looked which nodes are not ready. That is in memory, and costs nothing.
const TICK: Duration = Duration::from_secs(1);

/// A node that is not ready for less than this is left alone: a kubelet may only be late with its post.
const SILENT_FOR: Duration = Duration::from_secs(5);

/// Between the two answers: longer than a cloud's database lags behind, shorter than anybody starts a machine by hand and mounts a disk.
const GAP: Duration = Duration::from_secs(10);

/// A first answer that is older than this is not one of two.
const FIRST_HOLDS: Duration = Duration::from_secs(60);

/// After the second answer the taint must be there within this, or the cloud is asked again.
const ANSWER_HOLDS: Duration = Duration::from_secs(15);

/// How long one look at the cloud may take: its client's own patience with a read is longer than a minute.
const PATIENCE: Duration = Duration::from_secs(8);

/// When a node is looked at again: whose machine runs, or that is tainted; that somebody else looks at; and after an error.
const AGAIN: Duration = Duration::from_secs(15);
const STANDBY: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(2);

/// Disks that are asked where they are. They are of one machine: if five say so, the sixth does not say otherwise.
const WITNESSES: usize = 5;

/// What the evidence comes to. A test puts a wrong one here.
type Judge = fn(&Evidence<'_>) -> MachineState;

/// Watches nodes that are not ready.
pub(crate) struct DeadNodes {
    driver: Arc<Driver>,
    cluster: Arc<dyn Outages>,
    judge: Judge,
    /// Between two answers.
    gap: Duration,
    attended: Mutex<HashSet<String>>,
}

/// A node that is not ready.
struct Outage {
    node: Node,
    since: Instant,
    /// When the cloud had first answered that the machine is off.
    first: Option<Instant>,
}

/// Why a node could not be looked at.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("the cloud")]
    Cloud(#[from] ecx::Error),
    #[error("the cloud did not answer within {} s", PATIENCE.as_secs())]
    Slow,
}

impl DeadNodes {
    pub(crate) fn new(driver: Arc<Driver>, cluster: Arc<dyn Outages>) -> Self {
        Self { driver, cluster, judge, gap: GAP, attended: Mutex::default() }
    }

    /// For ever. Each node that is not ready has a task of its own, so that none waits for another's region.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        loop {
            while tasks.try_join_next().is_some() {}
            for name in self.cluster.unsettled() {
                if self.attended.lock().insert(name.clone()) {
                    let this = Arc::clone(&self);
                    tasks.spawn(async move { this.attend(&name).await });
                }
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Until the node is settled.
    async fn attend(&self, name: &str) {
        let mut outage = None;
        while self.cluster.unsettled().iter().any(|one| one == name) {
            let pause = self.visit(name, &mut outage).await.unwrap_or_else(|error| {
                let error = serve::chain::chain(&error);
                tracing::warn!(node = name, error, "A node that is not ready could not be looked at");
                SOON
            });
            tokio::time::sleep(pause).await;
        }
        self.attended.lock().remove(name);
    }

    /// One look; gives the time until the next.
    async fn visit(&self, name: &str, outage: &mut Option<Outage>) -> Result<Duration, LookError> {
        let before = outage.take();
        let Some(node) = self.cluster.node(name).await? else { return Ok(AGAIN) };
        if node.ready {
            return self.settle(&node).await;
        }
        let now = Instant::now();
        let same = before.filter(|outage| node.is_still_out(&outage.node));
        let out = outage.insert(same.unwrap_or(Outage { node, since: now, first: None }));
        // Somebody has said so already; or nothing of ours is held up there.
        if out.node.out_of_service != OutOfService::No || out.node.in_use.is_empty() {
            return Ok(AGAIN);
        }
        let Some(id) = out.node.id.clone() else { return Ok(AGAIN) };
        if let Some(left) = SILENT_FOR.checked_sub(now - out.since).filter(|left| !left.is_zero()) {
            return Ok(left);
        }
        if !self.cluster.leads().await? {
            out.first = None;
            return Ok(STANDBY);
        }
        let looked = tokio::time::timeout(PATIENCE, self.look(&id, &out.node.in_use)).await;
        let (asked, state) = looked.map_err(|_| LookError::Slow)??;
        out.first = out.first.filter(|first| asked - *first < FIRST_HOLDS);
        // An answer is of some moment between question and now: the gap lies between this one's end and the next one's begin.
        let answered = Instant::now();
        match (&state, out.first) {
            (MachineState::Off | MachineState::Absent, Some(first)) if asked - first >= self.gap => {
                self.condemn(&out.node, asked, &state).await
            }
            (MachineState::Off | MachineState::Absent, first) => {
                let first = *out.first.insert(first.unwrap_or(answered));
                Ok((first + self.gap).saturating_duration_since(answered))
            }
            (MachineState::On(_) | MachineState::Unclear(_), _) => {
                out.first = None;
                tracing::info!(node = name, %state, "A node is not ready, and its machine is not known to be off");
                Ok(AGAIN)
            }
        }
    }

    /// A node that is ready keeps no taint of ours.
    async fn settle(&self, node: &Node) -> Result<Duration, LookError> {
        if node.out_of_service == OutOfService::ByUs
            && self.cluster.leads().await?
            && self.cluster.untaint(node).await?
        {
            tracing::info!(node = node.name, "The node is ready again: the taint is taken away");
        }
        Ok(SOON)
    }

    /// What the cloud says of the node's machine, and when it was asked.
    async fn look(
        &self,
        id: &NodeId,
        disks: &BTreeSet<String>,
    ) -> Result<(Instant, MachineState), ecx::Error> {
        let (driver, asked) = (&self.driver, Instant::now());
        let Some(region) = id.region() else {
            return Ok((asked, MachineState::Unclear("the node's id tells no region")));
        };
        if !driver.regions.known(region).await? {
            return Ok((asked, MachineState::Unclear("the node is in no region of the cloud's")));
        }
        let looks = disks.iter().take(WITNESSES).map(|disk| driver.reader.proven(region, disk));
        let told = try_join_all(looks).await?;
        let told: Vec<_> =
            told.into_iter().flatten().filter(|disk| disk.disk_status.group() != Group::Busy).collect();
        let holders = told.iter().flat_map(|disk| disk.holders()).map(str::to_owned).collect();
        let listing = driver.machines.list(&driver.client, region).await?;
        let evidence = Evidence {
            node: id,
            region,
            holders,
            witnesses: told.len(),
            machines: &listing.machines,
            vpc: &driver.client.profile().vpc,
        };
        Ok((asked, (self.judge)(&evidence)))
    }

    /// Puts the taint, if all is still as it was.
    async fn condemn(
        &self,
        node: &Node,
        asked: Instant,
        state: &MachineState,
    ) -> Result<Duration, LookError> {
        let fresh = self.cluster.node(&node.name).await?;
        let Some(fresh) = fresh.filter(|fresh| fresh.is_still_out(node) && !fresh.in_use.is_empty()) else {
            return Ok(SOON);
        };
        if !self.cluster.leads().await? || asked.elapsed() > ANSWER_HOLDS {
            return Ok(SOON);
        }
        let why = format!(
            "The node is not ready, and the cloud has said of its machine twice, {} s apart: {state}. It is tainted, so that its pods \
             are deleted and its disks can go to other nodes; the taint goes when the node is ready again",
            self.gap.as_secs()
        );
        if self.cluster.taint(&fresh, &why).await? {
            tracing::warn!(node = node.name, %state, "The node is tainted out of service");
            return Ok(AGAIN);
        }
        Ok(SOON)
    }
}

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
