use super::super::facts::{Claim, Class, Event};
use super::*;

fn event(reason: &str, message: &str, at: &str) -> Event {
    Event { warning: true, reason: reason.to_owned(), message: message.to_owned(), at: at.to_owned() }
}

/// Bound, attached to n1, and used there by a pod that is ready.
fn happy() -> Facts {
    let volume = Volume {
        name: "pv".to_owned(),
        driver: DRIVER_NAME.to_owned(),
        disk: "cd-1".to_owned(),
        region: Some("fj-xiamen-4".to_owned()),
        ..Volume::default()
    };
    let claim = Claim {
        phase: "Bound".to_owned(),
        class: Some("eck-csi".to_owned()),
        volume: Some("pv".to_owned()),
        wants: "20Gi".to_owned(),
        has: Some("20Gi".to_owned()),
        ..Claim::default()
    };
    let pod = Pod {
        name: "p".to_owned(),
        phase: "Running".to_owned(),
        node: Some("n1".to_owned()),
        ready: true,
        ..Pod::default()
    };
    Facts {
        claim,
        class: Some(Class { provisioner: DRIVER_NAME.to_owned(), waits: true }),
        volume: Some(volume),
        attachments: vec![Attachment { node: "n1".to_owned(), attached: true, ..Attachment::default() }],
        pods: vec![pod],
        disk: disk("in-use", &["evm-1"]),
        driver_on: ["n1".to_owned(), "n2".to_owned()].into(),
        controller: true,
    }
}

fn disk(state: &str, on: &[&str]) -> Disk {
    let holders = on.iter().map(|on| (*on).to_owned()).collect();
    Disk::Is { id: "cd-1".to_owned(), state: state.to_owned(), dead: state == "expired", holders }
}

/// Not bound yet.
fn pending() -> Facts {
    let mut facts = happy();
    (facts.claim.phase, facts.claim.volume, facts.volume) = ("Pending".to_owned(), None, None);
    (facts.attachments, facts.disk) = (Vec::new(), Disk::None);
    (facts.pods[0].node, facts.pods[0].ready) = (None, false);
    facts
}

/// The pod is on n1 and not ready.
fn starting() -> Facts {
    let mut facts = happy();
    (facts.pods[0].ready, facts.pods[0].phase) = (false, "Pending".to_owned());
    facts
}

/// The sentence about `from` after `change`.
fn stuck_at(from: Facts, change: impl FnOnce(&mut Facts)) -> String {
    let mut facts = from;
    change(&mut facts);
    let explanation = decide(&facts);
    assert!(!explanation.well, "{}", explanation.sentence);
    explanation.sentence
}

#[test]
fn a_claim_that_is_used_is_well() {
    let explanation = decide(&happy());
    assert_eq!(
        (explanation.well, explanation.sentence.as_str()),
        (true, "it is bound to volume pv (disk cd-1, in-use); used by p")
    );
}

#[test]
fn a_claim_that_waits_for_its_first_pod_is_well() {
    let mut unused = pending();
    unused.pods.clear();
    let explanation = decide(&unused);
    let sentence = "it waits for the first pod that uses it (WaitForFirstConsumer); there is none yet";
    assert_eq!((explanation.well, explanation.sentence.as_str()), (true, sentence));
}

#[test]
fn a_claim_says_what_is_wrong_with_its_class() {
    assert_eq!(
        stuck_at(pending(), |f| f.claim.class = None),
        "it names no StorageClass, and the cluster has no default one"
    );
    assert_eq!(stuck_at(pending(), |f| f.class = None), "its StorageClass eck-csi does not exist");
    let nfs = Class { provisioner: "nfs".to_owned(), waits: false };
    assert_eq!(
        stuck_at(pending(), |f| f.class = Some(nfs)),
        "its StorageClass eck-csi is of nfs, not of eck.csi.k8s.io"
    );
}

#[test]
fn a_claim_whose_pod_has_no_node_says_why() {
    assert_eq!(
        stuck_at(pending(), |f| f.pods[0].unscheduled = Some("0/3 nodes".to_owned())),
        "its disk is made when pod p has a node, and it has none: 0/3 nodes"
    );
}

#[test]
fn a_claim_without_a_disk_says_what_the_cloud_said() {
    let at_work = || {
        let mut facts = pending();
        facts.claim.selected_node = Some("n1".to_owned());
        facts
    };
    assert_eq!(stuck_at(at_work(), |_| {}), "its disk is being made, and nothing has failed so far");
    let failed = |f: &mut Facts| {
        let old = event("ProvisioningFailed", "old words", "2026-01-01T00:00:00Z");
        f.claim.events =
            vec![event("ProvisioningFailed", "sold out (Ebs.SoldOut)", "2026-01-01T00:01:00Z"), old];
    };
    assert_eq!(
        stuck_at(at_work(), failed),
        "its disk cannot be made; the last attempt ended with: sold out (Ebs.SoldOut)"
    );
    assert_eq!(
        stuck_at(at_work(), |f| f.disk = disk("creating", &[])),
        "its disk cd-1 is ordered, the cloud's state of it is creating"
    );
    assert_eq!(
        stuck_at(at_work(), |f| f.controller = false),
        "no eck-csi-controller is ready, so nobody makes its disk"
    );
    assert_eq!(
        stuck_at(at_work(), |f| f.disk = Disk::Unknown("no reply".to_owned())),
        "its disk is being made; the cloud could not be asked: no reply"
    );
}

