//! The GroupController service.

use std::sync::Arc;

use eck_csi::code::GrpcCode as _;
use eck_csi::driver::MAX_FIELD_BYTES;
use eck_csi::field::text;
use eck_csi::volume::DiskId;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::csi::v1 as pb;
use tonic::{Request, Response, Status};

use super::{Controller, Done, bad_field, mismatch, operate};
use crate::request::{self, Ask};
use crate::response;
use crate::snapshot::group::{self, TakeGroup};

impl Controller {
    /// Takes the group's snapshot at the places of all its volumes. Each place is held while the next one is waited for, always
    /// in the order of the ids, so that two groups never wait for each other.
    fn at_all_places(
        &self,
        group: Arc<TakeGroup>,
        mut left: Vec<DiskId>,
    ) -> BoxFuture<'static, Result<Done, Status>> {
        let controller = self.clone();
        async move {
            let ask = Ask::Group(Arc::clone(&group));
            let Some(disk) = left.pop() else { return operate(&controller.driver, &ask).await };
            let next = controller.clone();
            let ended = controller.operations.run(disk.as_str(), ask, |_| next.at_all_places(group, left));
            ended.await.map_err(|interrupted| interrupted.status())?
        }
        .boxed()
    }
}

#[tonic::async_trait]
impl pb::group_controller_server::GroupController for Controller {
    async fn group_controller_get_capabilities(
        &self,
        _: Request<pb::GroupControllerGetCapabilitiesRequest>,
    ) -> Result<Response<pb::GroupControllerGetCapabilitiesResponse>, Status> {
        use pb::group_controller_service_capability::{Rpc, Type, rpc};
        let kind = rpc::Type::CreateDeleteGetVolumeGroupSnapshot.into();
        let capability =
            pb::GroupControllerServiceCapability { r#type: Some(Type::Rpc(Rpc { r#type: kind })) };
        Ok(Response::new(pb::GroupControllerGetCapabilitiesResponse { capabilities: vec![capability] }))
    }

    async fn create_volume_group_snapshot(
        &self,
        request: Request<pb::CreateVolumeGroupSnapshotRequest>,
    ) -> Result<Response<pb::CreateVolumeGroupSnapshotResponse>, Status> {
        let take = Arc::new(request::group(request.into_inner()).map_err(|e| e.status())?);
        let (key, ask) = (format!("group {}", take.id), Ask::Group(Arc::clone(&take)));
        let mut disks = take.disks.clone();
        disks.reverse();
        let ended = self.operations.run(&key, ask, |_| self.at_all_places(take, disks));
        let done = ended.await.map_err(|interrupted| interrupted.status())??;
        let Done::Group(taken) = done else { return Err(mismatch()) };
        Ok(Response::new(pb::CreateVolumeGroupSnapshotResponse {
            group_snapshot: Some(response::group(&taken)),
        }))
    }

    async fn delete_volume_group_snapshot(
        &self,
        request: Request<pb::DeleteVolumeGroupSnapshotRequest>,
    ) -> Result<Response<pb::DeleteVolumeGroupSnapshotResponse>, Status> {
        let q = request.into_inner();
        let id = text("group_snapshot_id", q.group_snapshot_id, MAX_FIELD_BYTES).map_err(bad_field)?;
        self.run(&format!("group {id}"), Ask::DeleteGroup(id, q.snapshot_ids)).await?;
        Ok(Response::new(pb::DeleteVolumeGroupSnapshotResponse {}))
    }

    async fn get_volume_group_snapshot(
        &self,
        request: Request<pb::GetVolumeGroupSnapshotRequest>,
    ) -> Result<Response<pb::GetVolumeGroupSnapshotResponse>, Status> {
        let q = request.into_inner();
        let found = group::get(&self.driver, q.group_snapshot_id, &q.snapshot_ids).await;
        let group_snapshot = Some(response::group(&found.map_err(|e| e.status())?));
        Ok(Response::new(pb::GetVolumeGroupSnapshotResponse { group_snapshot }))
    }
}
