//! The kubelet's pod-resources API: which containers of which pods hold which of our devices.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use proto::podresources::v1::ListPodResourcesRequest;
use proto::podresources::v1::PodResources;
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
pub(crate) struct Listed {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) containers: Vec<(String, BTreeMap<Resource, BTreeSet<String>>)>,
}

impl Listed {
    fn read(pod: PodResources) -> Self {
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
pub(crate) enum ListError {
    #[error("the kubelet's pod-resources socket does not answer")]
    Connect(#[from] tonic::transport::Error),
    #[error("the kubelet's pod-resources API: {0}")]
    Refused(String),
    #[error("the kubelet's pod-resources API does not answer within {PATIENCE:?}")]
    Late,
}

/// The client.
#[derive(Debug, Clone)]
pub(crate) struct Lister(PathBuf);

impl Lister {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self(socket)
    }

    /// Every pod that the kubelet runs or admits now. A connection of its own: the kubelet may be another one than before.
    pub(crate) async fn list(&self) -> Result<Vec<Listed>, ListError> {
        tokio::time::timeout(PATIENCE, self.ask()).await.map_err(|_| ListError::Late)?
    }

    async fn ask(&self) -> Result<Vec<Listed>, ListError> {
        let channel = uds::connect(&self.0).await?;
        let mut client = PodResourcesListerClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
        loop {
            match client.list(ListPodResourcesRequest {}).await {
                Ok(reply) => {
                    return Ok(reply.into_inner().pod_resources.into_iter().map(Listed::read).collect());
                }
                Err(status) if status.code() == Code::ResourceExhausted => tokio::time::sleep(PAUSE).await,
                Err(status) => return Err(ListError::Refused(status.message().to_owned())),
            }
        }
    }
}
