//! A finding as a Kubernetes event, where people look first (`kubectl describe pv`).
//!
//! Not kube's `Recorder`: it names each event by the time, and knows for six minutes and in its own process only what it has
//! written. Two replicas that look every ten minutes would write twelve events an hour for each finding, and not one.

use eck_csi::driver::DRIVER_NAME;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};

use crate::cluster::Millis;
use crate::finding::Finding;

/// Who says it.
const COMPONENT: &str = "eck-csi-audit";

/// Events of objects that are in no namespace are kept in this one, as everywhere in Kubernetes.
const NAMESPACE: &str = "default";

/// Longest message of an event (apis/core/validation, NoteLengthLimit).
const MESSAGE: usize = 1024;

/// FNV-1a, 64 bits: names must be the same on every replica and version; nobody can gain by a collision.
fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Writes the event of a finding, unless the API server has it.
pub async fn publish(client: &Client, finding: &Finding, now: Millis) -> kube::Result<()> {
    let events: Api<Event> = Api::namespaced(client.clone(), NAMESPACE);
    match events.create(&PostParams::default(), &event(finding, now)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error),
    }
}

/// The event. Its name is made from what was found: while the API server keeps it, an hour by default, the same finding is
/// written once, whichever replica found it.
fn event(finding: &Finding, now: Millis) -> Event {
    let (api_version, kind, name) = match (&finding.attachment, &finding.volume) {
        (Some(attachment), _) => ("storage.k8s.io/v1", "VolumeAttachment", attachment.as_str()),
        (None, Some(volume)) => ("v1", "PersistentVolume", volume.as_str()),
        // Nothing in Kubernetes is about it but the driver.
        (None, None) => ("storage.k8s.io/v1", "CSIDriver", DRIVER_NAME),
    };
    let key = fingerprint(&format!("{:?}", finding.key()));
    // Whole seconds: Kubernetes' own type of these fields has no fractions.
    let seconds = i64::try_from(now / 1000).unwrap_or_default();
    let time = Timestamp::from_second(seconds).ok().map(Time);
    let text = format!("{}; {}", finding.message, finding.kind.advice());
    let message: String =
        text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= MESSAGE).map(|(_, c)| c).collect();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{COMPONENT}.{key:016x}")),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some(api_version.to_owned()),
            kind: Some(kind.to_owned()),
            name: Some(name.to_owned()),
            ..ObjectReference::default()
        },
        type_: Some("Warning".to_owned()),
        reason: Some(finding.kind.reason().to_owned()),
        message: Some(message),
        source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: None }),
        first_timestamp: time.clone(),
        last_timestamp: time,
        count: Some(1),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::FindingKind;

    #[test]
    fn the_same_finding_is_the_same_event_and_it_is_about_the_nearest_object() {
        let unclaimed = Finding::new(FindingKind::UnclaimedDisk, "cd-1", "盘".repeat(1000));
        let first = event(&unclaimed, 1_700_000_000_123);
        let again = Finding { message: "in other words".to_owned(), ..unclaimed.clone() };
        assert_eq!(first.metadata.name, event(&again, 0).metadata.name);
        assert_eq!(first.involved_object.name.as_deref(), Some("eck.csi.k8s.io"));
        assert_eq!(first.reason.as_deref(), Some("UnclaimedDisk"));
        assert!((1000..=MESSAGE).contains(&first.message.as_ref().unwrap().len()));
        let volume = Finding { volume: Some("pv".to_owned()), ..unclaimed };
        assert_eq!(event(&volume, 0).involved_object.kind.as_deref(), Some("PersistentVolume"));
        assert_ne!(event(&volume, 0).metadata.name, first.metadata.name);
        assert_eq!(serde_json::to_value(&first).unwrap()["lastTimestamp"], "2023-11-14T22:13:20Z");
    }
}
