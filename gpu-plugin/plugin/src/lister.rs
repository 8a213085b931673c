//! The kubelet's pod-resources API: which containers of which pods hold which of our devices.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use proto::podresources::v1 as pb;
use proto::podresources::v1::pod_resources_lister_client::PodResourcesListerClient;
use serve::uds;
use tonic::Code;

use crate::resource::Resource;

/// What the kubelet's own client takes.
pub(crate) const MAX_MESSAGE: usize = 16 << 20;

/// How long an answer may take: it is one lock and one walk over at most some hundred pods.
const PATIENCE: Duration = Duration::from_secs(5);

/// The kubelet answers 100 calls a second and 10 at once; who comes more often is told so and may come again.
const PAUSE: Duration = Duration::from_millis(50);

/// A pod of the kubelet's. Init containers that end are not among its containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// By container: our resources and the ids that it holds of each.
    pub containers: Vec<(String, BTreeMap<Resource, BTreeSet<String>>)>,
}

impl Listed {
    /// Reads a pod as the kubelet lists it; what is not ours is left out.
    pub fn read(pod: pb::PodResources) -> Self {
        let containers = pod.containers.into_iter().map(|container| {
            let mut held: BTreeMap<Resource, BTreeSet<String>> = BTreeMap::new();
            for devices in container.devices {
                if let Some(resource) = Resource::parse(&devices.resource_name) {
                    held.entry(resource).or_default().extend(devices.device_ids);
                }
            }
            (container.name, held)
        });
        Self { containers: containers.collect(), namespace: pod.namespace, name: pod.name }
    }

    /// The ids that a container holds.
    pub(crate) fn held(&self, container: &str, resource: Resource) -> Option<&BTreeSet<String>> {
        self.containers.iter().find(|(name, _)| name == container)?.1.get(&resource)
    }
}

/// Why the kubelet did not tell.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Its socket.
    #[error("the kubelet's pod-resources socket does not answer")]
    Connect(#[from] tonic::transport::Error),
    /// Its answer.
    #[error("the kubelet's pod-resources API: {0}")]
    Refused(String),
    /// No answer.
    #[error("the kubelet's pod-resources API does not answer within {PATIENCE:?}")]
    Late,
}

/// The kubelet's records, asked for anew each time.
#[tonic::async_trait]
pub trait PodResources: Send + Sync {
    /// Every pod that the kubelet runs or admits now.
    async fn list(&self) -> Result<Vec<Listed>, ListError>;
}

/// The client.
#[derive(Debug, Clone)]
pub(crate) struct Lister(PathBuf);

#[tonic::async_trait]
impl PodResources for Lister {
    /// A connection of its own: the kubelet may be another one than before.
    async fn list(&self) -> Result<Vec<Listed>, ListError> {
        tokio::time::timeout(PATIENCE, self.ask()).await.map_err(|_| ListError::Late)?
    }
}

impl Lister {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self(socket)
    }

    async fn ask(&self) -> Result<Vec<Listed>, ListError> {
        let channel = uds::connect(&self.0).await?;
        let mut client = PodResourcesListerClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
        loop {
            match client.list(pb::ListPodResourcesRequest {}).await {
                Ok(reply) => {
                    return Ok(reply.into_inner().pod_resources.into_iter().map(Listed::read).collect());
                }
                Err(status) if status.code() == Code::ResourceExhausted => tokio::time::sleep(PAUSE).await,
                Err(status) => return Err(ListError::Refused(status.message().to_owned())),
            }
        }
    }
}
