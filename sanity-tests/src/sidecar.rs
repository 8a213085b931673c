//! Calls the controller as the CSI sidecars do: a request is sent again while its outcome is unknown.
//!
//! external-provisioner, external-attacher and external-resizer retry with a growing pause. They differ slightly in the codes
//! after which they retry; the three of [`is_retryable`] are those after which all of them do (`error.rs` of the controller has the
//! reason for each code).

use std::collections::HashMap;
use std::error::Error as _;
use std::time::Duration;

use eck_csi::driver::{GIB, TOPOLOGY_REGION};
use proto::csi::v1 as pb;
use proto::csi::v1::controller_client::ControllerClient;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// A volume that is requested.
#[derive(Debug, Clone, Default)]
pub struct Claim {
    /// Name, `pvc-…`.
    pub name: String,
    /// Size in GiB.
    pub gib: u64,
    /// StorageClass parameters.
    pub parameters: HashMap<String, String>,
    /// Regions in which the volume must be accessible.
    pub requisite: Vec<String>,
    /// The same in the order of preference. Each retry begins with the next one, since with Immediate binding the
    /// provisioner prefers a random region each time.
    pub preferred: Vec<String>,
}

/// What a sidecar requests.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Request {
    Create(Claim),
    Publish { volume: String, node: String },
    Unpublish { volume: String, node: String },
    Expand { volume: String, gib: u64 },
    Delete { volume: String },
}

/// A successful reply.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reply {
    Created {
        volume: String,
        region: String,
        bytes: i64,
    },
    /// The publish context.
    Published(HashMap<String, String>),
    Expanded {
        bytes: i64,
    },
    Done,
}

/// How long and how often a request is sent.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// Deadline of the first call; with a short one the sidecar gives up early, as the attacher does after 15 s by default.
    pub first_deadline: Duration,
    /// Deadline of each later call.
    pub later_deadline: Duration,
    /// Pause between two calls.
    pub pause: Duration,
    /// Calls at most.
    pub max_calls: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        let deadline = Duration::from_secs(30);
        Self {
            first_deadline: deadline,
            later_deadline: deadline,
            pause: Duration::from_millis(5),
            max_calls: 40,
        }
    }
}

/// A client of the controller. Clones share the connection.
#[derive(Clone)]
pub struct Sidecar {
    client: ControllerClient<Channel>,
}

/// Whether a sidecar sends the request again: the outcome is unknown.
pub fn is_retryable(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Aborted)
}

impl Sidecar {
    /// Calls through `channel`.
    pub fn new(channel: Channel) -> Self {
        Self { client: ControllerClient::new(channel) }
    }

    /// Makes one call, the `attempt`-th (from 0) of the request.
    pub async fn call_once(
        &self,
        request: &Request,
        attempt: u32,
        deadline: Duration,
    ) -> Result<Reply, Status> {
        let late = |_| Status::deadline_exceeded("the caller gave up");
        let result = tokio::time::timeout(deadline, self.send(request, attempt)).await.map_err(late)?;
        result.map_err(|status| match status.source() {
            // Made on this side: the connection broke. The sidecars' gRPC library calls it UNAVAILABLE, tonic UNKNOWN.
            Some(broken) => Status::unavailable(serve::chain::chain(broken)),
            None => status,
        })
    }

    /// Calls until there is a final result; `on_retry` gets each status that is not final.
    pub async fn call(
        &self,
        request: &Request,
        policy: &RetryPolicy,
        mut on_retry: impl FnMut(&Status),
    ) -> Result<Reply, Status> {
        let mut last = Status::deadline_exceeded("never called");
        for attempt in 0..policy.max_calls {
            let deadline = if attempt == 0 { policy.first_deadline } else { policy.later_deadline };
            match self.call_once(request, attempt, deadline).await {
                Err(status) if is_retryable(status.code()) => {
                    on_retry(&status);
                    last = status;
                }
                result => return result,
            }
            tokio::time::sleep(policy.pause).await;
        }
        Err(last)
    }

