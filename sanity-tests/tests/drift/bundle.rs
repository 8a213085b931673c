//! `eckctl bundle`: what is sent to support is complete and holds no secret.

use std::path::PathBuf;
use std::process::Command;

use sanity_tests::apiserver::{Fault, Key};
use serde_json::json;

use super::rig::{CLUSTER, Output, Rig};

/// A secret that users have put into variables, annotations, logs, events and metrics.
const PLANTED: &str = "correct-horse-battery-staple";

/// Creates the controller's pod, with its log and metrics.
fn create_pod(rig: &Rig) {
    let env = json!([{"name": "DB_PASSWORD", "value": PLANTED}, {"name": "LOG_LEVEL", "value": "info"}]);
    let container = json!({"name": "eck-csi-controller", "env": env, "args": [format!("--sk={PLANTED}")]});
    let metadata = json!({"name": "eck-csi-controller-0", "namespace": "kube-system", "labels": {"app": "eck-csi-controller"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": PLANTED, "company/token": PLANTED}});
    let status = json!({"containerStatuses": [{"name": "eck-csi-controller", "restartCount": 1}]});
    rig.create("pods", json!({"metadata": metadata, "spec": {"containers": [container]}, "status": status}));
    let path = "/api/v1/namespaces/kube-system/pods/eck-csi-controller-0";
    let (ak, sk) = Rig::keys();
    rig.api.say(
        &format!("{path}/log"),
        &format!("INFO the log's own words\nDEBUG keys {ak} {sk}\nWARN password={PLANTED}\n"),
    );
    let metrics = "/api/v1/namespaces/kube-system/pods/eck-csi-controller-0:9809/proxy/metrics";
    rig.api.say(metrics, "ecx_calls_total{op=\"GetDisk\"} 7\n");
    rig.api.say("/version", &json!({"gitVersion": "v1.37.2", "major": "1", "minor": "37", "gitCommit": "", "gitTreeState": "",
        "buildDate": "", "goVersion": "", "compiler": "", "platform": "", "emulationMajor": "", "emulationMinor": "",
        "minCompatibilityMajor": "", "minCompatibilityMinor": ""}).to_string());
}

/// A cluster with a pod of the driver, two drifts, and an event with a secret.
fn rig() -> Rig {
    let rig = Rig::new();
    create_pod(&rig);
    rig.disk("cd-unclaimed", Some(CLUSTER), None);
    rig.volume("pv-missing", "cd-missing");
    let event = json!({"metadata": {"generateName": "e"}, "involvedObject": {"name": "pv-missing"}, "reason": "R",
        "message": format!("refused: Authorization: Bearer {PLANTED}")});
    rig.create("events", event);
    let unrelated = json!({"metadata": {"generateName": "e"}, "involvedObject": {"name": "other"}, "message": "not ours"});
    rig.create("events", unrelated);
    rig
}

fn archive(rig: &Rig) -> PathBuf {
    rig.folder.path().join("b.tar.gz")
}

async fn make_bundle(rig: &Rig) -> Output {
    rig.eckctl(&["support-bundle", "--file", archive(rig).to_str().unwrap()]).await
}

/// Names and content of all files of the archive.
fn read(rig: &Rig) -> String {
    let tar = |args: &[&str]| Command::new("tar").args(args).arg(archive(rig)).output().unwrap().stdout;
    let names = String::from_utf8(tar(&["tzf"])).unwrap();
    names + &String::from_utf8(tar(&["xzOf"])).unwrap()
}

/// The content of a bundle, and the cluster that it was made of.
async fn bundle() -> (Rig, String) {
    let rig = rig();
    let output = make_bundle(&rig).await;
    let content = read(&rig);
    assert!(output.succeeded(), "{} {content}", output.text);
    (rig, content)
}

#[tokio::test]
async fn a_bundle_contains_what_support_needs() {
    let (_rig, content) = bundle().await;
    let expected = [
        "eck-csi-support/logs/eck-csi-controller-0/eck-csi-controller.previous.log",
        "the log's own words",
        "ecx_calls_total{op=\"GetDisk\"} 7",
        "\"kubernetes\": \"v1.37.2\"",
        "unclaimed-disk",
        "pv-missing",
        "rate_per_second",
        "--cluster-id=test",
        "\"secretName\": \"keys\"",
        "cloud/disks.json",
    ];
    for text in expected {
        assert!(content.contains(text), "{text} is not in:\n{content}");
    }
}

#[tokio::test]
async fn a_bundle_contains_no_secret() {
    let (_rig, content) = bundle().await;
    let (ak, sk) = Rig::keys();
    for secret in [PLANTED, &ak, &sk] {
        assert!(!content.contains(secret), "{secret} is in:\n{content}");
    }
}

#[tokio::test]
async fn a_bundle_contains_no_event_of_other_objects() {
    let (_rig, content) = bundle().await;
    assert!(!content.contains("not ours"));
}

#[tokio::test]
async fn a_bundle_changes_nothing() {
    let (rig, _content) = bundle().await;
    assert_eq!(rig.writes(), 0);
}

/// The Secret with the keys is read, to call the cloud; no Secret is listed.
#[tokio::test]
async fn a_bundle_lists_no_secrets() {
    let (rig, _content) = bundle().await;
    assert_eq!(rig.api.calls_of("list", "secrets"), 0);
}

#[tokio::test]
async fn a_bundle_overwrites_no_file() {
    let (rig, _content) = bundle().await;
    let error = make_bundle(&rig).await.error();
    assert!(error.contains("File exists"), "{error}");
}

/// The Secret with the keys is missing, and one list is forbidden.
async fn incomplete_bundle() -> (Output, String) {
    let rig = rig();
    rig.api.delete(&Key::new("secrets", "kube-system", "keys")).unwrap();
    rig.api.fail("list", "csinodes", 1, Fault::Refused(403));
    (make_bundle(&rig).await, read(&rig))
}

#[tokio::test]
async fn an_incomplete_bundle_says_what_is_missing() {
    let (output, content) = incomplete_bundle().await;
    assert!(
        output.found_problems() && output.text.contains("2 things could not be had"),
        "{} {content}",
        output.text
    );
    let named = content.contains("audit: the Secret keys has no ak") && content.contains("csinodes: ");
    assert!(named, "{content}");
}

#[tokio::test]
async fn an_incomplete_bundle_contains_the_rest() {
    let (_output, content) = incomplete_bundle().await;
    assert!(content.contains("the log's own words") && !content.contains(PLANTED), "{content}");
}
