//! Where a claim is stuck: a pure function that follows it from class to container and stops at the first thing that is
//! not as it must be.

use eck_csi::driver::DRIVER_NAME;

use super::facts::{Attachment, Disk, Facts, Pod, Volume, newest};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Nothing is stuck.
    pub well: bool,
    /// The whole of it.
    pub sentence: String,
}

fn well(sentence: String) -> Explanation {
    Explanation { well: true, sentence }
}

fn stuck(sentence: String) -> Explanation {
    Explanation { well: false, sentence }
}

/// The sentence.
pub fn decide(facts: &Facts) -> Explanation {
    let claim = &facts.claim;
    if claim.deleting {
        return deleted(facts);
    }
    match (claim.phase.as_str(), &facts.volume) {
        ("Lost", _) => {
            let volume = claim.volume.as_deref().unwrap_or_default();
            stuck(format!(
                "its volume {volume} was deleted while it was bound; its disk may still be there: `eckctl audit`"
            ))
        }
        ("Bound", None) => stuck(format!(
            "it is bound to volume {}, which does not exist",
            claim.volume.as_deref().unwrap_or_default()
        )),
        ("Bound", Some(volume)) => bound(facts, volume),
        (_, _) if claim.volume.is_some() => wants_volume(facts),
        _ => provisioning(facts),
    }
}

fn deleted(facts: &Facts) -> Explanation {
    let users: Vec<&str> = facts.pods.iter().map(|pod| pod.name.as_str()).collect();
    if users.is_empty() {
        return stuck("it is being deleted; no pod uses it, so its finalizers go next".to_owned());
    }
    stuck(format!("it is being deleted and waits for the pods that use it: {}", users.join(", ")))
}

/// A claim that names its volume, and is not bound.
fn wants_volume(facts: &Facts) -> Explanation {
    let claim = &facts.claim;
    let wanted = claim.volume.as_deref().unwrap_or_default();
    let Some(volume) = &facts.volume else {
        return stuck(format!("it names volume {wanted}, which does not exist"));
    };
    if volume.class != claim.class.as_deref().unwrap_or_default() {
        let (has, names) = (&volume.class, claim.class.as_deref().unwrap_or_default());
        return stuck(format!(
            "its class is {names:?} and that of volume {wanted} is {has:?}: they must be the same"
        ));
    }
    if volume.phase == "Released" {
        return stuck(format!(
            "volume {wanted} still names its former claim; take its claimRef away (deploy/examples/released-pv.yaml)"
        ));
    }
    match newest(&claim.events, &["VolumeMismatch", "FailedBinding"]) {
        Some(event) => stuck(format!("it does not bind to volume {wanted}: {}", event.message)),
        None => stuck(format!("it is not bound to volume {wanted} yet; the volume is {}", volume.phase)),
    }
}

/// A claim for which a disk is to be made.
fn provisioning(facts: &Facts) -> Explanation {
    let claim = &facts.claim;
    let Some(name) = &claim.class else {
        return stuck("it names no StorageClass, and the cluster has no default one".to_owned());
    };
    let Some(class) = &facts.class else {
        return stuck(format!("its StorageClass {name} does not exist"));
    };
    if class.provisioner != DRIVER_NAME {
        return stuck(format!("its StorageClass {name} is of {}, not of {DRIVER_NAME}", class.provisioner));
    }
    if class.waits && claim.selected_node.is_none() {
        return unscheduled(facts);
    }
    if !facts.controller {
        return stuck("no eck-csi-controller is ready, so nobody makes its disk".to_owned());
    }
    let said = newest(&claim.events, &["ProvisioningFailed"]).map(|event| event.message.as_str());
    let said = said.map(|said| format!("; the last attempt ended with: {said}")).unwrap_or_default();
    match &facts.disk {
        Disk::Is { id, state, .. } => {
            stuck(format!("its disk {id} is ordered, the cloud's state of it is {state}{said}"))
        }
        Disk::Unknown(why) if said.is_empty() => {
            stuck(format!("its disk is being made; the cloud could not be asked: {why}"))
        }
        _ if said.is_empty() => stuck("its disk is being made, and nothing has failed so far".to_owned()),
        _ => stuck(format!("its disk cannot be made{said}")),
    }
}

/// A claim that waits until the scheduler has a node for a pod.
fn unscheduled(facts: &Facts) -> Explanation {
    let Some(pod) = facts.pods.first() else {
        return well(
            "it waits for the first pod that uses it (WaitForFirstConsumer); there is none yet".to_owned(),
        );
    };
    let failed = newest(&facts.claim.events, &["ProvisioningFailed"]);
    let failed =
        failed.map(|event| format!("; the last attempt to make its disk ended with: {}", event.message));
    let why = pod.unscheduled.as_deref().unwrap_or("the scheduler has not looked at it yet");
    stuck(format!(
        "its disk is made when pod {} has a node, and it has none: {why}{}",
        pod.name,
        failed.unwrap_or_default()
    ))
}