    /// CreateVolume, once: the whole volume as the provisioner gets it.
    pub async fn create(&self, claim: &Claim, attempt: u32) -> Result<pb::Volume, Status> {
        let reply = self.client.clone().create_volume(create_request(claim, attempt)).await?;
        Ok(reply.into_inner().volume.unwrap_or_default())
    }

    async fn send(&self, request: &Request, attempt: u32) -> Result<Reply, Status> {
        let mut client = self.client.clone();
        match request {
            Request::Create(claim) => {
                let volume = self.create(claim, attempt).await?;
                let mut regions =
                    volume.accessible_topology.into_iter().flat_map(|t| t.segments.into_values());
                let region = regions.next().unwrap_or_default();
                Ok(Reply::Created { volume: volume.volume_id, region, bytes: volume.capacity_bytes })
            }
            Request::Publish { volume, node } => {
                let request = pb::ControllerPublishVolumeRequest {
                    volume_id: volume.clone(),
                    node_id: node.clone(),
                    volume_capability: Some(capability()),
                    ..Default::default()
                };
                let reply = client.controller_publish_volume(request).await?;
                Ok(Reply::Published(reply.into_inner().publish_context))
            }
            Request::Unpublish { volume, node } => {
                let (volume_id, node_id) = (volume.clone(), node.clone());
                let request =
                    pb::ControllerUnpublishVolumeRequest { volume_id, node_id, ..Default::default() };
                client.controller_unpublish_volume(request).await.map(|_| Reply::Done)
            }
            Request::Expand { volume, gib } => {
                let required_bytes = bytes(*gib);
                let request = pb::ControllerExpandVolumeRequest {
                    volume_id: volume.clone(),
                    capacity_range: Some(pb::CapacityRange { required_bytes, limit_bytes: 0 }),
                    ..Default::default()
                };
                let reply = client.controller_expand_volume(request).await?;
                Ok(Reply::Expanded { bytes: reply.into_inner().capacity_bytes })
            }
            Request::Delete { volume } => {
                let request = pb::DeleteVolumeRequest { volume_id: volume.clone(), ..Default::default() };
                client.delete_volume(request).await.map(|_| Reply::Done)
            }
        }
    }
}

pub(crate) fn bytes(gib: u64) -> i64 {
    i64::try_from(gib * GIB).unwrap_or(i64::MAX)
}

/// A file system on one node, for reading and writing.
pub fn capability() -> pb::VolumeCapability {
    use pb::volume_capability::{AccessMode, AccessType, MountVolume, access_mode};
    pb::VolumeCapability {
        access_type: Some(AccessType::Mount(MountVolume::default())),
        access_mode: Some(AccessMode { mode: access_mode::Mode::SingleNodeWriter.into() }),
    }
}

/// The message of a CreateVolume, the `attempt`-th (from 0) for the same claim.
pub fn create_request(claim: &Claim, attempt: u32) -> tonic::Request<pb::CreateVolumeRequest> {
    let topology = |region: &String| pb::Topology {
        segments: HashMap::from([(TOPOLOGY_REGION.to_owned(), region.clone())]),
    };
    let mut preferred = claim.preferred.clone();
    if !preferred.is_empty() {
        let first = attempt as usize % preferred.len();
        preferred.rotate_left(first);
    }
    let has_topology = !claim.requisite.is_empty() || !preferred.is_empty();
    tonic::Request::new(pb::CreateVolumeRequest {
        name: claim.name.clone(),
        capacity_range: Some(pb::CapacityRange { required_bytes: bytes(claim.gib), limit_bytes: 0 }),
        volume_capabilities: vec![capability()],
        parameters: claim.parameters.clone(),
        accessibility_requirements: has_topology.then(|| pb::TopologyRequirement {
            requisite: claim.requisite.iter().map(topology).collect(),
            preferred: preferred.iter().map(topology).collect(),
        }),
        ..Default::default()
    })
}
