//! What a cluster has of snapshots, volumes and claims, as Kubernetes and the sidecars write it.

use sanity_tests::apiserver::ApiServer;
use serde_json::{Value, json};

pub(crate) const DRIVER: &str = "eck.csi.k8s.io";
pub(crate) const REGION_KEY: &str = "topology.csi.esx.eck.ctyun.cn/region";

/// An API server with the class `eck-csi`, the default one, and one of another driver.
pub(crate) fn cluster() -> ApiServer {
    let api = ApiServer::start().unwrap();
    let default = json!({"storageclass.kubernetes.io/is-default-class": "true"});
    let ours = json!({"metadata": {"name": "eck-csi", "annotations": default}, "provisioner": DRIVER});
    api.create("storageclasses", ours).unwrap();
    api.create("storageclasses", json!({"metadata": {"name": "other"}, "provisioner": "x.example"})).unwrap();
    api
}

/// A bound claim of this name with its volume, in this region.
pub(crate) fn volume(api: &ApiServer, claim: &str, driver: &str, handle: &str, region: &str) {
    let expression = json!({"key": REGION_KEY, "operator": "In", "values": [region]});
    let affinity = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}});
    let name = format!("pv-of-{claim}");
    let spec = json!({"csi": {"driver": driver, "volumeHandle": handle}, "nodeAffinity": affinity});
    api.create("persistentvolumes", json!({"metadata": {"name": name}, "spec": spec})).unwrap();
    self::claim(api, claim, json!({"storageClassName": "eck-csi", "volumeName": name}));
}

/// A snapshot, and its content unless it is not taken yet. `handle` is what the driver has called it.
pub(crate) fn snapshot(api: &ApiServer, name: &str, claim: &str, driver: &str, handle: Option<&str>) {
    let content = format!("content-of-{name}");
    let source = json!({"persistentVolumeClaimName": claim});
    let status = json!({"boundVolumeSnapshotContentName": content});
    api.create(
        "volumesnapshots",
        json!({"metadata": {"name": name}, "spec": {"source": source}, "status": status}),
    )
    .unwrap();
    let spec = json!({"driver": driver, "source": {"volumeHandle": "cd-1"}});
    let status = handle.map(|handle| json!({"snapshotHandle": handle}));
    api.create(
        "volumesnapshotcontents",
        json!({"metadata": {"name": content}, "spec": spec, "status": status}),
    )
    .unwrap();
}

/// A claim of this spec.
pub(crate) fn claim(api: &ApiServer, name: &str, spec: Value) {
    api.create("persistentvolumeclaims", json!({"metadata": {"name": name}, "spec": spec})).unwrap();
}

/// The field `dataSource` of a snapshot.
pub(crate) fn from_snapshot(name: &str) -> Value {
    json!({"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": name})
}

/// The same of a claim.
pub(crate) fn from_claim(name: &str) -> Value {
    json!({"kind": "PersistentVolumeClaim", "name": name})
}

/// A pod of this claim.
pub(crate) fn pod(claim: &str) -> Value {
    with_volumes(json!([{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]))
}

pub(crate) fn with_volumes(volumes: Value) -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}], "volumes": volumes}})
}

/// What the API server asks before it makes the pod.
pub(crate) fn review(pod: &Value) -> Value {
    let resource = json!({"group": "", "version": "v1", "resource": "pods"});
    let request = json!({"uid": "u-1", "operation": "CREATE", "resource": resource, "namespace": "default", "object": pod});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
}

/// The pod as the API server makes it after this answer.
pub(crate) fn made(pod: &Value, answer: &Value) -> Value {
    use base64::Engine as _;

    let response = &answer["response"];
    assert_eq!((&response["allowed"], &response["uid"]), (&json!(true), &json!("u-1")), "{answer}");
    let mut made = pod.clone();
    if let Some(patch) = response["patch"].as_str() {
        let patch = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
        let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
        json_patch::patch(&mut made, &patch).unwrap();
    }
    made
}

/// The regions that the pod's node affinity leaves, if it says anything.
pub(crate) fn regions(pod: &Value) -> Option<Vec<String>> {
    let required = &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let [term] = required["nodeSelectorTerms"].as_array()?.as_slice() else { return None };
    let [expression] = term["matchExpressions"].as_array()?.as_slice() else { return None };
    assert_eq!((&expression["key"], &expression["operator"]), (&json!(REGION_KEY), &json!("In")));
    serde_json::from_value(expression["values"].clone()).ok()
}
