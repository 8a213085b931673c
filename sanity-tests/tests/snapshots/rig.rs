//! A cloud and controllers in one runtime whose time is virtual.

use std::collections::HashMap;
use std::time::Duration;

use eck_csi::volume::Region;
use eck_csi_controller::service::Controller;
use ecx::Profile;
use ecx::api::Op;
use ecx_sim::{Config, Local};
use proto::csi::v1 as pb;
use proto::csi::v1::controller_server::Controller as _;
use proto::csi::v1::group_controller_server::GroupController as _;
use sanity_tests::direct::Direct;
use sanity_tests::sidecar::{self, Claim, is_retryable};
use tonic::{Code, Request, Status};

pub(crate) const REGION: &str = "zj-shaoxing-2";
pub(crate) const OTHER_REGION: &str = "fj-xiamen-4";
pub(crate) const GIB: i64 = 1 << 30;

pub(crate) struct Rig {
    pub(crate) cloud: Local,
    pub(crate) controller: Controller,
    profile: Profile,
}

/// A volume of 20 GiB in the region.
pub(crate) fn claim(name: &str) -> pb::CreateVolumeRequest {
    let claim =
        Claim { name: name.to_owned(), gib: 20, requisite: vec![REGION.to_owned()], ..Claim::default() };
    sidecar::create_request(&claim, 0).into_inner()
}

pub(crate) fn within(region: &str) -> pb::TopologyRequirement {
    let segments = HashMap::from([("topology.csi.esx.eck.ctyun.cn/region".to_owned(), region.to_owned())]);
    pb::TopologyRequirement { requisite: vec![pb::Topology { segments }], preferred: vec![] }
}

/// The same, made from something.
pub(crate) fn from(name: &str, source: pb::volume_content_source::Type) -> pb::CreateVolumeRequest {
    let volume_content_source = Some(pb::VolumeContentSource { r#type: Some(source) });
    pb::CreateVolumeRequest { volume_content_source, ..claim(name) }
}

pub(crate) fn snapshot(id: &str) -> pb::volume_content_source::Type {
    use pb::volume_content_source::{SnapshotSource, Type};
    Type::Snapshot(SnapshotSource { snapshot_id: id.to_owned() })
}

pub(crate) fn volume(id: &str) -> pb::volume_content_source::Type {
    use pb::volume_content_source::{Type, VolumeSource};
    Type::Volume(VolumeSource { volume_id: id.to_owned() })
}

impl Rig {
    /// A cloud, and a controller that knows nothing yet.
    pub(crate) fn new() -> Self {
        Self::with(Config::default(), Profile::default())
    }

    /// A cloud that can change disks, if `paths` name the call.
    pub(crate) fn with(config: Config, profile: Profile) -> Self {
        let paths = profile.paths.clone();
        let cloud = Local::new(Config { paths, ..config }).unwrap();
        cloud.begin();
        let profile = Profile { base_url: "http://ecx-sim".to_owned(), ..profile };
        let controller = controller(&cloud, &profile);
        Self { cloud, controller, profile }
    }

    /// The controller is another one, which knows nothing of what was done.
    pub(crate) fn restart(&mut self) {
        self.controller = controller(&self.cloud, &self.profile);
    }

    pub(crate) async fn create(&self, q: pb::CreateVolumeRequest) -> Result<pb::Volume, Status> {
        let told = self.controller.create_volume(Request::new(q)).await?;
        Ok(told.into_inner().volume.unwrap())
    }

    pub(crate) async fn delete(&self, volume: &str) -> Result<(), Status> {
        let q = pb::DeleteVolumeRequest { volume_id: volume.to_owned(), ..Default::default() };
        self.controller.delete_volume(Request::new(q)).await.map(drop)
    }

    pub(crate) async fn snap(&self, name: &str, volume: &str) -> Result<pb::Snapshot, Status> {
        let (name, source_volume_id) = (name.to_owned(), volume.to_owned());
        let q = pb::CreateSnapshotRequest { name, source_volume_id, ..Default::default() };
        Ok(self.controller.create_snapshot(Request::new(q)).await?.into_inner().snapshot.unwrap())
    }

    pub(crate) async fn unsnap(&self, id: &str) -> Result<(), Status> {
        let q = pb::DeleteSnapshotRequest { snapshot_id: id.to_owned(), ..Default::default() };
        self.controller.delete_snapshot(Request::new(q)).await.map(drop)
    }

    pub(crate) async fn group(
        &self,
        name: &str,
        volumes: &[&str],
    ) -> Result<pb::VolumeGroupSnapshot, Status> {
        let source_volume_ids = volumes.iter().map(|id| (*id).to_owned()).collect();
        let q = pb::CreateVolumeGroupSnapshotRequest {
            name: name.to_owned(),
            source_volume_ids,
            ..Default::default()
        };
        let told = self.controller.create_volume_group_snapshot(Request::new(q)).await?;
        Ok(told.into_inner().group_snapshot.unwrap())
    }

    pub(crate) async fn publish(
        &self,
        volume: &str,
        readonly: bool,
    ) -> Result<HashMap<String, String>, Status> {
        let q = pb::ControllerPublishVolumeRequest {
            volume_id: volume.to_owned(),
            node_id: format!("{REGION}.10.0.0.3"),
            volume_capability: Some(sidecar::capability()),
            readonly,
            ..Default::default()
        };
        Ok(self.controller.controller_publish_volume(Request::new(q)).await?.into_inner().publish_context)
    }

    pub(crate) async fn unpublish(&self, volume: &str) -> Result<(), Status> {
        let volume_id = volume.to_owned();
        let q = pb::ControllerUnpublishVolumeRequest { volume_id, ..Default::default() };
        self.controller.controller_unpublish_volume(Request::new(q)).await.map(drop)
    }

    pub(crate) async fn modify(&self, volume: &str, to: &[(&str, &str)]) -> Result<(), Status> {
        let q = pb::ControllerModifyVolumeRequest {
            volume_id: volume.to_owned(),
            mutable_parameters: parameters(to),
            ..Default::default()
        };
        self.controller.controller_modify_volume(Request::new(q)).await.map(drop)
    }

    /// Names of the snapshots that the cloud has.
    pub(crate) fn snapshots(&self) -> Vec<String> {
        self.cloud.look(|world| {
            world.snapshots.values().map(|record| record.snapshot.snapshot_name.clone()).collect()
        })
    }

    pub(crate) fn disks(&self) -> usize {
        self.cloud.look(|world| world.disks.len())
    }

    pub(crate) fn calls(&self, op: Op) -> u64 {
        self.cloud.calls().get(&op).copied().unwrap_or_default()
    }
}

pub(crate) fn parameters(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn controller(cloud: &Local, profile: &Profile) -> Controller {
    let regions = [REGION, OTHER_REGION].map(|code| Region::parse("regions", code).unwrap());
    Direct::new(cloud, profile.clone(), 7, regions.into()).service().clone()
}

/// Asks until the outcome is not open any more.
pub(crate) async fn persist<T>(ask: impl AsyncFn() -> Result<T, Status>) -> Result<T, Status> {
    let mut last = Status::deadline_exceeded("never asked");
    for _ in 0..20 {
        match ask().await {
            Err(status) if is_retryable(status.code()) => last = status,
            ended => return ended,
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Err(last)
}

/// The code of what must have failed.
pub(crate) fn code<T: std::fmt::Debug>(told: Result<T, Status>) -> Code {
    told.unwrap_err().code()
}
