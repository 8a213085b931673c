//! The Node service: each RPC is parse, lock, operate, reply. What blocks runs on threads for blocking work.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use eck_csi::care::Discard;
use eck_csi::driver::{MAX_DISKS_PER_NODE, TOPOLOGY_REGION};
use eck_csi::field::BadField;
use eck_csi::operations::{Operations, Request as _};
use eck_csi::volume::NodeId;
use proto::csi::v1 as pb;
use serve::code::GrpcCode as _;
use tonic::{Request, Response, Status};

use crate::host::Host;
use crate::known::Known;
use crate::metrics::Decisions;
use crate::request::{self, Ask, Stage, Want};
use crate::stats::Stats;
use crate::trim::{self, Trims};
use crate::{expand, publish, response, stage};

mod looks;

use looks::Looks;

/// Who this node is, and how it works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// As the controller will get it.
    pub node_id: NodeId,
    /// How long a disk may take to appear after the cloud said that it is attached.
    pub device_patience: Duration,
    /// Slots that the cluster must leave alone, beside the disks in use that are seen not to be the cluster's.
    pub reserved_disks: u32,
    /// Folder for what must outlive a restart of this program.
    pub state_dir: PathBuf,
}

/// What an operation ended with.
#[derive(Clone)]
enum Done {
    Grown(u64),
    Trimmed(Option<u64>),
    Nothing,
}

/// The service. Clones share the host and the tables.
pub struct Node<H> {
    host: Arc<H>,
    settings: Arc<Settings>,
    operations: Operations<Ask, Result<Done, Status>>,
    looks: Looks<H>,
    known: Known,
    trims: Trims,
    decisions: Decisions,
}

impl<H> Clone for Node<H> {
    fn clone(&self) -> Self {
        Self {
            host: Arc::clone(&self.host),
            settings: Arc::clone(&self.settings),
            operations: self.operations.clone(),
            looks: self.looks.clone(),
            known: self.known.clone(),
            trims: self.trims.clone(),
            decisions: self.decisions.clone(),
        }
    }
}

impl<H: Host> Node<H> {
    /// A service over `host`; what staging decides is counted in `decisions`.
    pub fn new(host: H, settings: Settings, decisions: Decisions) -> Self {
        let (host, known) = (Arc::new(host), Known::default());
        Self {
            trims: Trims::new(settings.state_dir.join("trim")),
            settings: Arc::new(settings),
            operations: Operations::default(),
            looks: Looks::new(Arc::clone(&host), known.clone()),
            host,
            known,
            decisions,
        }
    }

    /// Returns when no operation runs any more.
    pub async fn idle(&self) {
        self.operations.idle().await;
    }

    async fn run(&self, key: &str, ask: Ask) -> Result<Done, Status> {
        let node = self.clone();
        let work = |ask: Arc<Ask>| async move {
            let name = ask.name();
            let done = tokio::task::spawn_blocking(move || node.operate(&ask)).await;
            done.unwrap_or_else(|_| Err(Status::unavailable(format!("{name} ended without a result"))))
        };
        self.operations.run(key, ask, work).await.map_err(|interrupted| interrupted.status())?
    }

    fn operate(&self, ask: &Ask) -> Result<Done, Status> {
        let host = &*self.host;
        let deadline = Instant::now() + self.settings.device_patience;
        match ask {
            Ask::Stage(q) => {
                let staged = stage::stage(host, q, deadline);
                self.decisions.count(&staged);
                self.known.staged_as(q, staged.as_ref().err());
                if staged.is_ok() {
                    self.keep_trimmed(q);
                }
                staged.map(|_| Done::Nothing).map_err(|e| e.status())
            }
            Ask::Unstage(volume, path) => {
                stage::unstage(host, volume, path).map_err(|e| e.status())?;
                self.known.left(volume);
                noted(volume.disk().map_or(Ok(()), |disk| self.trims.remove(&disk)));
                Ok(Done::Nothing)
            }
            Ask::Publish(q) => publish::publish(host, q).map(|()| Done::Nothing).map_err(|e| e.status()),
            Ask::Unpublish(_, path) => {
                publish::unpublish(host, path).map(|()| Done::Nothing).map_err(|e| e.status())
            }
            Ask::Expand(volume, q) => {
                expand::expand(host, volume, q, deadline).map(Done::Grown).map_err(|e| e.status())
            }
            Ask::Trim(disk, from) => trim::part(host, disk, *from).map(Done::Trimmed).map_err(|e| e.status()),
        }
    }

