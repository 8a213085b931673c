use std::process::Command;

use sanity_tests::apiserver::Key;
use serde_json::json;

use super::scene::{CLUSTER, Scene};

/// As a user would plant it: in variables, annotations, logs, events, metrics.
const PLANTED: &str = "correct-horse-battery-staple";

fn pod(scene: &Scene) {
    let env = json!([{"name": "DB_PASSWORD", "value": PLANTED}, {"name": "LOG_LEVEL", "value": "info"}]);
    let container = json!({"name": "eck-csi-controller", "env": env, "args": [format!("--sk={PLANTED}")]});
    let metadata = json!({"name": "eck-csi-controller-0", "namespace": "kube-system", "labels": {"app": "eck-csi-controller"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": PLANTED, "company/token": PLANTED}});
    let status = json!({"containerStatuses": [{"name": "eck-csi-controller", "restartCount": 1}]});
    scene.put("pods", json!({"metadata": metadata, "spec": {"containers": [container]}, "status": status}));
    let path = "/api/v1/namespaces/kube-system/pods/eck-csi-controller-0";
    let (ak, sk) = Scene::keys();
    scene.api.say(
        &format!("{path}/log"),
        &format!("INFO the log's own words\nDEBUG keys {ak} {sk}\nWARN password={PLANTED}\n"),
    );
    let metrics = "/api/v1/namespaces/kube-system/pods/eck-csi-controller-0:9809/proxy/metrics";
    scene.api.say(metrics, "ecx_calls_total{op=\"GetDisk\"} 7\n");
    scene.api.say("/version", &json!({"gitVersion": "v1.37.2", "major": "1", "minor": "37", "gitCommit": "", "gitTreeState": "",
        "buildDate": "", "goVersion": "", "compiler": "", "platform": "", "emulationMajor": "", "emulationMinor": "",
        "minCompatibilityMajor": "", "minCompatibilityMinor": ""}).to_string());
}

fn scene() -> Scene {
    let scene = Scene::new();
    pod(&scene);
    scene.disk("cd-leaked", Some(CLUSTER), None);
    scene.volume("pv-missing", "cd-missing");
    let event = json!({"metadata": {"generateName": "e"}, "involvedObject": {"name": "pv-missing"}, "reason": "R",
        "message": format!("refused: Authorization: Bearer {PLANTED}")});
    scene.put("events", event);
    let unrelated = json!({"metadata": {"generateName": "e"}, "involvedObject": {"name": "other"}, "message": "not ours"});
    scene.put("events", unrelated);
    scene
}

/// Every file of the archive, one after the other, each with its name.
fn read(scene: &Scene) -> String {
    let file = scene.folder.path().join("b.tar.gz");
    let tar = |args: &[&str]| Command::new("tar").args(args).arg(&file).output().unwrap().stdout;
    let names = String::from_utf8(tar(&["tzf"])).unwrap();
    names + &String::from_utf8(tar(&["xzOf"])).unwrap()
}

#[tokio::test]
async fn a_bundle_has_what_support_needs_and_no_secret() {
    let scene = scene();
    let file = scene.folder.path().join("b.tar.gz");
    let answer = scene.eckctl(&["support-bundle", "--file", file.to_str().unwrap()], true).await;
    let all = read(&scene);
    assert!(answer.well(), "{} {all}", answer.text);
    let (ak, sk) = Scene::keys();
    for secret in [PLANTED, &ak, &sk] {
        assert!(!all.contains(secret), "{secret} is in:\n{all}");
    }
    let wanted = [
        "eck-csi-support/logs/eck-csi-controller-0/eck-csi-controller.previous.log",
        "the log's own words",
        "ecx_calls_total{op=\"GetDisk\"} 7",
        "\"kubernetes\": \"v1.37.2\"",
        "leaked-disk",
        "pv-missing",
        "rate_per_second",
        "--cluster-id=test",
        "\"secretName\": \"keys\"",
        "cloud/disks.json",
    ];
    for words in wanted {
        assert!(all.contains(words), "{words} is not in:\n{all}");
    }
    assert!(!all.contains("not ours"), "an event of something else");
    assert_eq!(scene.writes(), 0);
    // The keys are read to ask the cloud; no Secret is listed.
    assert_eq!(scene.api.calls_of("list", "secrets"), 0);
    let again = scene.eckctl(&["support-bundle", "--file", file.to_str().unwrap()], true).await;
    assert!(serve::chain::chain(&again.ended.unwrap_err()).contains("File exists"), "nothing is overwritten");
}

#[tokio::test]
async fn what_cannot_be_had_is_named_and_the_rest_is_there() {
    let scene = scene();
    scene.api.delete(&Key::of("secrets", "kube-system", "keys")).unwrap();
    scene.api.fail("list", "csinodes", 1, sanity_tests::apiserver::Fault::Refused(403));
    let file = scene.folder.path().join("b.tar.gz");
    let answer = scene.eckctl(&["support-bundle", "--file", file.to_str().unwrap()], true).await;
    let all = read(&scene);
    assert!(answer.found() && answer.text.contains("2 things could not be had"), "{} {all}", answer.text);
    assert!(all.contains("audit: the Secret keys has no ak") && all.contains("csinodes: "), "{all}");
    assert!(all.contains("the log's own words") && !all.contains(PLANTED), "{all}");
}
