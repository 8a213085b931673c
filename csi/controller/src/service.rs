//! The Controller service: each RPC is parse, lock, operate, reply.

use std::sync::Arc;

use eck_csi::capability::Capability;
use eck_csi::code::GrpcCode as _;
use eck_csi::context::{PublishContext, VolumeContext};
use eck_csi::field::{BadField, map};
use eck_csi::operations::Operations;
use eck_csi::volume::{BadSize, Region, VolumeId};
use ecx::api::{Disk, Snapshot};
use proto::csi::v1 as pb;
use tonic::{Request, Response, Status};

use crate::driver::Driver;
use crate::request::{self, Ask, Source};
use crate::snapshot::{self, SnapshotId};
use crate::{attach, capacity, create, delete, detach, expand, list, modify, response};

mod group;

/// What an operation ended with.
#[derive(Clone)]
enum Done {
    Created(Region, Box<Disk>),
    Attached(Box<PublishContext>),
    Grown(u64),
    Snapshot(Region, Box<Snapshot>),
    Group(Box<snapshot::group::Taken>),
    Nothing,
}

/// The service. Clones share the driver and the table of operations.
#[derive(Clone)]
pub struct Controller {
    driver: Arc<Driver>,
    operations: Operations<Ask, Result<Done, Status>>,
}

impl Controller {
    /// A service over `driver`.
    pub fn new(driver: Arc<Driver>) -> Self {
        Self { driver, operations: Operations::default() }
    }

    /// Returns when no operation runs any more.
    pub async fn idle(&self) {
        self.operations.idle().await;
    }

    async fn run(&self, key: &str, ask: Ask) -> Result<Done, Status> {
        let driver = Arc::clone(&self.driver);
        let ended = self.operations.run(key, ask, |ask| async move { operate(&driver, &ask).await });
        ended.await.map_err(|interrupted| interrupted.status())?
    }
}

async fn operate(driver: &Driver, ask: &Ask) -> Result<Done, Status> {
    match ask {
        Ask::Create(q) => {
            let created = create::create(driver, q).await.map_err(|e| e.status())?;
            Ok(Done::Created(created.0, Box::new(created.1)))
        }
        Ask::Delete(volume) => {
            delete::delete(driver, volume).await.map(|()| Done::Nothing).map_err(|e| e.status())
        }
        Ask::Publish(volume, node, readonly) => {
            let context = attach::attach(driver, volume, node, *readonly).await.map_err(|e| e.status())?;
            Ok(Done::Attached(Box::new(context)))
        }
        Ask::Unpublish(volume, node) => {
            let done = detach::detach(driver, volume, node.as_ref()).await;
            done.map(|()| Done::Nothing).map_err(|e| e.status())
        }
        Ask::Expand(volume, size) => {
            expand::expand(driver, volume, size).await.map(Done::Grown).map_err(|e| e.status())
        }
        Ask::Modify(volume, mutable) => {
            modify::modify(driver, volume, mutable).await.map(|()| Done::Nothing).map_err(|e| e.status())
        }
        Ask::Snapshot(take) => {
            let taken = snapshot::create::create(driver, take).await.map_err(|e| e.status())?;
            Ok(Done::Snapshot(taken.0, Box::new(taken.1)))
        }
        Ask::DeleteSnapshot(id) => {
            snapshot::delete::delete(driver, id).await.map(|()| Done::Nothing).map_err(|e| e.status())
        }
        Ask::Group(group) => {
            let taken = snapshot::group::take(driver, group).await.map_err(|e| e.status())?;
            Ok(Done::Group(Box::new(taken)))
        }
        Ask::DeleteGroup(id, ids) => {
            let done = snapshot::group::delete(driver, id, ids).await;
            done.map(|()| Done::Nothing).map_err(|e| e.status())
        }
    }
}

fn bad_field(error: BadField) -> Status {
    error.status()
}

fn bad_size(error: BadSize) -> Status {
    match error {
        BadSize::Field(field) => field.status(),
        // No disk has such a size: the spec's code for an unsupported capacity_range.
        BadSize::OutOfRange(field) => Status::out_of_range(field.to_string()),
    }
}

/// An operation gave another kind of end than its request: a bug, said as one.
fn mismatch() -> Status {
    Status::internal("the operation ended with the result of another kind")
}

