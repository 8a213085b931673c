//! `eckctl adopt`: a disk that the cluster does not know becomes the volume of a claim.

use std::sync::Arc;

use sanity_tests::apiserver::{Fault, Key};
use serde_json::{Value, json};

use super::rig::{CLUSTER, MACHINES, Rig};

const ADOPT: [&str; 4] = ["adopt", "cd-old", "--claim", "data"];

fn volume(rig: &Rig) -> Option<Arc<Value>> {
    rig.api.get(&Key::new("persistentvolumes", "", "cd-old"))
}

fn claim(rig: &Rig) -> Option<Arc<Value>> {
    rig.api.get(&Key::new("persistentvolumeclaims", "default", "data"))
}

/// A cloud with a disk that belongs to no cluster.
fn rig_with_disk() -> Rig {
    let rig = Rig::new();
    rig.disk("cd-old", None, None);
    rig
}

/// The disk is adopted.
async fn adopted() -> Rig {
    let rig = rig_with_disk();
    assert!(rig.eckctl(&ADOPT).await.succeeded());
    rig
}

/// The volume was created, the claim was not.
async fn interrupted() -> (Rig, String) {
    let rig = rig_with_disk();
    rig.api.fail("create", "persistentvolumeclaims", 1, Fault::Refused(403));
    let error = rig.eckctl(&ADOPT).await.error();
    (rig, error)
}

#[tokio::test]
async fn a_dry_run_prints_what_kubectl_would_apply() {
    let rig = rig_with_disk();
    let output = rig.eckctl(&[&ADOPT[..], &["--dry-run"]].concat()).await;
    assert!(output.succeeded(), "{:?}", output.result);
    let lines = [
        "---",
        "kind: PersistentVolume",
        "    volumeHandle: cd-old",
        "    storage: 20Gi",
        "      diskType: cloud",
        "  persistentVolumeReclaimPolicy: Retain",
        "kind: PersistentVolumeClaim",
        "  volumeName: cd-old",
    ];
    for line in lines {
        assert!(output.text.lines().any(|printed| printed == line), "{line:?} is not in:\n{}", output.text);
    }
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let rig = rig_with_disk();
    rig.eckctl(&[&ADOPT[..], &["--dry-run"]].concat()).await;
    assert_eq!(rig.writes(), 0);
}

#[tokio::test]
async fn an_adopted_disk_is_a_volume_of_its_claim() {
    let rig = adopted().await;
    assert_eq!(volume(&rig).unwrap()["spec"]["claimRef"]["name"], "data");
    assert_eq!(claim(&rig).unwrap()["spec"]["volumeName"], "cd-old");
}

#[tokio::test]
async fn an_interrupted_adoption_says_what_is_missing() {
    let (rig, error) = interrupted().await;
    assert!(error.contains("the volume is there, the claim is not; run it again"), "{error}");
    assert!(volume(&rig).is_some() && claim(&rig).is_none());
}

#[tokio::test]
async fn the_next_run_completes_an_interrupted_adoption() {
    let (rig, _) = interrupted().await;
    let output = rig.eckctl(&ADOPT).await;
    assert!(
        output.succeeded() && output.text == "persistentvolumeclaim/data created in default\n",
        "{}",
        output.text
    );
    assert_eq!(volume(&rig).unwrap()["spec"]["claimRef"]["name"], "data");
    assert_eq!(claim(&rig).unwrap()["spec"]["volumeName"], "cd-old");
}

#[tokio::test]
async fn adopting_a_disk_twice_succeeds() {
    let rig = adopted().await;
    let again = rig.eckctl(&ADOPT).await;
    assert!(again.succeeded() && again.text.contains("is adopted already"), "{}", again.text);
}

#[tokio::test]
async fn an_adopted_disk_is_no_drift() {
    let rig = adopted().await;
    assert!(rig.eckctl(&["audit"]).await.succeeded());
}

#[tokio::test]
async fn an_adopted_disk_is_refused_for_another_claim() {
    let rig = adopted().await;
    let error = rig.eckctl(&["adopt", "cd-old", "--claim", "other"]).await.error();
    assert!(error.contains("is volume cd-old already, for claim default/data"), "{error}");
}

/// Asserts that eckctl refuses with a message that contains `text`, and changes nothing.
async fn assert_refused(rig: &Rig, more_args: &[&str], text: &str) {
    let error = rig.eckctl(&[&ADOPT[..], more_args].concat()).await.error();
    assert!(error.contains(text), "{error}");
    assert_eq!(rig.writes(), 0);
}

#[tokio::test]
async fn a_disk_that_does_not_exist_is_refused() {
    let regions = "is in none of the cluster's regions: zj-shaoxing-2, fj-xiamen-4";
    assert_refused(&Rig::new(), &[], regions).await;
}

#[tokio::test]
async fn an_attached_disk_is_refused() {
    let rig = Rig::new();
    rig.disk("cd-old", Some(CLUSTER), Some(MACHINES[0]));
    assert_refused(&rig, &[], "is attached to evm-fjxiamen41").await;
}

#[tokio::test]
async fn a_disk_of_another_cluster_is_refused() {
    let rig = Rig::new();
    rig.disk("cd-old", Some("another"), None);
    assert_refused(&rig, &[], "name its id in formerClusterIds").await;
}

#[tokio::test]
async fn a_storage_class_of_another_driver_is_refused() {
    let rig = rig_with_disk();
    rig.create("storageclasses", json!({"metadata": {"name": "nfs"}, "provisioner": "nfs.io"}));
    assert_refused(&rig, &["--storage-class", "nfs"], "nfs is of nfs.io").await;
}

#[tokio::test]
async fn a_namespace_that_does_not_exist_is_refused() {
    assert_refused(&rig_with_disk(), &["-n", "nowhere"], "nowhere does not exist").await;
}
