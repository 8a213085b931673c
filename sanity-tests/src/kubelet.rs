//! Calls the node as the kubelet does.

use std::collections::HashMap;
use std::path::Path;

use proto::csi::v1 as pb;
use proto::csi::v1::node_client::NodeClient;
use tonic::Status;
use tonic::transport::Channel;

/// How a pod uses a volume.
#[derive(Debug, Clone)]
pub struct VolumeUse {
    /// `None` for a block volume, else the file system; empty if the volume names none.
    pub fs: Option<String>,
    /// Mount options.
    pub mount_flags: Vec<String>,
    /// Access mode by its number in CSI.
    pub mode: i32,
    /// The pod mounts it read-only.
    pub read_only: bool,
}

impl VolumeUse {
    /// A file system, writable.
    pub fn mount(fs: &str) -> Self {
        let mode = pb::volume_capability::access_mode::Mode::SingleNodeWriter.into();
        Self { fs: Some(fs.to_owned()), mount_flags: Vec::new(), mode, read_only: false }
    }

    /// A block device.
    pub fn block() -> Self {
        Self { fs: None, ..Self::mount("") }
    }

    /// The capability of a request.
    pub fn capability(&self) -> pb::VolumeCapability {
        use pb::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
        let access_type = match &self.fs {
            None => AccessType::Block(BlockVolume {}),
            Some(fs) => AccessType::Mount(MountVolume {
                fs_type: fs.clone(),
                mount_flags: self.mount_flags.clone(),
                ..MountVolume::default()
            }),
        };
        pb::VolumeCapability {
            access_mode: Some(AccessMode { mode: self.mode }),
            access_type: Some(access_type),
        }
    }
}

/// A volume, as the kubelet knows it.
#[derive(Debug, Clone, Default)]
pub struct Volume {
    /// Its id.
    pub id: String,
    /// The volume context, from the PersistentVolume.
    pub context: HashMap<String, String>,
    /// The publish context, from the VolumeAttachment.
    pub publish_context: HashMap<String, String>,
    /// Data of the Secret that its StorageClass names for NodeStageVolume.
    pub secrets: HashMap<String, String>,
}

/// A client of one node. Clones share the connection.
#[derive(Clone)]
pub struct Kubelet {
    client: NodeClient<Channel>,
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Kubelet {
    /// Calls through `channel`.
    pub fn new(channel: Channel) -> Self {
        Self { client: NodeClient::new(channel) }
    }

    /// The generated client, for requests that have no method here.
    pub fn client(&self) -> NodeClient<Channel> {
        self.client.clone()
    }

    /// NodeGetInfo.
    pub async fn info(&self) -> Result<pb::NodeGetInfoResponse, Status> {
        Ok(self.client().node_get_info(pb::NodeGetInfoRequest {}).await?.into_inner())
    }

    /// NodeStageVolume.
    pub async fn stage(&self, volume: &Volume, staging: &Path, volume_use: &VolumeUse) -> Result<(), Status> {
        let request = pb::NodeStageVolumeRequest {
            volume_id: volume.id.clone(),
            publish_context: volume.publish_context.clone(),
            volume_context: volume.context.clone(),
            staging_target_path: text(staging),
            volume_capability: Some(volume_use.capability()),
            secrets: volume.secrets.clone(),
        };
        self.client().node_stage_volume(request).await.map(drop)
    }

    /// NodeUnstageVolume.
    pub async fn unstage(&self, volume: &Volume, staging: &Path) -> Result<(), Status> {
        let request =
            pb::NodeUnstageVolumeRequest { volume_id: volume.id.clone(), staging_target_path: text(staging) };
        self.client().node_unstage_volume(request).await.map(drop)
    }

    /// NodePublishVolume.
    pub async fn publish(
        &self,
        volume: &Volume,
        staging: &Path,
        target: &Path,
        volume_use: &VolumeUse,
    ) -> Result<(), Status> {
        let request = pb::NodePublishVolumeRequest {
            volume_id: volume.id.clone(),
            publish_context: volume.publish_context.clone(),
            volume_context: volume.context.clone(),
            staging_target_path: text(staging),
            target_path: text(target),
            volume_capability: Some(volume_use.capability()),
            readonly: volume_use.read_only,
            ..Default::default()
        };
        self.client().node_publish_volume(request).await.map(drop)
    }

    /// NodeUnpublishVolume.
    pub async fn unpublish(&self, volume: &Volume, target: &Path) -> Result<(), Status> {
        let request =
            pb::NodeUnpublishVolumeRequest { volume_id: volume.id.clone(), target_path: text(target) };
        self.client().node_unpublish_volume(request).await.map(drop)
    }

    /// NodeExpandVolume; returns the size in bytes afterwards.
    pub async fn expand(&self, volume: &Volume, path: &Path, bytes: i64) -> Result<i64, Status> {
        let request = pb::NodeExpandVolumeRequest {
            volume_id: volume.id.clone(),
            volume_path: text(path),
            capacity_range: Some(pb::CapacityRange { required_bytes: bytes, limit_bytes: 0 }),
            ..Default::default()
        };
        Ok(self.client().node_expand_volume(request).await?.into_inner().capacity_bytes)
    }

    /// NodeGetVolumeStats.
    pub async fn stats(&self, volume: &Volume, path: &Path) -> Result<Vec<pb::VolumeUsage>, Status> {
        let request = pb::NodeGetVolumeStatsRequest {
            volume_id: volume.id.clone(),
            volume_path: text(path),
            ..Default::default()
        };
        Ok(self.client().node_get_volume_stats(request).await?.into_inner().usage)
    }

    /// NodeGetVolumeHealth; an empty path is left out of the request.
    pub async fn health(
        &self,
        volume: &Volume,
        published: &Path,
        staged: &Path,
    ) -> Result<Vec<pb::volume_health::VolumeHealthEntry>, Status> {
        let request = pb::NodeGetVolumeHealthRequest {
            volume_id: volume.id.clone(),
            volume_publish_path: text(published),
            staging_target_path: text(staged),
        };
        let health = self.client().node_get_volume_health(request).await?.into_inner().volume_health;
        Ok(health.unwrap_or_default().health_statuses)
    }

    /// NodeGetStorageHealth.
    pub async fn storage_health(
        &self,
    ) -> Result<Vec<pb::node_get_storage_health_response::StorageBackendHealth>, Status> {
        let request = pb::NodeGetStorageHealthRequest::default();
        Ok(self.client().node_get_storage_health(request).await?.into_inner().backend_health)
    }
}