    fn keep_trimmed(&self, q: &Stage) {
        let Some(disk) = q.volume.disk() else { return };
        let wanted = q.care.discard == Discard::Periodic && matches!(q.want, Want::Mount { .. });
        noted(if wanted { self.trims.add(&disk) } else { self.trims.remove(&disk) });
    }

    /// Trims what is due at `now`, one volume after the other.
    pub async fn trim(&self, now: SystemTime) {
        let due = self.trims.due(now).unwrap_or_else(|error| {
            noted(Err(error));
            Vec::new()
        });
        for disk in due {
            let mut from = Some(0);
            while let Some(at) = from {
                match self.run(disk.as_str(), Ask::Trim(disk.clone(), at)).await {
                    Ok(Done::Trimmed(next)) => from = next,
                    Ok(Done::Grown(_) | Done::Nothing) => break,
                    // Not mounted yet, after a reboot: it stays due.
                    Err(status) if status.code() == tonic::Code::NotFound => break,
                    Err(status) => {
                        tracing::warn!(%disk, error = status.message(), "The volume cannot be trimmed.");
                        from = None;
                    }
                }
            }
            if from.is_none() {
                noted(self.trims.trimmed(&disk, now));
            }
        }
    }

    /// Disks that the cluster may attach to this node: at least 1, since the scheduler takes 0 for "no limit".
    fn slots(&self) -> Result<u32, Status> {
        let foreign = self.host.foreign_disks();
        let foreign = foreign.map_err(|e| Status::unavailable(serve::chain::chain(&e)))?;
        let taken = foreign.saturating_add(self.settings.reserved_disks);
        Ok(MAX_DISKS_PER_NODE.saturating_sub(taken).max(1))
    }
}

/// What a state folder that fails costs is a trim; no pod waits for it.
fn noted(outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(error = %error, "The state folder cannot be used: volumes are not trimmed as their class wants.");
    }
}

fn bad_field(error: BadField) -> Status {
    error.status()
}

fn refused(error: request::Refused) -> Status {
    error.status()
}

#[tonic::async_trait]
impl<H: Host> pb::node_server::Node for Node<H> {
    async fn node_stage_volume(
        &self,
        request: Request<pb::NodeStageVolumeRequest>,
    ) -> Result<Response<pb::NodeStageVolumeResponse>, Status> {
        let q = request::stage(request.into_inner()).map_err(refused)?;
        self.run(&q.volume.to_string(), Ask::Stage(Box::new(q))).await?;
        Ok(Response::new(pb::NodeStageVolumeResponse {}))
    }

    async fn node_unstage_volume(
        &self,
        request: Request<pb::NodeUnstageVolumeRequest>,
    ) -> Result<Response<pb::NodeUnstageVolumeResponse>, Status> {
        let q = request.into_inner();
        let (volume, path) =
            request::leave(q.volume_id, "staging_target_path", q.staging_target_path).map_err(bad_field)?;
        self.run(&volume.to_string(), Ask::Unstage(volume, path)).await?;
        Ok(Response::new(pb::NodeUnstageVolumeResponse {}))
    }

    async fn node_publish_volume(
        &self,
        request: Request<pb::NodePublishVolumeRequest>,
    ) -> Result<Response<pb::NodePublishVolumeResponse>, Status> {
        let q = request::publish(request.into_inner()).map_err(refused)?;
        self.run(&q.volume.to_string(), Ask::Publish(Box::new(q))).await?;
        Ok(Response::new(pb::NodePublishVolumeResponse {}))
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<pb::NodeUnpublishVolumeRequest>,
    ) -> Result<Response<pb::NodeUnpublishVolumeResponse>, Status> {
        let q = request.into_inner();
        let (volume, path) = request::leave(q.volume_id, "target_path", q.target_path).map_err(bad_field)?;
        self.run(&volume.to_string(), Ask::Unpublish(volume, path)).await?;
        Ok(Response::new(pb::NodeUnpublishVolumeResponse {}))
    }

