//! The volume and the claim, in the form of the guide's 4.7.5.2 (deploy/examples/adopt-pv-pvc.yaml).

use eck_csi::driver::{DISK_TYPE_DEFAULT, DRIVER_NAME, TOPOLOGY_REGION};
use eck_csi::volume::{DiskId, FsType, Region};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{ApiResource, DynamicObject};
use serde_json::json;

/// What is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A file system.
    Mount(FsType),
    /// Whatever its user makes of it.
    Block,
}

impl Form {
    /// As `volumeMode` says it.
    pub fn mode(self) -> &'static str {
        match self {
            Self::Mount(_) => "Filesystem",
            Self::Block => "Block",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct AdoptRequest {
    /// The disk.
    pub disk: DiskId,
    /// Namespace of the claim.
    pub namespace: String,
    /// The claim.
    pub claim: String,
    /// The volume.
    pub volume: String,
    /// The class that both name.
    pub class: String,
    /// What is on the disk.
    pub form: Form,
    /// `Retain` or `Delete`.
    pub reclaim: &'static str,
}

impl AdoptRequest {
    /// The PersistentVolume for the disk of this size in this region.
    pub fn persistent_volume(&self, region: &Region, gib: u64) -> DynamicObject {
        let mut csi = json!({
            "driver": DRIVER_NAME,
            "volumeAttributes": { "diskType": DISK_TYPE_DEFAULT },
            "volumeHandle": self.disk.as_str(),
        });
        if let Form::Mount(fs) = self.form {
            csi["fsType"] = json!(fs.as_str());
        }
        let expression = json!({ "key": TOPOLOGY_REGION, "operator": "In", "values": [region.as_str()] });
        let data = json!({
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "capacity": { "storage": format!("{gib}Gi") },
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "name": self.claim,
                    "namespace": self.namespace,
                },
                "csi": csi,
                "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [expression] }] } },
                "persistentVolumeReclaimPolicy": self.reclaim,
                "storageClassName": self.class,
                "volumeMode": self.form.mode(),
            },
        });
        DynamicObject::new(&self.volume, &ApiResource::erase::<PersistentVolume>(&())).data(data)
    }

    /// The claim that takes exactly this volume.
    pub fn persistent_volume_claim(&self, gib: u64) -> DynamicObject {
        let data = json!({
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": format!("{gib}Gi") } },
                "storageClassName": self.class,
                "volumeMode": self.form.mode(),
                "volumeName": self.volume,
            },
        });
        let object = DynamicObject::new(&self.claim, &ApiResource::erase::<PersistentVolumeClaim>(&()));
        object.within(&self.namespace).data(data)
    }
}
