//! What is done to a node as an event of the node, where people look (`kubectl describe node`).

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};

use crate::node::Node;

/// Who says it.
const COMPONENT: &str = "eck-csi-fencing";

/// Events of objects that are in no namespace are kept in this one, as everywhere in Kubernetes.
const NAMESPACE: &str = "default";

/// Writes the event. It is named by the node's version at the look, of which an act makes another one: each act has one event.
pub(crate) async fn publish(client: &Client, node: &Node, reason: &str, message: &str) -> kube::Result<()> {
    let events: Api<Event> = Api::namespaced(client.clone(), NAMESPACE);
    match events.create(&PostParams::default(), &event(node, reason, message)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error),
    }
}

fn event(node: &Node, reason: &str, message: &str) -> Event {
    // Whole seconds: Kubernetes' own type of these fields has no fractions.
    let time = Timestamp::from_second(Timestamp::now().as_second()).ok().map(Time);
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{COMPONENT}.{}.{}", node.uid, node.version)),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(node.name.clone()),
            uid: Some(node.uid.clone()),
            ..ObjectReference::default()
        },
        type_: Some("Warning".to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: None }),
        first_timestamp: time.clone(),
        last_timestamp: time,
        count: Some(1),
        ..Event::default()
    }
}
