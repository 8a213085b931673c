//! Calls the controller as the CSI sidecars do: one request, asked again while its outcome is open.
//!
//! external-provisioner, -attacher and -resizer retry with a growing backoff. Which codes they retry differs a little among
//! them; the three here are the ones after which all of them do (`error.rs` of the controller has the reason for each code).

use std::collections::HashMap;
use std::error::Error as _;
use std::time::Duration;

use eck_csi::driver::{GIB, TOPOLOGY_REGION};
use proto::csi::v1 as pb;
use proto::csi::v1::controller_client::ControllerClient;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

/// A volume that is asked for.
#[derive(Debug, Clone, Default)]
pub struct Claim {
    /// Name, `pvc-…`.
    pub name: String,
    /// Size.
    pub gib: u64,
    /// StorageClass parameters.
    pub parameters: HashMap<String, String>,
    /// Regions in which the volume must be reachable.
    pub requisite: Vec<String>,
    /// The same in the order of preference. Each retry begins with the next one, since with Immediate binding the
    /// provisioner prefers a random region each time.
    pub preferred: Vec<String>,
}

/// What a sidecar asks for.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Ask {
    Create(Claim),
    Publish { volume: String, node: String },
    Unpublish { volume: String, node: String },
    Expand { volume: String, gib: u64 },
    Delete { volume: String },
}

/// What it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Told {
    Created { volume: String, region: String, bytes: i64 },
    Published(HashMap<String, String>),
    Expanded { bytes: i64 },
    Done,
}

/// How long and how often it asks.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Deadline of the first call; a short one makes it give up early, as the attacher's default of 15 s does.
    pub first: Duration,
    /// Deadline of each later call.
    pub later: Duration,
    /// Pause between two calls.
    pub pause: Duration,
    /// Calls at most.
    pub calls: u32,
}

impl Default for Patience {
    fn default() -> Self {
        let (long, pause) = (Duration::from_secs(30), Duration::from_millis(5));
        Self { first: long, later: long, pause, calls: 40 }
    }
}

/// A client of the controller. Clones share the connection.
#[derive(Clone)]
pub struct Sidecar {
    client: ControllerClient<Channel>,
}

/// Whether a sidecar asks again: the outcome is open.
pub fn open(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Aborted)
}

impl Sidecar {
    /// Calls through `channel`.
    pub fn new(channel: Channel) -> Self {
        Self { client: ControllerClient::new(channel) }
    }

    /// One call, the `turn`-th (from 0) for the same.
    pub async fn once(&self, ask: &Ask, turn: u32, deadline: Duration) -> Result<Told, Status> {
        let late = |_| Status::deadline_exceeded("the caller gave up");
        let ended = tokio::time::timeout(deadline, self.call(ask, turn)).await.map_err(late)?;
        ended.map_err(|status| match status.source() {
            // Made on this side: the connection broke. The sidecars' gRPC library calls it UNAVAILABLE, tonic UNKNOWN.
            Some(broken) => Status::unavailable(serve::chain::chain(broken)),
            None => status,
        })
    }

    /// Asks until there is an answer that ends it; `between` is told each code that does not.
    pub async fn persist(
        &self,
        ask: &Ask,
        patience: &Patience,
        mut between: impl FnMut(&Status),
    ) -> Result<Told, Status> {
        let mut last = Status::deadline_exceeded("never asked");
        for turn in 0..patience.calls {
            let deadline = if turn == 0 { patience.first } else { patience.later };
            match self.once(ask, turn, deadline).await {
                Err(status) if open(status.code()) => {
                    between(&status);
                    last = status;
                }
                ended => return ended,
            }
            tokio::time::sleep(patience.pause).await;
        }
        Err(last)
    }

    /// CreateVolume, once: the whole volume as the provisioner gets it.
    pub async fn create(&self, claim: &Claim, turn: u32) -> Result<pb::Volume, Status> {
        let reply = self.client.clone().create_volume(create(claim, turn)).await?;
        Ok(reply.into_inner().volume.unwrap_or_default())
    }

    async fn call(&self, ask: &Ask, turn: u32) -> Result<Told, Status> {
        let mut client = self.client.clone();
        match ask {
            Ask::Create(claim) => {
                let volume = self.create(claim, turn).await?;
                let mut regions =
                    volume.accessible_topology.into_iter().flat_map(|t| t.segments.into_values());
                let region = regions.next().unwrap_or_default();
                Ok(Told::Created { volume: volume.volume_id, region, bytes: volume.capacity_bytes })
            }
            Ask::Publish { volume, node } => {
                let q = pb::ControllerPublishVolumeRequest {
                    volume_id: volume.clone(),
                    node_id: node.clone(),
                    volume_capability: Some(capability()),
                    ..Default::default()
                };
                Ok(Told::Published(client.controller_publish_volume(q).await?.into_inner().publish_context))
            }
            Ask::Unpublish { volume, node } => {
                let (volume_id, node_id) = (volume.clone(), node.clone());
                let q = pb::ControllerUnpublishVolumeRequest { volume_id, node_id, ..Default::default() };
                client.controller_unpublish_volume(q).await.map(|_| Told::Done)
            }
            Ask::Expand { volume, gib } => {
                let required_bytes = bytes(*gib);
                let q = pb::ControllerExpandVolumeRequest {
                    volume_id: volume.clone(),
                    capacity_range: Some(pb::CapacityRange { required_bytes, limit_bytes: 0 }),
                    ..Default::default()
                };
                let bytes = client.controller_expand_volume(q).await?.into_inner().capacity_bytes;
                Ok(Told::Expanded { bytes })
            }
            Ask::Delete { volume } => {
                let q = pb::DeleteVolumeRequest { volume_id: volume.clone(), ..Default::default() };
                client.delete_volume(q).await.map(|_| Told::Done)
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

/// The request of a CreateVolume, the `turn`-th (from 0) for the same.
pub fn create(claim: &Claim, turn: u32) -> Request<pb::CreateVolumeRequest> {
    let topology = |region: &String| pb::Topology {
        segments: HashMap::from([(TOPOLOGY_REGION.to_owned(), region.clone())]),
    };
    let mut preferred = claim.preferred.clone();
    if !preferred.is_empty() {
        let first = turn as usize % preferred.len();
        preferred.rotate_left(first);
    }
    let asked = !claim.requisite.is_empty() || !preferred.is_empty();
    Request::new(pb::CreateVolumeRequest {
        name: claim.name.clone(),
        capacity_range: Some(pb::CapacityRange { required_bytes: bytes(claim.gib), limit_bytes: 0 }),
        volume_capabilities: vec![capability()],
        parameters: claim.parameters.clone(),
        accessibility_requirements: asked.then(|| pb::TopologyRequirement {
            requisite: claim.requisite.iter().map(topology).collect(),
            preferred: preferred.iter().map(topology).collect(),
        }),
        ..Default::default()
    })
}
