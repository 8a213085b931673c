//! Which sources are found, and what becomes of a pod whose are not.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use eck_csi_admission::metrics::Pods;
use eck_csi_admission::server::{PATH, PATIENCE, router};
use hyper::Request;
use sanity_tests::apiserver::{ApiServer, Fault};
use serde_json::{Value, json};
use tower::Service as _;

use super::objects::{
    DRIVER, claim, cluster, from_claim, from_snapshot, made, pod, regions, review, snapshot, volume,
    with_volumes,
};

const REGION: &str = "fj-xiamen-4";

/// Longer than any machine that runs the tests needs.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(600);

/// What the webhook answers to the pod.
async fn ask(api: &ApiServer, pod: &Value) -> Value {
    ask_for(api, pod, FOR_EVER).await
}

async fn ask_for(api: &ApiServer, pod: &Value, patience: Duration) -> Value {
    let _ = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = kube::Client::try_from(kube::Config::new(api.url().parse().unwrap())).unwrap();
    let request = Request::post(PATH).body(Body::from(review(pod).to_string())).unwrap();
    let response = router(client, Pods::default(), patience).call(request).await.unwrap();
    assert_eq!(response.status(), 200);
    serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

/// The region that the pod is given.
async fn region(api: &ApiServer, pod: &Value) -> Option<String> {
    let answer = ask(api, pod).await;
    assert!(answer["response"]["warnings"].is_null(), "{answer}");
    regions(&made(pod, &answer)).map(|regions| regions.join(","))
}

/// The warning of a pod that is let in as it is.
async fn warning(api: &ApiServer, pod: &Value) -> Option<String> {
    let answer = ask(api, pod).await;
    assert_eq!(made(pod, &answer), *pod, "{answer}");
    answer["response"]["warnings"][0].as_str().map(str::to_owned)
}

/// A claim with this source, and a pod of it.
fn restored(api: &ApiServer, source: Value) -> Value {
    claim(api, "restored", json!({"storageClassName": "eck-csi", "dataSource": source}));
    pod("restored")
}

#[tokio::test]
async fn a_snapshots_handle_tells_its_region() {
    let api = cluster();
    snapshot(&api, "s", "gone", DRIVER, Some("fj-xiamen-4/cs-1"));
    let pod = restored(&api, from_snapshot("s"));
    assert_eq!(region(&api, &pod).await.as_deref(), Some(REGION));
}

#[tokio::test]
async fn a_snapshot_that_is_not_taken_yet_will_be_where_its_volume_is() {
    let api = cluster();
    volume(&api, "data", DRIVER, "cd-1", REGION);
    snapshot(&api, "s", "data", DRIVER, None);
    let pod = restored(&api, from_snapshot("s"));
    assert_eq!(region(&api, &pod).await.as_deref(), Some(REGION));
}

#[tokio::test]
async fn a_snapshot_that_was_made_by_hand_is_found_by_its_content() {
    let api = cluster();
    let source = json!({"volumeSnapshotContentName": "c"});
    api.create("volumesnapshots", json!({"metadata": {"name": "s"}, "spec": {"source": source}})).unwrap();
    let spec = json!({"driver": DRIVER, "source": {"snapshotHandle": "fj-xiamen-4/cs-1"}});
    api.create("volumesnapshotcontents", json!({"metadata": {"name": "c"}, "spec": spec})).unwrap();
    let pod = restored(&api, from_snapshot("s"));
    assert_eq!(region(&api, &pod).await.as_deref(), Some(REGION));
}

#[tokio::test]
async fn a_clone_is_where_its_volume_is() {
    let api = cluster();
    volume(&api, "data", DRIVER, "cd-1", REGION);
    let pod = restored(&api, from_claim("data"));
    assert_eq!(region(&api, &pod).await.as_deref(), Some(REGION));
}

#[tokio::test]
async fn a_template_of_an_ephemeral_volume_is_a_claim_of_the_default_class() {
    let api = cluster();
    volume(&api, "data", DRIVER, "cd-1", REGION);
    let template = |class: Value| {
        let spec = json!({"dataSource": from_claim("data"), "storageClassName": class});
        with_volumes(json!([{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": spec}}}]))
    };
    assert_eq!(region(&api, &template(Value::Null)).await.as_deref(), Some(REGION));
    assert_eq!(region(&api, &template(json!("eck-csi"))).await.as_deref(), Some(REGION));
    assert_eq!(region(&api, &template(json!("other"))).await, None);
    assert_eq!(region(&api, &template(json!(""))).await, None);
}

#[tokio::test]
async fn a_class_that_is_named_by_annotation_counts() {
    let api = cluster();
    volume(&api, "data", DRIVER, "cd-1", REGION);
    for (name, class, expected) in [("a", "eck-csi", Some(REGION)), ("b", "other", None)] {
        let annotations = json!({"volume.beta.kubernetes.io/storage-class": class});
        let claim = json!({"metadata": {"name": name, "annotations": annotations}, "spec": {"dataSource": from_claim("data")}});
        api.create("persistentvolumeclaims", claim).unwrap();
        assert_eq!(region(&api, &pod(name)).await.as_deref(), expected, "{class}");
    }
}

#[tokio::test]
async fn whatever_is_no_affair_of_the_driver_is_let_in_and_hardly_read() {
    let api = cluster();
    snapshot(&api, "s", "gone", "x.example", Some("anything"));
    let others = json!({"storageClassName": "other", "dataSource": from_snapshot("s")});
    claim(&api, "others", others);
    claim(&api, "empty", json!({"storageClassName": "eck-csi"}));
    let bound = json!({"storageClassName": "eck-csi", "volumeName": "pv", "dataSource": from_snapshot("s")});
    claim(&api, "bound", bound);
    for name in ["others", "empty", "bound", "not-there-yet"] {
        assert_eq!(warning(&api, &pod(name)).await, None, "{name}");
    }
    let reads = |resource: &str| api.calls_of("get", resource);
    assert_eq!(
        (reads("persistentvolumeclaims"), reads("storageclasses"), reads("volumesnapshots")),
        (4, 1, 0)
    );
}

#[tokio::test]
async fn what_nobody_can_know_is_let_in_with_a_warning() {
    let api = cluster();
    snapshot(&api, "foreign", "gone", "x.example", Some("fj-xiamen-4/cs-1"));
    snapshot(&api, "odd", "gone", DRIVER, Some("cs-1"));
    snapshot(&api, "early", "unbound", DRIVER, None);
    claim(&api, "unbound", json!({"storageClassName": "eck-csi"}));
    volume(&api, "elsewhere", "x.example", "v-1", REGION);
    for (name, source, word) in [
        ("a", from_snapshot("missing"), "there is no VolumeSnapshot missing"),
        ("b", from_snapshot("foreign"), "is of x.example"),
        ("c", from_snapshot("odd"), "names no region"),
        ("d", from_snapshot("early"), "has no volume yet"),
        ("e", from_claim("missing"), "there is no PersistentVolumeClaim missing"),
        ("f", from_claim("elsewhere"), "is of x.example"),
    ] {
        claim(&api, name, json!({"storageClassName": "eck-csi", "dataSource": source}));
        let warning = warning(&api, &pod(name)).await.unwrap();
        assert!(warning.contains(word) && warning.contains(&format!("claim {name} ")), "{warning}");
    }
}

#[tokio::test]
async fn sources_in_two_regions_are_told_and_nothing_is_added() {
    let api = cluster();
    volume(&api, "here", DRIVER, "cd-1", REGION);
    volume(&api, "there", DRIVER, "cd-2", "zj-shaoxing-2");
    let volumes = ["here", "there"].map(|name| {
        let restored = format!("restored-{name}");
        claim(&api, &restored, json!({"storageClassName": "eck-csi", "dataSource": from_claim(name)}));
        json!({"name": name, "persistentVolumeClaim": {"claimName": restored}})
    });
    let warning = warning(&api, &with_volumes(json!(volumes))).await.unwrap();
    assert!(warning.contains(REGION) && warning.contains("zj-shaoxing-2"), "{warning}");
}

#[tokio::test]
async fn a_claim_that_is_not_known_does_not_hide_one_that_is() {
    let api = cluster();
    volume(&api, "data", DRIVER, "cd-1", REGION);
    claim(&api, "lost", json!({"storageClassName": "eck-csi", "dataSource": from_snapshot("missing")}));
    claim(&api, "found", json!({"storageClassName": "eck-csi", "dataSource": from_claim("data")}));
    let volumes =
        ["lost", "found"].map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
    assert_eq!(region(&api, &with_volumes(json!(volumes))).await.as_deref(), Some(REGION));
}

#[tokio::test]
async fn an_api_server_that_refuses_harms_no_pod() {
    let api = cluster();
    volume(&api, "data", DRIVER, "cd-1", REGION);
    let pod = restored(&api, from_claim("data"));
    for resource in ["persistentvolumeclaims", "storageclasses", "persistentvolumes"] {
        api.fail("get", resource, 1, Fault::Refused(403));
        warning(&api, &pod).await;
    }
    assert_eq!(region(&api, &pod).await.as_deref(), Some(REGION));
}

/// The clock is paused: it moves when everything waits, and the first that it comes to is the webhook's own patience.
#[tokio::test(start_paused = true)]
async fn an_api_server_that_hangs_holds_up_no_pod() {
    let api = cluster();
    volume(&api, "data", DRIVER, "cd-1", REGION);
    let (pod, since) = (restored(&api, from_claim("data")), tokio::time::Instant::now());
    api.fail("get", "persistentvolumes", 1, Fault::Hang);
    let answer = ask_for(&api, &pod, PATIENCE).await;
    assert_eq!(answer["response"], json!({"uid": "u-1", "allowed": true}));
    assert!(since.elapsed() < PATIENCE * 2, "{:?}", since.elapsed());
}
