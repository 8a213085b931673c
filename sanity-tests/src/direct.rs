//! The controller in the caller's runtime, without sockets: its service is called as the gRPC server would call it, and
//! it calls a simulated cloud in the same runtime. So all of it can run under a paused clock.

use std::sync::Arc;
use std::time::Duration;

use eck_csi::cluster::ClusterIdentity;
use eck_csi::driver::GIB;
use eck_csi::volume::Region;
use eck_csi_controller::driver::Driver;
use eck_csi_controller::service::Controller;
use ecx::api::CreateDisk;
use ecx::{Client, Profile};
use ecx_sim::Local;
use proto::csi::v1 as pb;
use proto::csi::v1::controller_server::Controller as _;
use tonic::{Request, Status};

use crate::in_process::CLUSTER;
use crate::sidecar::{Claim, bytes, capability, create_request};

/// A controller. Clones share it.
#[derive(Clone)]
pub struct Direct {
    controller: Controller,
    client: Arc<Client>,
}

/// A volume that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Created {
    pub id: String,
    pub region: String,
    pub gib: u64,
}

impl Direct {
    /// A new controller without any state; `seed` is that of its jitter.
    pub fn new(cloud: &Local, profile: Profile, seed: u64, regions: Vec<Region>) -> Self {
        let transport = cloud.transport(seed, Duration::from_millis(profile.http_timeout_ms));
        let client = Arc::new(Client::over(transport, profile, cloud.credentials()));
        let driver = Driver::new(Arc::clone(&client), ClusterIdentity::of(CLUSTER), regions);
        Self { controller: Controller::new(Arc::new(driver)), client }
    }

    /// The service, for RPCs that have no method here.
    pub fn service(&self) -> &Controller {
        &self.controller
    }

    /// Throttling replies that it got from the cloud.
    pub fn throttled(&self) -> u64 {
        self.client.throttling().0
    }

    /// Waits until no operation is running.
    pub async fn idle(&self) {
        self.controller.idle().await;
    }

    /// CreateVolume, the `attempt`-th (from 0) for the same claim.
    pub async fn create(&self, claim: &Claim, attempt: u32) -> Result<Created, Status> {
        let reply = self.controller.create_volume(create_request(claim, attempt)).await?.into_inner();
        let volume = reply.volume.unwrap_or_default();
        let mut regions = volume.accessible_topology.into_iter().flat_map(|t| t.segments.into_values());
        let region = regions.next().unwrap_or_default();
        Ok(Created { id: volume.volume_id, region, gib: gib(volume.capacity_bytes) })
    }

    /// Orders another disk of the volume's name, past the controller.
    pub async fn order_again(&self, claim: &Claim, made: &Created) {
        let body = CreateDisk {
            client_token: format!("again {}", made.id),
            region_id: made.region.clone(),
            disk_name: claim.name.clone(),
            disk_mode: "VBD".to_owned(),
            disk_type: Some("SAS".to_owned()),
            disk_size: made.gib,
            on_demand: true,
            labels: Vec::new(),
            snapshot_id: None,
        };
        let _in_progress = self.client.create_disk(&body).await;
    }

    /// ControllerPublishVolume.
    pub async fn publish(&self, volume_id: String, node_id: String) -> Result<(), Status> {
        let volume_capability = Some(capability());
        let request = pb::ControllerPublishVolumeRequest {
            volume_id,
            node_id,
            volume_capability,
            ..Default::default()
        };
        self.controller.controller_publish_volume(Request::new(request)).await.map(drop)
    }

    /// ControllerUnpublishVolume.
    pub async fn unpublish(&self, volume_id: String, node_id: String) -> Result<(), Status> {
        let request = pb::ControllerUnpublishVolumeRequest { volume_id, node_id, ..Default::default() };
        self.controller.controller_unpublish_volume(Request::new(request)).await.map(drop)
    }

    /// ControllerExpandVolume to this size in GiB; returns the size that the volume has.
    pub async fn expand(&self, volume_id: String, requested_gib: u64) -> Result<u64, Status> {
        let capacity_range = Some(pb::CapacityRange { required_bytes: bytes(requested_gib), limit_bytes: 0 });
        let request = pb::ControllerExpandVolumeRequest { volume_id, capacity_range, ..Default::default() };
        let reply = self.controller.controller_expand_volume(Request::new(request)).await?;
        Ok(gib(reply.into_inner().capacity_bytes))
    }

    /// DeleteVolume.
    pub async fn delete(&self, volume_id: String) -> Result<(), Status> {
        let request = pb::DeleteVolumeRequest { volume_id, ..Default::default() };
        self.controller.delete_volume(Request::new(request)).await.map(drop)
    }

    /// ControllerGetVolume; returns the nodes on which it is published.
    pub async fn get(&self, volume_id: String) -> Result<Vec<String>, Status> {
        let request = pb::ControllerGetVolumeRequest { volume_id };
        let reply = self.controller.controller_get_volume(Request::new(request)).await?.into_inner();
        Ok(reply.status.unwrap_or_default().published_node_ids)
    }

    /// ListVolumes, without paging; returns each volume with its nodes.
    pub async fn list(&self) -> Result<Vec<(String, Vec<String>)>, Status> {
        let reply = self.controller.list_volumes(Request::new(pb::ListVolumesRequest::default())).await?;
        let entry = |entry: pb::list_volumes_response::Entry| {
            let nodes = entry.status.unwrap_or_default().published_node_ids;
            (entry.volume.unwrap_or_default().volume_id, nodes)
        };
        Ok(reply.into_inner().entries.into_iter().map(entry).collect())
    }
}

fn gib(bytes: i64) -> u64 {
    bytes.unsigned_abs() / GIB
}
