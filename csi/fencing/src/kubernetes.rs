//! The traits over a real API server.

use std::sync::Arc;
use std::time::Duration;

use eck_csi::volume::NodeId;
use eck_csi_kubernetes::{ClusterError, error};
use futures::FutureExt as _;
use futures::future::{BoxFuture, try_join_all};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node as CoreNode;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::Value;

use crate::cluster::{Nodes, Outages};
use crate::event;
use crate::instance::InstanceSource;
use crate::lookup::{self, Names};
use crate::node::Node;
use crate::watch::{self, Unsettled};

/// What one question may take. The crate's own patience is minutes; a decision must not be older than its answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who writes, in `managedFields`.
const MANAGER: &str = "eck-csi-controller";

/// The Lease whose holder acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub lease: String,
    /// Who we are in it.
    pub identity: String,
}

/// The cluster that this program serves.
pub struct Kubernetes {
    client: Client,
    names: Names,
    unsettled: Unsettled,
    leader: Option<Leader>,
    instances: InstanceSource,
}

impl Kubernetes {
    /// Over a client. Without a `leader` every process acts. `instances`: where nodes say which machine they are.
    pub fn new(client: Client, leader: Option<Leader>, instances: InstanceSource) -> Self {
        Self { client, names: Names::default(), unsettled: Unsettled::default(), leader, instances }
    }

    /// Watches the nodes, from now on: before, none is unsettled.
    pub fn watch(&self) {
        tokio::spawn(watch::follow(self.client.clone(), Arc::clone(&self.unsettled)));
    }

    async fn read(&self, name: &str) -> Result<Option<Node>, ClusterError> {
        within(async {
            let nodes: Api<CoreNode> = Api::all(self.client.clone());
            let Some(object) = nodes.get_opt(name).await? else { return Ok(None) };
            let id = lookup::id_of(&self.client, name).await?;
            Ok(Node::read(object, id, &self.instances))
        })
        .await
    }

    /// Patches the node as it was looked at; `false` if it has changed or gone since.
    async fn patch(&self, node: &Node, patch: &Value) -> Result<bool, ClusterError> {
        within(async {
            let nodes: Api<CoreNode> = Api::all(self.client.clone());
            let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            match nodes.patch(&node.name, &params, &Patch::Merge(patch)).await {
                Ok(_) => Ok(true),
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// That an event is not written changes nothing.
    async fn tell(&self, node: &Node, reason: &str, message: &str) {
        if let Err(error) = within(event::publish(&self.client, node, reason, message)).await {
            tracing::warn!(error = serve::chain::chain(&error), "An event cannot be written");
        }
    }
}

impl Nodes for Kubernetes {
    fn called<'a>(&'a self, id: &'a NodeId) -> BoxFuture<'a, Result<Vec<Node>, ClusterError>> {
        async move {
            let names = within(self.names.of(&self.client, id)).await?;
            let nodes = try_join_all(names.iter().map(|name| self.read(name))).await?;
            Ok(nodes.into_iter().flatten().collect())
        }
        .boxed()
    }
}

impl Outages for Kubernetes {
    fn unsettled(&self) -> Vec<String> {
        self.unsettled.lock().iter().cloned().collect()
    }

    fn node<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Node>, ClusterError>> {
        self.read(name).boxed()
    }

    fn leads(&self) -> BoxFuture<'_, Result<bool, ClusterError>> {
        let Some(leader) = &self.leader else { return std::future::ready(Ok(true)).boxed() };
        async move {
            let leases: Api<Lease> = Api::namespaced(self.client.clone(), &leader.namespace);
            let lease = within(leases.get_opt(&leader.lease)).await?;
            let holder = lease.and_then(|lease| lease.spec).and_then(|spec| spec.holder_identity);
            Ok(holder.as_ref() == Some(&leader.identity))
        }
        .boxed()
    }

    fn taint<'a>(&'a self, node: &'a Node, why: &'a str) -> BoxFuture<'a, Result<bool, ClusterError>> {
        async move {
            let done = self.patch(node, &node.patch_to_taint()).await?;
            if done {
                self.tell(node, "OutOfService", why).await;
            }
            Ok(done)
        }
        .boxed()
    }

    fn untaint<'a>(&'a self, node: &'a Node) -> BoxFuture<'a, Result<bool, ClusterError>> {
        async move {
            let done = self.patch(node, &node.patch_to_untaint()).await?;
            if done {
                self.tell(
                    node,
                    "BackInService",
                    "The node is ready again: the taint that we put is taken away",
                )
                .await;
            }
            Ok(done)
        }
        .boxed()
    }
}

/// The answer, if it comes in time.
async fn within<T>(asked: impl Future<Output = kube::Result<T>>) -> Result<T, ClusterError> {
    error::within(PATIENCE, asked).await
}