#[test]
fn a_claim_that_names_its_volume_says_why_it_does_not_bind() {
    let named = || {
        let mut facts = happy();
        facts.claim.phase = "Pending".to_owned();
        facts.volume.as_mut().unwrap().class = "eck-csi".to_owned();
        facts
    };
    assert_eq!(stuck_at(named(), |f| f.volume = None), "it names volume pv, which does not exist");
    assert_eq!(
        stuck_at(named(), |f| f.claim.class = Some("other".to_owned())),
        "its class is \"other\" and that of volume pv is \"eck-csi\": they must be the same"
    );
    assert_eq!(
        stuck_at(named(), |f| f.volume.as_mut().unwrap().phase = "Released".to_owned()),
        "volume pv still names its former claim; take its claimRef away (deploy/examples/released-pv.yaml)"
    );
    let mismatch = event("VolumeMismatch", "requested PV is too small", "1");
    assert_eq!(
        stuck_at(named(), |f| f.claim.events = vec![mismatch]),
        "it does not bind to volume pv: requested PV is too small"
    );
}

#[test]
fn a_volume_whose_disk_is_not_there_says_the_clouds_words() {
    assert_eq!(
        stuck_at(happy(), |f| f.disk = Disk::Gone("Ebs.EbsInfo.DataDamaged".to_owned())),
        "disk cd-1 of its volume pv is gone; the cloud says: Ebs.EbsInfo.DataDamaged"
    );
    assert_eq!(
        stuck_at(happy(), |f| f.disk = disk("expired", &[])),
        "its disk cd-1 is in the cloud's state expired: ask the cloud side"
    );
}

#[test]
fn a_claim_without_its_volume_says_so() {
    assert_eq!(stuck_at(happy(), |f| f.volume = None), "it is bound to volume pv, which does not exist");
    assert_eq!(
        stuck_at(happy(), |f| f.claim.phase = "Lost".to_owned()),
        "its volume pv was deleted while it was bound; its disk may still be there: `eckctl audit`"
    );
}

#[test]
fn a_claim_that_is_deleted_or_grows_says_what_it_waits_for() {
    assert_eq!(
        stuck_at(happy(), |f| f.claim.deleting = true),
        "it is being deleted and waits for the pods that use it: p"
    );
    assert_eq!(
        stuck_at(happy(), |f| f.claim.wants = "30Gi".to_owned()),
        "it has 20Gi and is to grow to 30Gi"
    );
}

#[test]
fn a_volume_of_another_driver_is_well() {
    let mut foreign = happy();
    foreign.volume.as_mut().unwrap().driver = "nfs".to_owned();
    let explanation = decide(&foreign);
    let sentence = "it is bound to volume pv of nfs, none of ours";
    assert_eq!((explanation.well, explanation.sentence.as_str()), (true, sentence));
}

#[test]
fn a_pod_without_a_node_or_a_driver_says_so() {
    let nowhere = |f: &mut Facts| {
        f.pods[0].node = None;
        f.pods[0].unscheduled = Some("1 node had volume node affinity conflict".to_owned());
    };
    assert_eq!(
        stuck_at(starting(), nowhere),
        "pod p has no node (its disk is in fj-xiamen-4): 1 node had volume node affinity conflict"
    );
    assert_eq!(
        stuck_at(starting(), |f| f.driver_on.clear()),
        "pod p is on node n1, where eck-csi-node is not registered"
    );
}

#[test]
fn a_pod_that_waits_for_the_attach_says_how_far_it_is() {
    assert_eq!(
        stuck_at(starting(), |f| f.attachments.clear()),
        "pod p waits on node n1; nobody has asked for the attach yet: disk cd-1 is in-use, on evm-1"
    );
    assert_eq!(
        stuck_at(starting(), |f| f.attachments[0].attached = false),
        "pod p waits for the disk on node n1; it is being attached: disk cd-1 is in-use, on evm-1"
    );
    let refused = |f: &mut Facts| {
        f.attachments[0].attached = false;
        f.attachments[0].error = Some("the instance holds as many disks as it can".to_owned());
    };
    assert_eq!(
        stuck_at(starting(), refused),
        "pod p waits for the disk on node n1, and its attach ends with: the instance holds as many disks as it can"
    );
}

#[test]
fn a_pod_whose_disk_is_on_another_node_says_who_uses_it_there() {
    assert_eq!(
        stuck_at(starting(), |f| f.attachments[0].node = "n2".to_owned()),
        "pod p waits on node n1; the disk is still attached to node n2, no pod uses it there any more; it is about to be detached"
    );
    let shared = |f: &mut Facts| {
        f.attachments[0].node = "n2".to_owned();
        let other = Pod { name: "q".to_owned(), node: Some("n2".to_owned()), ready: true, ..Pod::default() };
        f.pods.push(other);
    };
    assert_eq!(
        stuck_at(starting(), shared),
        "pod p waits on node n1; the disk is still attached to node n2, where q uses it: a disk is on one node at a time"
    );
}

#[test]
fn a_pod_whose_disk_is_attached_says_what_it_waits_for() {
    let unmounted =
        |f: &mut Facts| f.pods[0].events = vec![event("FailedMount", "holds data of anybody else", "1")];
    assert_eq!(
        stuck_at(starting(), unmounted),
        "the disk is attached to node n1, and pod p cannot mount it: holds data of anybody else"
    );
    assert_eq!(
        stuck_at(starting(), |f| f.pods[0].waiting = Some("container c is in ImagePullBackOff".to_owned())),
        "the volume is mounted on node n1; pod p waits for something else: container c is in ImagePullBackOff"
    );
    assert_eq!(stuck_at(starting(), |_| {}), "the disk is attached to node n1; pod p is being started");
}