#[tonic::async_trait]
impl pb::controller_server::Controller for Controller {
    async fn create_volume(
        &self,
        request: Request<pb::CreateVolumeRequest>,
    ) -> Result<Response<pb::CreateVolumeResponse>, Status> {
        let q = request::create(request.into_inner()).map_err(bad_size)?;
        let (disk_type, fs, name) = (create::shown_type(&q), q.fs, q.name.clone());
        let care = q.parameters.care.clone();
        let (source, content_source) =
            (q.source.as_ref().map(Source::to_string), q.source.as_ref().map(Source::told));
        let Done::Created(region, disk) = self.run(&name, Ask::Create(Box::new(q))).await? else {
            return Err(mismatch());
        };
        let context = VolumeContext { disk_type, fs, provisioned: true, source, care };
        let volume = pb::Volume { content_source, ..list::volume(&region, &disk, context.to_map()) };
        Ok(Response::new(pb::CreateVolumeResponse { volume: Some(volume) }))
    }

    async fn delete_volume(
        &self,
        request: Request<pb::DeleteVolumeRequest>,
    ) -> Result<Response<pb::DeleteVolumeResponse>, Status> {
        let volume = VolumeId::parse(request.into_inner().volume_id).map_err(bad_field)?;
        self.run(&volume.to_string(), Ask::Delete(volume)).await?;
        Ok(Response::new(pb::DeleteVolumeResponse {}))
    }

    async fn controller_publish_volume(
        &self,
        request: Request<pb::ControllerPublishVolumeRequest>,
    ) -> Result<Response<pb::ControllerPublishVolumeResponse>, Status> {
        let (volume, node, readonly) = request::publish(request.into_inner()).map_err(bad_field)?;
        let done = self.run(&volume.to_string(), Ask::Publish(volume, node, readonly)).await?;
        let Done::Attached(context) = done else { return Err(mismatch()) };
        Ok(Response::new(pb::ControllerPublishVolumeResponse { publish_context: context.to_map() }))
    }

    async fn controller_unpublish_volume(
        &self,
        request: Request<pb::ControllerUnpublishVolumeRequest>,
    ) -> Result<Response<pb::ControllerUnpublishVolumeResponse>, Status> {
        let (volume, node) = request::unpublish(request.into_inner()).map_err(bad_field)?;
        self.run(&volume.to_string(), Ask::Unpublish(volume, node)).await?;
        Ok(Response::new(pb::ControllerUnpublishVolumeResponse {}))
    }

    async fn controller_expand_volume(
        &self,
        request: Request<pb::ControllerExpandVolumeRequest>,
    ) -> Result<Response<pb::ControllerExpandVolumeResponse>, Status> {
        let (volume, size) = request::expand(request.into_inner()).map_err(bad_size)?;
        let done = self.run(&volume.to_string(), Ask::Expand(volume, size)).await?;
        let Done::Grown(bytes) = done else { return Err(mismatch()) };
        Ok(Response::new(pb::ControllerExpandVolumeResponse {
            capacity_bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            // Also for block volumes: the node waits until the kernel shows the new size.
            node_expansion_required: true,
        }))
    }

    async fn validate_volume_capabilities(
        &self,
        request: Request<pb::ValidateVolumeCapabilitiesRequest>,
    ) -> Result<Response<pb::ValidateVolumeCapabilitiesResponse>, Status> {
        let q = request.into_inner();
        let volume = VolumeId::parse(q.volume_id).map_err(bad_field)?;
        map("volume_context", &q.volume_context).map_err(bad_field)?;
        if q.volume_capabilities.is_empty() {
            return Err(bad_field(BadField::missing("volume_capabilities")));
        }
        list::find(&self.driver, &volume).await.map_err(|e| e.status())?;
        let parsed = Capability::parse_all("volume_capabilities", q.volume_capabilities.clone());
        let confirmed = pb::validate_volume_capabilities_response::Confirmed {
            volume_context: q.volume_context,
            volume_capabilities: q.volume_capabilities,
            parameters: q.parameters,
            mutable_parameters: q.mutable_parameters,
        };
        let (confirmed, message) = match parsed {
            Ok(_) => (Some(confirmed), String::new()),
            // The spec: not supported is an empty `confirmed` with the reason, not an error.
            Err(field) => (None, field.to_string()),
        };
        Ok(Response::new(pb::ValidateVolumeCapabilitiesResponse { confirmed, message }))
    }

    async fn list_volumes(
        &self,
        request: Request<pb::ListVolumesRequest>,
    ) -> Result<Response<pb::ListVolumesResponse>, Status> {
        let page = list::list(&self.driver, &request.into_inner()).await.map_err(|e| e.status())?;
        Ok(Response::new(page))
    }

    async fn controller_get_volume(
        &self,
        request: Request<pb::ControllerGetVolumeRequest>,
    ) -> Result<Response<pb::ControllerGetVolumeResponse>, Status> {
        let volume = VolumeId::parse(request.into_inner().volume_id).map_err(bad_field)?;
        Ok(Response::new(list::get(&self.driver, &volume).await.map_err(|e| e.status())?))
    }

