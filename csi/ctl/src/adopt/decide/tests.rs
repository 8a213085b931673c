use eck_csi::cluster::ClusterUid;
use eck_csi::volume::{DiskId, FsType};
use ecx::api::{Attachment, DiskState, Label};
use serde_json::{Value, json};

use super::super::objects::Form;
use super::*;

fn object(json: Value) -> DynamicObject {
    serde_json::from_value(json).unwrap()
}

fn request() -> AdoptRequest {
    AdoptRequest {
        disk: DiskId::parse("cd-cl8fu00cho6gvo4defs0").unwrap(),
        namespace: "default".to_owned(),
        claim: "test-disk".to_owned(),
        volume: "test-disk".to_owned(),
        class: "cloud-disk".to_owned(),
        form: Form::Mount(FsType::Ext4),
        reclaim: "Retain",
    }
}

fn uid(number: u8) -> ClusterUid {
    ClusterUid::parse(&number.to_string().repeat(32)).unwrap()
}

fn facts() -> Facts {
    let region = Region::parse("region", "fj-xiamen-4").unwrap();
    let disk = Disk { disk_size: 20, disk_status: DiskState::Available, ..Disk::default() };
    Facts {
        disk: Some((region.clone(), disk)),
        regions: vec![region],
        cluster: ClusterIdentity { uid: Some(uid(1)), ..ClusterIdentity::of("c1") },
        namespace: true,
        nodes: vec![object(json!({ "metadata": { "labels": { TOPOLOGY_REGION: "fj-xiamen-4" } } }))],
        ..Facts::default()
    }
}

fn with(change: impl FnOnce(&mut Facts)) -> Result<AdoptPlan, Refusal> {
    let mut facts = facts();
    change(&mut facts);
    decide(&request(), &facts)
}

fn disk(facts: &mut Facts) -> &mut Disk {
    &mut facts.disk.as_mut().unwrap().1
}

#[test]
fn the_objects_are_those_of_the_guide() {
    let plan = decide(&request(), &facts()).unwrap();
    assert!(plan.warnings.is_empty());
    let (volume, claim) = (plan.volume.unwrap().data, plan.claim.unwrap().data);
    assert_eq!(volume["spec"]["csi"]["volumeHandle"], "cd-cl8fu00cho6gvo4defs0");
    assert_eq!(volume["spec"]["csi"]["volumeAttributes"], json!({ "diskType": "cloud" }));
    assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Retain");
    assert_eq!(volume["spec"]["claimRef"]["name"], "test-disk");
    let term = &volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0];
    assert_eq!(term["values"], json!(["fj-xiamen-4"]));
    assert_eq!(claim["spec"]["volumeName"], "test-disk");
    for object in [&volume["spec"]["capacity"], &claim["spec"]["resources"]["requests"]] {
        assert_eq!(object["storage"], "20Gi");
    }
    let block = AdoptRequest { form: Form::Block, ..request() };
    let volume = decide(&block, &facts()).unwrap().volume.unwrap().data;
    assert_eq!((volume["spec"]["csi"].get("fsType"), &volume["spec"]["volumeMode"]), (None, &json!("Block")));
}

/// The refusal after `change`.
fn refused(change: impl FnOnce(&mut Facts)) -> String {
    with(change).unwrap_err().to_string()
}

#[test]
fn a_disk_that_must_not_be_adopted_is_refused_with_the_reason() {
    let id = "cd-cl8fu00cho6gvo4defs0";
    assert_eq!(
        refused(|f| f.disk = None),
        format!("disk {id} is in none of the cluster's regions: fj-xiamen-4")
    );
    assert_eq!(
        refused(|f| disk(f).is_system_volume = Some(true)),
        format!("disk {id} is a system disk: a machine boots from it")
    );
    assert_eq!(refused(|f| disk(f).disk_size = 10), format!("disk {id} has 10 GiB; allowed: 20 at least"));
    let held = Attachment { instance_id: "evm-1".to_owned(), ..Attachment::default() };
    assert_eq!(
        refused(|f| disk(f).attachments = vec![held]),
        format!(
            "disk {id} is attached to evm-1: detach it there first, after its file systems are unmounted"
        )
    );
    assert_eq!(
        refused(|f| disk(f).disk_status = DiskState::Expired),
        format!("disk {id} is in the cloud's state expired; allowed: available or detached")
    );
}