/// A claim with its volume: the disk, then each pod.
fn bound(facts: &Facts, volume: &Volume) -> Explanation {
    if volume.driver != DRIVER_NAME {
        return well(format!("it is bound to volume {} of {}, none of ours", volume.name, volume.driver));
    }
    match &facts.disk {
        Disk::Gone(said) => {
            let (disk, name) = (&volume.disk, &volume.name);
            return stuck(format!("disk {disk} of its volume {name} is gone; the cloud says: {said}"));
        }
        Disk::Is { id, state, dead: true, .. } => {
            return stuck(format!("its disk {id} is in the cloud's state {state}: ask the cloud side"));
        }
        Disk::Is { .. } | Disk::None | Disk::Unknown(_) => {}
    }
    let problem = facts.pods.iter().find_map(|pod| of_pod(facts, volume, pod));
    problem.or_else(|| growing(facts)).unwrap_or_else(|| {
        let users: Vec<&str> = facts.pods.iter().map(|pod| pod.name.as_str()).collect();
        let users = if users.is_empty() {
            "no pod uses it".to_owned()
        } else {
            format!("used by {}", users.join(", "))
        };
        let (name, disk) = (&volume.name, &volume.disk);
        let cloud = match &facts.disk {
            Disk::Is { state, .. } => format!(", {state}"),
            Disk::Unknown(why) => format!("; the cloud could not be asked: {why}"),
            Disk::None | Disk::Gone(_) => String::new(),
        };
        well(format!("it is bound to volume {name} (disk {disk}{cloud}); {users}"))
    })
}

fn growing(facts: &Facts) -> Option<Explanation> {
    let claim = &facts.claim;
    let has = claim.has.as_ref().filter(|has| **has != claim.wants)?;
    let failed = newest(&claim.events, &["VolumeResizeFailed", "FileSystemResizeFailed"]);
    let said =
        failed.map(|event| format!("; the last attempt ended with: {}", event.message)).unwrap_or_default();
    Some(stuck(format!("it has {has} and is to grow to {}{said}", claim.wants)))
}

/// What holds a pod up, if it is about its volume or comes after it.
fn of_pod(facts: &Facts, volume: &Volume, pod: &Pod) -> Option<Explanation> {
    if pod.ready || pod.deleting {
        return None;
    }
    let name = &pod.name;
    let Some(node) = &pod.node else {
        let why = pod.unscheduled.as_deref().unwrap_or("the scheduler has not looked at it yet");
        let region = volume.region.as_deref().map(|region| format!(" (its disk is in {region})"));
        return Some(stuck(format!("pod {name} has no node{}: {why}", region.unwrap_or_default())));
    };
    if !facts.driver_on.contains(node) {
        return Some(stuck(format!("pod {name} is on node {node}, where eck-csi-node is not registered")));
    }
    let here = facts.attachments.iter().find(|one| one.node == *node);
    match here {
        Some(Attachment { attached: true, deleting: false, .. }) => Some(mounting(pod, node)),
        _ => Some(attaching(facts, pod, node, here)),
    }
}

fn attaching(facts: &Facts, pod: &Pod, node: &str, here: Option<&Attachment>) -> Explanation {
    let name = &pod.name;
    if let Some(other) = facts.attachments.iter().find(|one| one.node != node) {
        let held = &other.node;
        let users = facts.pods.iter().filter(|user| user.node.as_deref() == Some(held));
        let users: Vec<&str> = users.map(|user| user.name.as_str()).collect();
        let why = match (users.as_slice(), &other.error) {
            ([], Some(error)) => format!("no pod uses it there, and its detach ends with: {error}"),
            ([], None) => "no pod uses it there any more; it is about to be detached".to_owned(),
            (users, _) => format!("where {} uses it: a disk is on one node at a time", users.join(", ")),
        };
        return stuck(format!(
            "pod {name} waits on node {node}; the disk is still attached to node {held}, {why}"
        ));
    }
    let disk = match &facts.disk {
        Disk::Is { id, state, holders, .. } if holders.is_empty() => {
            format!("disk {id} is {state}, on no machine")
        }
        Disk::Is { id, state, holders, .. } => format!("disk {id} is {state}, on {}", holders.join(", ")),
        Disk::Unknown(why) => format!("the cloud could not be asked: {why}"),
        Disk::None | Disk::Gone(_) => "the disk is not known".to_owned(),
    };
    match here {
        Some(Attachment { error: Some(error), .. }) => {
            stuck(format!("pod {name} waits for the disk on node {node}, and its attach ends with: {error}"))
        }
        Some(_) if !facts.controller => {
            stuck(format!("pod {name} waits for the disk on node {node}, and no eck-csi-controller is ready"))
        }
        Some(_) => {
            stuck(format!("pod {name} waits for the disk on node {node}; it is being attached: {disk}"))
        }
        None => {
            stuck(format!("pod {name} waits on node {node}; nobody has asked for the attach yet: {disk}"))
        }
    }
}

fn mounting(pod: &Pod, node: &str) -> Explanation {
    let name = &pod.name;
    if let Some(waiting) = pod.waiting.as_deref().filter(|waiting| !waiting.contains("ContainerCreating")) {
        return stuck(format!(
            "the volume is mounted on node {node}; pod {name} waits for something else: {waiting}"
        ));
    }
    match newest(&pod.events, &["FailedMount", "FailedMapVolume", "FailedAttachVolume"]) {
        Some(event) => stuck(format!(
            "the disk is attached to node {node}, and pod {name} cannot mount it: {}",
            event.message
        )),
        None if pod.phase == "Running" => {
            stuck(format!("pod {name} runs on node {node} with the volume, and is not ready"))
        }
        None => stuck(format!("the disk is attached to node {node}; pod {name} is being started")),
    }
}

#[cfg(test)]
mod tests;
