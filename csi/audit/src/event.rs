//! A finding as a Kubernetes event, where people look first (`kubectl describe pv`).

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use eck_csi::driver::DRIVER_NAME;

use crate::cluster::Millis;
use crate::finding::Finding;

/// Who says it.
const COMPONENT: &str = "eck-csi-audit";

/// Events of objects that are in no namespace are kept in this one, as everywhere in Kubernetes.
pub const PATH: &str = "/api/v1/namespaces/default/events";

/// Longest message of an event (apis/core/validation, NoteLengthLimit).
const MESSAGE: usize = 1024;

/// FNV-1a, 64 bits: names must be the same on every replica and version; nobody can gain by a collision.
fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The event. Its name is made from what was found: while the API server keeps it, an hour by default, the same finding is
/// told once, whichever replica found it.
pub fn event(finding: &Finding, now: Millis) -> Value {
    let (api_version, kind, name) = match (&finding.attachment, &finding.volume) {
        (Some(attachment), _) => ("storage.k8s.io/v1", "VolumeAttachment", attachment.as_str()),
        (None, Some(volume)) => ("v1", "PersistentVolume", volume.as_str()),
        // Nothing in Kubernetes is about it but the driver.
        (None, None) => ("storage.k8s.io/v1", "CSIDriver", DRIVER_NAME),
    };
    let key = fingerprint(&format!("{:?}", finding.key()));
    let time =
        i64::try_from(now).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
    // Seconds: Kubernetes' own type of these fields knows no parts of them.
    let time = time.strftime("%FT%TZ").to_string();
    let text = format!("{}; {}", finding.message, finding.kind.advice());
    let message: String =
        text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= MESSAGE).map(|(_, c)| c).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": { "name": format!("{COMPONENT}.{key:016x}"), "namespace": "default" },
        "involvedObject": { "apiVersion": api_version, "kind": kind, "name": name },
        "type": "Warning",
        "reason": finding.kind.reason(),
        "message": message,
        "source": { "component": COMPONENT },
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Kind;

    #[test]
    fn the_same_finding_is_the_same_event_and_it_is_about_the_nearest_object() {
        let leaked = Finding::new(Kind::LeakedDisk, "cd-1", "盘".repeat(1000));
        let first = event(&leaked, 1_700_000_000_123);
        let again = Finding { message: "in other words".to_owned(), ..leaked.clone() };
        assert_eq!(first["metadata"]["name"], event(&again, 0)["metadata"]["name"]);
        assert_eq!(first["involvedObject"]["name"], "eck.csi.k8s.io");
        assert_eq!(first["lastTimestamp"], "2023-11-14T22:13:20Z");
        assert!((1000..=MESSAGE).contains(&first["message"].as_str().unwrap().len()));
        let volume = Finding { volume: Some("pv".to_owned()), ..leaked };
        assert_eq!(event(&volume, 0)["involvedObject"]["kind"], "PersistentVolume");
        assert_ne!(event(&volume, 0)["metadata"]["name"], first["metadata"]["name"]);
        let read: k8s_openapi::api::core::v1::Event = serde_json::from_value(first).unwrap();
        assert_eq!(read.reason.as_deref(), Some("LeakedDisk"));
    }
}
