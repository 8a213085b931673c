//! A cloud and a controller in one runtime with virtual time.

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

/// A request for a volume of 20 GiB in [`REGION`].
pub(crate) fn create_request(name: &str) -> pb::CreateVolumeRequest {
    let claim =
        Claim { name: name.to_owned(), gib: 20, requisite: vec![REGION.to_owned()], ..Claim::default() };
    sidecar::create_request(&claim, 0).into_inner()
}

/// A requirement to be accessible in this region.
pub(crate) fn accessible_in(region: &str) -> pb::TopologyRequirement {
    let segments = HashMap::from([("topology.csi.esx.eck.ctyun.cn/region".to_owned(), region.to_owned())]);
    pb::TopologyRequirement { requisite: vec![pb::Topology { segments }], preferred: vec![] }
}

/// The same with a content source.
pub(crate) fn create_from(name: &str, source: pb::volume_content_source::Type) -> pb::CreateVolumeRequest {
    let volume_content_source = Some(pb::VolumeContentSource { r#type: Some(source) });
    pb::CreateVolumeRequest { volume_content_source, ..create_request(name) }
}

/// A snapshot as a content source.
pub(crate) fn from_snapshot(id: &str) -> pb::volume_content_source::Type {
    use pb::volume_content_source::{SnapshotSource, Type};
    Type::Snapshot(SnapshotSource { snapshot_id: id.to_owned() })
}

/// A volume as a content source.
pub(crate) fn from_volume(id: &str) -> pb::volume_content_source::Type {
    use pb::volume_content_source::{Type, VolumeSource};
    Type::Volume(VolumeSource { volume_id: id.to_owned() })
}

impl Rig {
    /// A cloud, and a controller without any state.
    pub(crate) fn new() -> Self {
        Self::with(Config::default(), Profile::default())
    }

    /// The same with another configuration; the cloud has the optional calls that the profile's `paths` name.
    pub(crate) fn with(config: Config, profile: Profile) -> Self {
        let paths = profile.paths.clone();
        let cloud = Local::new(Config { paths, ..config }).unwrap();
        cloud.begin();
        let profile = Profile { base_url: "http://ecx-sim".to_owned(), ..profile };
        let controller = controller(&cloud, &profile);
        Self { cloud, controller, profile }
    }

    /// Replaces the controller by a new one without any state.
    pub(crate) fn restart_controller(&mut self) {
        self.controller = controller(&self.cloud, &self.profile);
    }

    pub(crate) async fn create(&self, request: pb::CreateVolumeRequest) -> Result<pb::Volume, Status> {
        let reply = self.controller.create_volume(Request::new(request)).await?;
        Ok(reply.into_inner().volume.unwrap())
    }

    /// Creates a volume; returns its id.
    pub(crate) async fn create_volume(&self, name: &str) -> String {
        self.create(create_request(name)).await.unwrap().volume_id
    }

    pub(crate) async fn delete(&self, volume: &str) -> Result<(), Status> {
        let request = pb::DeleteVolumeRequest { volume_id: volume.to_owned(), ..Default::default() };
        self.controller.delete_volume(Request::new(request)).await.map(drop)
    }

    pub(crate) async fn create_snapshot(&self, name: &str, volume: &str) -> Result<pb::Snapshot, Status> {
        let (name, source_volume_id) = (name.to_owned(), volume.to_owned());
        let request = pb::CreateSnapshotRequest { name, source_volume_id, ..Default::default() };
        Ok(self.controller.create_snapshot(Request::new(request)).await?.into_inner().snapshot.unwrap())
    }

    pub(crate) async fn delete_snapshot(&self, id: &str) -> Result<(), Status> {
        let request = pb::DeleteSnapshotRequest { snapshot_id: id.to_owned(), ..Default::default() };
        self.controller.delete_snapshot(Request::new(request)).await.map(drop)
    }

    pub(crate) async fn create_group(
        &self,
        name: &str,
        volumes: &[&str],
    ) -> Result<pb::VolumeGroupSnapshot, Status> {
        let source_volume_ids = volumes.iter().map(|id| (*id).to_owned()).collect();
        let request = pb::CreateVolumeGroupSnapshotRequest {
            name: name.to_owned(),
            source_volume_ids,
            ..Default::default()
        };
        let reply = self.controller.create_volume_group_snapshot(Request::new(request)).await?;
        Ok(reply.into_inner().group_snapshot.unwrap())
    }

    pub(crate) async fn publish(
        &self,
        volume: &str,
        readonly: bool,
    ) -> Result<HashMap<String, String>, Status> {
        let request = pb::ControllerPublishVolumeRequest {
            volume_id: volume.to_owned(),
            node_id: format!("{REGION}.10.0.0.3"),
            volume_capability: Some(sidecar::capability()),
            readonly,
            ..Default::default()
        };
        Ok(self
            .controller
            .controller_publish_volume(Request::new(request))
            .await?
            .into_inner()
            .publish_context)
    }

    pub(crate) async fn unpublish(&self, volume: &str) -> Result<(), Status> {
        let volume_id = volume.to_owned();
        let request = pb::ControllerUnpublishVolumeRequest { volume_id, ..Default::default() };
        self.controller.controller_unpublish_volume(Request::new(request)).await.map(drop)
    }

    pub(crate) async fn modify(&self, volume: &str, class: &[(&str, &str)]) -> Result<(), Status> {
        let request = pb::ControllerModifyVolumeRequest {
            volume_id: volume.to_owned(),
            mutable_parameters: parameters(class),
            ..Default::default()
        };
        self.controller.controller_modify_volume(Request::new(request)).await.map(drop)
    }

    /// Names of the cloud's snapshots.
    pub(crate) fn snapshot_names(&self) -> Vec<String> {
        self.cloud.look(|world| {
            world.snapshots.values().map(|record| record.snapshot.snapshot_name.clone()).collect()
        })
    }

    /// How many disks the cloud has.
    pub(crate) fn disk_count(&self) -> usize {
        self.cloud.look(|world| world.disks.len())
    }

    /// How often the cloud was called.
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

/// Calls until the result is final.
pub(crate) async fn with_retries<T>(call: impl AsyncFn() -> Result<T, Status>) -> Result<T, Status> {
    let mut last = Status::deadline_exceeded("never called");
    for _ in 0..20 {
        match call().await {
            Err(status) if is_retryable(status.code()) => last = status,
            result => return result,
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Err(last)
}

/// The code of a call that must have failed.
#[track_caller]
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Status>) -> Code {
    result.unwrap_err().code()
}
