//! A finding as a Kubernetes event, where people look first (`kubectl describe pv`).

use eck_csi::driver::DRIVER_NAME;
use eck_csi_kubernetes::Millis;
use eck_csi_kubernetes::event::{Warning, write};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;

use crate::finding::Finding;

/// Who says it.
const COMPONENT: &str = "eck-csi-audit";

/// FNV-1a, 64 bits: names must be the same on every replica and version; nobody can gain by a collision.
fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Writes the event of a finding, unless the API server has it.
pub async fn publish(client: &Client, finding: &Finding, now: Millis) -> kube::Result<()> {
    write(client, &warning(finding, now)).await
}

/// The event. Its key is made from what was found: the same finding is written once, whichever replica found it.
fn warning(finding: &Finding, now: Millis) -> Warning {
    let (api_version, kind, name) = match (&finding.attachment, &finding.volume) {
        (Some(attachment), _) => ("storage.k8s.io/v1", "VolumeAttachment", attachment.as_str()),
        (None, Some(volume)) => ("v1", "PersistentVolume", volume.as_str()),
        // Nothing in Kubernetes is about it but the driver.
        (None, None) => ("storage.k8s.io/v1", "CSIDriver", DRIVER_NAME),
    };
    Warning {
        component: COMPONENT,
        key: format!("{:016x}", fingerprint(&format!("{:?}", finding.key()))),
        about: ObjectReference {
            api_version: Some(api_version.to_owned()),
            kind: Some(kind.to_owned()),
            name: Some(name.to_owned()),
            ..ObjectReference::default()
        },
        reason: finding.kind.reason().to_owned(),
        message: format!("{}; {}", finding.message, finding.kind.advice()),
        at: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::FindingKind;
    use k8s_openapi::api::core::v1::Event;

    fn event(finding: &Finding, now: Millis) -> Event {
        warning(finding, now).event()
    }

    #[test]
    fn the_same_finding_is_the_same_event_and_it_is_about_the_nearest_object() {
        let unclaimed = Finding::new(FindingKind::UnclaimedDisk, "cd-1", "盘".repeat(1000));
        let first = event(&unclaimed, 1_700_000_000_123);
        let again = Finding { message: "in other words".to_owned(), ..unclaimed.clone() };
        assert_eq!(first.metadata.name, event(&again, 0).metadata.name);
        assert_eq!(first.involved_object.name.as_deref(), Some("eck.csi.k8s.io"));
        assert_eq!(first.reason.as_deref(), Some("UnclaimedDisk"));
        assert!((1000..=1024).contains(&first.message.as_ref().unwrap().len()));
        let volume = Finding { volume: Some("pv".to_owned()), ..unclaimed };
        assert_eq!(event(&volume, 0).involved_object.kind.as_deref(), Some("PersistentVolume"));
        assert_ne!(event(&volume, 0).metadata.name, first.metadata.name);
        assert_eq!(serde_json::to_value(&first).unwrap()["lastTimestamp"], "2023-11-14T22:13:20Z");
    }
}
