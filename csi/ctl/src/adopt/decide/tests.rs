use eck_csi::volume::{DiskId, FsType};
use ecx::api::{Attachment, DiskState, Label};
use serde_json::{Value, json};

use super::super::objects::Form;
use super::*;

fn object(json: Value) -> DynamicObject {
    serde_json::from_value(json).unwrap()
}

fn wish() -> Wish {
    Wish {
        disk: DiskId::parse("cd-cl8fu00cho6gvo4defs0").unwrap(),
        namespace: "default".to_owned(),
        claim: "test-disk".to_owned(),
        volume: "test-disk".to_owned(),
        class: "cloud-disk".to_owned(),
        form: Form::Mount(FsType::Ext4),
        reclaim: "Retain",
        from_cluster: None,
    }
}

fn facts() -> Facts {
    let region = Region::parse("region", "fj-xiamen-4").unwrap();
    let disk = Disk { disk_size: 20, disk_status: DiskState::Available, ..Disk::default() };
    Facts {
        disk: Some((region.clone(), disk)),
        regions: vec![region],
        cluster: "c1".to_owned(),
        namespace: true,
        nodes: vec![object(json!({ "metadata": { "labels": { TOPOLOGY_REGION: "fj-xiamen-4" } } }))],
        ..Facts::default()
    }
}

fn with(change: impl FnOnce(&mut Facts)) -> Result<Plan, Refusal> {
    let mut facts = facts();
    change(&mut facts);
    decide(&wish(), &facts)
}

fn disk(facts: &mut Facts) -> &mut Disk {
    &mut facts.disk.as_mut().unwrap().1
}

#[test]
fn the_objects_are_those_of_the_guide() {
    let plan = decide(&wish(), &facts()).unwrap();
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
    let block = Wish { form: Form::Block, ..wish() };
    let volume = decide(&block, &facts()).unwrap().volume.unwrap().data;
    assert_eq!((volume["spec"]["csi"].get("fsType"), &volume["spec"]["volumeMode"]), (None, &json!("Block")));
}

#[test]
fn what_must_not_be_adopted_is_refused_with_the_reason() {
    let said = |change: fn(&mut Facts)| with(change).unwrap_err().to_string();
    assert!(said(|f| f.disk = None).contains("in none of the cluster's regions: fj-xiamen-4"));
    assert!(said(|f| disk(f).is_system_volume = Some(true)).contains("system disk"));
    assert!(said(|f| disk(f).disk_size = 10).contains("10 GiB; allowed: 20 at least"));
    let held = Attachment { instance_id: "evm-1".to_owned(), ..Attachment::default() };
    assert!(
        with(|f| disk(f).attachments = vec![held]).unwrap_err().to_string().contains("attached to evm-1")
    );
    assert!(said(|f| disk(f).disk_status = DiskState::Expired).contains("state expired"));
    assert!(said(|f| f.namespace = false).contains("--namespace: default"));
    assert!(
        said(|f| f.class = Some(object(json!({ "metadata": {}, "provisioner": "nfs" }))))
            .contains("cloud-disk is of nfs")
    );
    assert!(
        said(|f| f.claim = Some(object(json!({ "metadata": {}, "spec": { "volumeName": "other" } }))))
            .contains("takes volume other")
    );
    assert!(
        said(|f| f.claim = Some(object(json!({ "metadata": {}, "spec": {} })))).contains("no volume by name")
    );
    assert!(
        said(|f| f.volumes = vec![object(json!({ "metadata": { "name": "test-disk" } }))])
            .contains("--volume")
    );
    let label = || vec![Label { key: "eck-csi".to_owned(), value: "c2".to_owned() }];
    assert!(with(|f| disk(f).labels = label()).unwrap_err().to_string().contains("--from-cluster c2"));
    let mut labelled = facts();
    disk(&mut labelled).labels = label();
    assert!(decide(&Wish { from_cluster: Some("c2".to_owned()), ..wish() }, &labelled).is_ok());
}

#[test]
fn what_an_earlier_run_made_is_left_as_it_is() {
    let plan = decide(&wish(), &facts()).unwrap();
    let (volume, claim) = (plan.volume.unwrap(), plan.claim.unwrap());
    let mut cut_off = facts();
    cut_off.volumes = vec![volume.clone()];
    let rest = decide(&wish(), &cut_off).unwrap();
    assert_eq!((rest.volume, rest.claim), (None, Some(claim.clone())));
    cut_off.claim = Some(claim);
    disk(&mut cut_off).disk_status = DiskState::InUse;
    let rest = decide(&wish(), &cut_off).unwrap();
    assert_eq!((rest.volume, rest.claim), (None, None));
    // The same disk for another claim.
    let other = Wish { claim: "other".to_owned(), ..wish() };
    let said = decide(&other, &cut_off).unwrap_err().to_string();
    assert!(said.contains("is volume test-disk already, for claim default/test-disk"), "{said}");
    // Its claim is gone, and the data waits for a person.
    let mut released = facts();
    released.volumes = vec![volume];
    released.volumes[0].data["status"] = json!({ "phase": "Released" });
    assert!(matches!(decide(&wish(), &released), Err(Refusal::IsVolume { .. })));
}

#[test]
fn what_a_person_should_know_is_said() {
    let plan = with(|f| f.nodes.clear()).unwrap();
    assert!(plan.warnings[0].contains("no node of the cluster is in fj-xiamen-4"));
    let plan = decide(&Wish { reclaim: "Delete", ..wish() }, &facts()).unwrap();
    assert!(plan.warnings[0].contains("will be deleted, with its data"));
}
