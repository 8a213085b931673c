//! A node in a cluster: the fake kubelet, and what the real one reads from and writes to the API server.

use std::path::Path;

use proto::deviceplugin::v1beta1::ContainerAllocateResponse;
use serde_json::{Value, json};

use super::pod::{Kind, Pod};
use super::rules::Rejection;
use super::{FakeKubelet, KubeletError};
use crate::apiserver::{ApiServer, Key, Refusal};

/// Resources that the node's plugins are to offer; the others in its status were put there by somebody.
const DEVICES: [&str; 2] = ["ideal.com/gpu", "nvidia.com/gpu"];

/// Why a node does not come up.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its kubelet.
    #[error(transparent)]
    Kubelet(#[from] KubeletError),
    /// The API server.
    #[error(transparent)]
    Api(#[from] Refusal),
}

/// A node.
pub struct Node<'a> {
    api: &'a ApiServer,
    /// Its name.
    pub name: String,
    /// Its kubelet.
    pub kubelet: FakeKubelet,
}

impl<'a> Node<'a> {
    /// Starts the kubelet in `folder` and registers the node.
    pub async fn start(api: &'a ApiServer, name: &str, folder: &Path, seed: u64) -> Result<Self, NodeError> {
        let kubelet = FakeKubelet::start(folder, seed).await?;
        let status = json!({"capacity": {}, "allocatable": {}});
        api.create("nodes", json!({"metadata": {"name": name, "labels": {}}, "status": status}))?;
        Ok(Self { api, name: name.to_owned(), kubelet })
    }

    /// The node object.
    pub fn object(&self) -> Value {
        self.api.get(&Key::node(&self.name)).map(|node| (*node).clone()).unwrap_or_default()
    }

    /// Writes the devices into the node's status, and takes from there what others have patched in.
    pub fn publish(&self) -> Result<(), Refusal> {
        let counts = DEVICES.map(|resource| (resource, self.kubelet.rules().allocatable(resource)));
        let node = self.api.modify(&Key::node(&self.name), |node| {
            for (resource, count) in counts {
                let Some(count) = count else { continue };
                for list in ["capacity", "allocatable"] {
                    node["status"][list][resource] = json!(count.to_string());
                }
            }
        })?;
        let foreign = node["status"]["allocatable"].as_object().cloned().unwrap_or_default();
        for (resource, amount) in foreign.iter().filter(|(resource, _)| !DEVICES.contains(&resource.as_str()))
        {
            if let Some(amount) = amount.as_str().and_then(|text| text.parse().ok()) {
                self.kubelet.rules().patch(resource, amount);
            }
        }
        Ok(())
    }

    /// The pod as the kubelet sees it.
    pub fn pod(&self, key: &Key) -> Option<Pod> {
        Pod::read(&*self.api.get(key)?)
    }

    /// Admits a pod that was bound here; a rejected one is failed, as the kubelet does it.
    pub async fn admit(&self, key: &Key) -> Result<(), Rejection> {
        let Some(pod) = self.pod(key) else { return Ok(()) };
        let outcome = self.kubelet.admit(pod).await;
        let phase = if outcome.is_ok() { "Running" } else { "Failed" };
        let _gone = self.api.modify(key, |pod| pod["status"]["phase"] = json!(phase));
        outcome
    }

    /// Starts a container. An init container ends at once, and the pod's status says so.
    pub async fn start_container(
        &self,
        key: &Key,
        container: &str,
    ) -> Result<Vec<ContainerAllocateResponse>, String> {
        let pod = self.pod(key).ok_or("the pod is gone")?;
        let started = self.kubelet.start_container(&pod.uid, container).await?;
        if pod.container(container).is_some_and(|container| container.kind == Kind::Init) {
            let done = json!({"name": container, "state": {"terminated": {"exitCode": 0}}});
            let _gone = self.api.modify(key, |pod| {
                let statuses = &mut pod["status"]["initContainerStatuses"];
                match statuses.as_array_mut() {
                    Some(list) => list.push(done),
                    None => *statuses = json!([done]),
                }
            });
        }
        Ok(started)
    }

    /// Ends the pod's containers, then deletes the pod.
    pub fn delete(&self, key: &Key) -> Result<(), Refusal> {
        if let Some(pod) = self.pod(key) {
            self.kubelet.delete(&pod.uid);
        }
        self.api.delete(key)
    }
}
