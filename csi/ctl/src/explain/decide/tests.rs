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

fn says(facts: &Facts, words: &[&str]) {
    let said = decide(facts).sentence;
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    assert!(!said.contains('\n'), "one sentence: {said}");
}

fn said(from: Facts, change: impl FnOnce(&mut Facts), words: &[&str]) {
    let mut facts = from;
    change(&mut facts);
    says(&facts, words);
    assert!(!decide(&facts).well);
}

#[test]
fn a_claim_that_is_used_is_well() {
    let verdict = decide(&happy());
    assert_eq!(
        (verdict.well, verdict.sentence.as_str()),
        (true, "it is bound to volume pv (disk cd-1, in-use); used by p")
    );
    let mut unused = pending();
    unused.pods.clear();
    assert!(decide(&unused).well);
    says(&unused, &["waits for the first pod"]);
}

#[test]
fn a_claim_without_a_disk_says_what_is_missing_and_what_the_cloud_said() {
    said(pending(), |f| f.claim.class = None, &["names no StorageClass"]);
    said(pending(), |f| f.class = None, &["StorageClass eck-csi does not exist"]);
    let nfs = Class { provisioner: "nfs".to_owned(), waits: false };
    said(pending(), |f| f.class = Some(nfs), &["is of nfs, not of eck.csi.k8s.io"]);
    said(
        pending(),
        |f| f.pods[0].unscheduled = Some("0/3 nodes".to_owned()),
        &["pod p has a node", "0/3 nodes"],
    );
    let at_work = |f: &mut Facts| f.claim.selected_node = Some("n1".to_owned());
    said(pending(), at_work, &["is being made, and nothing has failed"]);
    let failed = |f: &mut Facts| {
        at_work(f);
        let old = event("ProvisioningFailed", "old words", "2026-01-01T00:00:00Z");
        f.claim.events =
            vec![event("ProvisioningFailed", "sold out (Ebs.SoldOut)", "2026-01-01T00:01:00Z"), old];
    };
    said(pending(), failed, &["cannot be made", "sold out (Ebs.SoldOut)"]);
    let ordered = |f: &mut Facts| {
        at_work(f);
        f.disk = disk("creating", &[]);
    };
    said(pending(), ordered, &["disk cd-1 is ordered", "creating"]);
    let alone = |f: &mut Facts| {
        at_work(f);
        f.controller = false;
    };
    said(pending(), alone, &["no eck-csi-controller is ready"]);
    let unasked = |f: &mut Facts| {
        at_work(f);
        f.disk = Disk::Unknown("no reply".to_owned());
    };
    said(pending(), unasked, &["could not be asked: no reply"]);
}

#[test]
fn a_claim_that_names_its_volume_says_why_it_does_not_bind() {
    let named = || {
        let mut facts = happy();
        facts.claim.phase = "Pending".to_owned();
        facts.volume.as_mut().unwrap().class = "eck-csi".to_owned();
        facts
    };
    said(named(), |f| f.volume = None, &["names volume pv, which does not exist"]);
    said(named(), |f| f.claim.class = Some("other".to_owned()), &["must be the same"]);
    said(
        named(),
        |f| f.volume.as_mut().unwrap().phase = "Released".to_owned(),
        &["former claim", "released-pv.yaml"],
    );
    let mismatch = event("VolumeMismatch", "requested PV is too small", "1");
    said(named(), |f| f.claim.events = vec![mismatch], &["requested PV is too small"]);
}

#[test]
fn a_volume_whose_disk_is_not_there_says_the_clouds_words() {
    said(
        happy(),
        |f| f.disk = Disk::Gone("Ebs.EbsInfo.DataDamaged".to_owned()),
        &["cd-1", "gone", "DataDamaged"],
    );
    said(happy(), |f| f.disk = disk("expired", &[]), &["state expired"]);
    said(happy(), |f| f.volume = None, &["which does not exist"]);
    said(happy(), |f| f.claim.phase = "Lost".to_owned(), &["was deleted while it was bound"]);
    said(happy(), |f| f.claim.deleting = true, &["waits for the pods that use it: p"]);
    said(happy(), |f| f.claim.wants = "30Gi".to_owned(), &["has 20Gi and is to grow to 30Gi"]);
    let mut foreign = happy();
    foreign.volume.as_mut().unwrap().driver = "nfs".to_owned();
    assert!(decide(&foreign).well);
}

#[test]
fn a_pod_that_waits_says_for_which_step() {
    let nowhere = |f: &mut Facts| {
        f.pods[0].node = None;
        f.pods[0].unscheduled = Some("1 node had volume node affinity conflict".to_owned());
    };
    said(starting(), nowhere, &["no node (its disk is in fj-xiamen-4)", "affinity conflict"]);
    said(starting(), |f| f.driver_on.clear(), &["node n1, where eck-csi-node is not registered"]);
    said(starting(), |f| f.attachments.clear(), &["nobody has asked for the attach yet"]);
    said(starting(), |f| f.attachments[0].attached = false, &["being attached", "in-use, on evm-1"]);
    let refused = |f: &mut Facts| {
        f.attachments[0].attached = false;
        f.attachments[0].error = Some("the instance holds as many disks as it can".to_owned());
    };
    said(starting(), refused, &["its attach ends with: the instance holds as many"]);
    said(
        starting(),
        |f| f.attachments[0].node = "n2".to_owned(),
        &["still attached to node n2", "no pod uses it there"],
    );
    let shared = |f: &mut Facts| {
        f.attachments[0].node = "n2".to_owned();
        let other = Pod { name: "q".to_owned(), node: Some("n2".to_owned()), ready: true, ..Pod::default() };
        f.pods.push(other);
    };
    said(starting(), shared, &["where q uses it", "one node at a time"]);
    let unmounted =
        |f: &mut Facts| f.pods[0].events = vec![event("FailedMount", "holds data of anybody else", "1")];
    said(starting(), unmounted, &["attached to node n1", "cannot mount it: holds data"]);
    said(
        starting(),
        |f| f.pods[0].waiting = Some("container c is in ImagePullBackOff".to_owned()),
        &["something else", "ImagePullBackOff"],
    );
    said(starting(), |_| {}, &["is being started"]);
}
