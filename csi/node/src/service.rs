//! The Node service: each RPC parses its request into an operation and runs it.

use std::sync::Arc;

use eck_csi::operations::Operations;
use proto::csi::v1 as pb;
use tonic::{Request, Response, Status};

use crate::driver::Driver;
use crate::expand::ExpandRequest;
use crate::health::{HealthRequest, StorageHealthRequest};
use crate::host::Host;
use crate::probes::Probes;
use crate::publish::PublishRequest;
use crate::stage::StageRequest;
use crate::stats::StatsRequest;
use crate::trim::WeeklyTrim;
use crate::unpublish::UnpublishRequest;
use crate::unstage::UnstageRequest;
use crate::{response, slots};

/// The service. Clones share the driver and the tables.
pub struct Node<H> {
    operations: Operations<Driver<H>>,
    probes: Probes<H>,
}

impl<H> Clone for Node<H> {
    fn clone(&self) -> Self {
        Self { operations: self.operations.clone(), probes: self.probes.clone() }
    }
}

impl<H: Host> Node<H> {
    /// A service over `driver`.
    pub fn new(driver: Driver<H>) -> Self {
        let driver = Arc::new(driver);
        let probes = Probes::new(Operations::new(Arc::clone(&driver)));
        Self { operations: Operations::new(driver), probes }
    }

    /// Returns when no operation runs any more.
    pub async fn idle(&self) {
        self.operations.idle().await;
    }

    /// The trims of this node's volumes, which are operations like those of the service.
    pub fn weekly_trim(&self) -> WeeklyTrim<H> {
        WeeklyTrim::new(self.operations.clone())
    }
}

#[tonic::async_trait]
impl<H: Host> pb::node_server::Node for Node<H> {
    async fn node_stage_volume(
        &self,
        request: Request<pb::NodeStageVolumeRequest>,
    ) -> Result<Response<pb::NodeStageVolumeResponse>, Status> {
        self.operations.run(StageRequest::try_from(request.into_inner())?).await?;
        Ok(Response::new(pb::NodeStageVolumeResponse {}))
    }

    async fn node_unstage_volume(
        &self,
        request: Request<pb::NodeUnstageVolumeRequest>,
    ) -> Result<Response<pb::NodeUnstageVolumeResponse>, Status> {
        self.operations.run(UnstageRequest::try_from(request.into_inner())?).await?;
        Ok(Response::new(pb::NodeUnstageVolumeResponse {}))
    }

    async fn node_publish_volume(
        &self,
        request: Request<pb::NodePublishVolumeRequest>,
    ) -> Result<Response<pb::NodePublishVolumeResponse>, Status> {
        self.operations.run(PublishRequest::try_from(request.into_inner())?).await?;
        Ok(Response::new(pb::NodePublishVolumeResponse {}))
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<pb::NodeUnpublishVolumeRequest>,
    ) -> Result<Response<pb::NodeUnpublishVolumeResponse>, Status> {
        self.operations.run(UnpublishRequest::try_from(request.into_inner())?).await?;
        Ok(Response::new(pb::NodeUnpublishVolumeResponse {}))
    }

    async fn node_expand_volume(
        &self,
        request: Request<pb::NodeExpandVolumeRequest>,
    ) -> Result<Response<pb::NodeExpandVolumeResponse>, Status> {
        let bytes = self.operations.run(ExpandRequest::try_from(request.into_inner())?).await?;
        Ok(Response::new(pb::NodeExpandVolumeResponse { capacity_bytes: response::signed(bytes) }))
    }

    async fn node_get_volume_stats(
        &self,
        request: Request<pb::NodeGetVolumeStatsRequest>,
    ) -> Result<Response<pb::NodeGetVolumeStatsResponse>, Status> {
        let stats = self.probes.run(StatsRequest::try_from(request.into_inner())?).await?;
        Ok(Response::new(stats.into()))
    }

    async fn node_get_volume_health(
        &self,
        request: Request<pb::NodeGetVolumeHealthRequest>,
    ) -> Result<Response<pb::NodeGetVolumeHealthResponse>, Status> {
        let request = HealthRequest::try_from(request.into_inner())?;
        let volume_id = request.volume.to_string();
        Ok(Response::new(response::volume_health(volume_id, self.probes.run(request).await?)))
    }

    async fn node_get_storage_health(
        &self,
        _: Request<pb::NodeGetStorageHealthRequest>,
    ) -> Result<Response<pb::NodeGetStorageHealthResponse>, Status> {
        Ok(Response::new(response::storage_health(self.probes.run(StorageHealthRequest).await?)))
    }

    async fn node_get_capabilities(
        &self,
        _: Request<pb::NodeGetCapabilitiesRequest>,
    ) -> Result<Response<pb::NodeGetCapabilitiesResponse>, Status> {
        Ok(Response::new(response::capabilities()))
    }

    async fn node_get_info(
        &self,
        _: Request<pb::NodeGetInfoRequest>,
    ) -> Result<Response<pb::NodeGetInfoResponse>, Status> {
        let driver = Arc::clone(self.operations.context());
        let slots = slots::attachable_disks(Arc::clone(&driver)).await?;
        Ok(Response::new(response::info(&driver.settings.node_id, slots)))
    }
}
