use std::process::Command;
use std::time::Duration;

use sanity_tests::process::{Process, get, shipped};
use sanity_tests::sidecar::{Claim, Request, RetryPolicy, Sidecar};

use super::scene::{CLUSTER, REGION, Scene};

const PATIENCE: Duration = Duration::from_secs(60);

/// The value of a metric, in its text form.
fn value(metrics: &str, name: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| line.split(' ').next() == Some(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn start(scene: &Scene, socket: &std::path::Path) -> Process {
    let (ak, sk) = Scene::keys();
    let mut command = Command::new(shipped("eck-csi-controller", "eck-csi-controller").unwrap());
    command.env("CTYUN_AK", ak).env("CTYUN_SK", sk).arg("--csi-endpoint").arg(socket);
    command.args(["--ecx-url", &scene.sim.url(), "--regions", REGION, "--cluster-id", CLUSTER]);
    command.args(["--admin-address", "127.0.0.1:0", "--audit-seconds", "1", "--audit-grace-seconds", "0"]);
    command.arg("--kubeconfig").arg(scene.folder.path().join("kubeconfig"));
    Process::start(command, &scene.folder.path().join("controller.log")).unwrap()
}

#[tokio::test]
async fn the_controller_tells_of_drift_and_serves_on_without_an_api_server() {
    let scene = Scene::new();
    scene.disk("cd-leaked", Some(CLUSTER), None);
    scene.volume("pv-missing", "cd-missing");
    let socket = scene.folder.path().join("csi.sock");
    let mut controller = start(&scene, &socket);
    let channel = controller.serves(&socket, PATIENCE).await.unwrap();
    let address = controller.ready(PATIENCE).await.unwrap();
    let reply = |api: &sanity_tests::apiserver::ApiServer| {
        (api.list("events").len() >= 2).then(|| api.list("events"))
    };
    let events = tokio::time::timeout(PATIENCE, scene.api.wait_for(reply)).await.unwrap().unwrap();
    let about = |reason: &str| events.iter().find(|event| event["reason"] == reason).unwrap().clone();
    assert_eq!(about("LeakedDisk")["involvedObject"]["kind"], "CSIDriver");
    assert_eq!(about("MissingDisk")["involvedObject"]["name"], "pv-missing");
    let shows = async |name: &str, wanted: f64| {
        let look = async || {
            let metrics = get(address, "/metrics").await.ok()?;
            value(&metrics, name).filter(|value| *value >= wanted)
        };
        look().await
    };
    let leaked = "eck_csi_audit_findings{kind=\"leaked-disk\"}";
    controller.until("the finding", PATIENCE, async || shows(leaked, 1.0).await).await.unwrap();
    assert_eq!(shows("eck_csi_audit_findings{kind=\"shared-disk\"}", 0.0).await, Some(0.0));
    // The next rounds find the same and tell nothing new.
    let before = scene.api.calls_of("list", "persistentvolumes");
    let next = |api: &sanity_tests::apiserver::ApiServer| {
        (api.calls_of("list", "persistentvolumes") >= before + 4).then_some(())
    };
    controller.until("more rounds", PATIENCE, async || next(&scene.api)).await.unwrap();
    assert_eq!(scene.api.list("events").len(), 2);
    // Without an API server: counted, and nobody is held up.
    scene.api.go_away();
    let failures = "eck_csi_audit_failures_total";
    controller.until("a failure", PATIENCE, async || shows(failures, 1.0).await).await.unwrap();
    let claim = Claim { name: "pvc-1".to_owned(), gib: 20, ..Claim::default() };
    let made = Sidecar::new(channel).call(&Request::Create(claim), &RetryPolicy::default(), |_| {}).await;
    assert!(made.is_ok(), "{made:?}");
    scene.api.come_back();
    controller.stop(PATIENCE).await.unwrap();
}
