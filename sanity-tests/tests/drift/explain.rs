//! `eckctl explain`: why a claim or a pod waits.

use sanity_tests::apiserver::Key;
use serde_json::{Value, json};

use super::rig::{CLUSTER, MACHINES, NODES, Rig};

/// Creates the claim `data`, bound to a volume or not, with its class.
fn create_claim(rig: &Rig, volume: Option<&str>) {
    let mut claim = json!({"metadata": {"name": "data", "uid": "0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62e5"},
        "spec": {"storageClassName": "eck-csi", "resources": {"requests": {"storage": "20Gi"}}}, "status": {"phase": "Pending"}});
    if let Some(volume) = volume {
        claim["spec"]["volumeName"] = json!(volume);
        claim["status"] = json!({"phase": "Bound", "capacity": {"storage": "20Gi"}});
    }
    rig.create("persistentvolumeclaims", claim);
    let class = json!({"metadata": {"name": "eck-csi"}, "provisioner": "eck.csi.k8s.io", "volumeBindingMode": "Immediate"});
    rig.create("storageclasses", class);
}

fn create_event(rig: &Rig, about: &str, reason: &str, message: &str) {
    let event = json!({"metadata": {"generateName": "e"}, "involvedObject": {"name": about}, "type": "Warning",
        "reason": reason, "message": message, "lastTimestamp": "2026-11-26T12:00:00Z"});
    rig.create("events", event);
}

/// Creates a pod that uses the claim, on the first node.
fn create_pod(rig: &Rig) {
    let volume = json!({"name": "v", "persistentVolumeClaim": {"claimName": "data"}});
    let spec = json!({"volumes": [volume], "containers": [], "nodeName": NODES[0]});
    rig.create("pods", json!({"metadata": {"name": "p"}, "spec": spec}));
}

async fn explain(rig: &Rig) -> Value {
    rig.eckctl(&["explain", "pvc/data", "-o", "json"]).await.json()
}

async fn explanation(rig: &Rig) -> String {
    explain(rig).await["sentence"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_claim_whose_disk_is_being_made_is_explained() {
    let rig = Rig::new();
    create_claim(&rig, None);
    let output = rig.eckctl(&["explain", "data"]).await;
    assert_eq!(output.text, "default/data: its disk is being made, and nothing has failed so far\n");
}

#[tokio::test]
async fn a_claim_whose_disk_cannot_be_made_is_explained_by_the_last_event() {
    let rig = Rig::new();
    create_claim(&rig, None);
    let message =
        "rpc error: code = ResourceExhausted desc = sold out: no stock (ebs.order.sellOut, request 5)";
    create_event(&rig, "data", "ProvisioningFailed", message);
    let output = rig.eckctl(&["explain", "data"]).await;
    assert_eq!(
        output.text,
        format!("default/data: its disk cannot be made; the last attempt ended with: {message}\n")
    );
    assert!(output.found_problems());
}

#[tokio::test]
async fn a_claim_that_does_not_exist_is_an_error() {
    let error = Rig::new().eckctl(&["explain", "other"]).await.error();
    assert_eq!(error, "there is no claim other in namespace default");
}

#[tokio::test]
async fn an_explanation_changes_nothing() {
    let rig = Rig::new();
    create_claim(&rig, None);
    rig.eckctl(&["explain", "data"]).await;
    rig.eckctl(&["explain", "other"]).await;
    assert_eq!(rig.writes(), 0);
}

/// A bound claim; its disk does not exist yet.
fn bound() -> Rig {
    let rig = Rig::new();
    create_claim(&rig, Some("pv"));
    rig.volume("pv", "cd-1");
    rig
}

#[tokio::test]
async fn a_volume_whose_disk_is_gone_is_explained() {
    let explanation = explanation(&bound()).await;
    assert!(explanation.starts_with("disk cd-1 of its volume pv is gone; the cloud says: "), "{explanation}");
}

#[tokio::test]
async fn a_volume_with_its_disk_has_no_problem() {
    let rig = bound();
    rig.disk("cd-1", Some(CLUSTER), None);
    assert_eq!(explain(&rig).await["well"], true);
}

#[tokio::test]
async fn a_pod_that_waits_for_the_attachment_is_explained() {
    let rig = bound();
    rig.disk("cd-1", Some(CLUSTER), None);
    create_pod(&rig);
    rig.attachment("csi-1", "pv", NODES[0], false);
    assert_eq!(
        explanation(&rig).await,
        "pod p waits for the disk on node fj-xiamen-4.172.16.0.6; it is being attached: disk cd-1 is available, on no machine"
    );
}

#[tokio::test]
async fn a_pod_whose_volume_cannot_be_mounted_is_explained_by_its_event() {
    let rig = bound();
    rig.disk("cd-1", Some(CLUSTER), Some(MACHINES[0]));
    create_pod(&rig);
    rig.attachment("csi-1", "pv", NODES[0], true);
    create_event(&rig, "p", "FailedMount", "MountVolume.MountDevice failed: it holds an xfs");
    let explanation = explanation(&rig).await;
    assert!(
        explanation.contains("cannot mount it: MountVolume.MountDevice failed: it holds an xfs"),
        "{explanation}"
    );
}

#[tokio::test]
async fn without_the_cloud_a_claim_is_explained_by_the_cluster() {
    let rig = bound();
    rig.api.delete(&Key::new("secrets", "kube-system", "keys")).unwrap();
    let explanation = explanation(&rig).await;
    assert!(explanation.contains("the cloud could not be asked: the Secret keys has no ak"), "{explanation}");
}
