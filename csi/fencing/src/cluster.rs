//! What is asked of the API server, as traits: the simulation has a cluster of its own.

use eck_csi::volume::NodeId;
use eck_csi_kubernetes::ClusterError;
use futures::future::BoxFuture;

use crate::node::Node;

/// Nodes by what the driver calls them.
pub trait Nodes: Send + Sync {
    /// The nodes that are called so, as they are now. Usually one; none where the Node object is gone.
    fn called<'a>(&'a self, id: &'a NodeId) -> BoxFuture<'a, Result<Vec<Node>, ClusterError>>;
}

/// Nodes that are out of service, or may be.
pub trait Outages: Send + Sync {
    /// Names of nodes that are not ready, or that carry our taint: a hint, since it is what a watch has brought.
    fn unsettled(&self) -> Vec<String>;

    /// The node as it is now; `None` where it is gone.
    fn node<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Node>, ClusterError>>;

    /// Whether this process is the one that acts.
    fn leads(&self) -> BoxFuture<'_, Result<bool, ClusterError>>;

    /// Puts the taint, with our mark, on a node that is still just as `node` says; `false` where it is not. `why` is for people.
    fn taint<'a>(&'a self, node: &'a Node, why: &'a str) -> BoxFuture<'a, Result<bool, ClusterError>>;

    /// Takes taint and mark away from a node that is still just as `node` says; `false` where it is not.
    fn untaint<'a>(&'a self, node: &'a Node) -> BoxFuture<'a, Result<bool, ClusterError>>;
}