    async fn get_capacity(
        &self,
        request: Request<pb::GetCapacityRequest>,
    ) -> Result<Response<pb::GetCapacityResponse>, Status> {
        let reply = capacity::capacity(&self.driver, request.into_inner()).await.map_err(|e| e.status())?;
        Ok(Response::new(reply))
    }

    async fn controller_get_capabilities(
        &self,
        _: Request<pb::ControllerGetCapabilitiesRequest>,
    ) -> Result<Response<pb::ControllerGetCapabilitiesResponse>, Status> {
        use pb::controller_service_capability::{Rpc, Type, rpc};
        let kinds = [
            rpc::Type::CreateDeleteVolume,
            rpc::Type::PublishUnpublishVolume,
            rpc::Type::ListVolumes,
            rpc::Type::ListVolumesPublishedNodes,
            rpc::Type::GetCapacity,
            rpc::Type::ExpandVolume,
            rpc::Type::GetVolume,
            rpc::Type::SingleNodeMultiWriter,
            rpc::Type::CreateDeleteSnapshot,
            rpc::Type::ListSnapshots,
            rpc::Type::GetSnapshot,
            rpc::Type::CloneVolume,
            rpc::Type::ModifyVolume,
            rpc::Type::PublishReadonly,
            rpc::Type::GetVolumeHealth,
            rpc::Type::ListVolumeHealth,
        ];
        let capability = |kind: rpc::Type| pb::ControllerServiceCapability {
            r#type: Some(Type::Rpc(Rpc { r#type: kind.into() })),
        };
        let capabilities = kinds.map(capability).into();
        Ok(Response::new(pb::ControllerGetCapabilitiesResponse { capabilities }))
    }

    async fn controller_list_volume_health(
        &self,
        request: Request<pb::ControllerListVolumeHealthRequest>,
    ) -> Result<Response<pb::ControllerListVolumeHealthResponse>, Status> {
        let page = list::list_health(&self.driver, &request.into_inner()).await.map_err(|e| e.status())?;
        Ok(Response::new(page))
    }

    async fn controller_get_volume_health(
        &self,
        request: Request<pb::ControllerGetVolumeHealthRequest>,
    ) -> Result<Response<pb::ControllerGetVolumeHealthResponse>, Status> {
        let volume = VolumeId::parse(request.into_inner().volume_id).map_err(bad_field)?;
        Ok(Response::new(list::health(&self.driver, &volume).await.map_err(|e| e.status())?))
    }

    async fn create_snapshot(
        &self,
        request: Request<pb::CreateSnapshotRequest>,
    ) -> Result<Response<pb::CreateSnapshotResponse>, Status> {
        let take = request::snapshot(request.into_inner()).map_err(bad_field)?;
        let done = self.run(&format!("snapshot {}", take.name), Ask::Snapshot(take)).await?;
        let Done::Snapshot(region, snapshot) = done else { return Err(mismatch()) };
        let snapshot = Some(response::snapshot(&region, &snapshot));
        Ok(Response::new(pb::CreateSnapshotResponse { snapshot }))
    }

    async fn delete_snapshot(
        &self,
        request: Request<pb::DeleteSnapshotRequest>,
    ) -> Result<Response<pb::DeleteSnapshotResponse>, Status> {
        let id = SnapshotId::parse("snapshot_id", request.into_inner().snapshot_id).map_err(bad_field)?;
        self.run(&format!("snapshot {id}"), Ask::DeleteSnapshot(id)).await?;
        Ok(Response::new(pb::DeleteSnapshotResponse {}))
    }

    async fn list_snapshots(
        &self,
        request: Request<pb::ListSnapshotsRequest>,
    ) -> Result<Response<pb::ListSnapshotsResponse>, Status> {
        let page = snapshot::list::page(request.into_inner()).map_err(|e| e.status())?;
        Ok(Response::new(snapshot::list::list(&self.driver, &page).await.map_err(|e| e.status())?))
    }

    async fn get_snapshot(
        &self,
        request: Request<pb::GetSnapshotRequest>,
    ) -> Result<Response<pb::GetSnapshotResponse>, Status> {
        let id = SnapshotId::parse("snapshot_id", request.into_inner().snapshot_id).map_err(bad_field)?;
        Ok(Response::new(snapshot::list::get(&self.driver, &id).await.map_err(|e| e.status())?))
    }

    async fn controller_modify_volume(
        &self,
        request: Request<pb::ControllerModifyVolumeRequest>,
    ) -> Result<Response<pb::ControllerModifyVolumeResponse>, Status> {
        let (volume, mutable) = request::modify(request.into_inner()).map_err(bad_field)?;
        self.run(&volume.to_string(), Ask::Modify(volume, mutable)).await?;
        Ok(Response::new(pb::ControllerModifyVolumeResponse {}))
    }
}
