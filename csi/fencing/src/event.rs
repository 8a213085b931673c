//! What is done to a node as an event of the node, where people look (`kubectl describe node`).

use eck_csi_kubernetes::event::{Warning, write};
use eck_csi_kubernetes::now;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;

use crate::node::Node;

/// Who says it.
const COMPONENT: &str = "eck-csi-fencing";

/// Writes the event. Its key is the node's version at the look, of which an act makes another one: each act has one event.
pub(crate) async fn publish(client: &Client, node: &Node, reason: &str, message: &str) -> kube::Result<()> {
    let about = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Node".to_owned()),
        name: Some(node.name.clone()),
        uid: Some(node.uid.clone()),
        ..ObjectReference::default()
    };
    let warning = Warning {
        component: COMPONENT,
        key: format!("{}.{}", node.uid, node.version),
        about,
        reason: reason.to_owned(),
        message: message.to_owned(),
        at: now(),
    };
    write(client, &warning).await
}