    async fn node_get_volume_stats(
        &self,
        request: Request<pb::NodeGetVolumeStatsRequest>,
    ) -> Result<Response<pb::NodeGetVolumeStatsResponse>, Status> {
        use pb::volume_usage::Unit;
        let q = request.into_inner();
        let (_, disk, path) = request::at(q.volume_id, q.volume_path).map_err(refused)?;
        let usage = match self.looks.stats(disk, path).await? {
            Stats::Fs(stats) => {
                vec![response::usage(Unit::Bytes, stats.bytes), response::usage(Unit::Inodes, stats.inodes)]
            }
            Stats::Block(bytes) => vec![response::usage(Unit::Bytes, (bytes, 0, 0))],
        };
        Ok(Response::new(pb::NodeGetVolumeStatsResponse { usage }))
    }

    async fn node_expand_volume(
        &self,
        request: Request<pb::NodeExpandVolumeRequest>,
    ) -> Result<Response<pb::NodeExpandVolumeResponse>, Status> {
        let (volume, q) = request::expand(request.into_inner()).map_err(refused)?;
        match self.run(&volume.to_string(), Ask::Expand(volume, q)).await? {
            Done::Grown(bytes) => {
                Ok(Response::new(pb::NodeExpandVolumeResponse { capacity_bytes: response::signed(bytes) }))
            }
            Done::Trimmed(_) | Done::Nothing => {
                Err(Status::internal("the operation ended with the result of another kind"))
            }
        }
    }

    async fn node_get_capabilities(
        &self,
        _: Request<pb::NodeGetCapabilitiesRequest>,
    ) -> Result<Response<pb::NodeGetCapabilitiesResponse>, Status> {
        use pb::node_service_capability::{Rpc, Type, rpc};
        let kinds = [
            rpc::Type::StageUnstageVolume,
            rpc::Type::GetVolumeStats,
            rpc::Type::ExpandVolume,
            rpc::Type::SingleNodeMultiWriter,
            rpc::Type::GetVolumeHealth,
            rpc::Type::GetStorageHealth,
        ];
        let capability = |kind: rpc::Type| pb::NodeServiceCapability {
            r#type: Some(Type::Rpc(Rpc { r#type: kind.into() })),
        };
        Ok(Response::new(pb::NodeGetCapabilitiesResponse { capabilities: kinds.map(capability).into() }))
    }

    async fn node_get_info(
        &self,
        _: Request<pb::NodeGetInfoRequest>,
    ) -> Result<Response<pb::NodeGetInfoResponse>, Status> {
        let node = self.clone();
        let slots = tokio::task::spawn_blocking(move || node.slots()).await;
        let slots = slots.map_err(|_| Status::unavailable("the look ended without a result"))??;
        let id = &self.settings.node_id;
        let segment = |region: &eck_csi::volume::Region| (TOPOLOGY_REGION.to_owned(), region.to_string());
        Ok(Response::new(pb::NodeGetInfoResponse {
            node_id: id.to_string(),
            max_volumes_per_node: i64::from(slots),
            accessible_topology: id
                .region()
                .map(|region| pb::Topology { segments: [segment(region)].into() }),
        }))
    }

    async fn node_get_volume_health(
        &self,
        request: Request<pb::NodeGetVolumeHealthRequest>,
    ) -> Result<Response<pb::NodeGetVolumeHealthResponse>, Status> {
        let q = request::health(request.into_inner()).map_err(refused)?;
        let volume_id = q.volume.to_string();
        let health_statuses = self.looks.health(q).await?.into_iter().map(response::volume_health).collect();
        let volume_health = Some(pb::VolumeHealth { volume_id, health_statuses });
        Ok(Response::new(pb::NodeGetVolumeHealthResponse { volume_health }))
    }

    async fn node_get_storage_health(
        &self,
        _: Request<pb::NodeGetStorageHealthRequest>,
    ) -> Result<Response<pb::NodeGetStorageHealthResponse>, Status> {
        let backend_health = self.looks.storage().await?.into_iter().map(response::storage_health).collect();
        Ok(Response::new(pb::NodeGetStorageHealthResponse { backend_health }))
    }
}
