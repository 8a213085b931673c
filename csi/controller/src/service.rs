//! The Controller service: each RPC parses its request into an operation and runs it, or reads.

use std::sync::Arc;

use eck_csi::operations::Operations;
use proto::csi::v1 as pb;
use tonic::{Request, Response, Status};

use crate::attach::AttachRequest;
use crate::create::CreateRequest;
use crate::delete::DeleteRequest;
use crate::detach::DetachRequest;
use crate::driver::Driver;
use crate::expand::ExpandRequest;
use crate::modify::ModifyRequest;
use crate::snapshot::create::SnapshotRequest;
use crate::snapshot::delete::DeleteSnapshotRequest;
use crate::{capacity, list, response, snapshot, validate};

mod group;

/// The service. Clones share the driver and the table of operations.
#[derive(Clone)]
pub struct Controller {
    operations: Operations<Driver>,
}

impl Controller {
    /// A service over `driver`.
    pub fn new(driver: Arc<Driver>) -> Self {
        Self { operations: Operations::new(driver) }
    }

    /// Returns when no operation runs any more.
    pub async fn idle(&self) {
        self.operations.idle().await;
    }

    fn driver(&self) -> &Driver {
        self.operations.context()
    }
}

#[tonic::async_trait]
impl pb::controller_server::Controller for Controller {
    async fn create_volume(
        &self,
        request: Request<pb::CreateVolumeRequest>,
    ) -> Result<Response<pb::CreateVolumeResponse>, Status> {
        let created = self.operations.run(CreateRequest::try_from(request.into_inner())?).await?;
        Ok(Response::new(created.into()))
    }

    async fn delete_volume(
        &self,
        request: Request<pb::DeleteVolumeRequest>,
    ) -> Result<Response<pb::DeleteVolumeResponse>, Status> {
        self.operations.run(DeleteRequest::try_from(request.into_inner())?).await?;
        Ok(Response::new(pb::DeleteVolumeResponse {}))
    }

    async fn controller_publish_volume(
        &self,
        request: Request<pb::ControllerPublishVolumeRequest>,
    ) -> Result<Response<pb::ControllerPublishVolumeResponse>, Status> {
        let context = self.operations.run(AttachRequest::try_from(request.into_inner())?).await?;
        Ok(Response::new(pb::ControllerPublishVolumeResponse { publish_context: context.to_map() }))
    }

    async fn controller_unpublish_volume(
        &self,
        request: Request<pb::ControllerUnpublishVolumeRequest>,
    ) -> Result<Response<pb::ControllerUnpublishVolumeResponse>, Status> {
        self.operations.run(DetachRequest::try_from(request.into_inner())?).await?;
        Ok(Response::new(pb::ControllerUnpublishVolumeResponse {}))
    }

    async fn controller_expand_volume(
        &self,
        request: Request<pb::ControllerExpandVolumeRequest>,
    ) -> Result<Response<pb::ControllerExpandVolumeResponse>, Status> {
        let bytes = self.operations.run(ExpandRequest::try_from(request.into_inner())?).await?;
        Ok(Response::new(response::expanded(bytes)))
    }

    async fn controller_modify_volume(
        &self,
        request: Request<pb::ControllerModifyVolumeRequest>,
    ) -> Result<Response<pb::ControllerModifyVolumeResponse>, Status> {
        self.operations.run(ModifyRequest::try_from(request.into_inner())?).await?;
        Ok(Response::new(pb::ControllerModifyVolumeResponse {}))
    }

    async fn create_snapshot(
        &self,
        request: Request<pb::CreateSnapshotRequest>,
    ) -> Result<Response<pb::CreateSnapshotResponse>, Status> {
        let (region, snapshot) =
            self.operations.run(SnapshotRequest::try_from(request.into_inner())?).await?;
        let snapshot = Some(response::snapshot(&region, &snapshot));
        Ok(Response::new(pb::CreateSnapshotResponse { snapshot }))
    }

    async fn delete_snapshot(
        &self,
        request: Request<pb::DeleteSnapshotRequest>,
    ) -> Result<Response<pb::DeleteSnapshotResponse>, Status> {
        self.operations.run(DeleteSnapshotRequest::try_from(request.into_inner())?).await?;
        Ok(Response::new(pb::DeleteSnapshotResponse {}))
    }

    async fn validate_volume_capabilities(
        &self,
        request: Request<pb::ValidateVolumeCapabilitiesRequest>,
    ) -> Result<Response<pb::ValidateVolumeCapabilitiesResponse>, Status> {
        Ok(Response::new(validate::validate(self.driver(), request.into_inner()).await?))
    }

    async fn list_volumes(
        &self,
        request: Request<pb::ListVolumesRequest>,
    ) -> Result<Response<pb::ListVolumesResponse>, Status> {
        Ok(Response::new(list::list(self.driver(), request.into_inner()).await?))
    }

    async fn controller_get_volume(
        &self,
        request: Request<pb::ControllerGetVolumeRequest>,
    ) -> Result<Response<pb::ControllerGetVolumeResponse>, Status> {
        Ok(Response::new(list::get(self.driver(), request.into_inner()).await?))
    }

    async fn get_capacity(
        &self,
        request: Request<pb::GetCapacityRequest>,
    ) -> Result<Response<pb::GetCapacityResponse>, Status> {
        Ok(Response::new(capacity::capacity(self.driver(), request.into_inner()).await?))
    }

    async fn controller_list_volume_health(
        &self,
        request: Request<pb::ControllerListVolumeHealthRequest>,
    ) -> Result<Response<pb::ControllerListVolumeHealthResponse>, Status> {
        Ok(Response::new(list::list_health(self.driver(), request.into_inner()).await?))
    }

    async fn controller_get_volume_health(
        &self,
        request: Request<pb::ControllerGetVolumeHealthRequest>,
    ) -> Result<Response<pb::ControllerGetVolumeHealthResponse>, Status> {
        Ok(Response::new(list::health(self.driver(), request.into_inner()).await?))
    }

    async fn list_snapshots(
        &self,
        request: Request<pb::ListSnapshotsRequest>,
    ) -> Result<Response<pb::ListSnapshotsResponse>, Status> {
        Ok(Response::new(snapshot::list::list(self.driver(), request.into_inner()).await?))
    }

    async fn get_snapshot(
        &self,
        request: Request<pb::GetSnapshotRequest>,
    ) -> Result<Response<pb::GetSnapshotResponse>, Status> {
        Ok(Response::new(snapshot::list::get(self.driver(), request.into_inner()).await?))
    }

    async fn controller_get_capabilities(
        &self,
        _: Request<pb::ControllerGetCapabilitiesRequest>,
    ) -> Result<Response<pb::ControllerGetCapabilitiesResponse>, Status> {
        Ok(Response::new(response::capabilities()))
    }
}
