//! What is known of a claim: read once from Kubernetes' objects, so that the decision works on plain data.

use std::collections::BTreeSet;

use kube::api::DynamicObject;
use serde_json::Value;

use crate::cluster::{name, text};

/// A claim and all that it hangs on.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The claim.
    pub claim: Claim,
    /// The class it names, if that exists.
    pub class: Option<Class>,
    /// The volume it is bound to or names, if that exists.
    pub volume: Option<Volume>,
    /// Attachments of the volume.
    pub attachments: Vec<Attachment>,
    /// Pods that use the claim.
    pub pods: Vec<Pod>,
    /// The disk.
    pub disk: Disk,
    /// Nodes on which the driver is registered.
    pub driver_on: BTreeSet<String>,
    /// A controller is ready.
    pub controller: bool,
}

/// The claim.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Claim {
    pub uid: String,
    pub phase: String,
    pub class: Option<String>,
    pub volume: Option<String>,
    pub deleting: bool,
    pub selected_node: Option<String>,
    pub wants: String,
    pub has: Option<String>,
    pub events: Vec<Event>,
}

/// A StorageClass.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Class {
    pub provisioner: String,
    pub waits: bool,
}

/// A PersistentVolume.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Volume {
    pub name: String,
    pub driver: String,
    pub disk: String,
    pub region: Option<String>,
    /// UID, namespace and name of the claim that it is for.
    pub claim: Option<(String, String)>,
    pub phase: String,
    pub class: String,
}

/// A VolumeAttachment.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Attachment {
    pub node: String,
    pub attached: bool,
    pub deleting: bool,
    pub error: Option<String>,
}

/// A pod that uses the claim.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Pod {
    pub name: String,
    pub phase: String,
    pub node: Option<String>,
    pub deleting: bool,
    /// Why it is on no node.
    pub unscheduled: Option<String>,
    /// What a container waits for.
    pub waiting: Option<String>,
    pub ready: bool,
    pub events: Vec<Event>,
}

/// An event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Event {
    pub warning: bool,
    pub reason: String,
    pub message: String,
    /// RFC 3339, so that texts compare as times.
    pub at: String,
}

/// The disk in the cloud.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Disk {
    /// There is none yet that could be asked for.
    #[default]
    None,
    /// The cloud could not be asked; why.
    Unknown(String),
    /// The cloud does not have it; its words.
    Gone(String),
    /// As it is.
    Is {
        /// Its id.
        id: String,
        /// Its state in the cloud's words.
        state: String,
        /// Will not come back by itself.
        dead: bool,
        /// Machines that hold it.
        holders: Vec<String>,
    },
}

/// The newest of these events with one of these reasons.
pub(super) fn newest<'a>(events: &'a [Event], reasons: &[&str]) -> Option<&'a Event> {
    let fits = events.iter().filter(|event| reasons.contains(&event.reason.as_str()));
    fits.max_by(|a, b| a.at.cmp(&b.at))
}

impl Claim {
    pub(super) fn of(claim: &DynamicObject, events: Vec<Event>) -> Self {
        let annotation = |key: &str| {
            let annotations = claim.metadata.annotations.as_ref();
            annotations.and_then(|annotations| annotations.get(key)).filter(|text| !text.is_empty()).cloned()
        };
        let (spec, status) = (&claim.data["spec"], &claim.data["status"]);
        Self {
            uid: claim.metadata.uid.clone().unwrap_or_default(),
            phase: text(&status["phase"]).unwrap_or_else(|| "Pending".to_owned()),
            class: annotation("volume.beta.kubernetes.io/storage-class")
                .or_else(|| text(&spec["storageClassName"])),
            volume: text(&spec["volumeName"]),
            deleting: claim.metadata.deletion_timestamp.is_some(),
            selected_node: annotation("volume.kubernetes.io/selected-node"),
            wants: text(&spec["resources"]["requests"]["storage"]).unwrap_or_default(),
            has: text(&status["capacity"]["storage"]),
            events,
        }
    }
}

