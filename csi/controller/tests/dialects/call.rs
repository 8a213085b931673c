//! A request of a sidecar.

use std::collections::HashMap;

use eck_csi::driver::{GIB, TOPOLOGY_REGION};
use eck_csi_controller::service::Controller;
use proto::csi::v1 as pb;
use proto::csi::v1::controller_server::Controller as _;
use second_cloud::{HOME, REGIONS};
use tonic::{Request, Status};

/// The size that volumes have, GiB.
pub(crate) const SIZE: u64 = 20;

/// The size to which they grow.
pub(crate) const LARGER: u64 = 30;

/// A request of a sidecar; about volumes by id, but what is created by name.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Create {
        name: String,
        from: From,
        place: Place,
    },
    Publish {
        volume: String,
        node: String,
    },
    Unpublish {
        volume: String,
        node: String,
    },
    Expand {
        volume: String,
    },
    Delete {
        volume: String,
    },
    Snapshot {
        volume: String,
        name: String,
    },
    Unsnapshot {
        snapshot: String,
    },
    /// The volumes of the cluster, with the nodes on which they are.
    List {
        volumes: Vec<String>,
        published: bool,
    },
    Capacity,
}

/// Where a volume may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// WaitForFirstConsumer with `--strict-topology`: in the chosen node's region alone.
    Home,
    /// Immediate: wherever the cluster has a node.
    Anywhere,
    /// The same, and one of the nodes is in a region that the controller does not know.
    OwnDc,
}

/// What a volume is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    Nothing,
    Snapshot(String),
    Volume(String),
}

/// What a call that is OK tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// The id of what was created.
    Id(String),
    /// Nothing more.
    Done,
    /// The nodes of each volume.
    Volumes(Vec<(String, Vec<String>)>),
    Bytes(i64),
}

impl Call {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Create { from: From::Nothing, .. } => "create",
            Self::Create { from: From::Snapshot(_), .. } => "restore",
            Self::Create { from: From::Volume(_), .. } => "clone",
            Self::Publish { .. } => "publish",
            Self::Unpublish { .. } => "unpublish",
            Self::Expand { .. } => "expand",
            Self::Delete { .. } => "delete",
            Self::Snapshot { .. } => "snapshot",
            Self::Unsnapshot { .. } => "unsnapshot",
            Self::List { .. } => "list",
            Self::Capacity => "capacity",
        }
    }

    pub(crate) async fn send(self, controller: Controller) -> Result<Told, Status> {
        match self {
            Self::Create { name, from, place } => {
                let request = Request::new(create(name, from, place));
                let reply = controller.create_volume(request).await?.into_inner();
                Ok(Told::Id(reply.volume.unwrap_or_default().volume_id))
            }
            Self::Publish { volume, node } => {
                let request = Request::new(publish(volume, node));
                controller.controller_publish_volume(request).await.map(|_| Told::Done)
            }
            Self::Unpublish { volume: volume_id, node: node_id } => {
                let request =
                    pb::ControllerUnpublishVolumeRequest { volume_id, node_id, ..Default::default() };
                controller.controller_unpublish_volume(Request::new(request)).await.map(|_| Told::Done)
            }
            Self::Expand { volume: volume_id } => {
                let capacity_range = Some(size(LARGER));
                let request =
                    pb::ControllerExpandVolumeRequest { volume_id, capacity_range, ..Default::default() };
                controller.controller_expand_volume(Request::new(request)).await.map(|_| Told::Done)
            }
            Self::Delete { volume: volume_id } => {
                let request = pb::DeleteVolumeRequest { volume_id, ..Default::default() };
                controller.delete_volume(Request::new(request)).await.map(|_| Told::Done)
            }
            Self::Snapshot { volume: source_volume_id, name } => {
                let request = pb::CreateSnapshotRequest { source_volume_id, name, ..Default::default() };
                let reply = controller.create_snapshot(Request::new(request)).await?.into_inner();
                Ok(Told::Id(reply.snapshot.unwrap_or_default().snapshot_id))
            }
            Self::Unsnapshot { snapshot: snapshot_id } => {
                let request = pb::DeleteSnapshotRequest { snapshot_id, ..Default::default() };
                controller.delete_snapshot(Request::new(request)).await.map(|_| Told::Done)
            }
            Self::List { .. } => list(controller).await,
            Self::Capacity => {
                let request = pb::GetCapacityRequest {
                    accessible_topology: Some(topology(HOME)),
                    ..Default::default()
                };
                let reply = controller.get_capacity(Request::new(request)).await?;
                Ok(Told::Bytes(reply.into_inner().available_capacity))
            }
        }
    }
}

async fn list(controller: Controller) -> Result<Told, Status> {
    let reply = controller.list_volumes(Request::new(pb::ListVolumesRequest::default())).await?.into_inner();
    let entry = |entry: pb::list_volumes_response::Entry| {
        let nodes = entry.status.unwrap_or_default().published_node_ids;
        (entry.volume.unwrap_or_default().volume_id, nodes)
    };
    Ok(Told::Volumes(reply.entries.into_iter().map(entry).collect()))
}

fn publish(volume_id: String, node_id: String) -> pb::ControllerPublishVolumeRequest {
    let volume_capability = Some(capability());
    pb::ControllerPublishVolumeRequest { volume_id, node_id, volume_capability, ..Default::default() }
}

fn create(name: String, from: From, place: Place) -> pb::CreateVolumeRequest {
    use pb::volume_content_source::{SnapshotSource, Type, VolumeSource};
    let source = match from {
        From::Nothing => None,
        From::Snapshot(snapshot_id) => Some(Type::Snapshot(SnapshotSource { snapshot_id })),
        From::Volume(volume_id) => Some(Type::Volume(VolumeSource { volume_id })),
    };
    let regions: Vec<pb::Topology> = match place {
        Place::Home => vec![topology(HOME)],
        Place::Anywhere => REGIONS.map(topology).into(),
        Place::OwnDc => REGIONS.into_iter().chain(["my-own-dc"]).map(topology).collect(),
    };
    pb::CreateVolumeRequest {
        name,
        capacity_range: Some(size(SIZE)),
        volume_capabilities: vec![capability()],
        volume_content_source: source.map(|source| pb::VolumeContentSource { r#type: Some(source) }),
        accessibility_requirements: Some(pb::TopologyRequirement {
            requisite: regions.clone(),
            preferred: regions,
        }),
        ..Default::default()
    }
}

fn topology(region: &str) -> pb::Topology {
    pb::Topology { segments: HashMap::from([(TOPOLOGY_REGION.to_owned(), region.to_owned())]) }
}

fn size(gib: u64) -> pb::CapacityRange {
    pb::CapacityRange { required_bytes: i64::try_from(gib * GIB).unwrap(), limit_bytes: 0 }
}

fn capability() -> pb::VolumeCapability {
    use pb::volume_capability::{AccessMode, AccessType, MountVolume, access_mode};
    pb::VolumeCapability {
        access_type: Some(AccessType::Mount(MountVolume::default())),
        access_mode: Some(AccessMode { mode: access_mode::Mode::SingleNodeWriter.into() }),
    }
}
