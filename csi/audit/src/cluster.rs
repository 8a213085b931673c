//! What Kubernetes has of the driver: volumes, claims, attachments, nodes. Objects become domain types here, once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use eck_csi::driver::{DRIVER_NAME, TOPOLOGY_REGION};
use eck_csi::volume::NodeId;
use kube::Client;
use serde::Deserialize;
use serde_json::Value;

use crate::api::list;

/// Milliseconds since 1970.
pub type Millis = u64;

/// Now.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// The prefix under which the kubelet writes into a node's status which volumes it uses (volume/util, GetUniqueVolumeName).
const IN_USE: &str = "kubernetes.io/csi/eck.csi.k8s.io^";

/// A PersistentVolume of the driver.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Volume {
    /// Name.
    pub name: String,
    /// The volume handle: a disk id.
    pub disk: String,
    /// The region of its node affinity.
    pub region: Option<String>,
    /// `Bound`, `Released`, ….
    pub phase: String,
    /// `Retain` or `Delete`.
    pub reclaim: String,
    /// Somebody deleted the object, and it waits for its finalizers.
    pub deleting: bool,
}

/// A VolumeAttachment of the driver.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attachment {
    /// Name.
    pub name: String,
    /// The PersistentVolume.
    pub volume: String,
    /// The node's name in Kubernetes.
    pub node: String,
    /// The attacher said so.
    pub attached: bool,
    /// Since when it is there.
    pub created: Millis,
    /// Since when it is to go.
    pub deleting: Option<Millis>,
    /// What the attacher said last of an attach or detach.
    pub error: Option<String>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// How it is called to the driver, if the driver runs there.
    pub id: Option<NodeId>,
    /// Disks that the kubelet uses there.
    pub in_use: BTreeSet<String>,
}

/// The cluster at one look.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    /// Volumes of the driver.
    pub volumes: Vec<Volume>,
    /// UIDs of every claim.
    pub claims: BTreeSet<String>,
    /// Attachments of the driver.
    pub attachments: Vec<Attachment>,
    /// Nodes by their name in Kubernetes.
    pub nodes: BTreeMap<String, Node>,
}

/// Reads it all.
pub async fn look(client: &Client) -> kube::Result<Cluster> {
    let storage = "/apis/storage.k8s.io/v1";
    // The nodes last: what they use must not be older than the attachments.
    let volumes: Vec<PersistentVolume> = list(client, "/api/v1/persistentvolumes", "").await?;
    let claims: Vec<Claim> = list(client, "/api/v1/persistentvolumeclaims", "").await?;
    let attachments: Vec<VolumeAttachment> =
        list(client, &format!("{storage}/volumeattachments"), "").await?;
    let csi_nodes: Vec<CsiNode> = list(client, &format!("{storage}/csinodes"), "").await?;
    let nodes: Vec<KubeletNode> = list(client, "/api/v1/nodes", "").await?;
    let ids: BTreeMap<String, NodeId> =
        csi_nodes.into_iter().filter_map(|node| Some((node.metadata.name.clone(), node.id()?))).collect();
    let node = |node: KubeletNode| {
        let id = ids.get(&node.metadata.name).cloned();
        (node.metadata.name.clone(), Node { id, in_use: node.in_use() })
    };
    Ok(Cluster {
        volumes: volumes.into_iter().filter_map(PersistentVolume::domain).collect(),
        claims: claims.into_iter().map(|claim| claim.metadata.uid).collect(),
        attachments: attachments.into_iter().filter_map(VolumeAttachment::domain).collect(),
        nodes: nodes.into_iter().map(node).collect(),
    })
}

/// RFC 3339, as the API server writes it.
fn millis(time: &str) -> Option<Millis> {
    let time: k8s_openapi::jiff::Timestamp = time.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: String,
    uid: String,
    creation_timestamp: String,
    deletion_timestamp: Option<String>,
}

#[derive(Deserialize)]
struct Claim {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct PersistentVolume {
    metadata: Metadata,
    #[serde(default)]
    spec: VolumeSpec,
    #[serde(default)]
    status: VolumeStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct VolumeSpec {
    csi: Option<CsiSource>,
    persistent_volume_reclaim_policy: String,
    node_affinity: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CsiSource {
    driver: String,
    volume_handle: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct VolumeStatus {
    phase: String,
}

impl PersistentVolume {
    fn domain(self) -> Option<Volume> {
        let csi = self.spec.csi.filter(|csi| csi.driver == DRIVER_NAME)?;
        Some(Volume {
            name: self.metadata.name,
            disk: csi.volume_handle,
            region: region_of(&self.spec.node_affinity),
            phase: self.status.phase,
            reclaim: self.spec.persistent_volume_reclaim_policy,
            deleting: self.metadata.deletion_timestamp.is_some(),
        })
    }
}

/// The region that a volume's node affinity names, if it is one.
pub fn region_of(affinity: &Value) -> Option<String> {
    let terms = affinity["required"]["nodeSelectorTerms"].as_array()?;
    let expressions = terms.iter().flat_map(|term| term["matchExpressions"].as_array().into_iter().flatten());
    let mut regions = expressions.filter(|one| one["key"] == TOPOLOGY_REGION && one["operator"] == "In");
    match regions.next()?["values"].as_array()?.as_slice() {
        [region] if regions.next().is_none() => region.as_str().map(str::to_owned),
        _ => None,
    }
}

#[derive(Deserialize)]
struct VolumeAttachment {
    metadata: Metadata,
    spec: AttachmentSpec,
    #[serde(default)]
    status: AttachmentStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentSpec {
    attacher: String,
    node_name: String,
    source: AttachmentSource,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentSource {
    persistent_volume_name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AttachmentStatus {
    attached: bool,
    attach_error: Option<AttachmentError>,
    detach_error: Option<AttachmentError>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AttachmentError {
    message: String,
}

impl VolumeAttachment {
    fn domain(self) -> Option<Attachment> {
        (self.spec.attacher == DRIVER_NAME).then_some(())?;
        let error = self.status.detach_error.or(self.status.attach_error);
        Some(Attachment {
            name: self.metadata.name,
            volume: self.spec.source.persistent_volume_name?,
            node: self.spec.node_name,
            attached: self.status.attached,
            created: millis(&self.metadata.creation_timestamp).unwrap_or(0),
            deleting: self.metadata.deletion_timestamp.map(|time| millis(&time).unwrap_or(0)),
            error: error.map(|error| error.message).filter(|message| !message.is_empty()),
        })
    }
}

#[derive(Deserialize)]
struct CsiNode {
    metadata: Metadata,
    #[serde(default)]
    spec: CsiNodeSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CsiNodeSpec {
    // Null where no driver runs.
    drivers: Option<Vec<CsiNodeDriver>>,
}

#[derive(Deserialize)]
struct CsiNodeDriver {
    name: String,
    #[serde(rename = "nodeID")]
    node_id: String,
}

impl CsiNode {
    fn id(self) -> Option<NodeId> {
        let driver = self.spec.drivers?.into_iter().find(|driver| driver.name == DRIVER_NAME)?;
        NodeId::parse(driver.node_id).ok()
    }
}

#[derive(Deserialize)]
struct KubeletNode {
    metadata: Metadata,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct NodeStatus {
    volumes_in_use: Option<Vec<String>>,
}

impl KubeletNode {
    fn in_use(&self) -> BTreeSet<String> {
        let all = self.status.volumes_in_use.iter().flatten();
        all.filter_map(|volume| volume.strip_prefix(IN_USE)).map(str::to_owned).collect()
    }
}
