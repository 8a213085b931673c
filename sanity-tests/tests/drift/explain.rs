use sanity_tests::apiserver::Key;
use serde_json::{Value, json};

use super::scene::{CLUSTER, MACHINES, NODES, Scene};

fn claim(scene: &Scene, volume: Option<&str>) {
    let mut claim = json!({"metadata": {"name": "data", "uid": "0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62e5"},
        "spec": {"storageClassName": "eck-csi", "resources": {"requests": {"storage": "20Gi"}}}, "status": {"phase": "Pending"}});
    if let Some(volume) = volume {
        claim["spec"]["volumeName"] = json!(volume);
        claim["status"] = json!({"phase": "Bound", "capacity": {"storage": "20Gi"}});
    }
    scene.put("persistentvolumeclaims", claim);
    let class = json!({"metadata": {"name": "eck-csi"}, "provisioner": "eck.csi.k8s.io", "volumeBindingMode": "Immediate"});
    scene.put("storageclasses", class);
}

fn event(scene: &Scene, about: &str, reason: &str, message: &str) {
    let event = json!({"metadata": {"generateName": "e"}, "involvedObject": {"name": about}, "type": "Warning",
        "reason": reason, "message": message, "lastTimestamp": "2026-11-26T12:00:00Z"});
    scene.put("events", event);
}

fn pod(scene: &Scene, node: Option<&str>) {
    let volume = json!({"name": "v", "persistentVolumeClaim": {"claimName": "data"}});
    let mut pod = json!({"metadata": {"name": "p"}, "spec": {"volumes": [volume], "containers": []}});
    if let Some(node) = node {
        pod["spec"]["nodeName"] = json!(node);
    }
    scene.put("pods", pod);
}

async fn said(scene: &Scene) -> Value {
    scene.eckctl(&["explain", "pvc/data", "-o", "json"], true).await.json()
}

#[tokio::test]
async fn a_claim_that_gets_no_disk_says_what_the_cloud_said() {
    let scene = Scene::new();
    claim(&scene, None);
    let answer = scene.eckctl(&["explain", "data"], true).await;
    assert_eq!(answer.text, "default/data: its disk is being made, and nothing has failed so far\n");
    let words =
        "rpc error: code = ResourceExhausted desc = sold out: no stock (ebs.order.sellOut, request 5)";
    event(&scene, "data", "ProvisioningFailed", words);
    let answer = scene.eckctl(&["explain", "data"], true).await;
    assert_eq!(
        answer.text,
        format!("default/data: its disk cannot be made; the last attempt ended with: {words}\n")
    );
    assert!(answer.found());
    let none = scene.eckctl(&["explain", "other"], true).await.ended.unwrap_err().to_string();
    assert_eq!(none, "there is no claim other in namespace default");
    assert_eq!(scene.writes(), 0);
}

#[tokio::test]
async fn a_bound_claim_is_followed_to_the_disk_and_to_the_pod() {
    let scene = Scene::new();
    claim(&scene, Some("pv"));
    scene.volume("pv", "cd-1");
    let gone = said(&scene).await;
    let sentence = gone["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("disk cd-1 of its volume pv is gone; the cloud says: "), "{sentence}");
    scene.disk("cd-1", Some(CLUSTER), None);
    assert_eq!(said(&scene).await["well"], true);
    pod(&scene, Some(NODES[0]));
    scene.attachment("csi-1", "pv", NODES[0], false);
    assert_eq!(
        said(&scene).await["sentence"],
        "pod p waits for the disk on node fj-xiamen-4.172.16.0.6; it is being attached: disk cd-1 is available, on no machine"
    );
    scene.disk("cd-1", Some(CLUSTER), Some(MACHINES[0]));
    let attached = |one: &mut Value| one["status"]["attached"] = json!(true);
    scene.api.modify(&Key::of("volumeattachments", "", "csi-1"), attached).unwrap();
    event(&scene, "p", "FailedMount", "MountVolume.MountDevice failed: it holds an xfs");
    let sentence = said(&scene).await["sentence"].to_string();
    assert!(
        sentence.contains("cannot mount it: MountVolume.MountDevice failed: it holds an xfs"),
        "{sentence}"
    );
}

#[tokio::test]
async fn without_the_cloud_the_cluster_still_speaks() {
    let scene = Scene::new();
    claim(&scene, Some("pv"));
    scene.volume("pv", "cd-1");
    scene.api.delete(&Key::of("secrets", "kube-system", "keys")).unwrap();
    let sentence = said(&scene).await["sentence"].to_string();
    assert!(sentence.contains("the cloud could not be asked: the Secret keys has no ak"), "{sentence}");
}
