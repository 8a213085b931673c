//! Kubernetes events on the node object: what became of a card, where people look first (`kubectl describe node`).
//!
//! Not kube's `Recorder`: within six minutes it writes a second event of the same reason as one more of the first, with the first
//! one's message. Two cards that fail together would be told of as one card that fails twice.

use std::collections::BTreeMap;

use cards::Health;
use ideal_gpu::card::CardId;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tracing::warn;

use crate::driver::{GpuSnapshot, GpuWatch, Unhealthy};

/// Who says it.
const COMPONENT: &str = "ideal-gpu-plugin";

/// Events of objects that are in no namespace are kept in this one, as the kubelet's are.
const NAMESPACE: &str = "default";

/// What is said about a card.
#[derive(Debug, PartialEq, Eq)]
struct HealthChange {
    /// `Warning` or `Normal`.
    kind: &'static str,
    reason: &'static str,
    message: String,
}

/// Tells of every card that falls ill or recovers, for ever. Events are best effort, as everywhere in Kubernetes: the state
/// itself is in the device list, the node's annotation and the metrics.
pub(crate) async fn tell(client: Client, node: String, gpu_watch: GpuWatch) {
    let events: Api<Event> = Api::namespaced(client, NAMESPACE);
    let mut snapshots = gpu_watch.snapshot;
    let mut told = BTreeMap::new();
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        for change in health_changes(&told, &snapshot) {
            let event = event(&node, &change, Timestamp::now());
            if let Err(error) = events.create(&PostParams::default(), &event).await {
                warn!(change.message, error = serve::chain::chain(&error), "An event cannot be written");
            }
        }
        told.clone_from(&snapshot.unhealthy);
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

/// What is new since `told`. Another reason for a state that was told already is none: a card that is ill falls ill of many
/// things at once.
fn health_changes(told: &BTreeMap<CardId, Unhealthy>, snapshot: &GpuSnapshot) -> Vec<HealthChange> {
    let index = |id: &CardId| snapshot.cards.iter().find(|card| card.id == *id).map_or(0, |card| card.index);
    let fresh = snapshot
        .unhealthy
        .iter()
        .filter(|(card, ailment)| told.get(*card).is_none_or(|before| before.health != ailment.health));
    let ill = fresh.map(|(card, ailment)| {
        let (reason, until) = match ailment.health {
            Health::Suspect => ("GPUSuspect", "until it is found well"),
            Health::Failed => ("GPUFailed", "until it is reset or replaced"),
        };
        let message = format!("card {} ({card}) takes no new work {until}: {}", index(card), ailment.reason);
        HealthChange { kind: "Warning", reason, message }
    });
    let well = told.keys().filter(|card| !snapshot.unhealthy.contains_key(*card)).map(|card| HealthChange {
        kind: "Normal",
        reason: "GPUHealthy",
        message: format!("card {} ({card}) takes new work again", index(card)),
    });
    ill.chain(well).collect()
}

/// As the kubelet writes events about its node: the UID is the node's name, and `kubectl describe node` finds it by that.
fn event(node: &str, change: &HealthChange, now: Timestamp) -> Event {
    // Whole seconds: Kubernetes' own type of these fields has no fractions.
    let time = Timestamp::from_second(now.as_second()).ok().map(Time);
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{node}.{:x}", now.as_nanosecond())),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(node.to_owned()),
            uid: Some(node.to_owned()),
            ..ObjectReference::default()
        },
        type_: Some(change.kind.to_owned()),
        reason: Some(change.reason.to_owned()),
        message: Some(change.message.clone()),
        source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: Some(node.to_owned()) }),
        first_timestamp: time.clone(),
        last_timestamp: time,
        count: Some(1),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(unhealthy: &[(&str, Health, &str)]) -> GpuSnapshot {
        let one = |(card, health, reason): &(&str, Health, &str)| {
            let ailment = Unhealthy { health: *health, reason: (*reason).to_owned() };
            (CardId::parse(card).unwrap(), ailment)
        };
        GpuSnapshot { unhealthy: unhealthy.iter().map(one).collect(), ..GpuSnapshot::default() }
    }

    #[test]
    fn each_change_of_a_cards_state_is_told_once() {
        let said = |told: &GpuSnapshot, now: &GpuSnapshot| {
            health_changes(&told.unhealthy, now).into_iter().map(|change| change.reason).collect::<Vec<_>>()
        };
        let well = snapshot(&[]);
        let suspect = snapshot(&[("GPU-a", Health::Suspect, "XID 31")]);
        let still = snapshot(&[("GPU-a", Health::Suspect, "no answer")]);
        let failed = snapshot(&[("GPU-a", Health::Failed, "XID 79")]);
        assert_eq!(said(&well, &suspect), ["GPUSuspect"]);
        assert!(said(&suspect, &still).is_empty());
        assert_eq!(said(&still, &failed), ["GPUFailed"]);
        assert_eq!(said(&failed, &well), ["GPUHealthy"]);
        assert!(said(&well, &well).is_empty());
        let message = &health_changes(&well.unhealthy, &failed)[0].message;
        assert!(message.contains("GPU-a") && message.ends_with("reset or replaced: XID 79"), "{message}");
    }

    #[test]
    fn an_event_is_the_nodes_and_its_times_are_kubernetes_own() {
        let change = HealthChange { kind: "Normal", reason: "GPUHealthy", message: "m".to_owned() };
        let event = event("n", &change, Timestamp::from_nanosecond(1_700_000_000_123_456_789).unwrap());
        let event = serde_json::to_value(event).unwrap();
        assert_eq!(event["involvedObject"]["uid"], "n");
        assert_eq!(event["lastTimestamp"], "2023-11-14T22:13:20Z");
        let read: k8s_openapi::api::core::v1::Event = serde_json::from_value(event).unwrap();
        assert_eq!(read.metadata.name.as_deref(), Some("n.17979cfe3d85cd15"));
    }
}