impl Class {
    pub(super) fn of(class: &DynamicObject) -> Self {
        let waits = class.data["volumeBindingMode"] == "WaitForFirstConsumer";
        Self { provisioner: text(&class.data["provisioner"]).unwrap_or_default(), waits }
    }
}

impl Volume {
    pub(super) fn of(volume: &DynamicObject) -> Self {
        let spec = &volume.data["spec"];
        let reference = &spec["claimRef"];
        Self {
            name: name(volume).to_owned(),
            driver: text(&spec["csi"]["driver"]).unwrap_or_default(),
            disk: text(&spec["csi"]["volumeHandle"]).unwrap_or_default(),
            region: eck_csi_kubernetes::region_of(&spec["nodeAffinity"]),
            claim: text(&reference["namespace"]).zip(text(&reference["name"])),
            phase: text(&volume.data["status"]["phase"]).unwrap_or_default(),
            class: text(&spec["storageClassName"]).unwrap_or_default(),
        }
    }
}

impl Attachment {
    pub(super) fn of(attachment: &DynamicObject) -> Self {
        let status = &attachment.data["status"];
        let error =
            text(&status["detachError"]["message"]).or_else(|| text(&status["attachError"]["message"]));
        Self {
            node: text(&attachment.data["spec"]["nodeName"]).unwrap_or_default(),
            attached: status["attached"] == true,
            deleting: attachment.metadata.deletion_timestamp.is_some(),
            error,
        }
    }
}

impl Pod {
    pub(super) fn of(pod: &DynamicObject, events: Vec<Event>) -> Self {
        let status = &pod.data["status"];
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let condition = |kind: &str| list(&status["conditions"]).into_iter().find(|one| one["type"] == kind);
        let unscheduled = condition("PodScheduled").filter(|one| one["status"] == "False");
        let containers = [list(&status["initContainerStatuses"]), list(&status["containerStatuses"])];
        let waiting = containers.concat().into_iter().find_map(|container| {
            let waiting = &container["state"]["waiting"];
            let reason = text(&waiting["reason"])?;
            let message = text(&waiting["message"]).map(|message| format!(": {message}")).unwrap_or_default();
            Some(format!(
                "container {} is in {reason}{message}",
                text(&container["name"]).unwrap_or_default()
            ))
        });
        Self {
            name: name(pod).to_owned(),
            phase: text(&status["phase"]).unwrap_or_default(),
            node: text(&pod.data["spec"]["nodeName"]),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            unscheduled: unscheduled.map(|one| text(&one["message"]).unwrap_or_default()),
            waiting,
            ready: condition("Ready").is_some_and(|one| one["status"] == "True"),
            events,
        }
    }

    /// Whether the pod uses the claim, by name or by a generic ephemeral volume.
    pub(super) fn uses(pod: &DynamicObject, claim: &str) -> bool {
        pod.data["spec"]["volumes"].as_array().into_iter().flatten().any(|volume| {
            let ephemeral = || format!("{}-{}", name(pod), volume["name"].as_str().unwrap_or_default());
            volume["persistentVolumeClaim"]["claimName"] == claim
                || (!volume["ephemeral"].is_null() && ephemeral() == claim)
        })
    }
}

impl Event {
    pub(super) fn of(event: &DynamicObject) -> Self {
        let data = &event.data;
        // Each API fills another field in.
        let times = [&data["series"]["lastObservedTime"], &data["lastTimestamp"], &data["eventTime"]];
        let created = || event.metadata.creation_timestamp.as_ref().map(|time| time.0.to_string());
        Self {
            warning: data["type"] == "Warning",
            reason: text(&data["reason"]).unwrap_or_default(),
            message: text(&data["message"]).unwrap_or_default(),
            at: times.into_iter().find_map(text).or_else(created).unwrap_or_default(),
        }
    }
}
