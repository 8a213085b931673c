//! The controller in the caller's runtime, without sockets: its service is called as the gRPC server would call it, and
//! it reaches a simulated cloud of the same runtime by function calls. So all of it runs under a paused clock.

use std::sync::Arc;
use std::time::Duration;

use eck_csi::driver::GIB;
use eck_csi::volume::Region;
use eck_csi_controller::driver::Driver;
use eck_csi_controller::service::Controller;
use ecx::{Client, Profile};
use ecx_sim::Local;
use proto::csi::v1 as pb;
use proto::csi::v1::controller_server::Controller as _;
use tonic::{Request, Status};

use crate::in_process::CLUSTER;
use crate::sidecar::{Claim, bytes, capability, create};

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
    /// A new controller, which knows nothing yet; its chance comes from `seed`.
    pub fn new(cloud: &Local, profile: Profile, seed: u64, regions: Vec<Region>) -> Self {
        let outside = cloud.outside(seed, Duration::from_millis(profile.http_timeout_ms));
        let client = Arc::new(Client::over(outside, profile, cloud.credentials()));
        let driver = Driver::new(Arc::clone(&client), CLUSTER.to_owned(), regions);
        Self { controller: Controller::new(Arc::new(driver)), client }
    }

    /// The service, for what is not here.
    pub fn service(&self) -> &Controller {
        &self.controller
    }

    /// Throttle replies that it got.
    pub fn throttled(&self) -> u64 {
        self.client.throttling().0
    }

    /// Returns when no operation runs any more.
    pub async fn idle(&self) {
        self.controller.idle().await;
    }

    /// CreateVolume, the `turn`-th (from 0) for the same.
    pub async fn create(&self, claim: &Claim, turn: u32) -> Result<Created, Status> {
        let reply = self.controller.create_volume(create(claim, turn)).await?.into_inner();
        let volume = reply.volume.unwrap_or_default();
        let mut regions = volume.accessible_topology.into_iter().flat_map(|t| t.segments.into_values());
        let region = regions.next().unwrap_or_default();
        Ok(Created { id: volume.volume_id, region, gib: gib(volume.capacity_bytes) })
    }

    /// ControllerPublishVolume.
    pub async fn publish(&self, volume_id: String, node_id: String) -> Result<(), Status> {
        let volume_capability = Some(capability());
        let q = pb::ControllerPublishVolumeRequest {
            volume_id,
            node_id,
            volume_capability,
            ..Default::default()
        };
        self.controller.controller_publish_volume(Request::new(q)).await.map(drop)
    }

    /// ControllerUnpublishVolume.
    pub async fn unpublish(&self, volume_id: String, node_id: String) -> Result<(), Status> {
        let q = pb::ControllerUnpublishVolumeRequest { volume_id, node_id, ..Default::default() };
        self.controller.controller_unpublish_volume(Request::new(q)).await.map(drop)
    }

    /// ControllerExpandVolume to so many GiB; gives those that it has.
    pub async fn expand(&self, volume_id: String, wanted: u64) -> Result<u64, Status> {
        let capacity_range = Some(pb::CapacityRange { required_bytes: bytes(wanted), limit_bytes: 0 });
        let q = pb::ControllerExpandVolumeRequest { volume_id, capacity_range, ..Default::default() };
        let reply = self.controller.controller_expand_volume(Request::new(q)).await?;
        Ok(gib(reply.into_inner().capacity_bytes))
    }

    /// DeleteVolume.
    pub async fn delete(&self, volume_id: String) -> Result<(), Status> {
        let q = pb::DeleteVolumeRequest { volume_id, ..Default::default() };
        self.controller.delete_volume(Request::new(q)).await.map(drop)
    }

    /// ControllerGetVolume; gives the nodes.
    pub async fn get(&self, volume_id: String) -> Result<Vec<String>, Status> {
        let q = pb::ControllerGetVolumeRequest { volume_id };
        let reply = self.controller.controller_get_volume(Request::new(q)).await?.into_inner();
        Ok(reply.status.unwrap_or_default().published_node_ids)
    }

    /// ListVolumes, all of them; gives each with its nodes.
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
