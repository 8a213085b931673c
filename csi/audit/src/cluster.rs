//! What Kubernetes has of the driver: volumes, claims, attachments, nodes. Objects become domain types here, once.

use std::collections::{BTreeMap, BTreeSet};

use eck_csi::driver::DRIVER_NAME;
use eck_csi::volume::NodeId;
use eck_csi_kubernetes::{CsiSource, Millis, api, disks_in_use, region_of};
use k8s_openapi::api::core::v1::{Node as CoreNode, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{CSINode, VolumeAttachment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use kube::api::{ListParams, NotUsed, Object};
use serde::Deserialize;
use serde_json::Value;

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
pub async fn read(client: &Client) -> kube::Result<Cluster> {
    let all = ListParams::default();
    // The nodes last: what they use must not be older than the attachments.
    let volumes = api::list_fields::<PersistentVolume, _, _, _>(client, &all, volume).await?;
    let claims = api::list_fields::<PersistentVolumeClaim, _, _, _>(client, &all, claim).await?;
    let attachments = api::list_fields::<VolumeAttachment, _, _, _>(client, &all, attachment).await?;
    let ids: BTreeMap<String, NodeId> =
        api::list_fields::<CSINode, _, _, _>(client, &all, node_id).await?.into_iter().collect();
    let nodes = api::list_fields::<CoreNode, _, _, _>(client, &all, in_use).await?;
    let node = |(name, in_use): (String, BTreeSet<String>)| {
        let id = ids.get(&name).cloned();
        (name, Node { id, in_use })
    };
    Ok(Cluster {
        volumes,
        claims: claims.into_iter().collect(),
        attachments,
        nodes: nodes.into_iter().map(node).collect(),
    })
}

fn millis(time: &Time) -> Millis {
    Millis::try_from(time.0.as_millisecond()).unwrap_or(0)
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VolumeSpec {
    csi: Option<CsiSource>,
    #[serde(default)]
    persistent_volume_reclaim_policy: String,
    #[serde(default)]
    node_affinity: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct VolumeStatus {
    phase: String,
}

fn volume(object: Object<VolumeSpec, VolumeStatus>) -> Option<Volume> {
    Some(Volume {
        name: object.metadata.name?,
        disk: object.spec.csi?.own_handle()?,
        region: region_of(&object.spec.node_affinity),
        phase: object.status.unwrap_or_default().phase,
        reclaim: object.spec.persistent_volume_reclaim_policy,
        deleting: object.metadata.deletion_timestamp.is_some(),
    })
}

/// The UID of a claim.
fn claim(object: Object<NotUsed, NotUsed>) -> Option<String> {
    object.metadata.uid
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentSpec {
    attacher: String,
    node_name: String,
    source: AttachmentSource,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentSource {
    persistent_volume_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AttachmentStatus {
    attached: bool,
    attach_error: Option<AttachmentError>,
    detach_error: Option<AttachmentError>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct AttachmentError {
    message: String,
}

fn attachment(object: Object<AttachmentSpec, AttachmentStatus>) -> Option<Attachment> {
    if object.spec.attacher != DRIVER_NAME {
        return None;
    }
    let status = object.status.unwrap_or_default();
    let error = status.detach_error.or(status.attach_error);
    Some(Attachment {
        name: object.metadata.name?,
        volume: object.spec.source.persistent_volume_name?,
        node: object.spec.node_name,
        attached: status.attached,
        created: object.metadata.creation_timestamp.as_ref().map_or(0, millis),
        deleting: object.metadata.deletion_timestamp.as_ref().map(millis),
        error: error.map(|error| error.message).filter(|message| !message.is_empty()),
    })
}

#[derive(Clone, Debug, Deserialize)]
struct CsiNodeSpec {
    // Null where no driver runs.
    drivers: Option<Vec<CsiNodeDriver>>,
}

#[derive(Clone, Debug, Deserialize)]
struct CsiNodeDriver {
    name: String,
    #[serde(rename = "nodeID")]
    node_id: String,
}

/// A node's name in Kubernetes, and its id to the driver, if the driver runs there.
fn node_id(object: Object<CsiNodeSpec, NotUsed>) -> Option<(String, NodeId)> {
    let driver = object.spec.drivers?.into_iter().find(|driver| driver.name == DRIVER_NAME)?;
    Some((object.metadata.name?, NodeId::parse(driver.node_id).ok()?))
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeStatus {
    volumes_in_use: Option<Vec<String>>,
}

/// A node's name, and the driver's disks that its kubelet uses.
fn in_use(object: Object<Option<NotUsed>, NodeStatus>) -> Option<(String, BTreeSet<String>)> {
    Some((object.metadata.name?, disks_in_use(object.status.unwrap_or_default().volumes_in_use)))
}
