//! Which Node of Kubernetes the driver's node id means.

use std::collections::BTreeSet;

use eck_csi::driver::DRIVER_NAME;
use eck_csi::recent::{NODES, Recent};
use eck_csi::volume::NodeId;
use eck_csi_kubernetes::api;
use k8s_openapi::api::storage::v1::{CSINode, VolumeAttachment};
use kube::api::ListParams;
use kube::{Api, Client};
use parking_lot::Mutex;

/// Under this annotation csi-attacher keeps, from the attach to the detach, how the driver called the node (external-attacher,
/// pkg/controller/util.go).
const NODE_ID: &str = "csi.alpha.kubernetes.io/node-id";

/// What was learnt of names. A name is looked at again each time before it is used.
#[derive(Default)]
pub(crate) struct Names(Mutex<Recent<NodeId, String, NODES>>);

impl Names {
    /// Names of the nodes that are called `id`. First by a name that is likely, which costs one small read; then by every CSINode; and
    /// where the driver is not registered just now, by what csi-attacher has kept.
    pub(crate) async fn of(&self, client: &Client, id: &NodeId) -> kube::Result<BTreeSet<String>> {
        let learnt = self.0.lock().get(id).cloned();
        for name in learnt.into_iter().chain(object_name(id)) {
            if id_of(client, &name).await?.as_ref() == Some(id) {
                return Ok(BTreeSet::from([name]));
            }
        }
        let mut names = registered(client, id).await?;
        if let Some(first) = names.first() {
            self.0.lock().insert(id.clone(), first.clone());
            return Ok(names);
        }
        names.extend(attached(client, id).await?);
        names.extend(object_name(id));
        Ok(names)
    }
}

/// What the driver is called on the node, if it is registered there.
pub(crate) async fn id_of(client: &Client, name: &str) -> kube::Result<Option<NodeId>> {
    Ok(Api::<CSINode>::all(client.clone()).get_opt(name).await?.and_then(id_in))
}

fn id_in(object: CSINode) -> Option<NodeId> {
    let driver = object.spec.drivers.into_iter().find(|driver| driver.name == DRIVER_NAME)?;
    NodeId::parse(driver.node_id).ok()
}

/// The id as the name of an object, if it can be one: the guide's nodes are called as the driver calls them.
fn object_name(id: &NodeId) -> Option<String> {
    let name = id.to_string();
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
    (plain && !name.is_empty()).then_some(name)
}

async fn registered(client: &Client, id: &NodeId) -> kube::Result<BTreeSet<String>> {
    let called = |node: CSINode| {
        let name = node.metadata.name.clone()?;
        (id_in(node).as_ref() == Some(id)).then_some(name)
    };
    names(&Api::<CSINode>::all(client.clone()), called).await
}

async fn attached(client: &Client, id: &NodeId) -> kube::Result<BTreeSet<String>> {
    let id = id.to_string();
    let called = |attachment: VolumeAttachment| {
        let kept = attachment.metadata.annotations.as_ref().and_then(|all| all.get(NODE_ID));
        let ours = attachment.spec.attacher == DRIVER_NAME && kept == Some(&id);
        ours.then_some(attachment.spec.node_name)
    };
    names(&Api::<VolumeAttachment>::all(client.clone()), called).await
}

/// The names that `read` takes from all objects.
async fn names<K>(api: &Api<K>, read: impl Fn(K) -> Option<String>) -> kube::Result<BTreeSet<String>>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    Ok(api::list(api, &ListParams::default(), read).await?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_name_only_where_an_object_can_have_it() {
        let name = |id: &str| object_name(&NodeId::parse(id.into()).unwrap());
        assert_eq!(name("fj-xiamen-4.172.16.0.6").as_deref(), Some("fj-xiamen-4.172.16.0.6"));
        assert_eq!(name("fj-xiamen-4/evm-1"), None);
        assert_eq!(name("../nodes"), None);
    }
}
