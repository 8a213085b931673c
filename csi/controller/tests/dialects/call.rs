//! A request of a sidecar.

use std::collections::HashMap;

use eck_csi::driver::{GIB, TOPOLOGY_REGION};
use eck_csi_controller::service::Controller;
use proto::csi::v1 as pb;
use proto::csi::v1::controller_server::Controller as _;
use second_cloud::HOME;
use tonic::{Request, Status};

/// A request of a sidecar.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Create { name: String },
    Publish { volume: String, node: String },
    Unpublish { volume: String, node: String },
    Delete { volume: String },
}

impl Call {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Publish { .. } => "publish",
            Self::Unpublish { .. } => "unpublish",
            Self::Delete { .. } => "delete",
        }
    }

    /// Gives the volume's id.
    pub(crate) async fn send(self, controller: Controller) -> Result<String, Status> {
        match self {
            Self::Create { name } => {
                let reply = controller.create_volume(Request::new(create(name))).await?.into_inner();
                Ok(reply.volume.unwrap_or_default().volume_id)
            }
            Self::Publish { volume: volume_id, node: node_id } => {
                let request = pb::ControllerPublishVolumeRequest {
                    volume_id: volume_id.clone(),
                    node_id,
                    volume_capability: Some(capability()),
                    ..Default::default()
                };
                controller.controller_publish_volume(Request::new(request)).await.map(|_| volume_id)
            }
            Self::Unpublish { volume: volume_id, node: node_id } => {
                let request = pb::ControllerUnpublishVolumeRequest {
                    volume_id: volume_id.clone(),
                    node_id,
                    ..Default::default()
                };
                controller.controller_unpublish_volume(Request::new(request)).await.map(|_| volume_id)
            }
            Self::Delete { volume: volume_id } => {
                let request = pb::DeleteVolumeRequest { volume_id: volume_id.clone(), ..Default::default() };
                controller.delete_volume(Request::new(request)).await.map(|_| volume_id)
            }
        }
    }
}

fn create(name: String) -> pb::CreateVolumeRequest {
    let home = pb::Topology { segments: HashMap::from([(TOPOLOGY_REGION.to_owned(), HOME.to_owned())]) };
    pb::CreateVolumeRequest {
        name,
        capacity_range: Some(pb::CapacityRange { required_bytes: (20 * GIB) as i64, limit_bytes: 0 }),
        volume_capabilities: vec![capability()],
        // `--strict-topology` and WaitForFirstConsumer: the chosen node's region alone.
        accessibility_requirements: Some(pb::TopologyRequirement {
            requisite: vec![home.clone()],
            preferred: vec![home],
        }),
        ..Default::default()
    }
}

fn capability() -> pb::VolumeCapability {
    use pb::volume_capability::{AccessMode, AccessType, MountVolume, access_mode};
    pb::VolumeCapability {
        access_type: Some(AccessType::Mount(MountVolume::default())),
        access_mode: Some(AccessMode { mode: access_mode::Mode::SingleNodeWriter.into() }),
    }
}