#[test]
fn a_claim_that_cannot_be_made_is_refused_with_the_reason() {
    assert_eq!(refused(|f| f.namespace = false), "--namespace: default does not exist");
    assert_eq!(
        refused(|f| f.class = Some(object(json!({ "metadata": {}, "provisioner": "nfs" })))),
        "--storage-class: cloud-disk is of nfs; allowed: a class of eck.csi.k8s.io, or a name that no StorageClass has"
    );
    assert_eq!(
        refused(|f| f.claim = Some(object(json!({ "metadata": {}, "spec": { "volumeName": "other" } })))),
        "--claim: a claim test-disk exists in default, and takes volume other"
    );
    assert_eq!(
        refused(|f| f.claim = Some(object(json!({ "metadata": {}, "spec": {} })))),
        "--claim: a claim test-disk exists in default, and takes no volume by name"
    );
    assert_eq!(
        refused(|f| f.volumes = vec![object(json!({ "metadata": { "name": "test-disk" } }))]),
        "--volume: a PersistentVolume test-disk exists, of another disk"
    );
}

#[test]
fn a_disk_of_another_cluster_is_adopted_only_when_its_disks_are_this_ones() {
    let mark = |facts: &mut Facts| {
        let label = |(key, value): (&str, String)| Label { key: key.to_owned(), value };
        let other = ClusterIdentity { uid: Some(uid(2)), ..ClusterIdentity::of("c1") };
        disk(facts).labels = other.labels().into_iter().map(label).collect();
    };
    let (own, other) = (uid(1), uid(2));
    assert_eq!(
        refused(mark),
        format!(
            "disk cd-cl8fu00cho6gvo4defs0 is another cluster's: it carries the mark of cluster c1 (UID {other}), and this is cluster c1 \
             (UID {own}); if that cluster is gone and its disks are this one's now, name its UID in formerClusterUids; if that cluster \
             goes on, take a snapshot of the disk and adopt the disk that is made from it, which carries no mark"
        )
    );
    let rebuilt = with(|facts| {
        mark(facts);
        facts.cluster.former_uids.push(uid(2));
    });
    assert!(rebuilt.is_ok());
}

#[test]
fn what_an_earlier_run_made_is_left_as_it_is() {
    let plan = decide(&request(), &facts()).unwrap();
    let (volume, claim) = (plan.volume.unwrap(), plan.claim.unwrap());
    let mut cut_off = facts();
    cut_off.volumes = vec![volume.clone()];
    let rest = decide(&request(), &cut_off).unwrap();
    assert_eq!((rest.volume, rest.claim), (None, Some(claim.clone())));
    cut_off.claim = Some(claim);
    disk(&mut cut_off).disk_status = DiskState::InUse;
    let rest = decide(&request(), &cut_off).unwrap();
    assert_eq!((rest.volume, rest.claim), (None, None));
    // The same disk for another claim.
    let other = AdoptRequest { claim: "other".to_owned(), ..request() };
    assert_eq!(
        decide(&other, &cut_off).unwrap_err().to_string(),
        "disk cd-cl8fu00cho6gvo4defs0 is volume test-disk already, for claim default/test-disk; `kubectl patch` a Released one (deploy/examples/released-pv.yaml)"
    );
    // Its claim is gone, and the data waits for a person.
    let mut released = facts();
    released.volumes = vec![volume];
    released.volumes[0].data["status"] = json!({ "phase": "Released" });
    assert!(matches!(decide(&request(), &released), Err(Refusal::IsVolume { .. })));
}

#[test]
fn what_a_person_should_know_is_said() {
    let plan = with(|f| f.nodes.clear()).unwrap();
    let nowhere = "no node of the cluster is in fj-xiamen-4: a pod that uses the claim will wait for one";
    assert_eq!(plan.warnings, [nowhere]);
    let plan = decide(&AdoptRequest { reclaim: "Delete", ..request() }, &facts()).unwrap();
    let deleted = "disk cd-cl8fu00cho6gvo4defs0 will be deleted, with its data, when the claim is";
    assert_eq!(plan.warnings, [deleted]);
}
